/* level2_record.h - what level 2 keeps beside GEQA, GEQCB and GISA (demux.h) in
 * its partition's memory, behind their arrays, so that the next process of it
 * goes on.  Nobody else reads it.
 *
 * There is a row for each GEQA (struct level2_cq), for each GEQCB (struct
 * level2_eq), for each GISA (struct level2_guest_row) and as many for queue
 * pairs as for CQs.  Then come the two host queues' rings and the ASB.
 */
#ifndef IOVKIT_HVMON_LEVEL2_RECORD_H
#define IOVKIT_HVMON_LEVEL2_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcore/demux.h"

#define LEVEL2_MAGIC   0x324c564cu /* "LVL2" */
#define LEVEL2_VERSION 1u

enum level2_use {
	LEVEL2_FREE,
	LEVEL2_MAKING, /* the next process takes it down */
	LEVEL2_READY,
	LEVEL2_ENDING, /* the same */
	LEVEL2_RESTING /* freed, but the firmware may still read it */
};

/* Addresses are the guest's own. */
struct level2_cq {
	uint32_t use; /* enum level2_use */
	uint32_t guest;
	uint32_t handle; /* of the adapter, and of the guest */
	uint32_t busy;   /* RESTING: demux_busy() then */
	uint64_t base;
	uint32_t entries;
	uint32_t rsvd0;
};
_Static_assert(sizeof(struct level2_cq) == 32, "cq");

struct level2_eq {
	uint32_t use;
	uint32_t guest;
	uint32_t busy; /* RESTING, or stopped */
	uint32_t refs; /* by CQs, QPs and the guest's partition */
	uint64_t base, asb;
	uint32_t entries, isc, immediate, delay;
};
_Static_assert(sizeof(struct level2_eq) == 48, "eq");

struct level2_qp {
	uint32_t use;
	uint32_t guest;
	uint32_t handle;
	uint32_t generation; /* of the row, in the adapter's token */
	uint64_t token;      /* the guest's own */
	uint64_t geqcb;      /* of the EQ that the guest named; 0: none */
	uint64_t send_base, receive_base;
	uint32_t send_entries, receive_entries;
	uint64_t rsvd0;
};
_Static_assert(sizeof(struct level2_qp) == 64, "qp");

struct level2_guest_row {
	uint32_t vm;          /* 0: none */
	uint32_t incarnation; /* of the VM, when it was attached */
	uint64_t gisa;        /* handle */
	uint64_t geqcb;       /* of what belongs to no object */
	/* The verb window, and by which access the last verb was done. */
	uint64_t value, verb, result;
	uint32_t status;
	uint32_t rsvd0;
	uint64_t serial;
	/* Of its config space. */
	uint16_t command, msix;
	uint32_t rsvd1;
};
_Static_assert(sizeof(struct level2_guest_row) == 72, "guest");

struct level2_record {
	_Atomic uint32_t magic; /* written last */
	uint32_t version;
	uint32_t host_made; /* the host queues are attached */
	uint32_t rsvd0[13];
};
_Static_assert(sizeof(struct level2_record) == 64, "record");

struct level2_rows {
	struct level2_record *record;
	struct level2_cq *cq;           /* [geqa_n] */
	struct level2_eq *eq;           /* [geqcb_n] */
	struct level2_qp *qp;           /* [geqa_n] */
	struct level2_guest_row *guest; /* [gisa_n] */
	uint64_t ring[DEMUX_HOST_N];    /* addresses */
	uint32_t entries;               /* of each */
	uint64_t asb;
};

/* What lies there means nothing any more. */
void level2_record_forget(uint8_t *memory);
/* Find the record, or make it and the tables, with room for this many guests.
 * *found: it was there.  -ENOSPC: the memory is too small; -EBADMSG: what lies
 * there is of another version. */
int level2_record_open(struct demux_tables *t, struct level2_rows *rows,
		       uint8_t *memory, uint64_t size, unsigned guests,
		       bool *found) __attribute__((warn_unused_result));

#endif
