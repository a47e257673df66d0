/* behind.c - the procedure "behind": another device does the work of the one
 * that a guest sees.
 *
 * Theory of operation.  The device to come is reset, reaches the memory of the
 * guest's VM and interrupts the hypervisor, as only our driver drives it.  Then,
 * between two sequences, with nothing in the present device that the guest would
 * miss, every access waits and that device is silenced: it has no address, so it
 * receives nothing.  The record then names the next device, which is the single
 * point at which the change takes effect; loading it (virtual_load.c) gives it
 * what the other one had, and what waits goes on.  A device that has done its
 * work is reset and nobody's again.  The way back is the same.
 *
 * The root bridge shows a device that stands behind another one as the VM's.
 * The record names it from before that on until it is nobody's, so that a new
 * hypervisor knows better.
 */
#include <config.h>

#include "cmd/hvmon/behind.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/vf_quiet.h"
#include "libcore/platform.h"

#define LIMIT_NS NS_PER_S
#define POLL_NS  NS_PER_MS

struct behind {
	struct procedure p;
	struct virtual *v;
	struct device *front, *from, *to;
	uint64_t limit_ns; /* 0: none */
	enum hold held;    /* before */
	enum {
		PART_WAIT,
		PART_CLOSE,
		PART_LOOK
	} stage;
	bool switched;
	bool waited; /* for POLL_NS */
	struct loop_timer poll;
};

static struct behind *of(struct procedure *p)
{
	return (struct behind *)p;
}

static bool is_return(struct procedure *p)
{
	return of(p)->to == of(p)->front;
}

static int gone(struct procedure *p)
{
	return step_fail(p, -ENODEV, "%s is not virtualised any more",
			 of(p)->front->name);
}

static struct vf_allocation *row_of(struct device *device)
{
	struct function_name name;

	vf_name(&device->whole, &name);
	return vf_allocations_find(&device->hv->allocations, &name);
}

/* Who can stand behind. */

bool behind_is_idle(const struct device *device, struct complaint *why)
{
	if (!device->serves)
		return true;
	(void)!complain(why, EACCES, "%s stands behind %s", device->name,
			device->serves->device->name);
	return false;
}

int behind_find(const struct device *front, const char *name,
		struct device **worker, struct complaint *why)
{
	struct device *d = device_find_name(front->hv, name);
	if (!d || d->state != DEVICE_READY)
		return complain(why, ENODEV, "no device '%s'", name);
	if (d == front)
		return complain(why, EACCES, "%s stands behind itself", name);
	if (!d->single || device_kind(d) != device_shown(front))
		return complain(why, EACCES,
				"%s and %s are incompatible: other registers",
				name, front->name);
	if (!device_backend(front)->part)
		return complain(why, EACCES, "no %s can stand behind another",
				device_kind(front)->name);
	if (row_of(d) || d->virtual)
		return complain(why, EACCES, "%s is a guest's", name);
	if (!behind_is_idle(d, why))
		return -EACCES;
	if (!virtual_room(front))
		return complain(why, EACCES,
				"VM 0's memory has no room for a record");
	*worker = d;
	return 0;
}

/* The procedure "behind". */

static int behind_prepare(struct procedure *p)
{
	struct behind *b = of(p);
	struct virtual *v = b->v;
	struct complaint why;
	int err = 0;

	if (!v->device || v->worker != b->from)
		return gone(p);
	b->held = v->hold;
	if (is_return(p))
		return STEP_NEXT;
	err = behind_find(b->front, b->to->name, &b->to, &why);
	if (err)
		return step_fail(p, err, "%s", why.text);
	v->record.other = b->to->bdf;
	virtual_keep_record(v);
	b->to->serves = v;
	p->vfs.vf[p->vfs.n++] = &b->to->whole;
	return vfs_barrier(p);
}

static int behind_flr(struct procedure *p)
{
	return is_return(p) ? STEP_NEXT : vfs_flr(p);
}

static int behind_settle(struct procedure *p)
{
	return is_return(p) ? STEP_NEXT : vfs_settle(p);
}

