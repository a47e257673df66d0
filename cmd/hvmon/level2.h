/* level2.h - level 2 (spec 04): the hypervisor of one partition of a host
 * channel adapter.  It runs on the processors of the partition's VM, whose
 * memory is the partition's, and decides about its guests' VMs.
 *
 * Each guest has a function like the partition's in its slot 0.  Its verbs are
 * intercepted (level2_window.c) and done anew (level2_verbs.c, figs. 10 to 15);
 * its doorbell is not.  Completion events reach guests by the firmware; what is
 * none reaches them by level2_events.c.
 */
#ifndef IOVKIT_HVMON_LEVEL2_H
#define IOVKIT_HVMON_LEVEL2_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cmd/hvmon/config_overlay.h"
#include "cmd/hvmon/level2_record.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/hca_consumer.h"
#include "libcore/limiter.h"
#include "libcore/loop.h"
#include "libcore/pci_config.h"
#include "libcore/supervisor.h"

#define LEVEL2_SLOT      0u               /* of the partition, and of a guest */
#define LEVEL2_BAR       PLATFORM_MMIO    /* where a guest has it */
#define LEVEL2_IOVA      0x10000000000ull /* of the first guest's memory */
#define LEVEL2_ISC_TYPE1 1u
#define LEVEL2_ISC_TYPE2 0u

struct level2_access {
	STAILQ_ENTRY(level2_access) entry;
	struct sup_exception exception; /* no longer than it has data */
};

struct level2_guest {
	struct level2 *l;
	uint32_t vm;
	unsigned index; /* of its row, GISA and doorbell */
	uint64_t memory_size, iova;
	uint8_t *memory; /* NULL: not mapped */
	struct level2_guest_row *row;
	struct pci_config config;
	struct config_overlay overlay;
	uint8_t msix[HCA_ISCS * PCI_MSIX_ENTRY_SIZE];
	/* Accesses wait while a verb is done, or the guest is set up. */
	STAILQ_HEAD(, level2_access) accesses;
	bool busy, lost, lost_again, queued, asleep;
	STAILQ_ENTRY(level2_guest) turn;
	uint64_t verbs, bad_bells;
	struct limiter told;
};

struct level2 {
	struct hvmon *hv;
	unsigned partition;
	bool up;
	uint8_t *memory; /* the partition's */
	uint64_t memory_size;
	uint16_t bdf; /* of the partition's function */
	uint64_t bar; /* where it lies, in this VM */
	struct demux_tables tables;
	struct level2_rows rows;
	struct level2_guest *guest; /* [n_guests], in order of VMs */
	unsigned n_guests;
	uint64_t stride;           /* between guests' memories */
	uint32_t *cq_row, *qp_row; /* by the adapter's index: row plus 1 */
	uint32_t next_cq, next_eq, next_qp;
	/* Guests with accesses that may be looked at, in turns; one verb at a
	 * time, since there is one window. */
	STAILQ_HEAD(, level2_guest) ready;
	bool running;
	unsigned wanted; /* by so many who come before verbs */
	struct loop_deferred run;
	/* Type 2 events. */
	int irq_fd, alert_fd, platform_fd;
	struct loop_watch irq, alert, platform;
	struct hca_reader type2;
	struct demux_memory reach;
	uint64_t intercepted, events, forwarded, dropped, alerts;
};

/* --partition N */
int level2_parse(struct hvmon *hv, const char *text, struct complaint *c)
	__attribute__((warn_unused_result));
/* The link is up. */
void level2_start(struct hvmon *hv);
void level2_free(struct hvmon *hv);
/* What the root bridge told (exceptions.h). */
void level2_exception(struct hvmon *hv, const struct sup_exception *exception);
struct level2_guest *level2_guest_of(struct level2 *l, uint32_t vm);

/* level2_guest.c: guests come and go. */
/* Its function, memory, row and GISA, as a step of p. */
void step_level2_attach(struct procedure *p, struct level2_guest *guest);
void level2_guest_lost(struct level2_guest *guest);
void level2_guest_started(struct level2_guest *guest);
/* It does not run until it is alerted for, and is woken (1716). */
void level2_guest_sleep(struct level2_guest *guest);
void level2_guest_wake(struct level2_guest *guest);
/* size bytes of a guest at its own address, or NULL. */
void *level2_guest_at(const struct level2_guest *guest, uint64_t gpa,
		      uint64_t size);
