/* connect.c - the procedure "connect": a device with a single port is switched
 * to another VM (spec 03, 1), or to nobody.
 *
 * Theory of operation.  The holder's way to the device ends first: its rows, its
 * windows.  A barrier is answered after all that it had asked before, or the
 * completion timeout ends it.  The device is reset, so that nothing of the
 * holder is in it, and loses the holder's interrupts and memory.  Then the table
 * is written; only from there on the new VM gets any of it, its registers last,
 * and its driver hears of it by the interrupt at the end.  Nobody is asked to
 * acknowledge anything: the root bridge and the device enforce each step.
 *
 * What fails before the table ends with nobody connected, for the holder is cut
 * off by then and the device not to be trusted.
 *
 * A record in vm0's memory says what is under way.  A hypervisor that finds a
 * switch begun and the table not written does all of it anew, with the device
 * in nobody's hands meanwhile; one that finds the table written gives the new
 * VM what is missing.
 */
#include <config.h>

#include "cmd/hvmon/connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/control_signal.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/vf_quiet.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/vm_share.h"

struct connect {
	struct procedure p;
	struct connection *c;
	uint32_t from, to;
	uint32_t only_from; /* PLATFORM_VM_NONE: whoever has it */
	bool again;         /* a former hypervisor began it */
	uint64_t signal;    /* serial, to be answered; 0: none */
	connect_done_fn *done;
	void *arg;
};

static struct connect *of(struct procedure *p)
{
	return (struct connect *)p;
}

static struct vf_allocation *row_of(const struct procedure *p)
{
	struct function_name name;

	vf_name(&p->device->whole, &name);
	return vf_allocations_find(&p->hv->allocations, &name);
}

/* Nobody has it, and it is as after a reset. */
static bool is_free(struct procedure *p)
{
	return of(p)->from == PLATFORM_VM_NONE && !of(p)->again;
}

/* What can be known before. */

static int check_vm(struct hvmon *hv, uint32_t number, struct complaint *why)
{
	const struct vm *vm = vm_find(&hv->vms, number);

	if (!vm)
		return complain(why, ENODEV, "the root bridge has no vm%u",
				number);
	if (vm->deactivated)
		return complain(why, EACCES, "vm%u is deactivated", number);
	if (vm->state != SUP_VM_RUNNING || vm->panicked)
		return complain(why, EACCES, "vm%u does not run", number);
	return 0;
}

int connect_check(struct hvmon *hv, const char *name, uint32_t vm,
		  struct complaint *why)
{
	const struct device *device = device_find_name(hv, name);
	const struct connection *c;
	int err = vm == PLATFORM_VM_NONE ? 0 : check_vm(hv, vm, why);

	if (err)
		return err;
	if (!device || device->state == DEVICE_AWAY)
		return complain(why, ENODEV, "no device %s", name);
	if (!device->single)
		return complain(why, ENOTSUP,
				"%s has VFs, and is connected with no VM as a "
				"whole",
				name);
	if (!behind_is_idle(device, why))
		return -EACCES;
	c = connection_find(hv, name);
	if (c && c->vm == vm && c->phase == CONNECTION_SETTLED) {
		if (vm == PLATFORM_VM_NONE)
			return complain(why, EACCES,
					"%s is connected with no VM", name);
		return complain(why, EACCES,
				"%s is connected with vm%u already", name, vm);
	}
	return 0;
}

/* The steps. */

static int connect_begin(struct procedure *p)
{
	struct connect *s = of(p);
	struct vf_allocation *row;
	struct complaint why;
	int err = 0;

	s->from = s->c->vm;
	if (s->only_from != PLATFORM_VM_NONE && s->only_from != s->from)
		return STEP_DONE;
	if (!s->again)
		err = connect_check(p->hv, p->device->name, s->to, &why);
	if (err)
		return step_fail(p, err, "%s", why.text);
	row = row_of(p);
	/* Rows that a former hypervisor may have left are to be found. */
	if (row && !row->ready)
		(void)!vf_overlay_init(row, &p->device->whole);
	s->c->to = s->to;
	s->c->phase = CONNECTION_SWITCHING;
	connection_write(p->device, s->c);
	return STEP_NEXT;
}

static int connect_refuse(struct procedure *p)
{
	struct vf_allocation *row = row_of(p);

	if (row)
		row->ready = false;
	virtual_end(p->device);
	step_rows(p, SUP_ROW_DELETE, false);
	return STEP_NEXT;
}

static int connect_turn(struct procedure *p)
{
	return is_free(p) ? STEP_NEXT : vfs_turn(p);
}

static void on_revoked(void *arg, int err)
{
	struct procedure *p = arg;

	if (err)
		step_fail(p, err, "taking back the windows of %s: %s",
			  p->device->name, strerror(-err));
	step_put(p);
}

