/* demux.h - GEQA, GEQCB and GISA (spec 04): the tables by which one adapter's
 * events are spread to a partition's guests.  Boundary of level 2, which
 * keeps them, with the firmware, which forwards by them.
 *
 * They lie in the partition's main memory, which is that of level 2's VM and
 * is kept by the root bridge, so both may die and come again: struct
 * demux_record at DEMUX_RECORD_AT, then the arrays.  Addresses in them are
 * the partition's.  Level 2 writes whatever it likes, so the firmware checks
 * all that it reads; a bad entry costs only the guest that it is of.
 *
 * Who may write what:
 *   level 2   all but what follows
 *   firmware  demux_geqa.last, demux_record.counts, its demux_taker
 *   both      demux_geqcb.next and .state; demux_gisa.pending and
 *             .alert; alerted bits
 * Plain fields of an entry are written only while nobody reads them: before its
 * generation becomes odd, or after demux_settled().
 */
#ifndef IOVKIT_DEMUX_H
#define IOVKIT_DEMUX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/hca_regs.h"

/* In the partition's memory. */
#define DEMUX_RECORD_AT   0u
#define DEMUX_RECORD_SIZE 4096u
#define DEMUX_MAGIC       0x556d4544u /* "DEmU" */
#define DEMUX_VERSION     1u
#define DEMUX_ENTRIES_MAX (1u << HCA_INDEX_BITS) /* of each array */

/* A handle names an entry: index below, generation above.  The generation is
 * odd while the entry is in use, and goes up by one with each allocation and
 * each free; so 0 is no handle, and one that was freed means nothing. */
static inline uint64_t demux_handle(uint32_t index, uint32_t generation)
{
	return index | (uint64_t)generation << 32;
}
static inline uint32_t demux_index(uint64_t handle)
{
	return (uint32_t)handle;
}
static inline uint32_t demux_generation(uint64_t handle)
{
	return (uint32_t)(handle >> 32);
}

/* One a guest CQ (1200); its handle is the adapter's CQ token (1204). */
struct demux_geqa {
	_Atomic uint32_t generation;
	uint32_t rsvd0;
	_Atomic uint64_t geqcb; /* handle (1212); 0: no EQ is tied to it */
	_Atomic uint64_t token; /* the guest's own (1208) */
	/* Number of its last completion event in the guest's EQ; 0: none.
	 * Set to 0 by level 2 when it ties another EQ: untie, wait for
	 * demux_settled(), set 0, tie. */
	_Atomic uint64_t last;
};
_Static_assert(sizeof(struct demux_geqa) == 32, "GEQA");
_Static_assert(offsetof(struct demux_geqa, geqcb) == 8, "GEQA");
_Static_assert(offsetof(struct demux_geqa, token) == 16, "GEQA");
_Static_assert(offsetof(struct demux_geqa, last) == 24, "GEQA");

enum demux_error {
	DEMUX_NO_ERROR,
	DEMUX_OVERFLOW,    /* the next slot is still marked */
	DEMUX_BAD_ADDRESS, /* ring or ASB lies in no memory of the guest */
	DEMUX_BAD_GISA,    /* gisa is no handle in use */
	DEMUX_BAD_ENTRY,   /* entries or isc cannot be */
	DEMUX_ERROR_N
};

/* Entries of the guest's EQ are counted from 1 as long as the GEQCB is there,
 * over all that it is allocated for: number above bit 16.  Below, how many of
 * them level 2 took, modulo 2^16, so that after the death of one who takes it
 * is known whether the last one was his. */
#define DEMUX_NUMBER_SHIFT 16u
#define DEMUX_NUMBER_ONE   (1ull << DEMUX_NUMBER_SHIFT)
#define DEMUX_LEVEL2_MASK  (DEMUX_NUMBER_ONE - 1)

/* One a guest EQ (1000, 1002). */
struct demux_geqcb {
	_Atomic uint32_t generation;
	_Atomic uint32_t state; /* enum hca_state | enum demux_error << 8 */
	_Atomic uint64_t next;  /* taken so far (1706); never set back */
	uint64_t gisa;          /* handle */
	uint64_t ring;          /* address of the guest's EQ, 32-byte aligned */
	_Atomic uint64_t asb;   /* address of the guest's ASB (1302); 0: none */
	uint64_t first;         /* number that was taken when it began to run */
	uint32_t entries;       /* of the ring; a power of two */
	_Atomic uint32_t isc;   /* the guest's; HCA_ISC_NONE: no interrupt */
	uint32_t rsvd0;
	/* Goes up after another field was changed, be it at the start of a run
	 * or, with asb and isc, in it. */
	_Atomic uint32_t version;
};
_Static_assert(sizeof(struct demux_geqcb) == 64, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, next) == 8, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, gisa) == 16, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, ring) == 24, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, asb) == 32, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, first) == 40, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, entries) == 48, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, isc) == 52, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, rsvd0) == 56, "GEQCB");
_Static_assert(offsetof(struct demux_geqcb, version) == 60, "GEQCB");
static inline enum hca_state demux_state(uint32_t state)
{
	return (enum hca_state)(state & 0xff);
}
static inline enum demux_error demux_error(uint32_t state)
{
	return (enum demux_error)(state >> 8);
}

