/* hca_record.c - recording (spec 04, figs. 4, 5 and 16).
 *
 * Theory of operation.  A completion goes to its completion queue (406, 410);
 * the event queue gets one event for it, and no further one until the consumer
 * took that (412, 1604).  Whatever else happens is recorded once for each
 * resource and type of event in the same way (418, 1616).  Only an event that
 * was added sets the summary bytes (504, 508) and may interrupt (fig. 6).
 *
 * Adapter and consumer never wait for each other:
 *
 *   adapter                          consumer
 *   R1 mark the new entry valid      K1 clear the summary byte
 *   R2 is the last event still       K2 is the next event valid?  clear its
 *      marked?  then it will be         mark
 *      seen                          K3 then look at what it means: the
 *   R3 set the summary bytes            completion queue, the next event
 *
 * All are sequentially consistent.  Either R2 sees the cleared mark, and a
 * new event and interrupt follow, or K3, which is later, sees R1's entry.
 * Entries are taken in order, so one that is marked is in front of all that
 * are younger.
 */
#include <config.h>

#include <endian.h>
#include <stdatomic.h>

#include "libcore/hca_private.h"

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_CHAR_LOCK_FREE == 2,
	       "marks and summary bytes lie in memory of others");

void *hca_slot(const struct hca_object *o, const struct hca_ring *ring,
	       uint64_t number)
{
	uint64_t at = ring->base +
		      (number & (ring->entries - 1)) * sizeof(struct hca_eqe);

	return hca_memory(o->hca, o->partition, at, sizeof(struct hca_eqe),
			  true);
}
_Static_assert(sizeof(struct hca_eqe) == sizeof(struct hca_cqe),
	       "one size of entries");

/* Whether the entry that was recorded last is not taken yet. */
static bool is_pending(const struct hca_eq *eq, const struct hca_recorded *r)
{
	const struct hca_eqe *eqe;

	if (r->run != eq->run ||
	    eq->ring.written - r->number >= eq->ring.entries)
		return false;
	eqe = hca_slot(&eq->object, &eq->ring, r->number - 1);
	/* R2: seq_cst, pairs with K2 in hca_take_event() */
	return eqe && hca_eqe_is_valid(eqe);
}

static void eq_failed(struct hca_eq *eq, const char *what)
{
	struct hca *hca = eq->object.hca;

	eq->object.state = HCA_ERROR;
	hca_timer_stop(eq);
	hca->ops->told(hca->arg, eq->object.partition, eq->object.handle, what);
}

/* 414, 1606, 1618: the next slot is filled; false: it cannot be. */
static bool add(struct hca_eq *eq, const struct hca_eqe *from)
{
	struct hca_eqe *eqe =
		hca_slot(&eq->object, &eq->ring, eq->ring.written);

	if (!eqe) {
		eq_failed(eq, "event queue in no memory");
		return false;
	}
	if (hca_eqe_is_valid(eqe)) {
		eq_failed(eq, "event queue overflows");
		return false;
	}
	eqe->token = htole64(from->token);
	eqe->handle = htole32(from->handle);
	eqe->event = htole32(from->event);
	eqe->detail = htole64(from->detail);
	/* R1: seq_cst, pairs with K3 in hca_take_event() */
	atomic_store_explicit(&eqe->mark, htole64(HCA_EQE_VALID),
			      memory_order_seq_cst);
	eq->ring.written++;
	eq->recorded++;
	return true;
}

/* R3: seq_cst, pairs with K1 in hca_summary_take() */
static void set_byte(struct hca *hca, unsigned partition, uint64_t address)
{
	_Atomic uint8_t *byte = hca->ops->may_dma(hca->arg, partition)
					? hca_memory(hca, partition, address,
						     sizeof(*byte), true)
					: NULL;

	if (byte)
		atomic_store_explicit(byte, 1, memory_order_seq_cst);
}

/* Fig. 5, 1608. */
static void set_summary(struct hca_eq *eq)
{
	struct hca *hca = eq->object.hca;

	if (eq->asb)                                          /* 502 */
		set_byte(hca, eq->object.partition, eq->asb); /* 504 */
	if (eq->psb)                                          /* 506 */
		set_byte(hca, HCA_PART, eq->psb);             /* 508 */
}

void hca_record(struct hca_eq *eq, struct hca_recorded *last,
		const struct hca_eqe *eqe)
{
	bool queued;

	if (!eq)
		return;
	/* Of a partition that may not reach memory nothing is done, so what
	 * comes then is of its own bad doorbells. */
	if (eq->object.state != HCA_RUNNING || !hca_may_dma(&eq->object)) {
		eq->dropped++;
		return;
	}
	if (is_pending(eq, last)) { /* 412, 418, 1604, 1616 */
		eq->coalesced++;
		return;
	}
	if (!add(eq, eqe)) {
		eq->dropped++;
		return;
	}
	/* 602; asked after R1, else a consumer could go to sleep between. */
	queued = is_pending(eq, &eq->completion);
	*last = (struct hca_recorded){ eq->ring.written, eq->run };
	if (eqe->event == HCA_EVENT_COMPLETION)
		eq->completion = *last;
	set_summary(eq);
	hca_signal(eq, queued);
}

static void record_cq(struct hca_cq *cq, struct hca_recorded *last,
		      enum hca_event event, uint64_t detail)
{
	const struct hca_eqe eqe = {
		.token = cq->object.token,
		.handle = cq->object.handle,
		.event = event,
		.detail = detail,
	};

	hca_record(cq->object.eq, last, &eqe);
}

void hca_cq_failed(struct hca_cq *cq, enum hca_fault fault)
{
	struct hca *hca = cq->object.hca;

	cq->object.state = HCA_ERROR;
	hca->ops->told(hca->arg, cq->object.partition, cq->object.handle,
		       fault == HCA_FAULT_OVERFLOW
			       ? "completion queue overflows"
			       : "completion queue in no memory");
	record_cq(cq, &cq->error, HCA_EVENT_CQ_ERROR, fault);
}

bool hca_complete(struct hca_cq *cq, const struct hca_cqe *from)
{
	struct hca_cqe *cqe;

	if (cq->object.state != HCA_RUNNING) {
		cq->dropped++;
		return false;
	}
	cqe = hca_slot(&cq->object, &cq->ring, cq->ring.written);
	if (!cqe || atomic_load_explicit(&cqe->valid, memory_order_acquire)) {
		cq->dropped++;
		hca_cq_failed(cq, cqe ? HCA_FAULT_OVERFLOW : HCA_FAULT_ADDRESS);
		return false;
	}
	cqe->id = htole64(from->id);
	cqe->qp = htole32(from->qp);
	cqe->length = htole32(from->length);
	cqe->work = htole16(from->work);
	cqe->status = htole16(from->status);
	cqe->rsvd = cqe->rsvd2 = 0;
	/* R1: seq_cst, pairs with K3 in hca_take_completion() */
	atomic_store_explicit(&cqe->valid, htole32(1), memory_order_seq_cst);
	cq->ring.written++;
	cq->completions++;
	cq->object.hca->partition[cq->object.partition].completions++;
	record_cq(cq, &cq->event, HCA_EVENT_COMPLETION, 0);
	return true;
}
