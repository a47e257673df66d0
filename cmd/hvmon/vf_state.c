/* vf_state.c - the registers of VFs, read before a reset and written back
 * after it.
 *
 * Rings in guest memory are the queues' whole state, so base, size, vector and
 * enable of each queue, the MSI-X table and a few registers of config space
 * are all that a VF loses.  The nic's PF has a window on these: all VFs are
 * one read and one write, which sets Bus Master Enable, as the guest had it,
 * when everything else of all of them is there.  Of other devices' VFs only
 * registers of config space are known.
 */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/reset_procedure.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

#define BARRIER_OFFSET  (PCI_HEADER_TYPE & ~3u)
#define BARRIER_UNKNOWN 0xaaaaaaaau /* no such header type */
#define ALL_ONES        0xffffffffu

void reset_add_vf(struct reset *r, struct vf *vf)
{
	struct procedure *p = &r->p;
	struct vf_saved *saved = &r->record.vfs[p->vfs.n];
	const struct vf_allocation *row;

	memset(saved, 0, sizeof(*saved));
	saved->number = (uint16_t)vf->number;
	saved->pcie = vf->pcie;
	saved->msix = vf->msix;
	p->vfs.word[p->vfs.n] = BARRIER_UNKNOWN;
	p->vfs.vf[p->vfs.n++] = vf;
	row = reset_row(p, p->vfs.n - 1);
	saved->bus_master = row && row->overlay.bus_master;
	r->record.n_vfs = (uint16_t)p->vfs.n;
}

static void fence(struct procedure *p, unsigned i)
{
	step_config_write16(p, p->vfs.vf[i]->bdf, PCI_COMMAND,
			    PCI_COMMAND_INTX_DISABLE);
}

static void ask(struct procedure *p, unsigned i)
{
	step_config_read(p, p->vfs.vf[i]->bdf, BARRIER_OFFSET, &p->vfs.word[i],
			 sizeof(p->vfs.word[i]));
}

void vf_states_barrier(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	r->asked = true;
	/* The PF's own requests. */
	step_config_read(p, p->device->bdf, PCI_COMMAND, r->pf_word,
			 sizeof(r->pf_word));
	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->contained)
			ask(p, i);
}

void vf_states_fence(struct procedure *p)
{
	struct reset *r = reset_of(p);
	uint8_t masters[8];
	uint64_t others = ~0ull;
	unsigned i;

	r->fenced = true;
	for (i = 0; i < p->vfs.n; i++)
		if (!p->device->has_driver || !r->is_pf)
			fence(p, i);
		else
			others &= ~(1ull << (p->vfs.vf[i]->number - 1));
	if (!~others)
		return;
	pci_put32(masters, 0, (uint32_t)others);
	pci_put32(masters, 4, (uint32_t)(others >> 32));
	step_write(p, p->device->bar[0] + NIC_PF_MASTERS, masters,
		   sizeof(masters));
}

bool vf_has_answered(struct procedure *p, unsigned i)
{
	return p->vfs.word[i] != BARRIER_UNKNOWN;
}

bool vf_is_quiet(struct procedure *p, unsigned i)
{
	return vf_has_answered(p, i) && p->vfs.word[i] != ALL_ONES;
}

/* The blocks in the window that the reset is about. */
static unsigned first_state(const struct reset *r)
{
	return r->is_pf ? 1 : r->record.vf;
}

static unsigned last_state(const struct reset *r)
{
	return r->is_pf ? r->p.device->num_vfs : r->record.vf;
}

static uint8_t *state_of(struct reset *r, unsigned vf)
{
	return r->record.state[vf - 1];
}

static uint32_t states_size(const struct reset *r)
{
	return (last_state(r) + 1 - first_state(r)) * NIC_PF_STATE_SIZE;
}

static uint64_t window(const struct reset *r)
{
	return r->p.device->bar[0] + NIC_PF_STATE(first_state(r));
}

static void read_config(struct procedure *p, unsigned i)
{
	const struct vf *vf = p->vfs.vf[i];

	if (vf->pcie)
		step_config_read(p, vf->bdf, vf->pcie + PCI_EXP_DEVCTL,
				 &p->vfs.control[i], 4);
	if (vf->msix)
		step_config_read(p, vf->bdf, vf->msix, reset_of(p)->msix[i], 4);
}

void vf_states_read(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	r->saved = true;
	r->record.n_states = 0;
	if (p->device->has_driver && last_state(r)) {
		r->record.n_states = (uint16_t)last_state(r);
		step_read(p, window(r), state_of(r, first_state(r)),
			  states_size(r));
		return;
	}
	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->contained)
			read_config(p, i);
}

static bool is_block(const uint8_t *state)
{
	uint32_t mac = pci_get32(state, NIC_STATE_MAC);

	return mac && mac != ALL_ONES;
}

/* The PF's write may overtake what the VF was asked before, and the barrier may
 * overtake that write. */
static bool is_at_rest(struct procedure *p, unsigned i)
{
	const uint8_t *state = state_of(reset_of(p), p->vfs.vf[i]->number);

	return !is_block(state) || p->vfs.vf[i]->contained ||
	       (!(pci_get16(state, NIC_STATE_COMMAND) & PCI_COMMAND_MASTER) &&
		!pci_get32(state, NIC_STATE_HELD));
}