/* One a guest.  Masks have bit n for guest ISC n.
 *
 * An event makes its ISC pending (1714).  Then, if the ISC is enabled, the
 * machine interrupts the guest and it is not pending any more; else, if the
 * alert mask has it, it is taken from that and level 2 is alerted (1716).
 * Level 2 stops a guest that is idle by: clear enabled, set alert, wait for
 * demux_settled(), look at pending and whether it was interrupted meanwhile;
 * and starts it by: set enabled, clear alert, take pending and interrupt for
 * that (event-forward.pml).  All of it is sequentially consistent. */
struct demux_gisa {
	_Atomic uint32_t generation;
	_Atomic uint32_t pending;
	_Atomic uint32_t alert;
	_Atomic uint32_t enabled; /* the guest runs and takes these */
	uint32_t vm;              /* the guest */
	uint32_t slot; /* of the VM: ISC n is platform_irq(slot, n) */
	uint32_t rsvd0[2];
};
_Static_assert(sizeof(struct demux_gisa) == 32, "GISA");
_Static_assert(offsetof(struct demux_gisa, pending) == 4, "GISA");
_Static_assert(offsetof(struct demux_gisa, alert) == 8, "GISA");
_Static_assert(offsetof(struct demux_gisa, enabled) == 12, "GISA");
_Static_assert(offsetof(struct demux_gisa, vm) == 16, "GISA");
_Static_assert(offsetof(struct demux_gisa, slot) == 20, "GISA");

/* A host queue of the partition, as the adapter has it. */
enum demux_host {
	DEMUX_TYPE1, /* events of guests' CQs; the firmware's */
	DEMUX_TYPE2, /* the rest; level 2's */
	DEMUX_HOST_N
};

/* The ring of type 1 holds more than may be pending, two events a CQ, and
 * DEMUX_GROUP more, so what is taken stays there until it is forwarded. */
#define DEMUX_GROUP 32u

struct demux_host_queue {
	uint32_t eq; /* adapter's handle; 0: not there */
	uint32_t entries;
	uint64_t ring;
	uint64_t asb; /* 0: none */
	uint32_t isc; /* host ISC */
	uint32_t rsvd0[9];
};
_Static_assert(sizeof(struct demux_host_queue) == 64, "host queue");
_Static_assert(offsetof(struct demux_host_queue, ring) == 8, "host queue");
_Static_assert(offsetof(struct demux_host_queue, asb) == 16, "host queue");
_Static_assert(offsetof(struct demux_host_queue, isc) == 24, "host queue");

/* Who takes entries of guests' EQs; each empties the host queue of the same
 * number.  There is one of each at a time. */
enum demux_who {
	DEMUX_FIRMWARE,
	DEMUX_LEVEL2,
	DEMUX_WHO_N
};

/* What one who takes has in hand, for who comes after him.  Events are taken
 * from the host queue, then forwarded; an entry of a guest's EQ is taken for
 * `event` by next = next + 1, then filled and marked, then geqcb is 0. */
struct demux_taker {
	_Atomic uint64_t taken;     /* events of the host queue */
	_Atomic uint64_t forwarded; /* of those */
	_Atomic uint64_t geqcb;     /* handle; 0: nothing in hand */
	_Atomic uint64_t next;      /* of the GEQCB, before */
	_Atomic uint64_t event[3];  /* token; handle and event; detail */
	_Atomic uint32_t busy;      /* odd: it reads entries */
	uint32_t rsvd0[17];
};
_Static_assert(sizeof(struct demux_taker) == 128, "taker");
_Static_assert(offsetof(struct demux_taker, geqcb) == 16, "taker");
_Static_assert(offsetof(struct demux_taker, event) == 32, "taker");
_Static_assert(offsetof(struct demux_taker, busy) == 56, "taker");

