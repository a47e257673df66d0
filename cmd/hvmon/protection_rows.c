/* protection_rows.c - what the root bridge is told of a VM's VFs, as data.
 *
 * The reset bits of a PF have rows of the hypervisor's (pf_guard.h).
 */
#include <config.h>

#include "cmd/hvmon/protection_rows.h"

#include <string.h>

#include "cmd/hvmon/emulator.h"
#include "libcore/nic_regs.h"
#include "libcore/platform.h"

/* The kind that is carried out on it; the revision is its own. */
static void show_kind(struct config_overlay *o, const struct vf *vf)
{
	const struct emulator *shown = vf->device->carried;

	o->vendor = shown->vendor;
	o->device = shown->device;
	o->class_revision =
		shown->class_code << 8 | vf->device->config[PCI_REVISION_ID];
	o->msix = vf->msix;
}

int vf_overlay_init(struct vf_allocation *row, const struct vf *vf)
{
	const struct device *device = vf->device;
	bool whole = !vf->number;
	const uint64_t *size = whole ? device->bar_size : device->vf_bar_size;
	struct config_overlay *o = &row->overlay;
	int err;

	err = vf_slot_layout(row->slot, size, o->bar_gpa);
	if (err)
		return err;
	memcpy(o->bar_size, size, sizeof(o->bar_size));
	memcpy(o->bar_is_64, whole ? device->bar_is_64 : device->vf_bar_is_64,
	       sizeof(o->bar_is_64));
	o->vendor = pci_get16(device->config, PCI_VENDOR_ID);
	o->device = whole ? pci_get16(device->config, PCI_DEVICE_ID)
			  : device->sriov.vf_device;
	o->whole = whole;
	o->pcie = vf->pcie;
	o->carried = whole && device->carried;
	if (o->carried)
		show_kind(o, vf);
	return 0;
}

/* The registers that can be trapped have a row of their own, in front of the
 * rest of their BAR. */
static unsigned split_registers(const struct vf *vf, struct sup_row rows[6],
				unsigned n)
{
	uint32_t size = vf->device->regs_bytes;

	if (vf->number || !size || n != 1 ||
	    rows[0].last - rows[0].first < size)
		return n;
	rows[1] = rows[0];
	rows[0].last = rows[0].first + size - 1;
	rows[1].first += size;
	if (vf->device->virtual)
		rows[0].flag = SUP_ROW_DENIED;
	return 2;
}

unsigned vf_protection_rows(const struct vf_allocation *row,
			    const struct vf *vf, enum sup_row_op op,
			    struct sup_row rows[6])
{
	const struct config_overlay *o = &row->overlay;
	unsigned i, n = 0;

	for (i = 0; i < 6; i++) {
		if (!o->bar_size[i])
			continue;
		rows[n++] = (struct sup_row){
			.vm = row->vm,
			.flag = SUP_ROW_ALLOWED,
			.op = (uint16_t)op,
			.first = o->bar_gpa[i],
			.last = o->bar_gpa[i] + o->bar_size[i] - 1,
			.offset = (int64_t)(vf_bar_address(vf, i) -
					    o->bar_gpa[i]),
		};
	}
	return split_registers(vf, rows, n);
}

unsigned vf_routes(const struct vf *vf, uint32_t vm, uint32_t slot,
		   struct sup_route routes[PLATFORM_IRQS_PER_SLOT])
{
	unsigned v;

	for (v = 0; v < vf->vectors; v++) {
		routes[v] = (struct sup_route){
			.bdf = vf->bdf,
			.vector = (uint16_t)v,
			.vm = vm,
			.irq = platform_irq(slot, v),
			.in_use = 1,
		};
		/* 212, or --irq forward */
		if (!vf->number && !v && vm != PLATFORM_VM_NONE &&
		    (vf->device->virtual || vf->device->forwards)) {
			routes[v].vm = PLATFORM_HYPERVISOR;
			routes[v].irq = platform_irq(vf->device->index, v);
		}
		/* A nic's VF says by one that it is done (a110). */
		if (vf->device->has_driver && v == NIC_VECTOR_COMPLETION &&
		    vm != PLATFORM_VM_NONE) {
			routes[v].vm = PLATFORM_HYPERVISOR;
			routes[v].irq = platform_irq(vf->device->index, v);
		}
	}
	return v;
}
