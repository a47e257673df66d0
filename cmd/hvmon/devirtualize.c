/* devirtualize.c - 708 to 722 (fig. 7): the monitor slides out again.
 *
 * Theory of operation.  First nothing new is begun and all that was begun is
 * finished: the machine at start (710), our driver's queue empty (712), every
 * interrupt that it expects taken and its condition cleared, and all that the
 * device told us known to the guest (714), as a second time it will not tell
 * it.  A device in whose search no boundary was found yet is its guest's as it
 * is.  Past the limit (708) the device is reset instead.
 *
 * Then the interrupts stay with the device (716), the guest's mode is put back,
 * the log is done at the device (718), and with every later access waiting the
 * row is opened: the root bridge runs what waits, in order, before anything
 * newer (720).  These are asked for together, as the bridge and the device do
 * them in this order: the guest waits for one round trip.  Until that moment
 * nothing has been given away, and a step that fails goes back to emulating.
 */
#include <config.h>

#include "cmd/hvmon/devirtualize.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/boundary_search.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hold_guest.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/virtualize.h"

#define LIMIT_DEFAULT_NS NS_PER_S
/* A guest may drive the device without interrupts, and so must we. */
#define POLL_NS NS_PER_MS

struct devirtualize {
	struct procedure p;
	enum hold hold;
	bool forwards;
	uint64_t limit_ns; /* 0: none */
	struct loop_timer limit, poll;
	bool late, corrected;
	bool waited;       /* for POLL_NS */
	bool disabled;     /* 716 is done */
	bool opened;       /* 720 was asked for, ... */
	int refused;       /* ... and why it was not done; 0: it was */
	uint64_t quiet_ns; /* since when new sequences are held off for good */
	uint64_t pause_ns;
};

static struct devirtualize *of(struct procedure *p)
{
	return (struct devirtualize *)p;
}

static int gone(struct procedure *p)
{
	return step_fail(p, -ENODEV, "%s is not virtualised any more",
			 p->device->name);
}

static int devirtualize_look(struct procedure *p)
{
	if (!p->device->virtual)
		return step_fail(p, -EALREADY, "%s is direct already",
				 p->device->name);
	p->device->virtual->wanted = NULL;
	return STEP_NEXT;
}

/* 708 */

static void limit_over(void *arg)
{
	struct devirtualize *z = arg;

	z->late = true;
	if (z->p.device->virtual)
		virtual_changed(z->p.device->virtual);
}

static int devirtualize_limit(struct procedure *p)
{
	if (of(p)->limit_ns)
		loop_timer_in(p->hv->program->loop, &of(p)->limit,
			      of(p)->limit_ns, limit_over, p);
	return STEP_NEXT;
}

/* Past the limit. */

static int correct(struct procedure *p)
{
	of(p)->corrected = true;
	step_corrective_reset(p, p->device);
	return STEP_AGAIN;
}

/* 710 to 714 */

static void poll_again(void *arg)
{
	struct procedure *p = arg;
	struct virtual *v = p->device->virtual;

	of(p)->waited = true;
	if (!v)
		return;
	if (v->record.phase == VIRTUAL_EMULATING && !v->driving &&
	    (!of(p)->disabled || !v->backend->is_done(v)))
		v->backend->drive(v, false);
	virtual_changed(v);
}

/* Until something changes, or the limit is over. */
static int wait_on(struct procedure *p, struct virtual *v)
{
	struct devirtualize *z = of(p);

	if (z->late && !z->corrected)
		return correct(p);
	z->waited = false;
	loop_timer_in(p->hv->program->loop, &z->poll, POLL_NS, poll_again, p);
	virtual_wait(v, p);
	return STEP_AGAIN;
}

static bool searches(const struct virtual *v)
{
	return v->record.phase == VIRTUAL_SEARCH;
}

static bool is_at_start(const struct virtual *v)
{
	return v->record.phase == VIRTUAL_EMULATING && virtual_at_start(v);
}

static bool is_quiet(const struct virtual *v)
{
	return is_at_start(v) && v->backend->is_done(v) &&
	       v->backend->is_quiet(v);
}

static int devirtualize_hold(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!v)
		return gone(p);
	if (searches(v)) {
		boundary_search_stop(v);
		return STEP_NEXT;
	}
	if (!p->round)
		virtual_hold(v, of(p)->hold);
	return is_at_start(v) ? STEP_NEXT : wait_on(p, v);
}

/* First it does its own work again. */
static int devirtualize_return(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!v)
		return gone(p);
	/* What stood behind it is to be nobody's before. */
	if (!virtual_leans(v) && v->record.other) {
		virtual_wait(v, p);
		return STEP_AGAIN;
	}
	if (!virtual_leans(v))
		return STEP_NEXT;
	if (p->round)
		return correct(p);
	step_behind_return(p, p->device, of(p)->limit_ns);
	return STEP_AGAIN;
}