static int behind_assign(struct procedure *p)
{
	const struct vf_allocation *row = row_of(of(p)->front);
	const struct sup_assign assign = {
		.bdf = of(p)->to->bdf,
		.vm = row ? row->vm : PLATFORM_VM_NONE,
	};

	if (!is_return(p))
		step_sup_write(p, SUP_ASSIGN, &assign, sizeof(assign), 0);
	return STEP_NEXT;
}

static int behind_enable(struct procedure *p)
{
	const struct vf_allocation *row = row_of(of(p)->front);
	struct device *to = of(p)->to;

	if (is_return(p))
		return STEP_NEXT;
	step_own_command(p, to, row && row->overlay.bus_master);
	if (to->whole.msix) {
		step_own_interrupt(p, to);
		step_own_vector(p, to);
	}
	return STEP_NEXT;
}

/* Parting from the present one. */

static void poll_again(void *arg)
{
	struct behind *b = arg;
	struct virtual *v = b->v;

	b->waited = true;
	if (v->device && v->record.phase == VIRTUAL_EMULATING && !v->driving)
		v->backend->drive(v, false);
	virtual_changed(v);
}

static int wait_on(struct procedure *p)
{
	struct behind *b = of(p);

	if (b->limit_ns && clock_now_ns() - p->step_began_ns > b->limit_ns)
		return step_fail(p, -ETIMEDOUT,
				 "%s is not between two sequences",
				 b->front->name);
	b->waited = false;
	loop_timer_in(p->hv->program->loop, &b->poll, POLL_NS, poll_again, b);
	virtual_wait(b->v, p);
	return STEP_AGAIN;
}

static bool is_between(const struct virtual *v)
{
	return v->record.phase == VIRTUAL_EMULATING && virtual_at_start(v) &&
	       !v->record.n_log && v->backend->is_done(v) &&
	       v->backend->is_quiet(v) && v->backend->may_part(v);
}

/* A guest that is stopped, and is to learn something first, goes on. */
static int part_wait(struct procedure *p)
{
	struct behind *b = of(p);
	struct virtual *v = b->v;

	if (is_between(v)) {
		if (!turn_take(p, b->front))
			return STEP_AGAIN;
		v->closing = true;
		b->stage = PART_CLOSE;
		return STEP_AGAIN;
	}
	if (v->n_kept && b->waited)
		virtual_hold(v, HOLD_NONE);
	else if (!v->n_kept && v->hold == HOLD_NONE)
		virtual_hold(v, HOLD_BLOCK);
	return wait_on(p);
}

/* What was let through before is answered. */
static int part_close(struct procedure *p)
{
	struct behind *b = of(p);

	if (b->v->running || b->v->driving)
		return wait_on(p);
	b->v->backend->part(b->v, p);
	b->stage = PART_LOOK;
	return STEP_AGAIN;
}

static void go_on(struct virtual *v, enum hold hold)
{
	v->closing = false;
	virtual_hold(v, hold);
	if (v->record.phase == VIRTUAL_EMULATING)
		v->backend->drive(v, false);
}

static int behind_part(struct procedure *p)
{
	struct behind *b = of(p);
	struct virtual *v = b->v;

	if (!v->device || v->worker != b->from)
		return gone(p);
	switch (b->stage) {
	case PART_WAIT:
		return part_wait(p);
	case PART_CLOSE:
		return part_close(p);
	case PART_LOOK:
		break;
	}
	if (v->record.phase == VIRTUAL_EMULATING && v->backend->has_parted(v))
		return STEP_NEXT;
	/* Something came just before. */
	b->stage = PART_WAIT;
	v->backend->prefer(v, p);
	turn_end(p, b->front);
	v->closing = false;
	virtual_run_kept(v);
	return STEP_AGAIN;
}

static int behind_switch(struct procedure *p)
{
	struct behind *b = of(p);
	struct virtual *v = b->v;

	if (!v->device || v->worker != b->from)
		return gone(p);
	v->record.other = is_return(p) ? b->from->bdf : b->to->bdf;
	v->record.behind = b->to->bdf;
	virtual_keep_record(v);
	b->from->serves = NULL;
	v->worker = b->to;
	if (!is_return(p))
		b->to->serves = v;
	b->switched = true;
	v->closing = false;
	v->hold = b->held;
	virtual_load(v);
	return STEP_NEXT;
}