/* By address of the partition. */
void *level2_at(void *level2, uint64_t address, uint64_t size);
bool level2_tells(struct level2_guest *guest, uint64_t *suppressed);

/* level2_config.c: a guest's config space. */
void level2_config_init(struct level2_guest *guest);
/* As the record has it. */
void level2_config_adopt(struct level2_guest *guest);
void level2_config_access(struct level2_guest *guest,
			  const struct sup_exception *exception);

/* level2_window.c: a guest's registers. */
void level2_window_queue(struct level2_guest *guest,
			 const struct sup_exception *exception);
void level2_window_forget(struct level2_guest *guest);
/* What waits may be looked at. */
void level2_window_run(struct level2 *l);
/* The access's verb is done. */
void level2_verb_done(struct level2_guest *guest, uint64_t serial,
		      enum hca_status status, uint64_t result);

/* level2_verbs.c */
void level2_verb(struct level2_guest *guest, uint64_t serial, uint64_t verb);

/* level2_free.c: free all that the guest has, as a step of p. */
void step_level2_free_all(struct procedure *p, struct level2_guest *guest);

/* level2_adapter.c: verbs of the adapter, as parts of a step. */
struct level2_answer {
	uint64_t status, result;
};
void step_level2_verb(struct procedure *p, struct level2 *l, enum hca_opcode op,
		      unsigned attribute, uint32_t handle, uint64_t value,
		      struct level2_answer *answer);
/* The verb that it did last, until the next one. */
struct level2_last {
	uint64_t verb;
	struct level2_answer answer;
};
void step_level2_last(struct procedure *p, const struct level2 *l,
		      struct level2_last *last);

/* level2_host.c: the partition's host queues (1006 to 1014, 1102, 1104). */
void step_level2_host(struct procedure *p, struct level2 *l);

/* level2_adopt.c: what a former process left.  Before all other verbs: what the
 * last one gave and no row has is freed, by another one, whose answer comes
 * into last; true: there was any.  Then come the rows. */
bool step_level2_free_unknown(struct procedure *p, struct level2 *l,
			      struct level2_last *last);
void step_level2_adopt(struct procedure *p, struct level2 *l, unsigned ended);

/* level2_events.c */
void level2_events_start(struct level2 *l);
void level2_events(struct level2 *l);
void level2_interrupt(struct level2 *l, uint32_t vm, uint32_t irq);

/* level2_rows.c: rows of the record. */
enum level2_kind {
	LEVEL2_CQ,
	LEVEL2_EQ,
	LEVEL2_QP
};
/* A free one, or -1. */
int level2_row_take(struct level2 *l, enum level2_kind kind);
/* The guest's row of an adapter's handle, or -1. */
int level2_cq_of(const struct level2_guest *guest, uint64_t handle);
int level2_qp_of(const struct level2_guest *guest, uint64_t handle);
/* The guest's EQ by its own number, or -1. */
int level2_eq_of(const struct level2_guest *guest, uint64_t number);
/* 1106: the number of an EQ for its guest, above any that the adapter has; and
 * by handle of its GEQCB (0: 0). */
uint32_t level2_eq_number(const struct level2 *l, uint32_t row);
uint32_t level2_eq_number_of(const struct level2 *l, uint64_t geqcb);
uint64_t level2_eq_handle(const struct level2 *l, uint32_t row);
/* The row's object is known by the adapter's handle now, and no more. */
void level2_index(struct level2 *l, enum level2_kind kind, uint32_t row);
void level2_unindex(struct level2 *l, uint32_t handle);
/* Another EQ is named at *at. */
void level2_name_eq(struct level2 *l, uint64_t *at, uint64_t geqcb);
/* The GEQA or GEQCB means nothing any more; its row rests. */
void level2_geqa_free(struct level2 *l, uint32_t row);
void level2_geqcb_free(struct level2 *l, uint32_t row);
/* The adapter has freed it: a CQ, or a QP. */
void level2_row_free(struct level2 *l, bool is_cq, uint32_t row);

/* level2_tables.c */
void level2_tables_add(struct hvmon *hv);

#endif
