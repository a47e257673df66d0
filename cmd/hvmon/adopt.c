/* adopt.c - taking over a machine that runs: a hypervisor that starts and
 * finds VF Enable set, or a single function in the hands of a VM, initialises
 * nothing that runs.
 *
 * Theory of operation.  BARs are read from config space, their sizes from the
 * root bridge (a BAR in use cannot be sized).  Which VM has which VF is what
 * the bridge's assignment says, and counts more than the options; the slot is
 * found in the routes.  What the former hypervisor left unfinished (it died
 * between two steps) is completed: the steps of "driver" and "give" send only
 * what is not there.  Waiting times are those of the options.
 */
#include <config.h>

#include "cmd/hvmon/adopt.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/successors.h"
#include "cmd/hvmon/suspend_rows.h"
#include "cmd/hvmon/takeback.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

struct adopt {
	struct procedure p;
	struct vf_configs configs;
};

static bool is_a_guests(const struct sup_function *function)
{
	return function && function->vm != PLATFORM_VM_NONE &&
	       function->vm != PLATFORM_HYPERVISOR;
}

bool adopt_is_running(const struct device *device)
{
	struct pci_sriov sriov;

	if (pci_get16(device->config, PCI_VENDOR_ID) == 0xffff)
		return false;
	if (pci_read_sriov(device->config, &sriov))
		return sriov.vf_enable;
	/* One without BARs was in the middle of a reset. */
	return pci_get16(device->config, PCI_COMMAND) & PCI_COMMAND_MEMORY &&
	       is_a_guests(bridge_tables_function(&device->hv->tables,
						  device->bdf));
}

/* The slot at which a VM has a function, by its routes. */
static uint32_t find_slot(const struct bridge_tables *t, uint16_t bdf,
			  uint32_t vm)
{
	const struct sup_route *route;
	unsigned i;

	for (i = 0; i < t->n_routes; i++) {
		route = &t->routes[i];
		if (route->bdf == bdf && route->vm == vm && route->irq)
			return (route->irq - 1) / PLATFORM_IRQS_PER_SLOT;
	}
	return VF_SLOT_NONE;
}

/* The options ask for something else than what runs. */
static void note_difference(struct hvmon *hv, const struct function_name *vf,
			    uint32_t vm)
{
	char name[FUNCTION_NAME_MAX], wished[VM_NAME_MAX], has[VM_NAME_MAX];
	const struct vf_allocation *row;

	row = vf_allocations_find(&hv->allocations, vf);
	if (row && row->vm != vm)
		event(hv->program->log, "vf.differs", "s:s, s:s, s:s",
		      "function", function_name_format(name, sizeof(name), vf),
		      "vm", vm_format(has, vm), "wished",
		      vm_format(wished, row->vm));
}

void adopt_tables(struct hvmon *hv)
{
	const struct bridge_tables *t = &hv->tables;
	const struct sup_function *function;
	struct function_name name;
	unsigned i;

	vm_table_update(&hv->vms, t->vms, t->n_vms);
	translations_adopt(hv, t);
	for (i = 0; i < t->n_functions; i++) {
		function = &t->functions[i];
		if (!is_a_guests(function) ||
		    function_name_parse(function->name, &name, NULL))
			continue;
		note_difference(hv, &name, function->vm);
		vf_allocations_import(
			&hv->allocations, &name, function->vm,
			find_slot(t, function->bdf, function->vm));
	}
}

/* BARs' addresses from registers, sizes from the bridge. */
static void take_bars(const struct device *device, unsigned first,
		      const uint64_t sizes[6], uint64_t address[6],
		      uint64_t size[6], bool is_64[6])
{
	unsigned i;

	memset(address, 0, 6 * sizeof(*address));
	memset(size, 0, 6 * sizeof(*size));
	memset(is_64, 0, 6 * sizeof(*is_64));
	for (i = 0; i < 6; i++) {
		if (!sizes[i])
			continue;
		address[i] = pci_read_bar(device->config, first, i, &is_64[i]);
		size[i] = sizes[i];
		if (is_64[i])
			i++;
	}
}

static int reserve_bars(struct hvmon *hv, struct device *device, unsigned what,
			const uint64_t address[6], const uint64_t size[6],
			unsigned count)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < 6 && !err; i++)
		if (size[i] && count)
			err = address_layout_reserve(&hv->mmio, address[i],
						     size[i] * count, device,
						     what + i);
	return err;
}

/* What config space and the bridge say of the device. */
static int take_device(struct hvmon *hv, struct device *device)
{
	static const uint64_t none[6];
	const struct sup_function *pf, *vf;
	int err;

	memset(&device->sriov, 0, sizeof(device->sriov));
	device->single = !pci_read_sriov(device->config, &device->sriov);
	device_set_vfs(device, device->sriov.num_vfs);
	pf = bridge_tables_function(&hv->tables, device->bdf);
	vf = device->num_vfs
		     ? bridge_tables_function(&hv->tables, device->vf[0].bdf)
		     : NULL;
	take_bars(device, PCI_BASE_ADDRESS_0, pf ? pf->bar_size : none,
		  device->bar, device->bar_size, device->bar_is_64);
	take_bars(device, device->sriov.cap + PCI_SRIOV_BAR,
		  vf ? vf->bar_size : none, device->vf_bar, device->vf_bar_size,
		  device->vf_bar_is_64);
	err = reserve_bars(hv, device, 0, device->bar, device->bar_size, 1);
	if (!err)
		err = reserve_bars(hv, device, ADDRESS_VF_BAR, device->vf_bar,
				   device->vf_bar_size,
				   device->sriov.total_vfs);
	return err;
}