/* Nothing was changed, or it has been ended meanwhile. */
static int behind_undo(struct procedure *p)
{
	struct behind *b = of(p);
	struct virtual *v = b->v;

	loop_timer_cancel(&b->poll);
	if (b->switched)
		return STEP_NEXT;
	if (!is_return(p) && p->vfs.n && b->to->serves == v) {
		b->to->serves = NULL;
		behind_release(b->to, b->front);
	}
	if (!v->device || v->worker != b->from || b->stage == PART_WAIT) {
		if (v->device && v->hold != b->held)
			virtual_hold(v, b->held);
		return STEP_NEXT;
	}
	v->backend->prefer(v, p);
	go_on(v, b->held);
	return STEP_NEXT;
}

static void told(struct procedure *p)
{
	struct behind *b = of(p);

	event(p->hv->program->log,
	      b->switched ? "virtual.behind" : "virtual.behind-refused",
	      "s:s, s:s, s:s*", "device", b->front->name, "behind", b->to->name,
	      "why", p->err ? p->why : NULL);
	if (b->switched && b->from != b->front)
		behind_release(b->from, b->front);
	/* Whoever asked for it looks at what came of it. */
	p->err = 0;
}

static void behind_fini(struct procedure *p)
{
	loop_timer_cancel(&of(p)->poll);
	virtual_put(of(p)->v);
}

static const struct step behind_steps[] = {
	{ POINT_BEHIND_PREPARE, behind_prepare },
	{ POINT_NONE, behind_flr },
	{ POINT_NONE, behind_settle },
	{ POINT_BEHIND_ASSIGN, behind_assign },
	{ POINT_BEHIND_ENABLE, behind_enable },
	{ POINT_BEHIND_PART, behind_part },
	{ POINT_BEHIND_SWITCH, behind_switch },
	{ POINT_NONE, behind_undo },
	{ 0, NULL },
};

static const struct procedure_desc behind_desc = {
	.name = "behind",
	.steps = behind_steps,
	.cleanup = 7, /* behind_undo */
	.end = told,
	.fini = behind_fini,
};

static struct behind *behind_new(struct virtual *v, struct device *to,
				 uint64_t limit_ns)
{
	struct behind *b = procedure_new(v->hv, &behind_desc, sizeof(*b));

	virtual_get(v);
	b->v = v;
	b->front = v->device;
	b->from = v->worker;
	b->to = to;
	b->limit_ns = limit_ns;
	procedure_about(&b->p, v->device);
	return b;
}

void behind_start(struct virtual *v)
{
	struct device *to = v->wanted;
	struct behind *b;

	v->wanted = NULL;
	if (!to)
		return;
	b = behind_new(v, to, LIMIT_NS);
	procedure_start(&b->p, device_lane(v->device) | device_lane(to));
}

void step_behind_return(struct procedure *p, struct device *front,
			uint64_t limit_ns)
{
	struct virtual *v = front->virtual;

	if (v && virtual_leans(v))
		procedure_call(p, &behind_new(v, front, limit_ns)->p);
}

/* What else happens to either. */

static struct device *worker_of(const struct vf *vf)
{
	const struct virtual *v = vf->number ? NULL : vf->device->virtual;

	return v && virtual_leans(v) ? v->worker : NULL;
}

void step_behind_cut(struct procedure *p, const struct vf *vf)
{
	const struct device *worker = worker_of(vf);
	struct sup_assign assign = { .vm = PLATFORM_VM_NONE };

	if (!worker)
		return;
	assign.bdf = worker->bdf;
	step_sup_write(p, SUP_ASSIGN, &assign, sizeof(assign), STEP_MAY_FAIL);
}

void step_behind_bus_master(struct procedure *p, const struct vf *vf, bool on)
{
	const struct device *worker = worker_of(vf);

	if (worker)
		step_own_command(p, worker, on);
}