/* What the firmware counts, for the partition. */
struct demux_counts {
	_Atomic uint64_t interrupts; /* of the type 1 queue */
	_Atomic uint64_t events;     /* taken from it */
	_Atomic uint64_t forwarded;
	_Atomic uint64_t coalesced; /* the guest has one that it did not take */
	_Atomic uint64_t dropped;   /* token of nobody, EQ not running */
	_Atomic uint64_t failed;    /* guests' EQs that it put in error */
	_Atomic uint64_t interrupted; /* guests */
	_Atomic uint64_t alerts;      /* of level 2 */
	uint64_t rsvd0[8];
};
_Static_assert(sizeof(struct demux_counts) == 128, "counts");

struct demux_record {
	_Atomic uint32_t magic; /* written last */
	uint32_t version;
	uint32_t geqa_n, geqcb_n, gisa_n; /* entries of the arrays */
	uint32_t rsvd0;
	uint64_t geqa, geqcb, gisa; /* where they lie; 64-byte aligned */
	uint64_t alerted;           /* a bit a GISA: it was alerted for that */
	uint64_t rsvd1[9];
	struct demux_host_queue host[DEMUX_HOST_N];
	struct demux_taker taker[DEMUX_WHO_N];
	struct demux_counts counts;
};
_Static_assert(offsetof(struct demux_record, geqa) == 24, "record");
_Static_assert(offsetof(struct demux_record, alerted) == 48, "record");
_Static_assert(offsetof(struct demux_record, host) == 128, "record");
_Static_assert(offsetof(struct demux_record, taker) == 256, "record");
_Static_assert(offsetof(struct demux_record, counts) == 512, "record");
_Static_assert(sizeof(struct demux_record) <= DEMUX_RECORD_SIZE, "record");

/* The tables as they lie here. */
struct demux_tables {
	struct demux_record *record;
	struct demux_geqa *geqa;
	struct demux_geqcb *geqcb;
	struct demux_gisa *gisa;
	_Atomic uint64_t *alerted;
	uint32_t geqa_n, geqcb_n, gisa_n; /* the record's may change */
};

/* Bytes from DEMUX_RECORD_AT that a record with these arrays takes. */
uint64_t demux_size(uint32_t geqa_n, uint32_t geqcb_n, uint32_t gisa_n);
/* Make a record with empty arrays in the partition's memory, which is `size`
 * bytes and lies here at memory; what was there is gone.  -EINVAL: a number
 * is 0 or above DEMUX_ENTRIES_MAX; -ENOSPC: there is no room for it. */
int demux_create(struct demux_tables *t, void *memory, uint64_t size,
		 uint32_t geqa_n, uint32_t geqcb_n, uint32_t gisa_n)
	__attribute__((warn_unused_result));
/* Find the record that somebody made there.  -ENOENT: there is none;
 * -EBADMSG: another version, or its arrays lie elsewhere than in the memory. */
int demux_open(struct demux_tables *t, void *memory, uint64_t size)
	__attribute__((warn_unused_result));

/* The entry of a handle in use; NULL: freed, forged, 0. */
struct demux_geqa *demux_geqa(const struct demux_tables *t, uint64_t handle);
struct demux_geqcb *demux_geqcb(const struct demux_tables *t, uint64_t handle);
struct demux_gisa *demux_gisa(const struct demux_tables *t, uint64_t handle);

/* Level 2: an entry is ready (its fields are written) or freed; the generation
 * goes up by one.  What was freed may still be in use until demux_settled(). */
static inline uint32_t demux_turn(_Atomic uint32_t *generation)
{
	/* T1: seq_cst, pairs with T2 in demux_forward() */
	return atomic_fetch_add_explicit(generation, 1, memory_order_seq_cst) +
	       1;
}

/* Level 2 frees or unties, then asks: how busy the firmware is. */
static inline uint32_t demux_busy(const struct demux_tables *t)
{
	return atomic_load_explicit(&t->record->taker[DEMUX_FIRMWARE].busy,
				    memory_order_seq_cst);
}
/* Whether it has let go of what was freed before `busy` was asked for; else
 * ask again a little later (it never waits, but it may be dead: then who comes
 * after it lets go). */
static inline bool demux_settled(const struct demux_tables *t, uint32_t busy)
{
	return !(busy & 1) || demux_busy(t) != busy;
}

/* Level 2 asks the machine, by a write of this at PLATFORM_HOST_QUEUES, which is
 * done when the answer comes.  -ENOENT: its VM has no partition, or the record
 * or a host queue of it is not there; -EIO: the adapter refused. */
enum {
	/* Attach the PSBs to both host queues, and let them signal each event
	 * (1012, 1014); the record names them. */
	DEMUX_CALL_ATTACH = 1,
	/* Let go of both, and of the record. */
	DEMUX_CALL_DETACH,
	/* The memory of `vm`, a guest, lies in the partition now (SUP_MAPS), or
	 * is new: before the first GEQCB with addresses in it runs.  Not
	 * needed for guests that lay there before DEMUX_CALL_ATTACH. */
	DEMUX_CALL_MAP,
};

