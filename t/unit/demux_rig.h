/* demux_rig.h - a partition's memory with tables, a type 1 queue and guests,
 * and the parts that adapter, level 2 and guests play. */
#ifndef IOVKIT_DEMUX_RIG_H
#define IOVKIT_DEMUX_RIG_H

#include "libcore/demux_forward.h"
#include "libcore/hca_consumer.h"

#define RIG_GUESTS  8u    /* each with a CQ, an EQ, a GISA of its index */
#define RIG_ENTRIES 8u    /* of a guest's EQ */
#define RIG_HOST    1024u /* of the type 1 queue */
#define RIG_MEMORY  0x40000u
#define RIG_RING    0x20000u /* of the host queue */
#define RIG_EQ(i)   (0x30000u + 0x1000u * (i))
#define RIG_ASB(i)  (RIG_EQ(i) + 0xf00u)
#define RIG_TOKEN   0x1000u /* of guest i's CQ: RIG_TOKEN + i */
#define RIG_HANDLE  0x2000u /* of the adapter's CQ: RIG_HANDLE + i */

struct demux_rig {
	uint8_t *memory;
	struct demux_tables t;
	struct demux_memory view;
	struct demux_forwarder f;
	uint64_t geqa[RIG_GUESTS], geqcb[RIG_GUESTS], gisa[RIG_GUESTS];
	uint32_t recorded;                    /* by the adapter */
	struct hca_reader reader[RIG_GUESTS]; /* of guests */
	/* What the forwarder told. */
	struct demux_result told[64];
	unsigned n_told;
};

/* Guests run, with ISC 1 enabled. */
void demux_rig_init(struct demux_rig *r);
void demux_rig_fini(struct demux_rig *r);
/* A forwarder comes, in place of the one that was there. */
void demux_rig_forwarder(struct demux_rig *r);
/* The adapter adds an event of the GEQA to the type 1 queue. */
void demux_rig_record(struct demux_rig *r, uint64_t token, uint32_t handle,
		      enum hca_event event);
/* A completion of guest i's CQ. */
void demux_rig_complete(struct demux_rig *r, unsigned i);
/* Guest i takes one event; whether there was one. */
bool demux_rig_consume(struct demux_rig *r, unsigned i, struct hca_eqe *eqe);
_Atomic uint8_t *demux_rig_asb(const struct demux_rig *r, unsigned i);
/* Level 2 lets guest i's EQ run (again). */
void demux_rig_run(struct demux_rig *r, unsigned i);

#endif
