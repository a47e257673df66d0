/* vf_allocation_table.c - the table "vf-allocation" for people (fig. 6). */
#include <config.h>

#include <stdio.h>

#include "cmd/hvmon/hvmon.h"
#include "libcore/units.h"

/* From the first BAR's first byte to the last BAR's last. */
static void format_range(char *text, size_t size, const struct vf_allocation *a)
{
	uint64_t first = UINT64_MAX, last = 0;
	unsigned i;

	text[0] = '\0';
	for (i = 0; i < 6; i++) {
		if (!a->overlay.bar_size[i])
			continue;
		if (a->overlay.bar_gpa[i] < first)
			first = a->overlay.bar_gpa[i];
		if (a->overlay.bar_gpa[i] + a->overlay.bar_size[i] - 1 > last)
			last = a->overlay.bar_gpa[i] + a->overlay.bar_size[i] -
			       1;
	}
	if (last)
		snprintf(text, size, "0x%llx-0x%llx", (unsigned long long)first,
			 (unsigned long long)last);
}

static const char *row_state(struct hvmon *hv, const struct vf_allocation *row)
{
	const struct vf *vf = vf_find(hv, &row->vf);

	if (!vf || vf->device->state == DEVICE_AWAY)
		return "away";
	if (vf->contained)
		return "contained";
	if (vf->suspended)
		return "suspended";
	return row->ready && vf_is_there(vf) ? "ready" : "starting";
}

json_t *vf_allocation_rows(void *arg)
{
	struct hvmon *hv = arg;
	const struct vf_allocation *row;
	json_t *rows = json_array();
	char name[FUNCTION_NAME_MAX], pf[FUNCTION_NAME_MAX];
	char range[48], wait[32], vm[VM_NAME_MAX];

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		snprintf(pf, sizeof(pf), "%s/pf0", row->vf.device);
		format_range(range, sizeof(range), row);
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "pf",
				  pf, "vf",
				  function_name_format(name, sizeof(name),
						       &row->vf),
				  "vm", vm_format(vm, row->vm), "slot",
				  (json_int_t)row->slot, "range", range, "wait",
				  units_format_duration(wait, sizeof(wait),
							row->wait_ns),
				  "state", row_state(hv, row)));
	}
	return rows;
}
