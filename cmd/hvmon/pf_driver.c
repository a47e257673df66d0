/* pf_driver.c - the driver of the nic's PF.
 *
 * The MAC of a VF is what it was when the driver first saw it; after a reset
 * of the PF the same one is written again.  VFs that no VM has are disabled.
 */
#include <config.h>

#include "cmd/hvmon/pf_driver.h"

#include <errno.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/completion.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/successors.h"
#include "libcore/nic_regs.h"
#include "libcore/platform.h"

/* Of a VF's block: MAC, enables, link. */
#define VF_SIZE (LINK_VF_AT + LINK_VF_SIZE)

struct driver {
	struct procedure p;
	uint8_t id[4], version[4];
	uint8_t pf[LINK_PF_SIZE];
	uint8_t vf[FUNCTION_VF_MAX][VF_SIZE];
};

bool pf_driver_matches(const struct device *device)
{
	return pci_get16(device->config, PCI_VENDOR_ID) == NIC_VENDOR_ID &&
	       pci_get16(device->config, PCI_DEVICE_ID) == NIC_PF_DEVICE &&
	       device->bar_size[0] >= NIC_PF_BAR_SIZE;
}

/* Whether VF n's block lies in the BAR that the PF has. */
static bool has_block(const struct vf *vf)
{
	return vf->device->has_driver &&
	       NIC_PF_VF(vf->number) + NIC_PF_VF_SIZE <=
		       vf->device->bar_size[0];
}

uint64_t vf_block(const struct vf *vf)
{
	return has_block(vf) ? vf->device->bar[0] + NIC_PF_VF(vf->number) : 0;
}

bool vf_is_allocated(struct hvmon *hv, const struct vf *vf)
{
	struct function_name name;

	vf_name(vf, &name);
	return vf_allocations_find(&hv->allocations, &name);
}

void step_vf_enable(struct procedure *p, const struct vf *vf, bool on)
{
	if (!has_block(vf))
		return;
	step_write32(p, vf_block(vf) + NIC_PF_VF_TX_ENABLE, on);
	step_write32(p, vf_block(vf) + NIC_PF_VF_RX_ENABLE, on);
}

void step_vf_wait(struct procedure *p, const struct vf *vf, bool on)
{
	if (has_block(vf))
		step_write32(p, vf_block(vf) + NIC_PF_VF_WAIT, on);
}

/* The procedure "driver". */

static int driver_identify(struct procedure *p)
{
	struct driver *d = (struct driver *)p;
	uint64_t bar = p->device->bar[0];

	p->device->has_driver = true;
	step_read(p, bar + NIC_ID, d->id, sizeof(d->id));
	step_read(p, bar + NIC_VERSION, d->version, sizeof(d->version));
	return STEP_NEXT;
}

/* Vector 0 of the PF goes to vm0, whose slot is the device's. */
static void route_event(struct procedure *p)
{
	const struct device *device = p->device;
	const struct sup_route route = {
		.bdf = device->bdf,
		.vector = NIC_VECTOR_EVENT,
		.vm = PLATFORM_HYPERVISOR,
		.irq = platform_irq(device->index, NIC_VECTOR_EVENT),
		.in_use = 1,
	};

	step_own_irq(p, route.irq, device->event_fd);
	/* The eventfd alone is new when the device is adopted. */
	if (!device->adopted ||
	    !bridge_tables_has_route(&p->hv->tables, &route))
		step_sup_write(p, SUP_ROUTES, &route, sizeof(route), 0);
}

