/* whole.c - single functions, which a VM has whole: their resets.
 *
 * Theory of operation.  A reset takes the BARs' addresses along, which are not
 * the guest's to know.  So whoever resets such a function, the guest by FLR,
 * the hypervisor when the VM died or an operator, restores them before
 * anybody reaches it again.  A reset by an operator or its guest ends its windows
 * and fences the VM's rows first, so that none of its accesses falls into the
 * reset and is lost, nor any of ours when it is virtual (vfs_turn()); the barrier
 * then waits for those that were on their way.
 */
#include <config.h>

#include "cmd/hvmon/whole.h"

#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/vf_quiet.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/pci_caps.h"

void step_whole_restore(struct procedure *p, const struct vf *vf)
{
	const struct device *d = vf->device;
	unsigned i, at;

	if (vf->number)
		return;
	for (i = 0; i < 6; i++) {
		at = PCI_BASE_ADDRESS_0 + 4 * i;
		if (!d->bar_size[i])
			continue;
		step_config_write32(p, d->bdf, at, (uint32_t)d->bar[i]);
		if (d->bar_is_64[i])
			step_config_write32(p, d->bdf, at + 4,
					    (uint32_t)(d->bar[i] >> 32));
	}
	step_config_write16(p, d->bdf, PCI_COMMAND,
			    PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	virtual_was_reset(vf->device);
}

/* The procedure "function reset". */

static void step_fence(struct procedure *p, bool on)
{
	const struct vf_allocation *row;
	struct function_name name;
	struct sup_row rows[6];
	unsigned i, n;

	vf_name(p->vfs.vf[0], &name);
	row = vf_allocations_find(&p->hv->allocations, &name);
	if (!row || !row->ready)
		return;
	n = vf_protection_rows(row, p->vfs.vf[0], SUP_ROW_SET, rows);
	for (i = 0; on && i < n; i++)
		rows[i].flag = SUP_ROW_FENCED;
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

/* What does not pass the bridge is no different. */
static int reset_revoke(struct procedure *p)
{
	step_revoke(p, p->device);
	return STEP_NEXT;
}

static int reset_fence(struct procedure *p)
{
	step_fence(p, true);
	return STEP_NEXT;
}

static int reset_go_on(struct procedure *p)
{
	vfs_forget_config(p);
	step_fence(p, false);
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static void reset_end(struct procedure *p)
{
	if (!p->err)
		event(p->hv->program->log, "function.reset.done", "s:s, s:I",
		      "function", p->function, "took_ns",
		      (json_int_t)(clock_now_ns() - p->began_ns));
	procedure_answer(p, json_pack("{s:s}", "function", p->function));
}

static const struct step reset_steps[] = {
	{ POINT_NONE, vfs_turn },
	{ POINT_FUNCTION_RESET_REVOKE, reset_revoke },
	{ POINT_FUNCTION_RESET_FENCE, reset_fence },
	{ POINT_FUNCTION_RESET_BUS_MASTER, vfs_bus_master_off },
	{ POINT_FUNCTION_RESET_BARRIER, vfs_barrier },
	{ POINT_FUNCTION_RESET_FLR, vfs_flr },
	{ POINT_FUNCTION_RESET_SETTLE, vfs_settle },
	{ POINT_FUNCTION_RESET_GO_ON, reset_go_on },
	{ 0, NULL },
};

/* Accesses do not wait for ever when a step fails. */
static const struct procedure_desc reset_desc = {
	.name = "function reset",
	.steps = reset_steps,
	.cleanup = 7, /* reset_go_on */
	.end = reset_end,
};

static struct procedure *reset_new(struct device *device)
{
	struct procedure *p =
		procedure_new(device->hv, &reset_desc, sizeof(*p));

	p->vfs.vf[p->vfs.n++] = &device->whole;
	procedure_about(p, device);
	return p;
}

void whole_reset(struct device *device, struct control_call *call)
{
	struct procedure *p = reset_new(device);

	p->call = call;
	procedure_start(p, device_lane(device));
}

void step_whole_reset(struct procedure *p, struct device *device)
{
	procedure_call(p, reset_new(device));
}
