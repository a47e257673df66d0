/* hvmon.c - the hypervisor's start and end. */
#include <config.h>

#include "cmd/hvmon/hvmon.h"

#include <stdarg.h>
#include <string.h>

#include "cmd/hvmon/completion.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/hold_guest.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/methods.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/guest_memory.h"

void hvmon_init(struct hvmon *hv, struct program *program)
{
	memset(hv, 0, sizeof(*hv));
	hv->program = program;
	hv->max_vfs = FUNCTION_VF_MAX;
	hv->heartbeat.period_ns = HEARTBEAT_DEFAULT_NS;
	procedure_queue_init(&hv->queue);
	address_layout_init(&hv->mmio, PLATFORM_MMIO, PLATFORM_MMIO_SIZE);
	TAILQ_INIT(&hv->devices);
	vf_allocations_init(&hv->allocations);
	connections_init(&hv->connections);
	managements_init(&hv->managements);
	translations_init(&hv->translations);
	schedule_init(hv);
	vm_shares_init(hv);
	level1_init(hv);
	hv->vms.changed = schedule_vms_changed;
	hv->vms.arg = hv;
}

static void link_up(void *arg)
{
	struct hvmon *hv = arg;

	event(hv->program->log, "bridge.connected", NULL);
	if (hv->level == 2) {
		level2_start(hv);
		return;
	}
	heartbeat_start(hv);
	enumerate_start(hv);
}

int hvmon_start(struct hvmon *hv, struct complaint *c)
{
	int err = guest_memory_guard();

	if (err)
		return complain(c, -err, "cannot guard memory: %s",
				strerror(-err));
	err = schedule_start(hv, c);
	if (err)
		return err;
	if (hv->level == 2)
		level2_tables_add(hv);
	else
		methods_add(hv);
	return bridge_link_open(&hv->bridge, hv, link_up, c);
}

void hvmon_fini(struct hvmon *hv)
{
	struct device *device;

	heartbeat_end(hv);
	level1_close(hv);
	hv->stopping = true;
	procedure_queue_fini(&hv->queue);
	TAILQ_FOREACH (device, &hv->devices, entry) {
		completion_close(device);
		pf_link_close(device);
		config_emulation_forget(device);
		hold_guest_close(device);
		virtual_close(device);
		own_interrupt_close(device);
	}
	bridge_link_close(&hv->bridge);
	level2_free(hv);
	guests_fini(&hv->guests);
	reset_rooms_unmap(hv);
	devices_fini(hv);
	successors_fini(&hv->successors);
	bridge_tables_fini(&hv->tables);
	vm_shares_fini(hv);
	schedule_fini(hv);
	managements_fini(&hv->managements);
	translations_fini(&hv->translations);
	vm_table_fini(&hv->vms);
	vf_allocations_fini(&hv->allocations);
	connections_fini(&hv->connections);
	address_layout_fini(&hv->mmio);
}

void hvmon_stop(struct hvmon *hv, int status, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	if (hv->stopping)
		return;
	hv->stopping = true;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	program_stop(hv->program, status, "%s", why);
}

/* The last that is told of it is that its device is ready. */
static bool is_missing(struct hvmon *hv, const struct vf_allocation *row)
{
	const struct vf *vf = vf_find(hv, &row->vf);

	return row->wished && !(row->ready && vf && vf->device->started);
}

void hvmon_tell_missing(struct hvmon *hv, FILE *f)
{
	const struct vf_allocation *row;
	char name[FUNCTION_NAME_MAX];

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		if (!is_missing(hv, row))
			continue;
		function_name_format(name, sizeof(name), &row->vf);
		fprintf(f, "hvmon: %s: waited for %s of vm%u\n",
			hv->program->machine.name, name, row->vm);
	}
}

void hvmon_check_ready(struct hvmon *hv)
{
	const struct vf_allocation *row;

	if (hv->program->is_ready || hv->stopping || !hv->bridge.listening)
		return;
	TAILQ_FOREACH (row, &hv->allocations.list, entry)
		if (is_missing(hv, row))
			return;
	program_ready(hv->program);
	translations_begin(hv);
}