static int driver_interrupts(struct procedure *p)
{
	struct driver *d = (struct driver *)p;
	struct device *device = p->device;
	unsigned msix = pci_find_cap(device->config, PCI_CAP_ID_MSIX);
	uint64_t entry = device->bar[0] + NIC_MSIX_TABLE;
	uint16_t flags;
	int err;

	if (pci_get32(d->id, 0) != NIC_ID_VALUE ||
	    pci_get32(d->version, 0) != 1)
		return step_fail(p, -ENODEV, "%s is no nic of version 1",
				 p->function);
	err = pf_link_open(device);
	if (err)
		return err;
	err = step_completion(p, device);
	if (err)
		return err;
	route_event(p);
	if (!msix)
		return STEP_NEXT;
	flags = pci_get16(device->config, msix + PCI_MSIX_FLAGS);
	if (flags & PCI_MSIX_FLAGS_ENABLE)
		return STEP_NEXT;
	step_write32(p, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	step_config_write16(p, device->bdf, msix + PCI_MSIX_FLAGS,
			    (flags & ~PCI_MSIX_FLAGS_MASKALL) |
				    PCI_MSIX_FLAGS_ENABLE);
	return STEP_NEXT;
}

static int driver_read(struct procedure *p)
{
	struct driver *d = (struct driver *)p;
	struct device *device = p->device;
	unsigned i;

	for (i = 0; i < device->num_vfs; i++)
		if (has_block(&device->vf[i]))
			step_read(p, vf_block(&device->vf[i]), d->vf[i],
				  sizeof(d->vf[i]));
	step_read(p, device->bar[0], d->pf, sizeof(d->pf));
	return STEP_NEXT;
}

static void write_mac(struct procedure *p, struct vf *vf, const uint8_t *block)
{
	uint32_t low = pci_get32(block, NIC_PF_VF_MAC_LOW);
	uint32_t high = pci_get32(block, NIC_PF_VF_MAC_HIGH);

	if (!vf->mac_known) {
		vf->mac[0] = low;
		vf->mac[1] = high;
		vf->mac_known = true;
	} else if (vf->mac[0] != low || vf->mac[1] != high) {
		/* Writing the high part takes both over. */
		step_write32(p, vf_block(vf) + NIC_PF_VF_MAC_LOW, vf->mac[0]);
		step_write32(p, vf_block(vf) + NIC_PF_VF_MAC_HIGH, vf->mac[1]);
	}
}

/* Links as they are; those that changed unseen are told of again. */
static void take_links(struct driver *d)
{
	struct device *device = d->p.device;
	struct link_causes causes;
	struct link_values values;
	unsigned i;

	if (link_causes_take(&causes, d->pf))
		pf_link_take(device, &causes.pf);
	for (i = 0; i < device->num_vfs; i++)
		if (has_block(&device->vf[i]) &&
		    link_values_take(&values, d->vf[i] + LINK_VF_AT))
			pf_link_take_vf(&device->vf[i], &values);
	successors_copy(device, UINT64_MAX);
}

/* The VFs of a VM that is lost stay as they are until they are reset: what is
 * in their queues is nobody's. */
static bool may_run(struct hvmon *hv, struct vf *vf)
{
	const struct vm *vm = vm_find(&hv->vms, pf_link_vm(vf));

	return vf_is_allocated(hv, vf) && (!vm || vm->state != SUP_VM_LOST);
}

static int driver_write(struct procedure *p)
{
	struct driver *d = (struct driver *)p;
	struct device *device = p->device;
	const uint8_t *block;
	bool want;
	struct vf *vf;
	unsigned i;

	for (i = 0; i < device->num_vfs; i++) {
		vf = &device->vf[i];
		if (!has_block(vf))
			continue;
		block = d->vf[i];
		write_mac(p, vf, block);
		want = may_run(p->hv, vf);
		if (pci_get32(block, NIC_PF_VF_TX_ENABLE) != want ||
		    pci_get32(block, NIC_PF_VF_RX_ENABLE) != want)
			step_vf_enable(p, vf, want);
	}
	take_links(d);
	return STEP_NEXT;
}

static const struct step driver_steps[] = {
	{ POINT_DRIVER_IDENTIFY, driver_identify },
	{ POINT_DRIVER_INTERRUPTS, driver_interrupts },
	{ POINT_DRIVER_READ, driver_read },
	{ POINT_DRIVER_WRITE, driver_write },
	{ 0, NULL },
};

static const struct procedure_desc driver_desc = {
	.name = "driver",
	.steps = driver_steps,
};

void step_pf_driver(struct procedure *p, struct device *device)
{
	struct driver *d;

	device->has_driver = false;
	if (!pf_driver_matches(device))
		return;
	d = procedure_new(p->hv, &driver_desc, sizeof(*d));
	procedure_about(&d->p, device);
	procedure_call(p, &d->p);
}
