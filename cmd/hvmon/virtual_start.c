/* virtual_start.c - devices that are virtual when they are set up or adopted: by
 * option (610), or because a former hypervisor left them so.
 */
#include <config.h>

#include "cmd/hvmon/allocate.h"
#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/boundary_search.h"
#include "cmd/hvmon/carried.h"
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

/* The row that leads a VM to the registers; NULL: there is none. */
static const struct sup_row *find_row(const struct device *device)
{
	const struct bridge_tables *t = &device->hv->tables;
	unsigned i;

	for (i = 0; i < t->n_rows; i++)
		if (t->rows[i].vm != PLATFORM_HYPERVISOR &&
		    t->rows[i].first + (uint64_t)t->rows[i].offset ==
			    device->bar[0])
			return &t->rows[i];
	return NULL;
}

/* The record is about what the guest has; false: there is none. */
static bool take_record(struct virtual *v)
{
	const struct vf_allocation *row = virtual_row(v);
	struct virtual_record record;

	if (!row || !virtual_read_record(v->device, &record) ||
	    record.vm != row->vm ||
	    record.emulator != emulator_number(v->emulator) ||
	    record.machine >= v->emulator->machine.n_states)
		return false;
	v->record = record;
	v->taken_up = true;
	behind_take_up(v);
	return true;
}

/* One that is carried cannot be let go: what the guest had programmed is lost,
 * as by a reset. */
static void begin_anew(struct virtual *v)
{
	v->record.phase = VIRTUAL_LOADING;
	v->record.own_mode = 1;
	virtual_keep_record(v);
}

void virtual_take_up(struct device *device)
{
	const struct sup_row *registers = find_row(device);
	struct event_log *log = device->hv->program->log;
	struct virtual *v;
	bool ours;

	if (!device->regs_bytes || !registers)
		return;
	if (registers->flag == SUP_ROW_ALLOWED && device->carried)
		carried_refuse(device);
	if (registers->flag == SUP_ROW_ALLOWED)
		return;
	device->look_again = true;
	v = virtual_new(device, VIRTUAL_SEARCH);
	v->trapping = true;
	ours = take_record(v);
	event(log,
	      ours              ? "virtual.taken-up"
	      : device->carried ? "virtual.begun-anew"
				: "virtual.let-go",
	      "s:s", "device", device->name);
	if (!ours && device->carried)
		begin_anew(v);
	else if (!ours)
		virtual_end(device);
}
