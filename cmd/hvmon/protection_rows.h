/* protection_rows.h - what the root bridge is told of a VM's VFs, as data: rows
 * of the protection table and interrupt routes. */
#ifndef IOVKIT_HVMON_PROTECTION_ROWS_H
#define IOVKIT_HVMON_PROTECTION_ROWS_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/vf_allocation.h"
#include "libcore/supervisor.h"

/* Lay out what the guest will see of the VF, into row->overlay.  -ENOSPC:
 * its BARs do not fit in a slot. */
int vf_overlay_init(struct vf_allocation *row, const struct vf *vf)
	__attribute__((warn_unused_result));
/* The rows of one VF, one a BAR, and one for registers that can be trapped,
 * denied while they are; returns how many.  op: enum sup_row_op */
unsigned vf_protection_rows(const struct vf_allocation *row,
			    const struct vf *vf, enum sup_row_op op,
			    struct sup_row rows[6]);
/* Its routes, one a vector; vm PLATFORM_VM_NONE takes them away. */
unsigned vf_routes(const struct vf *vf, uint32_t vm, uint32_t slot,
		   struct sup_route routes[PLATFORM_IRQS_PER_SLOT]);

#endif