static int connect_revoke(struct procedure *p)
{
	if (is_free(p))
		return STEP_NEXT;
	step_get(p);
	translation_revoke(p->device, on_revoked, p);
	return STEP_NEXT;
}

static int connect_bus_master(struct procedure *p)
{
	return is_free(p) ? STEP_NEXT : vfs_bus_master_off(p);
}

static int connect_drain(struct procedure *p)
{
	return is_free(p) ? STEP_NEXT : vfs_barrier(p);
}

static int connect_reset(struct procedure *p)
{
	return is_free(p) ? STEP_NEXT : vfs_flr(p);
}

static int connect_settle(struct procedure *p)
{
	return is_free(p) ? STEP_NEXT : vfs_settle(p);
}

/* From here on also after a failure. */
static int connect_unmap(struct procedure *p)
{
	/* Refused: nothing was done. */
	if (of(p)->c->phase != CONNECTION_SWITCHING)
		return STEP_DONE;
	turn_end(p, p->device);
	if (!is_free(p)) {
		step_routes_away(p);
		step_assign_away(p);
	}
	return STEP_NEXT;
}

/* The allocation table follows the connection table. */
static int allocate(struct procedure *p, uint32_t vm)
{
	struct vf_allocations *table = &p->hv->allocations;
	struct vf_allocation *row = row_of(p);
	struct function_name name;
	struct complaint why;
	uint32_t slot;
	int err;

	if (row)
		vf_allocations_remove(table, row);
	if (vm == PLATFORM_VM_NONE)
		return 0;
	vf_name(&p->device->whole, &name);
	err = connection_slot(p->hv, of(p)->c, vm, &slot);
	if (err)
		return step_fail(p, err, "vm%u has no free slot", vm);
	err = vf_allocations_add(table, &name, vm, slot, VF_WAIT_DEFAULT_NS,
				 &row, &why);
	return err ? step_fail(p, err, "%s", why.text) : 0;
}

static void write_table(struct procedure *p, uint32_t vm)
{
	struct connection *c = of(p)->c;

	c->vm = vm;
	c->epoch++;
	c->since_ns = clock_now_ns();
	c->phase = CONNECTION_WRITTEN;
	connection_write(p->device, c);
}

static int connect_table(struct procedure *p)
{
	struct connect *s = of(p);

	if (allocate(p, p->err ? PLATFORM_VM_NONE : s->to) || p->err)
		s->to = PLATFORM_VM_NONE;
	write_table(p, s->to);
	return STEP_NEXT;
}

static int connect_map(struct procedure *p)
{
	if (of(p)->to != PLATFORM_VM_NONE)
		step_give(p, p->device, &p->vfs, false);
	return STEP_NEXT;
}

/* It could not be given. */
static int connect_undo(struct procedure *p)
{
	if (!p->err || of(p)->to == PLATFORM_VM_NONE)
		return STEP_NEXT;
	step_rows(p, SUP_ROW_DELETE, false);
	step_routes_away(p);
	step_assign_away(p);
	(void)allocate(p, PLATFORM_VM_NONE);
	write_table(p, PLATFORM_VM_NONE);
	return STEP_NEXT;
}

/* Both, and the others who stand by. */
static int connect_interrupt(struct procedure *p)
{
	const struct connect *s = of(p);
	unsigned i;

	for (i = 0; i < s->c->n; i++)
		step_inject(p, s->c->member[i].vm, PLATFORM_IRQ_PLATFORM);
	if (s->from != PLATFORM_VM_NONE && !connection_order(s->c, s->from))
		step_inject(p, s->from, PLATFORM_IRQ_PLATFORM);
	return STEP_NEXT;
}

static void told(const struct connect *s)
{
	char vm[VM_NAME_MAX], from[VM_NAME_MAX];
	const struct procedure *p = &s->p;

	event(p->hv->program->log, "connection.changed",
	      "s:s, s:s?, s:s?, s:I, s:I, s:s*", "device", s->c->device, "vm",
	      s->c->vm == PLATFORM_VM_NONE ? NULL : vm_format(vm, s->c->vm),
	      "from",
	      s->from == PLATFORM_VM_NONE ? NULL : vm_format(from, s->from),
	      "epoch", (json_int_t)s->c->epoch, "took_ns",
	      (json_int_t)(clock_now_ns() - p->began_ns), "why",
	      p->err ? p->why : NULL);
}

