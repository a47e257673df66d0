/* virtualize.c - 210 to 218 (fig. 2): the monitor slides in between a guest and
 * a device that it drives.
 *
 * Theory of operation.  The row change of 214 is the point at which the switch
 * takes effect.  The record is written before it, so that a new hypervisor
 * which finds the row denied finds it too; without it the device is let go.
 * What the guest sent before 214 reaches the device before what is let through
 * after it, as both go by the root bridge.  Interrupts that come from 210 to 216
 * stay with the device, and are ours then.  Its guest may reset it, except
 * while it is our turn: until it is trapped, and while we ask the device.
 */
#include <config.h>

#include "cmd/hvmon/virtualize.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/boundary_search.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hold_guest.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/virtual.h"

#define WATCH_MAX 1000
#define PEEK_NS   NS_PER_MS

struct virtualize {
	struct procedure p;
	bool own_mode, aborts;
	struct device *behind; /* NULL: the device does its own work */
	enum hold hold;        /* pause, lock, busy, or none */
	bool peeks;            /* the status was asked for */
	uint64_t limit_ns;
	unsigned watch;
	int refused; /* the rows, in virtualize_undo() */
};

static struct vf_allocation *row_of(const struct device *device)
{
	struct function_name name;

	vf_name(&device->whole, &name);
	return vf_allocations_find(&device->hv->allocations, &name);
}

void step_register_rows(struct procedure *p, struct device *device)
{
	const struct vf_allocation *row = row_of(device);
	struct sup_row rows[6];

	if (row && vf_protection_rows(row, &device->whole, SUP_ROW_SET, rows))
		step_sup_write(p, SUP_ROWS, rows, sizeof(rows[0]), 0);
}

void step_open_registers(struct procedure *p, struct device *device, int *err)
{
	const struct vf_allocation *row = row_of(device);
	struct sup_row rows[6];

	*err = 0;
	if (!row ||
	    !vf_protection_rows(row, &device->whole, SUP_ROW_OPEN, rows))
		return;
	rows[0].flag = SUP_ROW_ALLOWED;
	step_sup_try(p, SUP_ROWS, rows, sizeof(rows[0]), err);
}

/* The procedure "virtualize". */

static int virtualize_turn(struct procedure *p)
{
	return turn_take(p, p->device) ? STEP_NEXT : STEP_AGAIN;
}

static int virtualize_look(struct procedure *p)
{
	struct virtualize *z = (struct virtualize *)p;
	struct device *device = p->device;
	struct vf_allocation *row = row_of(device);
	struct virtual *v;

	if (device->virtual)
		return step_fail(p, -EALREADY, "%s is virtualised already",
				 device->name);
	if (device->state != DEVICE_READY || !row || !row->ready)
		return step_fail(p, -ENODEV, "no guest has %s", device->name);
	v = virtual_new(device, VIRTUAL_SEARCH);
	v->record.own_mode = z->own_mode;
	v->record.aborts = z->aborts;
	v->wanted = z->behind;
	v->watch = z->watch;
	return STEP_NEXT;
}

static int virtualize_disable(struct procedure *p)
{
	step_interrupt_off(p, p->device);
	return STEP_NEXT;
}

static int virtualize_redirect(struct procedure *p)
{
	step_own_interrupt(p, p->device);
	return STEP_NEXT;
}

static void revoked(void *arg, int err)
{
	struct procedure *p = arg;

	if (err)
		step_fail(p, err, "taking the window back: %s", strerror(-err));
	step_put(p);
}

/* From here on all accesses go over the bus. */
static int virtualize_revoke(struct procedure *p)
{
	step_get(p);
	translation_revoke(p->device, revoked, p);
	return STEP_NEXT;
}

static int virtualize_trap(struct procedure *p)
{
	virtual_keep_record(p->device->virtual);
	step_register_rows(p, p->device);
	return STEP_NEXT;
}

static int virtualize_enable(struct procedure *p)
{
	p->device->virtual->trapping = true;
	p->device->forwards = false;
	step_interrupt_on(p, p->device);
	turn_end(p, p->device);
	return STEP_NEXT;
}

