/* hca_private.h - what the parts of the adapter call of each other. */
#ifndef IOVKIT_HCA_PRIVATE_H
#define IOVKIT_HCA_PRIVATE_H

#include "libcore/hca.h"

/* hca_table.c */

/* A new object of size bytes; NULL: all indexes are in use, or no memory. */
struct hca_object *hca_object_new(struct hca *hca, enum hca_kind kind,
				  size_t size, unsigned partition);
/* Its handle means nothing from now on. */
void hca_object_free(struct hca_object *o);
/* The object of this kind that the partition has; NULL: it has none such. */
struct hca_object *hca_own(struct hca *hca, unsigned partition,
			   enum hca_kind kind, uint32_t handle);
void hca_tables_init(struct hca *hca);
void hca_tables_fini(struct hca *hca);

/* hca_state.c */

/* Run or stop, as STORE of the state asks. */
enum hca_status hca_store_state(struct hca_object *o, uint64_t state);

/* hca_attributes.c */

/* Refer to another queue, or to none (NULL). */
void hca_set_eq(struct hca_eq **at, struct hca_eq *eq);
void hca_set_cq(struct hca_cq **at, struct hca_cq *cq);
/* The same by its handle, 0: none; it must be the partition's own. */
enum hca_status hca_store_eq_handle(struct hca *hca, unsigned partition,
				    struct hca_eq **at, uint64_t handle);
enum hca_status hca_store(struct hca_object *o, unsigned attribute,
			  uint64_t value);
enum hca_status hca_load(struct hca_object *o, unsigned attribute,
			 uint64_t *value);

/* hca_names.c */

/* The queue pair with this service number in the partition; NULL: none. */
struct hca_qp *hca_named(struct hca *hca, unsigned partition, uint32_t service);
/* Give it a number, 0: none.  HCA_BUSY: another one of the partition has it. */
enum hca_status hca_name(struct hca_qp *qp, uint32_t service);
/* Whom a peer (handle or address) means; NULL: nobody that is there. */
struct hca_qp *hca_peer_find(struct hca *hca, uint64_t peer);

/* hca_record.c */

/* An entry of the ring; NULL: it is in no memory. */
void *hca_slot(const struct hca_object *o, const struct hca_ring *ring,
	       uint64_t number);
/* Record a completion in the completion queue; false: it is lost. */
bool hca_complete(struct hca_cq *cq, const struct hca_cqe *cqe);
/* Record what is no completion, of a resource (NULL: of the partition). */
void hca_record(struct hca_eq *eq, struct hca_recorded *last,
		const struct hca_eqe *eqe);
/* A queue is in error from now on. */
void hca_cq_failed(struct hca_cq *cq, enum hca_fault fault);

/* hca_signal.c */

/* An entry was added; `queued`: a completion event was there before. */
void hca_signal(struct hca_eq *eq, bool queued);
void hca_timer_stop(struct hca_eq *eq);

/* hca_transfer.c */

/* Look at its send queue, if it may be looked at. */
void hca_run(struct hca_qp *qp);
/* It has receive entries now, or the state that its peer waits for. */
void hca_wake_peer(struct hca_qp *qp);
void hca_qp_failed(struct hca_qp *qp, uint64_t detail);
void hca_qp_forget(struct hca_qp *qp);

static inline struct hca_qp *hca_qp_of(struct hca_object *o)
{
	return (struct hca_qp *)o;
}
static inline struct hca_cq *hca_cq_of(struct hca_object *o)
{
	return (struct hca_cq *)o;
}
static inline struct hca_eq *hca_eq_of(struct hca_object *o)
{
	return (struct hca_eq *)o;
}

static inline uint32_t hca_handle_of(const struct hca_object *o)
{
	return o ? o->handle : 0;
}

static inline bool hca_may_dma(const struct hca_object *o)
{
	return o->hca->ops->may_dma(o->hca->arg, o->partition);
}

/* Into the partition's memory. */
static inline void *hca_memory(struct hca *hca, unsigned partition,
			       uint64_t address, uint64_t size, bool write)
{
	return hca->ops->memory(hca->arg, partition, address, size, write);
}

#endif