/* A guest that is asked stops by itself, between two sequences. */
static int devirtualize_ask(struct procedure *p)
{
	struct devirtualize *z = of(p);
	struct virtual *v = p->device->virtual;

	if (v && !searches(v) &&
	    (z->hold == HOLD_PAUSE || z->hold == HOLD_LOCK))
		step_hold_guest(p, p->device, z->hold, z->limit_ns);
	return STEP_NEXT;
}

static int devirtualize_finish(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!v)
		return gone(p);
	if (searches(v) || v->backend->is_done(v))
		return STEP_NEXT;
	return wait_on(p, v);
}

/* A guest that is stopped at an access cannot learn what it is to know before:
 * that sequence goes on, and the next one is held off.  An emulator that lets
 * it go on by itself stops none too early. */
static int wait_until_quiet(struct procedure *p)
{
	struct virtual *v = p->device->virtual;
	struct devirtualize *z = of(p);

	if (!v)
		return gone(p);
	if (searches(v))
		return STEP_NEXT;
	if (is_quiet(v)) {
		virtual_hold(v, z->hold);
		if (!z->quiet_ns)
			z->quiet_ns = clock_now_ns();
		return STEP_NEXT;
	}
	if (v->n_kept && z->waited && !v->backend->goes_on)
		virtual_hold(v, HOLD_NONE);
	z->quiet_ns = 0;
	return wait_on(p, v);
}

static int devirtualize_expect(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (v && is_at_start(v) && !p->round)
		v->backend->drive(v, false);
	return wait_until_quiet(p);
}

static int devirtualize_disable(struct procedure *p)
{
	step_interrupt_off(p, p->device);
	return STEP_NEXT;
}

/* What came just before 716.  From here on it is our turn: nothing waits for
 * the guest any more, and a reset of its would throw away what follows. */
static int devirtualize_quiet(struct procedure *p)
{
	int ret;

	of(p)->disabled = true;
	ret = wait_until_quiet(p);
	if (ret == STEP_NEXT && !turn_take(p, p->device))
		return STEP_AGAIN;
	return ret;
}

static int devirtualize_mode(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	loop_timer_cancel(&of(p)->poll);
	if (!v)
		return gone(p);
	if (!searches(v))
		v->backend->restore(v, p);
	return STEP_FLOW;
}

static int devirtualize_give_back(struct procedure *p)
{
	p->device->forwards = of(p)->forwards;
	return STEP_FLOW;
}

/* In order; and once more for what was logged meanwhile. */
static int devirtualize_replay(struct procedure *p)
{
	struct devirtualize *z = of(p);
	struct virtual *v = p->device->virtual;
	const struct virtual_logged *l;
	struct virtual_record *r;

	if (!v)
		return gone(p);
	r = &v->record;
	if (r->n_replayed == r->n_log) {
		v->closing = true;
		/* A guest whose writes are logged waits from here on. */
		if (!z->quiet_ns || z->hold == HOLD_LOG)
			z->quiet_ns = clock_now_ns();
		if (r->n_log)
			event(p->hv->program->log, "devirtualize.replayed",
			      "s:s, s:I", "device", p->device->name, "writes",
			      (json_int_t)r->n_log);
		return STEP_FLOW;
	}
	l = &r->log[r->n_replayed];
	r->n_replayed = r->n_log;
	virtual_keep_record(v);
	for (; l < &r->log[r->n_log]; l++)
		step_write(p, virtual_register(v, l->offset), &l->value,
			   l->size);
	return STEP_AGAIN;
}

static int devirtualize_close(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!v)
		return gone(p);
	/* Nothing that was answered is looked up again at 720. */
	if (v->running || !TAILQ_EMPTY(&p->hv->bridge.verdicts)) {
		step_sleep(p, POLL_NS / 10);
		return STEP_AGAIN;
	}
	return STEP_FLOW;
}

static int devirtualize_untrap(struct procedure *p)
{
	of(p)->opened = true;
	step_open_registers(p, p->device, &of(p)->refused);
	return STEP_NEXT;
}

static int devirtualize_leave(struct procedure *p)
{
	if (of(p)->refused)
		return step_fail(p, of(p)->refused, "its rows: %s",
				 strerror(-of(p)->refused));
	/* What ran by itself is told here before the reply, and to nobody. */
	bridge_link_catch_up(&p->hv->bridge);
	virtual_end(p->device);
	hold_guest_release(p->device);
	of(p)->pause_ns = clock_now_ns() - of(p)->quiet_ns;
	return STEP_NEXT;
}