/* Its guest has reset it meanwhile: no search is needed. */
static bool was_reset(const struct virtual *v)
{
	return v->record.phase != VIRTUAL_SEARCH;
}

/* Until what the guest itself began has interrupted it: the device looks busy.
 */
static int look_busy(struct procedure *p)
{
	struct virtualize *z = (struct virtualize *)p;
	struct virtual *v = p->device->virtual;
	bool late, over;

	if (!v)
		return step_fail(p, -ENODEV, "%s went", p->device->name);
	v->hold = HOLD_BUSY;
	over = z->peeks && v->backend->peeked(v);
	turn_end(p, p->device);
	if (over || was_reset(v))
		return STEP_NEXT;
	late = z->limit_ns && clock_now_ns() - p->step_began_ns > z->limit_ns;
	if (late)
		event(p->hv->program->log, "hold.refused", "s:s, s:s", "device",
		      p->device->name, "why", "its request is not over");
	if (late)
		return STEP_NEXT;
	z->peeks = !z->peeks && turn_take(p, p->device);
	if (z->peeks)
		v->backend->peek(v, p);
	else
		step_sleep(p, PEEK_NS);
	return STEP_AGAIN;
}

/* Or its driver rests. */
static int virtualize_ask(struct procedure *p)
{
	const struct virtualize *z = (const struct virtualize *)p;

	if (z->hold == HOLD_BUSY)
		return look_busy(p);
	if (z->hold != HOLD_NONE)
		step_hold_guest(p, p->device, z->hold, z->limit_ns);
	return STEP_NEXT;
}

static int virtualize_mode(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!turn_take(p, p->device))
		return STEP_AGAIN;
	if (v->backend->look && !was_reset(v))
		v->backend->look(v, p);
	return STEP_NEXT;
}

static int virtualize_emulate(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	virtual_hold(v, HOLD_NONE);
	if (!was_reset(v))
		boundary_search_start(v);
	return STEP_NEXT;
}

static int virtualize_undo(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!p->err || p->err == -EALREADY || !v)
		return STEP_DONE;
	if (!turn_take(p, p->device))
		return STEP_AGAIN;
	v->closing = true;
	v->hold = HOLD_NONE;
	step_open_registers(p, p->device, &((struct virtualize *)p)->refused);
	return STEP_NEXT;
}

static int virtualize_undone(struct procedure *p)
{
	bridge_link_catch_up(&p->hv->bridge);
	virtual_end(p->device);
	step_interrupt_on(p, p->device);
	return STEP_NEXT;
}

static void virtualize_end(struct procedure *p)
{
	hold_guest_release(p->device);
	if (!p->err)
		event(p->hv->program->log, "device.virtual", "s:s, s:I",
		      "device", p->device->name, "took_ns",
		      (json_int_t)(clock_now_ns() - p->began_ns));
	procedure_answer(p, json_pack("{s:s, s:s}", "device", p->device->name,
				      "mode", "virtual"));
}

static const struct step virtualize_steps[] = {
	{ POINT_NONE, virtualize_turn },
	{ POINT_NONE, virtualize_look },
	{ POINT_VIRT_210, virtualize_disable },
	{ POINT_VIRT_212, virtualize_redirect },
	{ POINT_NONE, virtualize_revoke },
	{ POINT_VIRT_214, virtualize_trap },
	{ POINT_VIRT_216, virtualize_enable },
	{ POINT_NONE, virtualize_ask },
	{ POINT_NONE, virtualize_mode },
	{ POINT_VIRT_218, virtualize_emulate },
	{ POINT_NONE, virtualize_undo },
	{ POINT_NONE, virtualize_undone },
	{ 0, NULL },
};

static const struct procedure_desc virtualize_desc = {
	.name = "virtualize",
	.steps = virtualize_steps,
	.cleanup = 10, /* virtualize_undo */
	.end = virtualize_end,
};

