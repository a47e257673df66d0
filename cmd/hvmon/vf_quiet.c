/* vf_quiet.c - bringing VFs to rest, in steps that several procedures share.
 */
#include <config.h>

#include "cmd/hvmon/vf_quiet.h"

#include <errno.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/whole.h"

#define ALL_ONES 0xffffffffu

static bool is_away(const struct vf *vf)
{
	return vf->device->state == DEVICE_AWAY;
}

int vfs_turn(struct procedure *p)
{
	unsigned i;

	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->number &&
		    !turn_to_reset(p, p->vfs.vf[i]->device))
			return STEP_AGAIN;
	return STEP_NEXT;
}

int vfs_bus_master_off(struct procedure *p)
{
	unsigned i;

	for (i = 0; i < p->vfs.n; i++) {
		step_behind_cut(p, p->vfs.vf[i]);
		if (!is_away(p->vfs.vf[i]))
			step_config_write16(p, p->vfs.vf[i]->bdf, PCI_COMMAND,
					    PCI_COMMAND_INTX_DISABLE);
	}
	return STEP_NEXT;
}

static void read_words(struct procedure *p)
{
	struct vf_set *set = &p->vfs;
	unsigned i;

	for (i = 0; i < set->n; i++) {
		if (is_away(set->vf[i]))
			continue;
		step_config_read(p, set->vf[i]->bdf, PCI_COMMAND, &set->word[i],
				 sizeof(set->word[i]));
		if (set->vf[i]->pcie)
			step_config_read(p, set->vf[i]->bdf,
					 set->vf[i]->pcie + PCI_EXP_DEVCTL,
					 &set->control[i],
					 sizeof(set->control[i]));
	}
}

int vfs_barrier(struct procedure *p)
{
	read_words(p);
	return STEP_NEXT;
}

int vfs_flr(struct procedure *p)
{
	const struct vf_set *set = &p->vfs;
	uint16_t control;
	unsigned i;

	for (i = 0; i < set->n; i++) {
		if (is_away(set->vf[i]) || !set->vf[i]->pcie)
			continue;
		control = pci_get16((const uint8_t *)&set->control[i], 0);
		if (control == 0xffff)
			control = 0;
		step_config_write16(p, set->vf[i]->bdf,
				    set->vf[i]->pcie + PCI_EXP_DEVCTL,
				    control | PCI_EXP_DEVCTL_BCR_FLR);
	}
	return STEP_NEXT;
}

/* Also notes when a function that was contained answers again. */
static bool has_settled(const struct vf_set *set, unsigned i)
{
	uint32_t word = pci_get32((const uint8_t *)&set->word[i], 0);
	uint32_t control = pci_get32((const uint8_t *)&set->control[i], 0);

	if (is_away(set->vf[i]))
		return true;
	/* A contained one answers nothing until it is let go. */
	if (word == ALL_ONES)
		return set->vf[i]->contained;
	set->vf[i]->contained = false;
	if (word & PCI_COMMAND_MASTER)
		return false;
	return !set->vf[i]->pcie || !((control >> 16) & PCI_EXP_DEVSTA_TRPND);
}

int vfs_settle(struct procedure *p)
{
	char name[FUNCTION_NAME_MAX];
	unsigned i = 0;

	while (p->round && i < p->vfs.n && has_settled(&p->vfs, i))
		i++;
	if (i == p->vfs.n) {
		for (i = 0; i < p->vfs.n; i++)
			if (!is_away(p->vfs.vf[i]))
				step_whole_restore(p, p->vfs.vf[i]);
		return STEP_NEXT;
	}
	if (clock_now_ns() - p->step_began_ns > SETTLE_LIMIT_NS)
		return step_fail(p, -ETIMEDOUT, "%s does not settle",
				 vf_format(name, p->vfs.vf[i]));
	if (p->round)
		step_sleep(p, SETTLE_PAUSE_NS);
	read_words(p);
	return STEP_AGAIN;
}

void vfs_forget_config(struct procedure *p)
{
	struct vf_allocation *row;
	struct function_name name;
	unsigned i;

	for (i = 0; i < p->vfs.n; i++) {
		vf_name(p->vfs.vf[i], &name);
		row = vf_allocations_find(&p->hv->allocations, &name);
		if (row)
			config_overlay_reset(&row->overlay);
	}
}
