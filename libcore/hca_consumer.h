/* hca_consumer.h - the consumer's side of the adapter's queues: drivers,
 * hypervisors and firmware take from them by this, and in this order: clear
 * the summary byte, then take events until there is none in every queue that
 * shares it, and of each event's completion queue all that it has.  The
 * adapter's side is hca_record.c.
 */
#ifndef IOVKIT_HCA_CONSUMER_H
#define IOVKIT_HCA_CONSUMER_H

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "libcore/hca_regs.h"

/* A ring of entries in memory that the adapter writes. */
struct hca_reader {
	void *entries;
	uint32_t n;    /* a power of two */
	uint32_t next; /* runs freely */
};

/* K1: seq_cst, pairs with R3.  Whether it was set. */
static inline bool hca_summary_take(_Atomic uint8_t *byte)
{
	return atomic_load_explicit(byte, memory_order_relaxed) &&
	       atomic_exchange_explicit(byte, 0, memory_order_seq_cst);
}

/* The next event, in host order; false: there is none.  Only the valid mark is
 * shared: what the adapter wrote before it is read after it. */
static inline bool hca_take_event(struct hca_reader *r, struct hca_eqe *eqe)
{
	struct hca_eqe *at =
		(struct hca_eqe *)r->entries + (r->next & (r->n - 1));
	/* K3: seq_cst, pairs with R1 */
	uint64_t mark = atomic_load_explicit(&at->mark, memory_order_seq_cst);

	if (!(le64toh(mark) & HCA_EQE_VALID))
		return false;
	eqe->token = le64toh(at->token);
	eqe->handle = le32toh(at->handle);
	eqe->event = le32toh(at->event);
	eqe->detail = le64toh(at->detail);
	/* K2: seq_cst, pairs with R2 */
	atomic_store_explicit(&at->mark, mark & ~htole64(HCA_EQE_VALID),
			      memory_order_seq_cst);
	r->next++;
	return true;
}

/* The next completion, in the same way. */
static inline bool hca_take_completion(struct hca_reader *r,
				       struct hca_cqe *cqe)
{
	struct hca_cqe *at =
		(struct hca_cqe *)r->entries + (r->next & (r->n - 1));

	if (!atomic_load_explicit(&at->valid, memory_order_seq_cst))
		return false;
	cqe->id = le64toh(at->id);
	cqe->qp = le32toh(at->qp);
	cqe->length = le32toh(at->length);
	cqe->work = le16toh(at->work);
	cqe->status = le16toh(at->status);
	atomic_store_explicit(&at->valid, 0, memory_order_seq_cst);
	r->next++;
	return true;
}

#endif
