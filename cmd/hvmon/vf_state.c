/* vf_state.c - the registers of VFs, read before a reset and written back
 * after it.
 *
 * Rings in guest memory are the queues' whole state, so base, size, vector and
 * enable of each queue, the MSI-X table and a few registers of config space
 * are all that a VF loses.  Bus Master Enable is as the guest had set it, and
 * is written last: the device then looks at every ring once.
 */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_procedure.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

/* Base to vector of both queues: one write, which passes over what is read
 * only. */
#define QUEUES_WRITTEN (NIC_RX - NIC_TX + NIC_Q_VECTOR + 4)

void reset_add_vf(struct reset *r, struct vf *vf)
{
	struct procedure *p = &r->p;
	struct vf_saved *saved = &r->record.vfs[p->vfs.n];
	const struct vf_allocation *row;

	memset(saved, 0, sizeof(*saved));
	saved->number = (uint16_t)vf->number;
	saved->pcie = vf->pcie;
	saved->msix = vf->msix;
	saved->config[PCI_HEADER_TYPE] = VF_STATE_UNKNOWN;
	p->vfs.vf[p->vfs.n++] = vf;
	row = reset_row(p, p->vfs.n - 1);
	saved->bus_master = row && row->overlay.bus_master;
	r->record.n_vfs = (uint16_t)p->vfs.n;
}

void vf_states_read(struct procedure *p)
{
	struct reset *r = reset_of(p);
	struct vf_saved *saved;
	const struct vf *vf;
	uint64_t bar;
	unsigned i;

	r->saved = true;
	/* The PF's own requests. */
	step_config_read(p, p->device->bdf, PCI_COMMAND, r->pf_word,
			 sizeof(r->pf_word));
	for (i = 0; i < p->vfs.n; i++) {
		vf = p->vfs.vf[i];
		saved = &r->record.vfs[i];
		if (vf->contained)
			continue;
		step_config_read(p, vf->bdf, 0, saved->config,
				 sizeof(saved->config));
		if (!p->device->has_driver ||
		    !part(&p->hv->program->parts, PART_SAVE))
			continue;
		bar = vf_bar_address(vf, 0);
		step_read(p, bar + NIC_TX, saved->queues,
			  sizeof(saved->queues));
		step_read(p, bar + NIC_MSIX_TABLE, saved->vectors,
			  sizeof(saved->vectors));
		step_read(p, bar + NIC_MSIX_PBA, saved->pending,
			  sizeof(saved->pending));
	}
}

bool vf_state_is_known(const struct vf_saved *saved)
{
	uint8_t type = saved->config[PCI_HEADER_TYPE];

	return type != VF_STATE_UNKNOWN && type != 0xff;
}

static bool is_restored(struct procedure *p, unsigned i)
{
	return !p->vfs.vf[i]->contained &&
	       vf_state_is_known(&reset_of(p)->record.vfs[i]);
}

static void write_config(struct procedure *p, const struct vf *vf,
			 const struct vf_saved *saved)
{
	if (saved->pcie)
		step_config_write16(
			p, vf->bdf, saved->pcie + PCI_EXP_DEVCTL,
			pci_get16(saved->config, saved->pcie + PCI_EXP_DEVCTL));
	if (saved->msix)
		step_config_write16(
			p, vf->bdf, saved->msix + PCI_MSIX_FLAGS,
			pci_get16(saved->config, saved->msix + PCI_MSIX_FLAGS));
}

int vf_states_write(struct procedure *p)
{
	const struct vf_saved *saved;
	const struct vf *vf;
	unsigned i;

	if (p->device->has_driver && reset_of(p)->flr)
		pf_restore_macs(p);
	for (i = 0; i < p->vfs.n; i++) {
		vf = p->vfs.vf[i];
		saved = &reset_of(p)->record.vfs[i];
		if (!is_restored(p, i) ||
		    !part(&p->hv->program->parts, PART_SAVE))
			continue;
		if (p->device->has_driver) {
			step_write(p, vf_bar_address(vf, 0) + NIC_MSIX_TABLE,
				   saved->vectors, sizeof(saved->vectors));
			step_write(p, vf_bar_address(vf, 0) + NIC_TX,
				   saved->queues, QUEUES_WRITTEN);
		}
		write_config(p, vf, saved);
	}
	return STEP_FLOW;
}

int vf_states_bus_master(struct procedure *p)
{
	unsigned i;

	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->contained &&
		    (!reset_of(p)->flr || is_restored(p, i)) &&
		    reset_of(p)->record.vfs[i].bus_master)
			step_config_write16(p, p->vfs.vf[i]->bdf, PCI_COMMAND,
					    PCI_COMMAND_INTX_DISABLE |
						    PCI_COMMAND_MASTER);
	reset_of(p)->restored = true;
	return STEP_NEXT;
}

void vf_states_interrupt(struct procedure *p)
{
	const struct vf_allocation *row;
	uint64_t pending;
	unsigned i, v;

	for (i = 0; i < p->vfs.n; i++) {
		row = reset_row(p, i);
		memcpy(&pending, reset_of(p)->record.vfs[i].pending,
		       sizeof(pending));
		if (!row || !is_restored(p, i))
			continue;
		for (v = 0; v < NIC_VECTOR_COMPLETION; v++)
			if (pending & (1ull << v))
				step_inject(p, row->vm,
					    platform_irq(row->slot, v));
	}
}
