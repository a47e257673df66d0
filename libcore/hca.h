/* hca.h - the host channel adapter (spec 04): queue pairs, completion and
 * event queues of its partitions, and the verbs by which they are made.
 *
 * It knows partitions only.  Partition 0 is the machine: it has no queues, and
 * by it level 1 stores what no partition may.
 */
#ifndef IOVKIT_HCA_H
#define IOVKIT_HCA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "libcore/hca_regs.h"

struct hca;

#define HCA_NAME_LISTS 4096u

struct hca_ops {
	/* size bytes of the partition's memory at address, or NULL. */
	void *(*memory)(void *arg, unsigned partition, uint64_t address,
			uint64_t size, bool write);
	/* Whether it may reach memory now; hca_reaches() follows when it may. */
	bool (*may_dma)(void *arg, unsigned partition);
	/* 610: pending on interrupt zone and subclass. */
	void (*interrupt)(void *arg, unsigned partition, unsigned isc);
	uint64_t (*now_ns)(void *arg);
	/* Call hca_expire() then; what was asked for before is void. */
	void (*wake_at)(void *arg, uint64_t at_ns);
	/* There is work: call hca_work(), not from inside. */
	void (*work)(void *arg);
	/* A partition did what it may not, or lost something. */
	void (*told)(void *arg, unsigned partition, uint32_t handle,
		     const char *what);
};

/* Where an entry of a resource and event type lies in its event queue. */
struct hca_recorded {
	uint64_t number; /* counted from 1 */
	uint64_t run;    /* of the event queue, then; 0: none was ever */
};

/* What all objects begin with. */
struct hca_object {
	struct hca *hca;
	uint32_t handle;
	unsigned partition;
	enum hca_state state;
	unsigned refs; /* by other objects */
	uint64_t token;
	struct hca_eq *eq; /* of a cq, a qp */
	LIST_ENTRY(hca_object) entry;
};

/* A ring of entries with valid marks, in the partition's memory. */
struct hca_ring {
	uint64_t base;
	uint32_t entries;
	uint64_t written; /* since it runs */
};

struct hca_eq {
	struct hca_object object;
	struct hca_ring ring;
	uint64_t run;      /* unlike that of any queue that ran before */
	uint64_t asb, psb; /* 0: none */
	uint32_t isc;
	bool immediate, host;
	uint32_t delay_us;
	struct hca_recorded completion; /* the last completion event */
	/* The delay timer. */
	uint64_t due_ns; /* 0: it does not run */
	bool ran_out;
	LIST_ENTRY(hca_eq) timing;
	uint64_t recorded, coalesced, dropped, interrupts;
};

struct hca_cq {
	struct hca_object object;
	struct hca_ring ring;
	struct hca_recorded event, error;
	uint64_t completions, dropped;
};

struct hca_wq {
	uint64_t base;
	uint32_t entries;
	uint32_t head, tail; /* taken; as the doorbell said */
};

struct hca_qp {
	struct hca_object object;
	struct hca_wq send, receive;
	struct hca_cq *send_cq, *receive_cq;
	uint64_t peer; /* handle or address */
	uint32_t bell;
	uint32_t service; /* 0: none */
	LIST_ENTRY(hca_qp) named;
	uint64_t memory_base, memory_size;
	uint64_t window_base, window_size;
	struct hca_recorded error;
	bool queued; /* in hca->runnable */
	bool waits;  /* for a receive entry of its peer */
	TAILQ_ENTRY(hca_qp) run;
	uint64_t sent, received, written, bytes;
};

/* One kind of objects, by index. */
struct hca_table {
	struct hca_object **object; /* NULL: free */
	uint16_t *generation;
	uint32_t *free; /* ring of those that were used before */
	uint32_t size, used, first_free, n_free, max;
};

struct hca_partition {
	LIST_HEAD(, hca_object) objects;
	struct hca_eq *eq; /* of what belongs to no object */
	struct hca_recorded refused;
	uint64_t value, verb, result;
	enum hca_status status;
	uint64_t bad_bells;
	uint64_t completions; /* also of queues that are no more */
};

struct hca {
	const struct hca_ops *ops;
	void *arg;
	struct hca_table table[HCA_KIND_N];
	struct hca_partition partition[1 + HCA_PARTITIONS];
	TAILQ_HEAD(, hca_qp) runnable;
	LIST_HEAD(, hca_eq) timing;
	LIST_HEAD(hca_names, hca_qp) names[HCA_NAME_LISTS]; /* by service */
	uint64_t runs; /* of event queues */
};

/* ops and arg outlive it. */
void hca_init(struct hca *hca, const struct hca_ops *ops, void *arg);
void hca_fini(struct hca *hca);
/* All objects of the partition are gone (0: of all of them). */
void hca_reset(struct hca *hca, unsigned partition);

/* Do a verb for a partition.  *result is its handle or value; 0 otherwise. */
enum hca_status hca_do(struct hca *hca, unsigned partition, uint64_t verb,
		       uint64_t value, uint64_t *result);
/* Registers of page 0; offset is that of a whole one. */
uint64_t hca_read(struct hca *hca, unsigned partition, uint32_t offset);
/* False: nothing there can be written. */
bool hca_write(struct hca *hca, unsigned partition, uint32_t offset,
	       uint64_t value);
/* A doorbell is rung. */
void hca_ring(struct hca *hca, unsigned partition, unsigned bell, bool receive,
	      uint64_t value);

/* Do up to `budget` entries of send queues, long ones counting as several, in
 * turns; whether there are more. */
bool hca_work(struct hca *hca, unsigned budget);
/* It reaches memory now that it did not reach before. */
void hca_reaches(struct hca *hca, unsigned partition);
/* The time of wake_at came. */
void hca_expire(struct hca *hca);

/* The object that a handle means, of any partition; NULL: freed or forged. */
struct hca_object *hca_find(struct hca *hca, uint32_t handle);
static inline enum hca_kind hca_kind_of(uint32_t handle)
{
	return (enum hca_kind)(handle >> 30);
}
static inline uint32_t hca_index_of(uint32_t handle)
{
	return handle & ((1u << HCA_INDEX_BITS) - 1);
}

const char *hca_state_name(enum hca_state state);

#endif
