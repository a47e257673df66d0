/* reset.c - resetting one function by request: Function Level Reset by a
 * write of its config space.
 *
 * A PF's reset takes its VFs with it (VF Enable is cleared): afterwards the PF
 * is set up by the same code as at the start, with the same addresses, VFs,
 * MACs and owners.  The VMs concerned are told by the platform interrupt.
 */
#include <config.h>

#include "cmd/hvmon/reset.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/vf_quiet.h"

#define ALL_ONES 0xffffffffu

struct reset {
	struct procedure p; /* vfs: what is reset, or is reset with the PF */
	bool is_pf;
	unsigned pcie; /* of the PF */
	uint8_t control[2];
	uint8_t id[4], command[4]; /* as polled */
};

/* a100: from here on the function is away for its guests. */
static int reset_detect(struct procedure *p)
{
	struct reset *r = (struct reset *)p;

	if (!r->is_pf)
		return vfs_barrier(p);
	vf_set_of_device(&p->vfs, p->device);
	r->pcie = pci_find_cap(p->device->config, PCI_CAP_ID_EXP);
	if (!r->pcie)
		return step_fail(p, -ENOTSUP, "%s has no FLR", p->function);
	p->device->state = DEVICE_STARTING;
	step_config_read(p, p->device->bdf, r->pcie + PCI_EXP_DEVCTL,
			 r->control, sizeof(r->control));
	return STEP_NEXT;
}

/* a115; the function answers the write before it resets. */
static int reset_flr(struct procedure *p)
{
	struct reset *r = (struct reset *)p;

	if (!r->is_pf)
		return vfs_flr(p);
	step_config_write16(p, p->device->bdf, r->pcie + PCI_EXP_DEVCTL,
			    pci_get16(r->control, 0) | PCI_EXP_DEVCTL_BCR_FLR);
	return STEP_NEXT;
}

static bool pf_is_settled(const struct reset *r)
{
	uint32_t command = pci_get32(r->command, 0);

	return pci_get32(r->id, 0) != ALL_ONES && command != ALL_ONES &&
	       !(command & (PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY));
}

static int reset_settle(struct procedure *p)
{
	struct reset *r = (struct reset *)p;

	if (!r->is_pf)
		return vfs_settle(p);
	if (p->round && pf_is_settled(r))
		return STEP_NEXT;
	if (clock_now_ns() - p->step_began_ns > SETTLE_LIMIT_NS)
		return step_fail(p, -ETIMEDOUT, "%s does not settle",
				 p->function);
	if (p->round)
		step_sleep(p, SETTLE_PAUSE_NS);
	step_config_read(p, p->device->bdf, PCI_VENDOR_ID, r->id,
			 sizeof(r->id));
	step_config_read(p, p->device->bdf, PCI_COMMAND, r->command,
			 sizeof(r->command));
	return STEP_AGAIN;
}

static int reset_setup(struct procedure *p)
{
	const struct vf_allocation *row;
	struct function_name name;

	if (((struct reset *)p)->is_pf) {
		step_setup(p, p->device);
		return STEP_NEXT;
	}
	vfs_forget_config(p);
	vf_name(p->vfs.vf[0], &name);
	row = vf_allocations_find(&p->hv->allocations, &name);
	if (row && row->ready)
		step_vf_enable(p, p->vfs.vf[0], true);
	return STEP_NEXT;
}

/* Setting a PF up told its VMs already. */
static int reset_inject(struct procedure *p)
{
	if (!((struct reset *)p)->is_pf || p->err)
		step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static void reset_end(struct procedure *p)
{
	struct event_log *log = p->hv->program->log;
	uint64_t took = clock_now_ns() - p->began_ns;
	bool is_pf = ((struct reset *)p)->is_pf;

	/* It failed before it was set up again. */
	if (p->err && is_pf && p->device->state == DEVICE_STARTING)
		device_started(p, p->device);
	if (p->err)
		event(log, "reset.failed", "s:s, s:s", "function", p->function,
		      "why", p->why);
	else
		event(log, "reset.done", "s:s, s:I", "function", p->function,
		      "took_ns", (json_int_t)took);
	procedure_answer(p, json_pack("{s:s, s:I}", "function", p->function,
				      "took_ns", (json_int_t)took));
}

static const struct step reset_steps[] = {
	{ POINT_RESET_A100, reset_detect },
	{ POINT_RESET_A115, reset_flr },
	{ POINT_RESET_SETTLE, reset_settle },
	{ POINT_RESET_SETUP, reset_setup },
	{ POINT_RESET_INJECT, reset_inject },
	{ 0, NULL },
};

static const struct procedure_desc reset_desc = {
	.name = "reset",
	.steps = reset_steps,
	.cleanup = 4, /* reset.inject */
	.end = reset_end,
};

void reset_method(void *arg, struct control_call *call, json_t *params)
{
	const char *text = control_string(params, "function", "");
	struct hvmon *hv = arg;
	struct function_name name;
	struct device *device;
	struct complaint c;
	struct reset *r;

	if (function_name_parse(text, &name, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	device = device_find_name(hv, name.device);
	if (!device || device->state == DEVICE_AWAY ||
	    name.vf > device->num_vfs) {
		control_fail(call, RPC_MISSING, "no %s", text);
		return;
	}
	r = procedure_new(hv, &reset_desc, sizeof(*r));
	r->is_pf = !name.vf;
	r->p.call = call;
	function_name_format(r->p.function, sizeof(r->p.function), &name);
	if (name.vf)
		r->p.vfs.vf[r->p.vfs.n++] = &device->vf[name.vf - 1];
	procedure_about(&r->p, device);
	procedure_start(&r->p, device_lane(device));
}
