/* suspend_rows.c - protection rows of a VF while it is suspended, as data. */
#include <config.h>

#include "cmd/hvmon/suspend_rows.h"

#include "cmd/hvmon/protection_rows.h"
#include "libcore/pci_config.h"
#include "libcore/platform.h"

/* Otherwise accesses of config space are exceptions, as no row leads there. */
static struct sup_row config_row(const struct vf_allocation *row,
				 const struct vf *vf)
{
	uint64_t first = platform_guest_config(row->slot);

	return (struct sup_row){
		.vm = row->vm,
		.flag = SUP_ROW_ALLOWED,
		.op = SUP_ROW_SET,
		.first = first,
		.last = first + PCI_CONFIG_SIZE - 1,
		.offset = (int64_t)(platform_config(vf->bdf) - first),
	};
}

unsigned suspend_rows(const struct vf_allocation *row, const struct vf *vf,
		      enum suspend_rows how,
		      struct sup_row rows[SUSPEND_ROWS_MAX])
{
	unsigned i, n = vf_protection_rows(row, vf, SUP_ROW_SET, rows);

	rows[n++] = config_row(row, vf);
	for (i = 0; i < n; i++) {
		if (how == SUSPEND_ROWS_FENCE)
			rows[i].flag = SUP_ROW_FENCED;
		else if (how == SUSPEND_ROWS_NOWHERE)
			rows[i].offset =
				(int64_t)(PLATFORM_NOWHERE - rows[i].first);
	}
	if (how == SUSPEND_ROWS_BACK)
		rows[n - 1].op = SUP_ROW_DELETE;
	return n;
}
