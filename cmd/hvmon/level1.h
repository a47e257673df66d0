/* level1.h - the hypervisor as level 1 of a host channel adapter's partitions
 * (spec 04): it attaches primary summary bytes to their host queues, forwards
 * their type 1 events, and the table "summary".
 *
 * A partition is VF n of the adapter, and is here while the VM that has the VF
 * attached its queues (struct demux_call).  A partition whose VM did not uses
 * the adapter directly.
 */
#ifndef IOVKIT_HVMON_LEVEL1_H
#define IOVKIT_HVMON_LEVEL1_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cmd/hvmon/partition_memory.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/demux_forward.h"
#include "libcore/hca_regs.h"
#include "libcore/loop.h"
#include "libcore/supervisor.h"

struct hvmon;
struct device;

/* The summary bytes in the adapter's room of vm0's memory, which only the
 * machine sees: of partition n's type 1 queue the byte n (1012), of all type 2
 * queues byte 0 (1014). */
#define LEVEL1_PSB_AT 0xff00u

/* The interrupt of all type 1 queues, among vm0's of the adapter's slot. */
#define LEVEL1_VECTOR 1u

/* Guests that are interrupted by one command. */
#define LEVEL1_SIGNALS 256u

struct partition {
	struct hvmon *hv;
	struct vf *vf;
	uint32_t vm; /* of level 2 */
	struct partition_memory memory;
	struct demux_forwarder forwarder;
	bool alert; /* level 2 is to be alerted */
	struct sup_inject signals[LEVEL1_SIGNALS];
	unsigned n_signals;
};

struct level1 {
	struct device
		*device; /* the adapter, once somebody attached; or NULL */
	struct partition *partition[1 + HCA_PARTITIONS]; /* or NULL */
	int irq_fd;                                      /* of type 1 queues */
	struct loop_watch irq;
	struct loop_deferred more; /* the budget was used up */
	uint64_t interrupts;
};

void level1_init(struct hvmon *hv);
void level1_close(struct hvmon *hv);
/* Whether it is a call of a partition's hypervisor; it is answered then, now
 * or later. */
bool level1_takes(struct hvmon *hv, const struct sup_exception *exception);
/* The adapter is there: take up the partitions that a former hypervisor
 * served. */
void level1_started(struct device *device);

/* attach_queues.c */

/* The host queues of a partition: its own (1012) and the common (1014) byte,
 * interrupts, then its events.  serial is answered at the end; 0: nobody
 * waits. */
void attach_queues(struct vf *vf, uint32_t vm, uint64_t serial);
/* Its events are not forwarded any more. */
void detach_queues(struct hvmon *hv, unsigned number);

/* map_guest.c */

/* A guest's memory, which its partition's function reaches now, is the
 * firmware's too; serial is answered then. */
void map_guest(struct partition *partition, uint32_t vm, uint64_t serial);

/* forward_events.c */

/* The interrupt of type 1 queues, for step_own_irq(); or -errno. */
int forward_open(struct hvmon *hv) __attribute__((warn_unused_result));
void forward_close(struct hvmon *hv);
/* A partition's events, as its predecessor left them, and all guests are
 * signalled once. */
void forward_begin(struct partition *p);
demux_told forward_told;

json_t *summary_rows(void *hv);

#endif
