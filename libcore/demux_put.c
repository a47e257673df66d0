/* demux_put.c - an event goes into a guest's EQ (fig. 17, 1706 to 1716).
 *
 * Theory of operation.  Firmware and level 2 take entries of the same EQ, and
 * guests consume them as they would the adapter's (hca_consumer.h):
 *
 *   who takes                          guest
 *   D1 take the entry: next + 1        K1 clear the summary byte
 *   D2 fill it, mark it valid          K2 is the next event valid?  clear its
 *   D3 is the entry before it             mark
 *      still marked?  then the         K3 then look at what it means: the
 *      guest will come here               completion queue, the next event
 *   D4 set the summary byte
 *   D5 pending, then interrupt or alert
 *
 * D2, D3, K2 and K3 are sequentially consistent: either D3 sees the mark that K2
 * has not cleared yet, and K3 finds this entry, or the guest is signalled.
 *
 * Either one may be killed anywhere.  One that died between D1 and D2 would
 * leave an entry which never becomes valid, and the guest waits for it for
 * ever.  So each writes down what it is about to take, and D1 is a compare and
 * swap that also counts who took it: then it is known whether it did, and
 * which entry that is.  D2 sets the mark together with the entry's number,
 * which stays when the guest clears the mark: so it is known whether it was
 * filled.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>

#include "libcore/demux.h"

/* Looking at an EQ. */

static bool is_ring(uint64_t ring, uint32_t entries)
{
	return entries >= HCA_RING_MIN && entries <= HCA_RING_MAX &&
	       !(entries & (entries - 1)) && !(ring % sizeof(struct hca_eqe));
}

static bool is_isc(uint32_t isc)
{
	return isc < HCA_ISCS || isc == HCA_ISC_NONE;
}

enum demux_error demux_eq_look(struct demux_eq *eq,
			       const struct demux_tables *t,
			       const struct demux_memory *memory,
			       uint64_t geqcb)
{
	const struct demux_geqcb *g = &t->geqcb[demux_index(geqcb)];
	struct demux_eq e = { .handle = geqcb, .changes = memory->changes };
	uint64_t asb, ring;

	/* Before what it stands for. */
	e.version = atomic_load_explicit(&g->version, memory_order_acquire);
	ring = g->ring;
	e.first = g->first;
	e.gisa = g->gisa;
	e.entries = g->entries;
	e.isc = atomic_load_explicit(&g->isc, memory_order_relaxed);
	asb = atomic_load_explicit(&g->asb, memory_order_relaxed);
	if (!is_ring(ring, e.entries) || !is_isc(e.isc))
		return DEMUX_BAD_ENTRY;
	if (!demux_gisa(t, e.gisa))
		return DEMUX_BAD_GISA;
	e.ring = memory->at(memory->arg, ring,
			    (uint64_t)e.entries * sizeof(struct hca_eqe));
	if (asb)
		e.asb = memory->at(memory->arg, asb, sizeof(*e.asb));
	if (!e.ring || (asb && !e.asb))
		return DEMUX_BAD_ADDRESS;
	*eq = e;
	return DEMUX_NO_ERROR;
}

enum demux_signal demux_signal_guest(const struct demux_tables *t,
				     uint64_t handle, uint32_t isc)
{
	struct demux_gisa *gisa = demux_gisa(t, handle);
	uint32_t bit, index = demux_index(handle);

	if (isc >= HCA_ISCS || !gisa) /* none, or a wrong one */
		return DEMUX_QUIET;
	bit = 1u << isc;
	/* D5: seq_cst as a whole, pairs with level 2's stop of a guest */
	atomic_fetch_or_explicit(&gisa->pending, bit, memory_order_seq_cst);
	if (atomic_load_explicit(&gisa->enabled, memory_order_seq_cst) & bit) {
		atomic_fetch_and_explicit(&gisa->pending, ~bit,
					  memory_order_seq_cst);
		return DEMUX_INTERRUPT;
	}
	if (!(atomic_load_explicit(&gisa->alert, memory_order_seq_cst) & bit))
		return DEMUX_QUIET;
	/* In this order, so that whoever is killed between leaves one too
	 * many. */
	atomic_fetch_or_explicit(&t->alerted[index / 64], 1ull << index % 64,
				 memory_order_seq_cst);
	if (!(atomic_fetch_and_explicit(&gisa->alert, ~bit,
					memory_order_seq_cst) &
	      bit))
		return DEMUX_QUIET; /* level 2 starts the guest just now */
	return DEMUX_ALERT;
}

