/* virtual_start.c - devices that are virtual when they are set up or adopted: by
 * option (610), or because a former hypervisor left them so.
 */
#include <config.h>

#include "cmd/hvmon/allocate.h"
#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/boundary_search.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

void step_virtual_wished(struct procedure *p, struct device *device)
{
	const struct vf_allocation *row;
	struct function_name name;

	vf_name(&device->whole, &name);
	row = vf_allocations_find(&device->hv->allocations, &name);
	if (!row || !row->virtual || !device->regs_bytes || device->virtual)
		return;
	virtual_new(device, VIRTUAL_LOADING)->record.own_mode = 1;
	device->virtual->trapping = true;
	virtual_keep_record(device->virtual);
	step_own_interrupt(p, device);
}

void virtual_tell(struct device *device)
{
	const struct vf_allocation *row;
	struct function_name name;

	if (!device->look_again)
		return;
	device->look_again = false;
	vf_name(&device->whole, &name);
	row = vf_allocations_find(&device->hv->allocations, &name);
	if (row)
		inject_start(device->hv, row->vm, NULL);
}

void virtual_started(struct device *device)
{
	struct virtual *v = device->virtual;

	if (v && v->record.phase == VIRTUAL_SEARCH)
		boundary_search_start(v);
	else if (v)
		virtual_load(v);
	if (!v || !v->loading)
		virtual_tell(device);
}

/* Whether a row leads to the registers, but no access through it. */
static bool is_trapped(const struct device *device)
{
	const struct bridge_tables *t = &device->hv->tables;
	unsigned i;

	for (i = 0; i < t->n_rows; i++)
		if (t->rows[i].vm != PLATFORM_HYPERVISOR &&
		    t->rows[i].first + (uint64_t)t->rows[i].offset ==
			    device->bar[0])
			return t->rows[i].flag != SUP_ROW_ALLOWED;
	return false;
}

void virtual_take_up(struct device *device)
{
	struct virtual_record record = {
		.head.magic = VIRTUAL_RECORD_MAGIC,
		.head.version = VIRTUAL_RECORD_VERSION,
	};
	const void *room = virtual_room(device);
	const struct vf_allocation *row;
	struct virtual *v;
	bool ours;

	if (!device->regs_bytes || !is_trapped(device))
		return;
	device->look_again = true;
	v = virtual_new(device, VIRTUAL_SEARCH);
	row = virtual_row(v);
	ours = row && room && !record_pair_get(room, sizeof(record), &record) &&
	       virtual_record_is_sound(&record, device->bdf) &&
	       record.vm == row->vm &&
	       record.emulator == emulator_number(v->emulator) &&
	       record.machine < v->emulator->machine.n_states;
	event(device->hv->program->log,
	      ours ? "virtual.taken-up" : "virtual.let-go", "s:s", "device",
	      device->name);
	if (!ours) {
		virtual_end(device);
		return;
	}
	v->record = record;
	v->trapping = true;
	v->taken_up = true;
	behind_take_up(v);
}
