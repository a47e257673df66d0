/* suspend_table.c - a105 by the protection table (spec 01, fig. 3).
 *
 * a200: every row of the VMs that leads to a VF's registers is fenced, and so
 * is its config space, which no row leads to otherwise.  One supervisor write
 * for all VFs, applied whole.
 */
#include <config.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_procedure.h"
#include "cmd/hvmon/suspend_rows.h"

void step_suspend_rows(struct procedure *p, enum suspend_rows how)
{
	struct sup_row rows[FUNCTION_VF_MAX * SUSPEND_ROWS_MAX];
	const struct vf_allocation *row;
	unsigned i, n = 0;

	for (i = 0; i < p->vfs.n; i++) {
		row = reset_row(p, i);
		if (row)
			n += suspend_rows(row, p->vfs.vf[i], how, &rows[n]);
	}
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

void step_suspend_leftovers(struct procedure *p,
			    const struct bridge_tables *tables)
{
	struct sup_row rows[FUNCTION_VF_MAX];
	const struct vf_allocation *row;
	unsigned i, k, n = 0;

	for (i = 0; i < p->vfs.n; i++) {
		row = reset_row(p, i);
		for (k = 0; row && k < tables->n_rows; k++) {
			if (tables->rows[k].vm != row->vm ||
			    tables->rows[k].first !=
				    platform_guest_config(row->slot))
				continue;
			rows[n] = tables->rows[k];
			rows[n++].op = SUP_ROW_DELETE;
			break;
		}
	}
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

void suspend_table(struct procedure *p)
{
	reset_point(p, POINT_RESET_A200);
	step_suspend_rows(p, SUSPEND_ROWS_FENCE);
}

void suspend_rows_back(struct procedure *p)
{
	step_suspend_rows(p, SUSPEND_ROWS_BACK);
}
