/* enumerate.c - finding the devices through config space, and starting them.
 *
 * Theory of operation.  The vendor ID at function 0 of every bus is read; what
 * answers is a device, whose name the root bridge's table tells.  Addresses of
 * devices that run already (VF Enable is set: a former hypervisor did that)
 * are reserved first, so that those set up from scratch get others.  Then each
 * device is started by itself: adopt.c or setup.c.
 */
#include <config.h>

#include "cmd/hvmon/enumerate.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/adopt.h"
#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/connect.h"
#include "cmd/hvmon/deactivate.h"
#include "cmd/hvmon/device_events.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/successors.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/vm_reset.h"
#include "libcore/platform.h"

#define BUSES 256u

struct scan {
	struct procedure p;
	uint8_t id[BUSES][4];
};

/* Parts that set-up and adoption share. */

void step_read_vf_configs(struct procedure *p, struct device *device,
			  struct vf_configs *configs)
{
	unsigned i;

	for (i = 0; i < device->num_vfs; i++)
		step_config_read(p, device->vf[i].bdf, 0, configs->data[i],
				 sizeof(configs->data[i]));
}

/* Vectors that a VF has, of those that a slot of a VM has. */
static unsigned count_vectors(const uint8_t *config, unsigned msix)
{
	unsigned n = 0;

	if (msix)
		n = (pci_get16(config, msix + PCI_MSIX_FLAGS) &
		     PCI_MSIX_FLAGS_QSIZE) +
		    1u;
	return n > PLATFORM_IRQS_PER_SLOT ? PLATFORM_IRQS_PER_SLOT : n;
}

static void take_capabilities(struct vf *vf, const uint8_t *config)
{
	vf->pcie = (uint16_t)pci_find_cap(config, PCI_CAP_ID_EXP);
	vf->msix = (uint16_t)pci_find_cap(config, PCI_CAP_ID_MSIX);
	if (vf->msix > 256 - PCI_CAP_MSIX_SIZEOF)
		vf->msix = 0;
	if (vf->pcie > 256 - PCI_EXP_DEVSTA - 2)
		vf->pcie = 0;
	vf->vectors = count_vectors(config, vf->msix);
}

/* A kind that it cannot be shown as is a wish that never will be fulfilled. */
static int take_kind(struct procedure *p, struct device *device)
{
	const struct emulator *shown;
	struct complaint why;
	int err = carried_take(device, &why);

	if (err) {
		hvmon_stop(p->hv, STATUS_USAGE, "--device: %s", why.text);
		return step_fail(p, err, "%s", why.text);
	}
	shown = device_shown(device);
	device->regs_bytes = device->single && shown ? shown->regs_bytes : 0;
	return 0;
}

int vf_configs_take(struct procedure *p, struct device *device,
		    const struct vf_configs *configs)
{
	uint8_t config[PCI_CONFIG_SIZE] = { 0 };
	char name[FUNCTION_NAME_MAX];
	struct vf *vf;
	unsigned i;
	int err;

	if (device->single)
		take_capabilities(&device->whole, device->config);
	err = take_kind(p, device);
	if (err)
		return err;
	for (i = 0; i < device->num_vfs; i++) {
		vf = &device->vf[i];
		memcpy(config, configs->data[i], sizeof(configs->data[i]));
		/* A VF's vendor ID reads ffff; its header type does not. */
		if (config[PCI_HEADER_TYPE] == 0xff && vf->contained)
			continue;
		if (config[PCI_HEADER_TYPE] == 0xff)
			return step_fail(p, -ENODEV, "%s does not answer",
					 vf_format(name, vf));
		take_capabilities(vf, config);
	}
	return 0;
}

/* A wish for a VF that the device does not have will never be fulfilled. */
static void check_wishes(struct hvmon *hv, const struct device *device)
{
	const struct vf_allocation *row;
	char name[FUNCTION_NAME_MAX];

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		if (!row->wished || strcmp(row->vf.device, device->name) ||
		    vf_find(hv, &row->vf))
			continue;
		function_name_format(name, sizeof(name), &row->vf);
		if (row->vf.vf)
			hvmon_stop(hv, STATUS_MISSING, "no %s: %s has %u VFs",
				   name, device->name, device->num_vfs);
		else
			hvmon_stop(hv, STATUS_USAGE,
				   "%s is a PF; VFs are allocated (--vf)",
				   name);
	}
}

