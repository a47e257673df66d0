/* vm_reset.c - a VM whose process is gone: its VFs are brought to rest and
 * reset, then the root bridge gives it new memory and lets the next process
 * connect.
 *
 * Theory of operation.  The VFs go on writing to the dead VM's memory until
 * their Bus Master Enable is clear and a barrier (a config read, answered
 * after all that came before) came back; FLR then throws their queues away.
 * Only after that SUP_VM_RESET is sent: it maps the new memory.  Rows, routes
 * and the VFs' Memory Space Enable (the PF's) are as they were; what the FLR
 * cleared of the PF's enables is set again.  A VM that could not be reset
 * stays lost and is tried again.
 */
#include <config.h>

#include "cmd/hvmon/vm_reset.h"

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/control_signal.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/vf_quiet.h"

#define VM_RESET_RETRY_NS NS_PER_S

struct vm_reset {
	struct procedure p;
	bool again;   /* the one before failed: wait first */
	bool skipped; /* the VM was not lost after all */
	struct bridge_tables tables;
};

static void start(struct hvmon *hv, struct vm *vm, bool again);

static int reset_look(struct procedure *p)
{
	struct vm_reset *r = (struct vm_reset *)p;

	if (r->again && !p->round) {
		step_sleep(p, VM_RESET_RETRY_NS);
		return STEP_AGAIN;
	}
	step_read_tables(p, &r->tables);
	return STEP_NEXT;
}

/* The VM's VFs on devices whose lanes are owned: one that was allocated since
 * then has not seen this VM's process. */
static int reset_list(struct procedure *p)
{
	struct vm_reset *r = (struct vm_reset *)p;
	const struct vf_allocation *row;
	struct vm *vm;
	struct vf *vf;

	vm_table_update(&p->hv->vms, r->tables.vms, r->tables.n_vms);
	vm = vm_find(&p->hv->vms, p->vm);
	vm->lost_again = false;
	/* One without functions is reset by the root bridge at once. */
	r->skipped = vm->state != SUP_VM_LOST;
	if (r->skipped)
		return STEP_DONE;
	TAILQ_FOREACH (row, &p->hv->allocations.list, entry) {
		vf = row->vm == p->vm ? vf_find(p->hv, &row->vf) : NULL;
		if (!vf || !(device_vf_lane(vf->device) & p->lanes) ||
		    p->vfs.n == PLATFORM_SLOTS)
			continue;
		pf_link_forget(vf);
		p->vfs.vf[p->vfs.n++] = vf;
	}
	return STEP_NEXT;
}

static int reset_memory(struct procedure *p)
{
	const struct sup_vm_op op = { .vm = p->vm, .action = SUP_VM_RESET };
	unsigned i;

	/* What the dead one had begun is not done to the device any more. */
	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->number)
			config_emulation_forget(p->vfs.vf[i]->device);
	vfs_forget_config(p);
	step_sup_write(p, SUP_VMS, &op, sizeof(op), 0);
	return STEP_NEXT;
}

static int reset_configure(struct procedure *p)
{
	unsigned i;

	for (i = 0; i < p->vfs.n; i++)
		if (vf_is_there(p->vfs.vf[i]))
			step_vf_enable(p, p->vfs.vf[i], true);
	step_read_tables(p, &((struct vm_reset *)p)->tables);
	return STEP_NEXT;
}

static void reset_end(struct procedure *p)
{
	struct vm_reset *r = (struct vm_reset *)p;
	char name[VM_NAME_MAX];
	struct vm *vm;

	vm_format(name, p->vm);
	if (!p->err)
		vm_table_update(&p->hv->vms, r->tables.vms, r->tables.n_vms);
	vm = vm_find(&p->hv->vms, p->vm);
	vm->resetting = false;
	if (p->err)
		event(p->hv->program->log, "vm.reset.failed", "s:s, s:s", "vm",
		      name, "why", p->why);
	else if (!r->skipped)
		event(p->hv->program->log, "vm.reset.done", "s:s, s:i, s:I",
		      "vm", name, "vfs", (int)p->vfs.n, "took_ns",
		      (json_int_t)(clock_now_ns() - p->began_ns));
	if (p->err || vm->lost_again)
		start(p->hv, vm, p->err);
}

static void reset_fini(struct procedure *p)
{
	bridge_tables_fini(&((struct vm_reset *)p)->tables);
}

static const struct step reset_steps[] = {
	{ POINT_NONE, reset_look },
	{ POINT_VMRESET_LIST, reset_list },
	{ POINT_NONE, vfs_turn },
	{ POINT_VMRESET_BUS_MASTER, vfs_bus_master_off },
	{ POINT_VMRESET_BARRIER, vfs_barrier },
	{ POINT_VMRESET_FLR, vfs_flr },
	{ POINT_VMRESET_SETTLE, vfs_settle },
	{ POINT_VMRESET_MEMORY, reset_memory },
	{ POINT_VMRESET_CONFIGURE, reset_configure },
	{ 0, NULL },
};

static const struct procedure_desc reset_desc = {
	.name = "vm reset",
	.steps = reset_steps,
	.end = reset_end,
	.fini = reset_fini,
};

/* Lanes of all devices of which the VM has a VF. */
static uint64_t lanes_of(struct hvmon *hv, uint32_t vm)
{
	const struct vf_allocation *row;
	const struct vf *vf;
	uint64_t lanes = 0;

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		vf = row->vm == vm ? vf_find(hv, &row->vf) : NULL;
		if (vf)
			lanes |= device_vf_lane(vf->device);
	}
	return lanes;
}

static void start(struct hvmon *hv, struct vm *vm, bool again)
{
	struct vm_reset *r;

	if (vm->resetting) {
		vm->lost_again = true;
		return;
	}
	vm->resetting = true;
	r = procedure_new(hv, &reset_desc, sizeof(*r));
	r->p.vm = vm->number;
	r->again = again;
	procedure_start(&r->p, lanes_of(hv, vm->number));
}

void vm_reset_lost(struct hvmon *hv)
{
	unsigned i;

	for (i = 0; i < hv->vms.n; i++)
		if (hv->vms.vm[i].state == SUP_VM_LOST)
			start(hv, &hv->vms.vm[i], false);
}

void vm_event_lost(struct hvmon *hv, uint32_t number)
{
	struct vm *vm = vm_find(&hv->vms, number);

	if (!vm)
		return;
	vm_table_lost(&hv->vms, vm);
	translation_forget_vm(&hv->translations, number);
	control_signal_tell(hv, number);
	start(hv, vm, false);
}

/* A VM started: who it is tells the bridge's table. */

struct vm_started {
	struct procedure p;
	struct bridge_tables tables;
};

static int started_read(struct procedure *p)
{
	step_read_tables(p, &((struct vm_started *)p)->tables);
	return STEP_NEXT;
}

static void started_end(struct procedure *p)
{
	const struct bridge_tables *t = &((struct vm_started *)p)->tables;

	if (!p->err)
		vm_table_update(&p->hv->vms, t->vms, t->n_vms);
}

static void started_fini(struct procedure *p)
{
	bridge_tables_fini(&((struct vm_started *)p)->tables);
}

static const struct step started_steps[] = {
	{ POINT_NONE, started_read },
	{ 0, NULL },
};

static const struct procedure_desc started_desc = {
	.name = "vm started",
	.steps = started_steps,
	.end = started_end,
	.fini = started_fini,
};

void vm_event_started(struct hvmon *hv, uint32_t number)
{
	struct vm_started *s = procedure_new(hv, &started_desc, sizeof(*s));

	s->p.vm = number;
	procedure_start(&s->p, 0);
}
