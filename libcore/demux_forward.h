/* demux_forward.h - the firmware's forwarder of a partition's type 1 queue
 * (spec 04, fig. 17): from the adapter's event to the guest's.
 */
#ifndef IOVKIT_DEMUX_FORWARD_H
#define IOVKIT_DEMUX_FORWARD_H

#include "libcore/demux.h"

/* What there is to be done for others: interrupt the guest, alert level 2, or
 * tell of an EQ in error.  Called only when there is something; the guest's GISA
 * may be freed or in use again. */
typedef void demux_told(void *arg, const struct demux_result *result);

struct demux_forwarder {
	struct demux_tables tables;
	struct demux_memory memory;
	struct demux_eq *eq; /* by index of the GEQCB */
	struct hca_eqe *ring;
	uint32_t entries; /* of the ring */
	demux_told *told;
	void *arg; /* of told() */
};

/* Of a record and the type 1 queue that it names; memory->arg and arg outlive
 * it.  -ENOENT: there is no type 1 queue; -EFAULT: it lies in no memory;
 * -ENOMEM. */
int demux_forwarder_init(struct demux_forwarder *f,
			 const struct demux_tables *tables,
			 const struct demux_memory *memory, demux_told *told,
			 void *arg) __attribute__((warn_unused_result));
void demux_forwarder_fini(struct demux_forwarder *f);

/* What the forwarder before had in hand when it died: once, before the first
 * demux_forward(). */
void demux_forward_again(struct demux_forwarder *f);
/* Forward up to `budget` events; how many there were.  The queue's summary byte
 * was cleared before; fewer than budget: the queue is empty. */
unsigned demux_forward(struct demux_forwarder *f, unsigned budget);

#endif
