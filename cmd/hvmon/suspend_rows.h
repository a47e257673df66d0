/* suspend_rows.h - protection rows of a VF while it is suspended, as data. */
#ifndef IOVKIT_HVMON_SUSPEND_ROWS_H
#define IOVKIT_HVMON_SUSPEND_ROWS_H

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/vf_allocation.h"
#include "libcore/supervisor.h"

enum suspend_rows {
	SUSPEND_ROWS_FENCE,   /* denied; what they stop is parked */
	SUSPEND_ROWS_NOWHERE, /* translated to where no function is */
	SUSPEND_ROWS_BACK,    /* as they were */
};

/* BARs, and config space. */
#define SUSPEND_ROWS_MAX 7u

/* a200: the rows of one VF; returns how many. */
unsigned suspend_rows(const struct vf_allocation *row, const struct vf *vf,
		      enum suspend_rows how,
		      struct sup_row rows[SUSPEND_ROWS_MAX]);
/* For all VFs of p->vfs, in one write. */
void step_suspend_rows(struct procedure *p, enum suspend_rows how);

/* Config rows that a former hypervisor left for VFs of p->vfs are deleted. */
void step_suspend_leftovers(struct procedure *p,
			    const struct bridge_tables *tables);

#endif