struct device *virtualize_device(struct hvmon *hv, struct control_call *call,
				 const json_t *params)
{
	const char *name = control_string(params, "device", "");
	struct device *device = device_find_name(hv, name);

	if (!device || device->state == DEVICE_AWAY) {
		control_fail(call, RPC_MISSING, "no device '%s'", name);
		return NULL;
	}
	if (!device->regs_bytes) {
		control_fail(call, RPC_DENIED,
			     "%s is of a kind that is not emulated", name);
		return NULL;
	}
	if (!row_of(device)) {
		control_fail(call, RPC_DENIED, "no guest has %s", name);
		return NULL;
	}
	return device;
}

/* One of two words; false: answered. */
static bool take_word(struct control_call *call, const json_t *params,
		      const char *name, const char *no, const char *yes,
		      bool *value)
{
	const char *word = control_string(params, name, no);

	*value = !strcmp(word, yes);
	if (*value || !strcmp(word, no))
		return true;
	control_fail(call, RPC_PARAMS, "%s: %s or %s, not '%s'", name, no, yes,
		     word);
	return false;
}

/* Another device that shall do the work; false: answered. */
static bool take_behind(struct control_call *call, const json_t *params,
			const struct device *device, struct device **behind)
{
	const char *name = control_string(params, "behind", NULL);
	struct complaint c;
	int err;

	if (!name)
		return true;
	err = behind_find(device, name, behind, &c);
	if (err)
		control_fail(call, err == -ENODEV ? RPC_MISSING : RPC_DENIED,
			     "%s", c.text);
	return !err;
}

/* Before 218 no sequence is known, so that none can be held off: a guest is asked,
 * or shown a device that is not ready; false: answered. */
static bool take_hold(struct control_call *call, const json_t *params,
		      const struct device *device, struct virtualize *z)
{
	const char *hold = control_string(params, "hold", NULL);
	const char *limit = control_string(params, "limit", NULL);
	struct complaint c;
	int err = 0;

	z->limit_ns = NS_PER_S;
	if (hold)
		err = hold_parse(hold, &z->hold, &c);
	if (!err && z->hold > HOLD_BUSY)
		err = complain(&c, EINVAL,
			       "virtualize holds off by pause, lock or busy, "
			       "not %s: no sequence is known yet",
			       hold);
	if (!err && z->hold == HOLD_BUSY && !device_backend(device)->peek)
		err = complain(&c, EINVAL,
			       "%s would not tell when it is ready again: "
			       "virtualize holds it off by pause or lock",
			       device->name);
	if (!err && limit)
		err = hold_limit_parse(limit, &z->limit_ns, &c);
	if (err)
		control_fail(call, RPC_PARAMS, "%s", c.text);
	return !err;
}

void virtualize_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;
	struct device *device = virtualize_device(hv, call, params);
	struct virtualize held = { .hold = HOLD_NONE }, *z;
	struct device *behind = NULL;
	long long watch = control_integer(params, "watch", 1);
	bool adopt, aborts;

	if (device && device->carried) {
		control_fail(call, RPC_DENIED, "%s is virtualised already",
			     device->name);
		return;
	}
	if (!device ||
	    !take_word(call, params, "mode", "own", "adopt", &adopt) ||
	    !take_word(call, params, "illegal", "drop", "abort", &aborts) ||
	    !take_hold(call, params, device, &held) ||
	    !take_behind(call, params, device, &behind))
		return;
	if (device->virtual) {
		control_fail(call, RPC_DENIED, "%s is virtualised already",
			     device->name);
		return;
	}
	if (watch < 1 || watch > WATCH_MAX) {
		control_fail(call, RPC_PARAMS, "watch: 1 to %d sequences",
			     WATCH_MAX);
		return;
	}
	z = procedure_new(hv, &virtualize_desc, sizeof(*z));
	z->watch = (unsigned)watch;
	z->p.call = call;
	z->own_mode = !adopt;
	z->aborts = aborts;
	z->behind = behind;
	z->hold = held.hold;
	z->limit_ns = held.limit_ns;
	procedure_about(&z->p, device);
	procedure_start(&z->p, device_lane(device));
}
