/* give.h - giving VFs to their VMs, and the parts of taking them away. */
#ifndef IOVKIT_HVMON_GIVE_H
#define IOVKIT_HVMON_GIVE_H

#include <stdbool.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/supervisor.h"

/* Give allocated VFs of the set to their VMs: DMA, interrupts, the PF's
 * enables, then access.  VFs without allocation are passed over.  `missing`:
 * send only what the bridge, by hv->tables, does not have already. */
void step_give(struct procedure *p, struct device *device,
	       const struct vf_set *vfs, bool missing);

/* Parts of steps: over p->vfs, those without allocation are passed over. */
void step_rows(struct procedure *p, enum sup_row_op op, bool missing);
void step_routes_away(struct procedure *p);
void step_assign_away(struct procedure *p);

/* All enabled VFs of the device. */
void vf_set_of_device(struct vf_set *set, struct device *device);
/* The platform interrupt for each VM that has a VF of the set. */
void step_inject_vms(struct procedure *p, const struct vf_set *set);

#endif
