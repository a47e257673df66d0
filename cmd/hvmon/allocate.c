/* allocate.c - giving VFs to VMs and taking them back while hvmon runs.
 *
 * A VF that is taken away: first its registers (rows), then its DMA is brought
 * to rest (Bus Master Enable, barrier, FLR), then interrupts and memory.  The
 * row of the allocation table stands until the last step, so that nobody else
 * gets the VF before.
 */
#include <config.h>

#include "cmd/hvmon/allocate.h"

#include <errno.h>
#include <stdio.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/vf_quiet.h"
#include "cmd/hvmon/virtual.h"

static struct vf_allocation *row_of(struct procedure *p)
{
	struct function_name name;

	vf_name(p->vfs.vf[0], &name);
	return vf_allocations_find(&p->hv->allocations, &name);
}

static void answer(struct procedure *p)
{
	char vm[VM_NAME_MAX];

	procedure_answer(p, json_pack("{s:s, s:s}", "function", p->function,
				      "vm", vm_format(vm, p->vm)));
}

/* A VF without a row belongs to no VM. */
static void forget_row(struct procedure *p)
{
	struct vf_allocation *row = row_of(p);

	if (row)
		vf_allocations_remove(&p->hv->allocations, row);
}

/* The procedure "allocate". */

static int allocate_give(struct procedure *p)
{
	step_give(p, p->device, &p->vfs, false);
	return STEP_NEXT;
}

