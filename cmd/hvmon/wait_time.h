/* wait_time.h - editing the waiting times of VFs (spec 01, fig. 10). */
#ifndef IOVKIT_HVMON_WAIT_TIME_H
#define IOVKIT_HVMON_WAIT_TIME_H

#include <jansson.h>

#include "cmd/hvmon/vf_allocation.h"
#include "libcore/complaint.h"
#include "libcore/control.h"

/* times: {"nic0/vf1": "10ms", "nic1/pf0": "1ms"}; a PF stands for all its
 * VFs that are allocated.  All are set, or none: -EINVAL, -ENOENT (nothing of
 * that name), -ERANGE (less than 1 us, or not less than limit_ns; 0: the
 * table's own limit). */
int wait_time_apply(struct vf_allocations *table, const json_t *times,
		    uint64_t limit_ns, struct complaint *c)
	__attribute__((warn_unused_result));

/* Control method wait-time {times?}. */
void wait_time_method(void *hv, struct control_call *call, json_t *params);

#endif