struct demux_call {
	uint32_t what;
	uint32_t vm; /* of DEMUX_CALL_MAP, else 0 */
};
_Static_assert(sizeof(struct demux_call) == 8, "call");

/* A partition's memory, as it lies here. */
struct demux_memory {
	/* size bytes of what the partition's functions reach at address, to be
	 * written; NULL: no memory. */
	void *(*at)(void *arg, uint64_t address, uint64_t size);
	void *arg;
	/* Goes up when what was at an address may be elsewhere. */
	uint64_t changes;
};

/* A guest's EQ that was checked, as it lies here. */
struct demux_eq {
	uint64_t handle; /* of the GEQCB; 0: none */
	uint64_t first;
	struct hca_eqe *ring;
	_Atomic uint8_t *asb; /* or NULL */
	uint64_t gisa;
	uint64_t changes; /* of the memory */
	uint32_t entries;
	uint32_t isc;
	uint32_t version; /* of the GEQCB */
	uint32_t rsvd0;
};

/* Look at the EQ of a handle that demux_geqcb() knows; else what is wrong with
 * it, and *eq is untouched. */
enum demux_error demux_eq_look(struct demux_eq *eq,
			       const struct demux_tables *t,
			       const struct demux_memory *memory,
			       uint64_t geqcb);
/* Whether it still is what the tables say. */
static inline bool demux_eq_is_current(const struct demux_eq *eq,
				       const struct demux_geqcb *geqcb,
				       const struct demux_memory *memory,
				       uint64_t handle)
{
	return eq->handle == handle && eq->changes == memory->changes &&
	       eq->version == atomic_load_explicit(&geqcb->version,
						   memory_order_acquire);
}

enum demux_signal {
	DEMUX_QUIET,     /* the guest will look, or does not want to be told */
	DEMUX_INTERRUPT, /* interrupt the guest */
	DEMUX_ALERT,     /* interrupt level 2: PLATFORM_IRQ_ALERT */
};

/* What came of an event. */
struct demux_result {
	int err; /* 0: the guest has it; -ENOENT: no such handle, or its EQ
		  * does not run; -EIO: the EQ is in error by it */
	enum demux_signal signal; /* also with -EIO */
	uint32_t gisa;            /* index, of the guest */
	uint32_t isc;             /* its */
	uint64_t number;          /* of the entry, counted from 1 */
};

/* Put an event in a guest's EQ: take the next entry (1706), fill it, mark it,
 * set the ASB (1712), then its ISC is pending (1714) and maybe signalled (1716).
 * The event is in host order, its token the guest's own.  Level 2 does so with
 * type 2 events. */
struct demux_result demux_put(const struct demux_tables *t, enum demux_who who,
			      const struct demux_memory *memory, uint64_t geqcb,
			      const struct hca_eqe *event);
/* The same in an EQ that was looked at and is current. */
struct demux_result demux_eq_put(const struct demux_eq *eq,
				 const struct demux_tables *t,
				 enum demux_who who,
				 const struct hca_eqe *event);
/* 1714, 1716: the guest (handle of its GISA) is to be told on its ISC. */
enum demux_signal demux_signal_guest(const struct demux_tables *t,
				     uint64_t gisa, uint32_t isc);
/* The GEQCB is in error from now on, and its guest is told to look. */
struct demux_result demux_fail(const struct demux_tables *t,
			       struct demux_geqcb *geqcb,
			       enum demux_error error);
/* Who comes after one who is dead: end what that one had in hand, so that the
 * guest's EQ goes on.  -ENOENT: it had nothing.  Guests that it did not come to
 * signal are still to be signalled. */
struct demux_result demux_take_over(const struct demux_tables *t,
				    enum demux_who who,
				    const struct demux_memory *memory);

/* An entry of an EQ by how many were taken before it. */
static inline struct hca_eqe *demux_eq_slot(const struct demux_eq *eq,
					    uint64_t before)
{
	return &eq->ring[(before - eq->first) & (eq->entries - 1)];
}
/* Whether the guest did not take the entry of this number yet; another one in
 * its place has another number. */
static inline bool demux_eq_holds(const struct demux_eq *eq, uint64_t number)
{
	return le64toh(atomic_load_explicit(
		       &demux_eq_slot(eq, number - 1)->mark,
		       memory_order_seq_cst)) ==
	       (HCA_EQE_VALID | (uint32_t)number);
}

#endif