void device_started(struct procedure *p, struct device *device)
{
	struct event_log *log = p->hv->program->log;

	if (device->generation != p->generation)
		return; /* it went away, which was told */
	if (p->err) {
		device->state = DEVICE_FAILED;
		config_emulation_go_on(device);
		event(log, "device.failed", "s:s, s:s, s:i, s:s", "device",
		      device->name, "function", p->function, "errno", -p->err,
		      "why", p->why);
		return;
	}
	device->state = DEVICE_READY;
	event(log, "device.ready", "s:s, s:s, s:i, s:b", "device", device->name,
	      "function", p->function, "vfs", (int)device->num_vfs, "adopted",
	      device->adopted);
	device->started = true;
	connect_started(device);
	level1_started(device);
	virtual_started(device);
	check_wishes(p->hv, device);
	config_emulation_go_on(device);
	hvmon_check_ready(p->hv);
}

/* The procedure "enumerate". */

static int scan_tables(struct procedure *p)
{
	step_read_tables(p, &p->hv->tables);
	return STEP_NEXT;
}

static int scan_buses(struct procedure *p)
{
	struct scan *scan = (struct scan *)p;
	unsigned bus;

	step_reset_rooms(p);
	/* Bus 0 is the root bridge's. */
	for (bus = 1; bus < BUSES; bus++)
		step_config_read(p, (uint16_t)(bus << 8), PCI_VENDOR_ID,
				 scan->id[bus], sizeof(scan->id[bus]));
	return STEP_NEXT;
}

static int scan_headers(struct procedure *p)
{
	struct scan *scan = (struct scan *)p;
	struct device *device;
	unsigned bus;

	adopt_tables(p->hv);
	for (bus = 1; bus < BUSES; bus++) {
		if (pci_get16(scan->id[bus], 0) == 0xffff)
			continue;
		device = device_found(p->hv, (uint16_t)(bus << 8));
		if (!device)
			continue;
		step_config_read(p, device->bdf, 0, device->config,
				 PCI_CONFIG_SIZE);
	}
	connections_take(p->hv);
	return STEP_NEXT;
}

/* A wish for a VM that is not there never will be fulfilled. */
static bool wishes_have_vms(struct hvmon *hv)
{
	const struct vf_allocation *row;

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		if (!row->wished || vm_find(&hv->vms, row->vm))
			continue;
		hvmon_stop(hv, STATUS_MISSING, "the root bridge has no vm%u",
			   row->vm);
		return false;
	}
	return true;
}

static int scan_successors(struct procedure *p)
{
	step_successors(p);
	return STEP_NEXT;
}

static int scan_start(struct procedure *p)
{
	struct device *device;

	if (!wishes_have_vms(p->hv))
		return STEP_DONE;

	TAILQ_FOREACH (device, &p->hv->devices, entry)
		reset_record_take(device);
	TAILQ_FOREACH (device, &p->hv->devices, entry)
		if (adopt_is_running(device))
			adopt_reserve(p->hv, device);
	behind_adopt(p->hv);
	step_guards_left(p);
	TAILQ_FOREACH (device, &p->hv->devices, entry)
		device_attach(p->hv, device, false);
	return STEP_NEXT;
}

static void scan_end(struct procedure *p)
{
	struct hvmon *hv = p->hv;

	/* Without the root bridge: its hang-up is what ends us. */
	if (p->err == -ENOTCONN)
		return;
	if (p->err) {
		hvmon_stop(hv, STATUS_INTERNAL, "scanning the bus: %s", p->why);
		return;
	}
	deactivated_take(hv);
	vm_reset_lost(hv);
	bridge_link_listen(&hv->bridge);
	hvmon_check_ready(hv);
}

static int scan_guests(struct procedure *p)
{
	step_guests(p);
	return STEP_NEXT;
}

static const struct step scan_steps[] = {
	{ POINT_NONE, scan_guests },
	{ POINT_ENUMERATE_TABLES, scan_tables },
	{ POINT_ENUMERATE_BUSES, scan_buses },
	{ POINT_ENUMERATE_HEADERS, scan_headers },
	{ POINT_ENUMERATE_SUCCESSORS, scan_successors },
	{ POINT_ENUMERATE_START, scan_start },
	{ 0, NULL },
};

static const struct procedure_desc scan_desc = {
	.name = "enumerate",
	.steps = scan_steps,
	.end = scan_end,
};

void enumerate_start(struct hvmon *hv)
{
	struct scan *scan = procedure_new(hv, &scan_desc, sizeof(*scan));

	procedure_start(&scan->p, 0);
}