void adopt_reserve(struct hvmon *hv, struct device *device)
{
	/* Adopting it fails for the same reason, and says so. */
	(void)take_device(hv, device);
}

/* The procedure "adopt". */

static int adopt_claim(struct procedure *p)
{
	p->device->state = DEVICE_STARTING;
	p->device->adopted = true;
	step_claim(p, p->device);
	return STEP_NEXT;
}

static int adopt_bars(struct procedure *p)
{
	struct device *device = p->device;
	int err = take_device(p->hv, device);

	if (err)
		return step_fail(p, err,
				 "%s has BARs that overlap or lie "
				 "outside of the address space",
				 p->function);
	/* VF Enable was set last but for this. */
	if (!device->single && !device->sriov.vf_mse && !device->record)
		step_config_write16(p, device->bdf,
				    device->sriov.cap + PCI_SRIOV_CTRL,
				    PCI_SRIOV_CTRL_ARI | PCI_SRIOV_CTRL_VFE |
					    PCI_SRIOV_CTRL_MSE);
	return STEP_NEXT;
}

/* What a former hypervisor was resetting comes first. */
static int adopt_resume(struct procedure *p)
{
	step_reset_resume(p, p->device);
	return STEP_NEXT;
}

static int adopt_vfs(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;
	const struct sup_function *function;
	unsigned i;

	for (i = 0; i < p->device->num_vfs; i++) {
		function = bridge_tables_function(&p->hv->tables,
						  p->device->vf[i].bdf);
		p->device->vf[i].contained =
			function && (function->flags & SUP_FUNCTION_CONTAINED);
	}
	step_read_vf_configs(p, p->device, &a->configs);
	return STEP_NEXT;
}

static int adopt_driver(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;
	int err;

	carried_take_up(p->device);
	err = vf_configs_take(p, p->device, &a->configs);
	if (err)
		return err;
	step_pf_driver(p, p->device);
	return STEP_NEXT;
}

static int adopt_give(struct procedure *p)
{
	vf_set_of_device(&p->vfs, p->device);
	step_successors_of(p, p->device);
	step_guard_missing(p, p->device);
	step_suspend_leftovers(p, &p->hv->tables);
	virtual_take_up(p->device);
	if (!p->device->carried)
		step_carried_away(p, p->device);
	if (p->device->virtual)
		step_own_interrupt(p, p->device);
	if (p->device->virtual && virtual_leans(p->device->virtual))
		step_own_interrupt(p, p->device->virtual->worker);
	if (!connection_is_open(p->device))
		step_give(p, p->device, &p->vfs, true);
	step_management_rows(p, p->device);
	return STEP_NEXT;
}

/* 130A comes back, and whoever knows another state is told (1002, 1003). */
static int adopt_links(struct procedure *p)
{
	successors_take(p->device);
	step_pf_link_tell(p, p->device);
	return STEP_NEXT;
}

/* What our driver set is not the guest's: one whose record is there had it set
 * up, as a rule. */
static bool had_mastered(const struct device *device, uint16_t command)
{
	if (device->carried)
		return device->virtual && device->virtual->taken_up;
	return command & PCI_COMMAND_MASTER;
}

/* What the guest set of Memory Space Enable and Interrupt Disable is not known;
 * one whose VF masters the bus had set them. */
static void take_command(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;
	struct vf_allocation *row;
	struct function_name name;
	uint16_t command;
	unsigned i;

	for (i = 0; i < p->vfs.n; i++) {
		vf_name(p->vfs.vf[i], &name);
		row = vf_allocations_find(&p->hv->allocations, &name);
		command = pci_get16(p->device->single ? p->device->config
						      : a->configs.data[i],
				    PCI_COMMAND);
		if (row)
			row->overlay.memory_space = row->overlay.intx_disable =
				row->overlay.bus_master =
					had_mastered(p->device, command);
	}
}

/* While there was no hypervisor, or it was not this far, config space read as
 * all ones; and what the former one reset it may not have told.  So all look
 * again: one that finds its VF running leaves it alone. */
static int adopt_done(struct procedure *p)
{
	take_command(p);
	p->device->state = DEVICE_READY;
	successors_fill(p->device);
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static void adopt_end(struct procedure *p)
{
	device_started(p, p->device);
}

static const struct step adopt_steps[] = {
	{ POINT_ADOPT_CLAIM, adopt_claim },
	{ POINT_ADOPT_BARS, adopt_bars },
	{ POINT_ADOPT_RESUME, adopt_resume },
	{ POINT_ADOPT_VFS, adopt_vfs },
	{ POINT_ADOPT_DRIVER, adopt_driver },
	{ POINT_ADOPT_GIVE, adopt_give },
	{ POINT_ADOPT_LINKS, adopt_links },
	{ POINT_ADOPT_DONE, adopt_done },
	{ 0, NULL },
};

static const struct procedure_desc adopt_desc = {
	.name = "adopt",
	.steps = adopt_steps,
	.end = adopt_end,
};

void step_adopt(struct procedure *p, struct device *device)
{
	struct adopt *a = procedure_new(p->hv, &adopt_desc, sizeof(*a));

	procedure_about(&a->p, device);
	procedure_call(p, &a->p);
}