unsigned vf_states_fence_again(struct procedure *p)
{
	struct reset *r = reset_of(p);
	char name[FUNCTION_NAME_MAX];
	unsigned i, n = 0;

	for (i = 0; r->fenced && r->record.n_states && i < p->vfs.n; i++) {
		if (is_at_rest(p, i))
			continue;
		n++;
		event(p->hv->program->log, "reset.fenced-again", "s:s",
		      "function", vf_format(name, p->vfs.vf[i]));
		p->vfs.word[i] = BARRIER_UNKNOWN;
		fence(p, i);
		ask(p, i);
	}
	return n;
}

void vf_states_note(struct procedure *p)
{
	struct reset *r = reset_of(p);
	struct vf_saved *saved;
	const uint8_t *state;
	unsigned i;

	for (i = 0; r->saved && i < p->vfs.n; i++) {
		saved = &r->record.vfs[i];
		state = state_of(r, saved->number);
		if (r->record.n_states) {
			saved->known = is_block(state);
			saved->device_control =
				pci_get16(state, NIC_STATE_DEVCTL);
			saved->msix_control = pci_get16(state, NIC_STATE_MSIX);
			continue;
		}
		saved->known = vf_is_quiet(p, i);
		saved->device_control =
			pci_get16((uint8_t *)&p->vfs.control[i], 0);
		saved->msix_control = pci_get16(r->msix[i], PCI_MSIX_FLAGS);
	}
}

static bool is_restored(struct procedure *p, unsigned i)
{
	return !p->vfs.vf[i]->contained && reset_of(p)->record.vfs[i].known;
}

/* A VF that nothing is known of: as a reset leaves it. */
static void blank_state(uint8_t *state)
{
	unsigned i;

	memset(state, 0, NIC_PF_STATE_SIZE);
	for (i = NIC_STATE_VECTORS; i < NIC_STATE_TX; i += 16)
		state[i + PCI_MSIX_ENTRY_VECTOR_CTRL] =
			PCI_MSIX_ENTRY_CTRL_MASKBIT;
	pci_put32(state, NIC_STATE_TX + NIC_STATE_Q_VECTOR, ALL_ONES);
	pci_put32(state, NIC_STATE_RX + NIC_STATE_Q_VECTOR, ALL_ONES);
	pci_put32(state, NIC_STATE_ENABLES,
		  NIC_STATE_PF_TX_ON | NIC_STATE_PF_RX_ON | NIC_STATE_WAIT);
}

/* What the PF driver sets is as it knows it. */
static void driver_state(struct hvmon *hv, const struct vf *vf, uint8_t *state)
{
	const uint32_t on = NIC_STATE_PF_TX_ON | NIC_STATE_PF_RX_ON;
	uint32_t enables = pci_get32(state, NIC_STATE_ENABLES) & ~on;

	if (vf_is_allocated(hv, vf))
		enables |= on;
	pci_put32(state, NIC_STATE_ENABLES, enables);
	if (!vf->mac_known)
		return;
	pci_put32(state, NIC_STATE_MAC, vf->mac[0]);
	pci_put32(state, NIC_STATE_MAC + 4, vf->mac[1]);
}

/* As many blocks as the write has. */
static void make_states(struct procedure *p)
{
	bool save = part(&p->hv->program->parts, PART_SAVE);
	bool listed[FUNCTION_VF_MAX + 1] = { false };
	struct reset *r = reset_of(p);
	uint16_t command;
	unsigned i, vf;

	for (i = 0; i < p->vfs.n; i++) {
		vf = r->record.vfs[i].number;
		listed[vf] = true;
		if (!is_restored(p, i) || !save)
			blank_state(state_of(r, vf));
		command = PCI_COMMAND_INTX_DISABLE;
		if (is_restored(p, i) && r->record.vfs[i].bus_master)
			command |= PCI_COMMAND_MASTER;
		pci_put16(state_of(r, vf), NIC_STATE_COMMAND, command);
	}
	for (vf = first_state(r); vf <= last_state(r); vf++) {
		if (!listed[vf])
			blank_state(state_of(r, vf));
		driver_state(p->hv, &p->device->vf[vf - 1], state_of(r, vf));
	}
}

static void write_config(struct procedure *p, const struct vf *vf,
			 const struct vf_saved *saved)
{
	if (saved->pcie)
		step_config_write16(p, vf->bdf, saved->pcie + PCI_EXP_DEVCTL,
				    saved->device_control);
	if (saved->msix)
		step_config_write16(p, vf->bdf, saved->msix + PCI_MSIX_FLAGS,
				    saved->msix_control);
}

int vf_states_write(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	if (p->device->has_driver) {
		make_states(p);
		if (last_state(r))
			step_write(p, window(r), state_of(r, first_state(r)),
				   states_size(r));
		return STEP_FLOW;
	}
	for (i = 0; i < p->vfs.n; i++)
		if (is_restored(p, i) &&
		    part(&p->hv->program->parts, PART_SAVE))
			write_config(p, p->vfs.vf[i], &r->record.vfs[i]);
	return STEP_FLOW;
}

int vf_states_bus_master(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	/* The window did it. */
	for (i = 0; i < p->vfs.n && !(r->flr && p->device->has_driver); i++)
		if (!p->vfs.vf[i]->contained &&
		    (!r->flr || is_restored(p, i)) &&
		    r->record.vfs[i].bus_master)
			step_config_write16(p, p->vfs.vf[i]->bdf, PCI_COMMAND,
					    PCI_COMMAND_INTX_DISABLE |
						    PCI_COMMAND_MASTER);
	return STEP_NEXT;
}