static void connect_end(struct procedure *p)
{
	struct connect *s = of(p);
	char name[VM_NAME_MAX];

	if (s->c->phase == CONNECTION_WRITTEN) {
		s->c->phase = CONNECTION_SETTLED;
		connection_write(p->device, s->c);
		told(s);
		vm_shares_update(p->hv);
		hvmon_check_ready(p->hv);
	}
	control_signal_answer(p->hv, s->signal, p->err);
	if (s->done)
		s->done(s->arg, p->err, p->err ? p->why : NULL);
	if (p->call && p->err)
		control_fail(p->call, connect_code(p->err), "%s", p->why);
	else if (p->call)
		control_reply(p->call,
			      json_pack("{s:s, s:s, s:I}", "device",
					s->c->device, "vm",
					s->c->vm == PLATFORM_VM_NONE
						? "none"
						: vm_format(name, s->c->vm),
					"epoch", (json_int_t)s->c->epoch));
	p->call = NULL;
}

static const struct step connect_steps[] = {
	{ POINT_CONNECT_BEGIN, connect_begin },
	{ POINT_CONNECT_REFUSE, connect_refuse },
	{ POINT_NONE, connect_turn },
	{ POINT_CONNECT_REVOKE, connect_revoke },
	{ POINT_CONNECT_BUS_MASTER, connect_bus_master },
	{ POINT_CONNECT_DRAIN, connect_drain },
	{ POINT_CONNECT_RESET, connect_reset },
	{ POINT_CONNECT_SETTLE, connect_settle },
	{ POINT_CONNECT_UNMAP, connect_unmap },
	{ POINT_CONNECT_TABLE, connect_table },
	{ POINT_CONNECT_MAP, connect_map },
	{ POINT_NONE, connect_undo },
	{ POINT_CONNECT_INTERRUPT, connect_interrupt },
	{ 0, NULL },
};

static const struct procedure_desc connect_desc = {
	.name = "connect",
	.steps = connect_steps,
	.cleanup = 8, /* connect_unmap */
	.end = connect_end,
};

/* The rest of one whose table is written. */
static const struct step written_steps[] = {
	{ POINT_CONNECT_INTERRUPT, connect_interrupt },
	{ 0, NULL },
};

static const struct procedure_desc written_desc = {
	.name = "connect",
	.steps = written_steps,
	.end = connect_end,
};

static struct connect *connect_new(struct device *device,
				   const struct procedure_desc *desc,
				   uint32_t to)
{
	struct connect *s = procedure_new(device->hv, desc, sizeof(*s));

	s->c = connection_get(device);
	s->from = s->c->vm;
	s->to = to;
	s->only_from = PLATFORM_VM_NONE;
	s->p.vm = to;
	s->p.vfs.vf[s->p.vfs.n++] = &device->whole;
	procedure_about(&s->p, device);
	return s;
}

void connect_signalled(struct device *device, uint32_t vm, uint64_t signal)
{
	struct connect *s = connect_new(device, &connect_desc, vm);

	s->signal = signal;
	procedure_start(&s->p, device_lane(device));
}

void connect_take_from(struct device *device, uint32_t vm,
		       connect_done_fn *done, void *arg)
{
	struct connect *s =
		connect_new(device, &connect_desc, PLATFORM_VM_NONE);

	s->only_from = vm;
	s->done = done;
	s->arg = arg;
	procedure_start(&s->p, device_lane(device));
}

void connect_started(struct device *device)
{
	struct connection *c = connection_find(device->hv, device->name);
	struct connect *s;

	connection_follow(device);
	if (!c || c->phase == CONNECTION_SETTLED)
		return;
	s = connect_new(device,
			c->phase == CONNECTION_SWITCHING ? &connect_desc
							 : &written_desc,
			c->to);
	s->again = true;
	procedure_start(&s->p, device_lane(device));
}

int connect_code(int err)
{
	switch (err) {
	case -ENOTSUP:
		return RPC_PARAMS;
	case -ENODEV:
		return RPC_MISSING;
	case -EACCES:
		return RPC_DENIED;
	}
	return RPC_FAILED;
}

void connect_method(void *arg, struct control_call *call, json_t *params)
{
	const char *name = control_string(params, "device", "");
	const json_t *value = json_object_get(params, "vm");
	const char *text = json_string_value(value);
	uint32_t vm = PLATFORM_VM_NONE;
	struct hvmon *hv = arg;
	struct complaint why;
	struct connect *s;
	int err = 0;

	if (!text || strcmp(text, "none"))
		err = vm_from_json(value, &vm, &why);
	if (err) {
		control_fail(call, RPC_PARAMS, "%s", why.text);
		return;
	}
	err = connect_check(hv, name, vm, &why);
	if (err) {
		control_fail(call, connect_code(err), "%s", why.text);
		return;
	}
	s = connect_new(device_find_name(hv, name), &connect_desc, vm);
	s->p.call = call;
	procedure_start(&s->p, device_lane(s->p.device));
}
