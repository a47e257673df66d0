/* device_events.c - devices that come, go and are contained while hvmon runs.
 *
 * A device that comes (again) is set up with its allocated VFs like at the
 * start, at the addresses that it had, and the VMs concerned are told by the
 * platform interrupt to look at config space.  One that goes ends whatever
 * procedure works on it; its VMs are told, and read all ones.
 */
#include <config.h>

#include "cmd/hvmon/device_events.h"

#include <errno.h>
#include <stdio.h>

#include "cmd/hvmon/adopt.h"
#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/completion.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/successors.h"
#include "cmd/hvmon/virtual.h"

struct attach {
	struct procedure p;
	bool fresh;
};

/* Name it by the table; its procedures are about it under that name. */
static struct device *name_device(struct hvmon *hv, uint16_t pf_bdf)
{
	const struct sup_function *function;
	struct function_name name;

	function = bridge_tables_function(&hv->tables, pf_bdf);
	if (function && !function_name_parse(function->name, &name, NULL))
		return device_get(hv, pf_bdf, name.device);
	return device_get(hv, pf_bdf, NULL);
}

struct device *device_found(struct hvmon *hv, uint16_t pf_bdf)
{
	struct device *device = name_device(hv, pf_bdf);

	if (!device)
		event(hv->program->log, "device.ignored", "s:i, s:s", "bdf",
		      (int)pf_bdf, "why", "too many devices");
	return device;
}

/* The procedure "attach". */

static int attach_tables(struct procedure *p)
{
	if (((struct attach *)p)->fresh)
		step_read_tables(p, &p->hv->tables);
	return STEP_NEXT;
}

static int attach_header(struct procedure *p)
{
	struct device *device = p->device;

	if (((struct attach *)p)->fresh) {
		name_device(p->hv, device->bdf);
		snprintf(p->function, sizeof(p->function), "%s/pf0",
			 device->name);
		vm_table_update(&p->hv->vms, p->hv->tables.vms,
				p->hv->tables.n_vms);
	}
	step_config_read(p, device->bdf, 0, device->config, PCI_CONFIG_SIZE);
	return STEP_NEXT;
}

static int attach_setup(struct procedure *p)
{
	struct device *device = p->device;

	event(p->hv->program->log, "device.found", "s:s, s:i, s:i, s:i",
	      "device", device->name, "bdf", (int)device->bdf, "vendor",
	      (int)pci_get16(device->config, PCI_VENDOR_ID), "id",
	      (int)pci_get16(device->config, PCI_DEVICE_ID));
	/* What was there before it is not its own. */
	if (((struct attach *)p)->fresh) {
		reset_record_clear(device);
		virtual_forget(device);
	} else {
		reset_record_take(device);
	}
	if (adopt_is_running(device)) {
		step_adopt(p, device);
	} else {
		reset_record_forget(device);
		step_setup(p, device);
	}
	return STEP_NEXT;
}

static const struct step attach_steps[] = {
	{ POINT_ATTACH_TABLES, attach_tables },
	{ POINT_ATTACH_HEADER, attach_header },
	{ POINT_ATTACH_SETUP, attach_setup },
	{ 0, NULL },
};

/* A failure of these steps is as good as one of the set-up. */
static void attach_end(struct procedure *p)
{
	if (p->err && p->device->state == DEVICE_STARTING)
		device_started(p, p->device);
}

static const struct procedure_desc attach_desc = {
	.name = "attach",
	.steps = attach_steps,
	.end = attach_end,
};

void device_attach(struct hvmon *hv, struct device *device, bool fresh)
{
	struct attach *a = procedure_new(hv, &attach_desc, sizeof(*a));

	device->state = DEVICE_STARTING;
	device->started = false;
	a->fresh = fresh;
	procedure_about(&a->p, device);
	procedure_start(&a->p, device_lane(device));
}

void device_event_attached(struct hvmon *hv, uint16_t pf_bdf)
{
	struct device *device = device_found(hv, pf_bdf);

	/* One that the scan found is not started twice. */
	if (device &&
	    (device->state == DEVICE_AWAY || device->state == DEVICE_FAILED))
		device_attach(hv, device, true);
}

/* The procedure "remove": in nobody's way, whatever else is under way. */

static int remove_away(struct procedure *p)
{
	event(p->hv->program->log, "device.gone", "s:s", "device",
	      p->device->name);
	return STEP_NEXT;
}

static int remove_inject(struct procedure *p)
{
	vf_set_of_device(&p->vfs, p->device);
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static const struct step remove_steps[] = {
	{ POINT_REMOVE_AWAY, remove_away },
	{ POINT_REMOVE_INJECT, remove_inject },
	{ 0, NULL },
};

static const struct procedure_desc remove_desc = {
	.name = "remove",
	.steps = remove_steps,
};

void device_event_removed(struct hvmon *hv, uint16_t pf_bdf)
{
	struct device *device = device_find(hv, pf_bdf);
	struct vf_allocation *row;
	struct function_name name;
	struct procedure *p;
	unsigned i;

	if (!device || device->state == DEVICE_AWAY)
		return;
	device->generation++;
	device->state = DEVICE_AWAY;
	device->claimed = false;
	successors_forget(device);
	device->contained = false;
	translation_forget(&hv->translations, pf_bdf);
	virtual_end(device);
	behind_lost(device, "it is gone");
	for (i = 0; i < device->num_vfs; i++) {
		device->vf[i].contained = false;
		vf_name(&device->vf[i], &name);
		row = vf_allocations_find(&hv->allocations, &name);
		if (row)
			row->ready = false;
	}
	vf_name(&device->whole, &name);
	row = vf_allocations_find(&hv->allocations, &name);
	if (row)
		row->ready = false;
	config_emulation_go_on(device);
	p = procedure_new(hv, &remove_desc, sizeof(*p));
	procedure_about(p, device);
	procedure_start(p, 0);
	confirm_interrupts_gone(device);
	reset_attempt_ended(device, device->n_attempts, -ENODEV);
}

/* The procedure "contain": tell the VM that a VF is away, or can be reached
 * again: its guest sets it up, if it was reset meanwhile. */

static int contain_inject(struct procedure *p)
{
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static const struct step contain_steps[] = {
	{ POINT_NONE, contain_inject },
	{ 0, NULL },
};

static const struct procedure_desc contain_desc = {
	.name = "contain",
	.steps = contain_steps,
};

void device_event_contained(struct hvmon *hv, uint16_t bdf, bool on)
{
	char name[FUNCTION_NAME_MAX];
	struct device *device;
	struct procedure *p;
	struct vf *vf;

	if (!device_find_bdf(hv, bdf, &device, &vf))
		return;
	if (on)
		translation_forget(&hv->translations, bdf);
	p = procedure_new(hv, &contain_desc, sizeof(*p));
	if (vf) {
		p->vfs.vf[p->vfs.n++] = vf;
		vf_format(name, vf);
	} else {
		device->contained = on;
		if (device->single)
			p->vfs.vf[p->vfs.n++] = &device->whole;
		snprintf(name, sizeof(name), "%s/pf0", device->name);
	}
	event(hv->program->log,
	      on ? "function.contained" : "function.uncontained", "s:s",
	      "function", name);
	procedure_start(p, 0);
	if (vf && on)
		reset_vf_contained(vf);
	else if (vf)
		vf->contained = false;
}