static int inject_owner(struct procedure *p)
{
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static int allocate_undo(struct procedure *p)
{
	struct vf_allocation *row = row_of(p);

	if (!p->err || !row)
		return STEP_NEXT;
	row->ready = false;
	step_rows(p, SUP_ROW_DELETE, false);
	step_routes_away(p);
	step_assign_away(p);
	return STEP_NEXT;
}

static void allocate_end(struct procedure *p)
{
	char vm[VM_NAME_MAX];

	if (p->err)
		forget_row(p);
	connection_follow(p->device);
	if (!p->err)
		event(p->hv->program->log, "vf.allocated", "s:s, s:s",
		      "function", p->function, "vm", vm_format(vm, p->vm));
	answer(p);
}

static const struct step allocate_steps[] = {
	{ POINT_ALLOCATE_FLR, vfs_flr },
	{ POINT_ALLOCATE_SETTLE, vfs_settle },
	{ POINT_ALLOCATE_GIVE, allocate_give },
	{ POINT_ALLOCATE_INJECT, inject_owner },
	{ POINT_NONE, allocate_undo },
	{ 0, NULL },
};

static const struct procedure_desc allocate_desc = {
	.name = "allocate",
	.steps = allocate_steps,
	.cleanup = 4, /* allocate_undo */
	.end = allocate_end,
};

/* vm as "vm1" or 1, known to the root bridge; false: answered. */
static bool take_vm(struct hvmon *hv, struct control_call *call,
		    const json_t *params, uint32_t *vm)
{
	struct complaint c;

	if (vm_from_json(json_object_get(params, "vm"), vm, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return false;
	}
	if (!vm_find(&hv->vms, *vm)) {
		control_fail(call, RPC_MISSING, "the root bridge has no vm%u",
			     *vm);
		return false;
	}
	return true;
}

/* The VF, or single function, that is named; false: answered. */
static bool take_vf(struct hvmon *hv, struct control_call *call,
		    const json_t *params, struct function_name *name)
{
	const struct device *device;
	struct complaint c;

	if (function_name_parse(control_string(params, "function", ""), name,
				&c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return false;
	}
	device = device_find_name(hv, name->device);
	if (!name->vf && device && !device->single) {
		control_fail(call, RPC_PARAMS,
			     "%s/pf0 is a PF; VFs are "
			     "allocated",
			     name->device);
		return false;
	}
	return true;
}

void allocate_method(void *arg, struct control_call *call, json_t *params)
{
	const char *wait = control_string(params, "wait", NULL);
	uint64_t wait_ns = VF_WAIT_DEFAULT_NS;
	struct hvmon *hv = arg;
	struct vf_allocation *row;
	struct function_name name;
	struct procedure *p;
	struct complaint c;
	uint32_t vm;
	struct vf *vf;

	if (!take_vf(hv, call, params, &name) ||
	    !take_vm(hv, call, params, &vm))
		return;
	if (wait && vf_wait_parse(wait, &wait_ns, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	vf = vf_find(hv, &name);
	if (!vf || !vf_is_there(vf)) {
		control_fail(call, RPC_MISSING, "%s is not there",
			     control_string(params, "function", ""));
		return;
	}
	if (!behind_is_idle(vf->device, &c)) {
		control_fail(call, RPC_DENIED, "%s", c.text);
		return;
	}
	if (vf_allocations_add(&hv->allocations, &name, vm, VF_SLOT_NONE,
			       wait_ns, &row, &c)) {
		control_fail(call, RPC_DENIED, "%s", c.text);
		return;
	}
	p = procedure_new(hv, &allocate_desc, sizeof(*p));
	p->call = call;
	p->vm = vm;
	p->vfs.vf[p->vfs.n++] = vf;
	function_name_format(p->function, sizeof(p->function), &name);
	procedure_about(p, vf->device);
	pf_link_forget(vf);
	procedure_start(p, device_vf_lane(vf->device));
}

/* The procedure "free". */

static int free_rows(struct procedure *p)
{
	struct vf_allocation *row = row_of(p);

	if (!row)
		return step_fail(p, -ENOENT, "%s is not allocated",
				 p->function);
	p->vm = row->vm;
	row->ready = false;
	virtual_end(p->vfs.vf[0]->device);
	step_rows(p, SUP_ROW_DELETE, false);
	return STEP_NEXT;
}

static int free_bus_master(struct procedure *p)
{
	if (vf_is_there(p->vfs.vf[0]))
		step_vf_enable(p, p->vfs.vf[0], false);
	return vfs_bus_master_off(p);
}

static int free_routes(struct procedure *p)
{
	if (row_of(p))
		step_routes_away(p);
	return STEP_NEXT;
}

static int free_assign(struct procedure *p)
{
	if (row_of(p))
		step_assign_away(p);
	return STEP_NEXT;
}

static void free_end(struct procedure *p)
{
	char vm[VM_NAME_MAX];

	forget_row(p);
	connection_follow(p->vfs.vf[0]->device);
	if (!p->err)
		event(p->hv->program->log, "vf.freed", "s:s, s:s", "function",
		      p->function, "vm", vm_format(vm, p->vm));
	answer(p);
	hvmon_check_ready(p->hv);
}

static const struct step free_steps[] = {
	{ POINT_FREE_ROWS, free_rows },
	{ POINT_NONE, vfs_turn },
	{ POINT_FREE_BUS_MASTER, free_bus_master },
	{ POINT_FREE_BARRIER, vfs_barrier },
	{ POINT_FREE_FLR, vfs_flr },
	{ POINT_FREE_SETTLE, vfs_settle },
	{ POINT_FREE_ROUTES, free_routes },
	{ POINT_FREE_ASSIGN, free_assign },
	{ POINT_FREE_INJECT, inject_owner },
	{ 0, NULL },
};

/* A VF that does not settle is cut off from memory all the same. */
static const struct procedure_desc free_desc = {
	.name = "free",
	.steps = free_steps,
	.cleanup = 6, /* free.routes */
	.end = free_end,
};

void free_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;
	struct vf_allocation *row;
	struct function_name name;
	struct procedure *p;
	struct vf *vf;

	if (!take_vf(hv, call, params, &name))
		return;
	row = vf_allocations_find(&hv->allocations, &name);
	if (!row) {
		control_fail(call, RPC_MISSING, "%s is not allocated",
			     control_string(params, "function", ""));
		return;
	}
	p = procedure_new(hv, &free_desc, sizeof(*p));
	p->call = call;
	p->vm = row->vm;
	function_name_format(p->function, sizeof(p->function), &name);
	vf = vf_find(hv, &name);
	if (!vf) {
		/* Its device never came: there is nothing to take back. */
		vf_allocations_remove(&hv->allocations, row);
		answer(p);
		free(p);
		hvmon_check_ready(hv);
		return;
	}
	p->vfs.vf[p->vfs.n++] = vf;
	procedure_start(p, device_vf_lane(vf->device));
}

/* inject {vm} */

static int inject_now(struct procedure *p)
{
	const struct sup_inject inject = { .vm = p->vm,
					   .irq = PLATFORM_IRQ_PLATFORM };

	step_sup_write(p, SUP_INJECT, &inject, sizeof(inject), 0);
	return STEP_NEXT;
}

static void inject_end(struct procedure *p)
{
	char vm[VM_NAME_MAX];

	procedure_answer(p, json_pack("{s:s}", "vm", vm_format(vm, p->vm)));
}

static const struct step inject_steps[] = {
	{ POINT_NONE, inject_now },
	{ 0, NULL },
};

static const struct procedure_desc inject_desc = {
	.name = "inject",
	.steps = inject_steps,
	.end = inject_end,
};

void inject_start(struct hvmon *hv, uint32_t vm, struct control_call *call)
{
	struct procedure *p = procedure_new(hv, &inject_desc, sizeof(*p));

	p->call = call;
	p->vm = vm;
	procedure_start(p, 0);
}

void inject_method(void *arg, struct control_call *call, json_t *params)
{
	uint32_t vm;

	if (take_vm(arg, call, params, &vm))
		inject_start(arg, vm, call);
}