struct demux_result demux_fail(const struct demux_tables *t,
			       struct demux_geqcb *g, enum demux_error error)
{
	uint32_t was = HCA_RUNNING;
	struct demux_result result = {
		.err = -ENOENT,
		.gisa = demux_index(g->gisa),
		.isc = atomic_load_explicit(&g->isc, memory_order_relaxed),
	};

	if (!atomic_compare_exchange_strong_explicit(
		    &g->state, &was, HCA_ERROR | (uint32_t)error << 8,
		    memory_order_seq_cst, memory_order_relaxed))
		return result;
	result.err = -EIO;
	if (is_isc(result.isc))
		result.signal = demux_signal_guest(t, g->gisa, result.isc);
	return result;
}

/* Taking an entry. */

/* D3, of an entry that is marked now. */
static bool is_queued(const struct demux_eq *eq, uint64_t before)
{
	return before != eq->first && demux_eq_holds(eq, before);
}

static uint64_t next_of(uint64_t next, enum demux_who who)
{
	return ((next & ~DEMUX_LEVEL2_MASK) + DEMUX_NUMBER_ONE) |
	       ((next + (who == DEMUX_LEVEL2)) & DEMUX_LEVEL2_MASK);
}

static void note(struct demux_taker *taker, const struct hca_eqe *event)
{
	atomic_store_explicit(&taker->event[0], event->token,
			      memory_order_relaxed);
	atomic_store_explicit(&taker->event[1],
			      demux_handle(event->handle, event->event),
			      memory_order_relaxed);
	atomic_store_explicit(&taker->event[2], event->detail,
			      memory_order_relaxed);
}

/* Whether the entry after these is still marked. */
static bool is_full(const struct demux_eq *eq, uint64_t next)
{
	return hca_eqe_is_valid(demux_eq_slot(eq, next >> DEMUX_NUMBER_SHIFT));
}

/* Whether the other one took that entry, and marked it. */
static bool has_moved(const struct demux_geqcb *g, uint64_t *next)
{
	uint64_t was = *next;

	*next = atomic_load_explicit(&g->next, memory_order_seq_cst);
	return *next != was;
}

/* 1706: how many were taken before; false: overflow. */
static bool take(const struct demux_eq *eq, struct demux_geqcb *g,
		 enum demux_who who, struct demux_taker *taker,
		 uint64_t *before)
{
	uint64_t next = atomic_load_explicit(&g->next, memory_order_acquire);

	do {
		while (is_full(eq, next))
			if (!has_moved(g, &next))
				return false;
		*before = next >> DEMUX_NUMBER_SHIFT;
		atomic_store_explicit(&taker->next, next, memory_order_release);
		atomic_store_explicit(&taker->geqcb, eq->handle,
				      memory_order_release);
		/* D1; acquire and release, so that what one does is before what
		 * the next one does */
	} while (!atomic_compare_exchange_weak_explicit(
		&g->next, &next, next_of(next, who), memory_order_acq_rel,
		memory_order_acquire));
	return true;
}

/* 1708 */
static void fill(const struct demux_eq *eq, uint64_t before,
		 const struct hca_eqe *event)
{
	struct hca_eqe *eqe = demux_eq_slot(eq, before);

	eqe->token = htole64(event->token);
	eqe->handle = htole32(event->handle);
	eqe->event = htole32(event->event);
	eqe->detail = htole64(event->detail);
	/* D2: seq_cst, pairs with K3 in hca_take_event() */
	atomic_store_explicit(&eqe->mark,
			      htole64(HCA_EQE_VALID | (uint32_t)(before + 1)),
			      memory_order_seq_cst);
}

/* 1712; D4: release, what it stands for is there */
static void set_asb(const struct demux_eq *eq)
{
	if (eq->asb)
		atomic_store_explicit(eq->asb, 1, memory_order_release);
}

