/* flr.c - a115: resetting the function anew, and waiting until it answers as
 * reset.  A function answers the write that resets it before it does so. */
#include <config.h>

#include <errno.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/reset_procedure.h"
#include "cmd/hvmon/vf_quiet.h"
#include "libcore/pci_caps.h"

#define ALL_ONES 0xffffffffu

void flr_poll(struct procedure *p)
{
	struct reset *r = reset_of(p);

	step_config_read(p, p->device->bdf, PCI_VENDOR_ID, r->pf_header,
			 sizeof(r->pf_header));
}

static void reset_vf(struct procedure *p)
{
	const struct vf_saved *saved = &reset_of(p)->record.vfs[0];
	const struct vf *vf = p->vfs.vf[0];
	unsigned pcie = vf->pcie;
	uint16_t control = 0;

	if (!pcie) {
		step_fail(p, -ENOTSUP, "%s has no FLR", p->function);
		return;
	}
	if (saved->known)
		control = saved->device_control;
	step_config_write16(p, vf->bdf, pcie + PCI_EXP_DEVCTL,
			    control | PCI_EXP_DEVCTL_BCR_FLR);
}

/* The row allows this one write and is denied again by itself.  Nothing is
 * asked behind it before it is answered: the reset would throw that away. */
void flr_start(struct procedure *p)
{
	struct sup_row rows[PF_GUARD_ROWS]; /* the first is of its DEVCTL */
	struct reset *r = reset_of(p);

	r->flr = true;
	if (!r->is_pf) {
		reset_vf(p);
		return;
	}
	(void)pf_guard_rows(p->device, SUP_ROW_ONCE, rows);
	step_sup_write(p, SUP_ROWS, rows, sizeof(rows[0]), 0);
	step_config_write16(
		p, p->device->bdf, r->pcie + PCI_EXP_DEVCTL,
		pci_get16(p->device->config, r->pcie + PCI_EXP_DEVCTL) |
			PCI_EXP_DEVCTL_BCR_FLR);
}

static bool pf_is_settled(const struct reset *r)
{
	uint32_t command = pci_get32(r->pf_header, PCI_COMMAND);

	return pci_get32(r->pf_header, PCI_VENDOR_ID) != ALL_ONES &&
	       command != ALL_ONES &&
	       !(command & (PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY));
}

int flr_settled(struct procedure *p)
{
	if (p->round && pf_is_settled(reset_of(p)))
		return STEP_NEXT;
	if (p->round && clock_now_ns() - p->step_began_ns > SETTLE_LIMIT_NS)
		return step_fail(p, -ETIMEDOUT, "%s does not settle",
				 p->function);
	if (p->round)
		step_sleep(p, SETTLE_PAUSE_NS);
	return STEP_AGAIN;
}

int flr_settle(struct procedure *p)
{
	struct reset *r = reset_of(p);
	int ret;

	if (!r->is_pf)
		return vfs_settle(p);
	/* pf_restore() does not wait for what this says. */
	ret = r->broken ? flr_settled(p) : STEP_FLOW;
	if (ret == STEP_AGAIN || ret == STEP_FLOW)
		flr_poll(p);
	return ret;
}