static int devirtualize_enable(struct procedure *p)
{
	step_interrupt_on(p, p->device);
	return STEP_NEXT;
}

/* It stays what it is. */
static int devirtualize_undo(struct procedure *p)
{
	struct virtual *v = p->device->virtual;

	if (!p->err || p->err == -EALREADY)
		return STEP_NEXT;
	if (v && of(p)->opened && !of(p)->refused) {
		/* The device failed, but it is its guest's. */
		(void)devirtualize_leave(p);
	} else if (v) {
		p->device->forwards = false;
		v->closing = false;
		virtual_hold(v, HOLD_NONE);
		if (searches(v))
			boundary_search_start(v);
		else if (v->record.n_replayed)
			virtual_load(v); /* how much of it was done? */
		else if (v->record.phase == VIRTUAL_EMULATING)
			v->backend->drive(v, false);
	}
	step_interrupt_on(p, p->device);
	return STEP_NEXT;
}

static void devirtualize_end(struct procedure *p)
{
	hold_guest_release(p->device);
	if (!p->err)
		event(p->hv->program->log, "device.direct",
		      "s:s, s:b, s:s, s:I, s:I", "device", p->device->name,
		      "reset", (int)of(p)->corrected, "hold",
		      hold_name(of(p)->hold), "pause_ns",
		      (json_int_t)of(p)->pause_ns, "took_ns",
		      (json_int_t)(clock_now_ns() - p->began_ns));
	procedure_answer(p, json_pack("{s:s, s:s, s:b}", "device",
				      p->device->name, "mode",
				      of(p)->forwards ? "forward" : "direct",
				      "reset", (int)of(p)->corrected));
}

static void devirtualize_fini(struct procedure *p)
{
	loop_timer_cancel(&of(p)->limit);
	loop_timer_cancel(&of(p)->poll);
}

static const struct step devirtualize_steps[] = {
	{ POINT_NONE, devirtualize_look },
	{ POINT_NONE, devirtualize_return },
	{ POINT_DEVIRT_708, devirtualize_limit },
	{ POINT_NONE, devirtualize_ask },
	{ POINT_DEVIRT_710, devirtualize_hold },
	{ POINT_DEVIRT_712, devirtualize_finish },
	{ POINT_DEVIRT_714, devirtualize_expect },
	{ POINT_DEVIRT_716, devirtualize_disable },
	{ POINT_NONE, devirtualize_quiet },
	{ POINT_NONE, devirtualize_mode },
	{ POINT_DEVIRT_718, devirtualize_give_back },
	{ POINT_NONE, devirtualize_replay },
	{ POINT_NONE, devirtualize_close },
	{ POINT_DEVIRT_720, devirtualize_untrap },
	{ POINT_NONE, devirtualize_leave },
	{ POINT_DEVIRT_722, devirtualize_enable },
	{ POINT_NONE, devirtualize_undo },
	{ 0, NULL },
};

static const struct procedure_desc devirtualize_desc = {
	.name = "devirtualize",
	.steps = devirtualize_steps,
	.cleanup = 16, /* devirtualize_undo */
	.end = devirtualize_end,
	.fini = devirtualize_fini,
};

void devirtualize_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;
	struct device *device = virtualize_device(hv, call, params);
	const char *limit = control_string(params, "limit", NULL);
	const char *irq = control_string(params, "irq", "redirect");
	uint64_t limit_ns = LIMIT_DEFAULT_NS;
	struct devirtualize *z;
	struct complaint c;
	enum hold hold;

	if (!device)
		return;
	if (device->carried) {
		control_fail(call, RPC_DENIED,
			     "%s is always virtualised: its guest sees a %s, "
			     "carried out on a real %s",
			     device->name, device_shown(device)->name,
			     device_kind(device)->name);
		return;
	}
	if (hold_parse(control_string(params, "hold", "block"), &hold, &c) ||
	    (limit && hold_limit_parse(limit, &limit_ns, &c))) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	if (strcmp(irq, "redirect") && strcmp(irq, "forward")) {
		control_fail(call, RPC_PARAMS,
			     "irq: redirect or forward, not '%s'", irq);
		return;
	}
	if (!device->virtual) {
		control_fail(call, RPC_DENIED, "%s is direct already",
			     device->name);
		return;
	}
	z = procedure_new(hv, &devirtualize_desc, sizeof(*z));
	z->p.call = call;
	z->hold = hold;
	z->limit_ns = limit_ns;
	z->forwards = !strcmp(irq, "forward");
	procedure_about(&z->p, device);
	procedure_start(&z->p, device_lane(device));
}