struct demux_result demux_eq_put(const struct demux_eq *eq,
				 const struct demux_tables *t,
				 enum demux_who who,
				 const struct hca_eqe *event)
{
	struct demux_geqcb *g = &t->geqcb[demux_index(eq->handle)];
	struct demux_taker *taker = &t->record->taker[who];
	struct demux_result result = { .gisa = demux_index(eq->gisa),
				       .isc = eq->isc };
	uint64_t before;

	note(taker, event);
	if (!take(eq, g, who, taker, &before)) {
		atomic_store_explicit(&taker->geqcb, 0, memory_order_release);
		return demux_fail(t, g, DEMUX_OVERFLOW);
	}
	fill(eq, before, event);
	atomic_store_explicit(&taker->geqcb, 0, memory_order_release);
	set_asb(eq);
	if (!is_queued(eq, before))
		result.signal = demux_signal_guest(t, eq->gisa, eq->isc);
	result.number = before + 1;
	return result;
}

static bool runs(const struct demux_geqcb *g)
{
	return demux_state(atomic_load_explicit(
		       &g->state, memory_order_seq_cst)) == HCA_RUNNING;
}

struct demux_result demux_put(const struct demux_tables *t, enum demux_who who,
			      const struct demux_memory *memory, uint64_t geqcb,
			      const struct hca_eqe *event)
{
	struct demux_geqcb *g = demux_geqcb(t, geqcb);
	struct demux_eq eq;
	enum demux_error error;

	if (!g || !runs(g))
		return (struct demux_result){ .err = -ENOENT };
	error = demux_eq_look(&eq, t, memory, geqcb);
	return error ? demux_fail(t, g, error)
		     : demux_eq_put(&eq, t, who, event);
}

/* Of one who is dead. */

/* Whether the entry that it wrote down was taken by it. */
static bool did_take(const struct demux_geqcb *g, enum demux_who who,
		     uint64_t next)
{
	uint64_t now = atomic_load_explicit(&g->next, memory_order_acquire);
	uint64_t all =
		(now >> DEMUX_NUMBER_SHIFT) - (next >> DEMUX_NUMBER_SHIFT);
	uint64_t level2 = now - next;

	return ((who == DEMUX_LEVEL2 ? level2 : all - level2) &
		DEMUX_LEVEL2_MASK) == 1;
}

static struct hca_eqe noted(const struct demux_taker *taker)
{
	uint64_t names =
		atomic_load_explicit(&taker->event[1], memory_order_relaxed);

	return (struct hca_eqe){
		.token = atomic_load_explicit(&taker->event[0],
					      memory_order_relaxed),
		.handle = demux_index(names),
		.event = demux_generation(names),
		.detail = atomic_load_explicit(&taker->event[2],
					       memory_order_relaxed),
	};
}

/* Whether it did not come around yet. */
static bool is_in_ring(const struct demux_eq *eq, const struct demux_geqcb *g,
		       uint64_t before)
{
	uint64_t next = atomic_load_explicit(&g->next, memory_order_acquire);

	return before >= eq->first &&
	       (next >> DEMUX_NUMBER_SHIFT) - before <= eq->entries;
}

static struct demux_result refill(const struct demux_eq *eq,
				  const struct demux_tables *t,
				  const struct demux_taker *taker,
				  uint64_t before)
{
	const struct hca_eqe event = noted(taker);

	if ((uint32_t)le64toh(atomic_load_explicit(
		    &demux_eq_slot(eq, before)->mark, memory_order_seq_cst)) !=
	    (uint32_t)(before + 1))
		fill(eq, before, &event);
	set_asb(eq);
	return (struct demux_result){
		.signal = demux_signal_guest(t, eq->gisa, eq->isc),
		.gisa = demux_index(eq->gisa),
		.isc = eq->isc,
		.number = before + 1,
	};
}

struct demux_result demux_take_over(const struct demux_tables *t,
				    enum demux_who who,
				    const struct demux_memory *memory)
{
	struct demux_taker *taker = &t->record->taker[who];
	uint64_t geqcb =
		atomic_load_explicit(&taker->geqcb, memory_order_acquire);
	uint64_t next =
		atomic_load_explicit(&taker->next, memory_order_relaxed);
	uint64_t before = next >> DEMUX_NUMBER_SHIFT;
	struct demux_result result = { .err = -ENOENT };
	const struct demux_geqcb *g = demux_geqcb(t, geqcb);
	struct demux_eq eq;

	if (g && runs(g) && did_take(g, who, next) &&
	    !demux_eq_look(&eq, t, memory, geqcb) && is_in_ring(&eq, g, before))
		result = refill(&eq, t, taker, before);
	atomic_store_explicit(&taker->geqcb, 0, memory_order_release);
	return result;
}
