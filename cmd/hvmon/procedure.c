/* procedure.c - procedures as tables of steps: the runner. */
#include <config.h>

#include "cmd/hvmon/procedure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "libcore/platform.h"

static void advance(struct procedure *p);

void procedure_queue_init(struct procedure_queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	TAILQ_INIT(&queue->running);
	TAILQ_INIT(&queue->waiting);
}

static void procedure_free(struct procedure *p)
{
	point_hold_cancel(&p->hold);
	if (p->desc->fini)
		p->desc->fini(p);
	free(p);
}

static void list_free(struct procedure_list *list)
{
	struct procedure *p;

	while ((p = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, p, entry);
		procedure_free(p);
	}
}

void procedure_queue_fini(struct procedure_queue *queue)
{
	loop_defer_cancel(&queue->start_waiting);
	list_free(&queue->waiting);
	list_free(&queue->running);
}

void *procedure_new(struct hvmon *hv, const struct procedure_desc *desc,
		    size_t size)
{
	struct procedure *p = calloc(1, size);

	if (!p)
		abort();
	p->desc = desc;
	p->hv = hv;
	p->vm = PLATFORM_VM_NONE;
	p->result = STEP_AGAIN;
	return p;
}

void procedure_about(struct procedure *p, struct device *device)
{
	p->device = device;
	if (!device)
		return;
	p->generation = device->generation;
	if (!p->function[0])
		snprintf(p->function, sizeof(p->function), "%s/pf0",
			 device->name);
}

int step_fail(struct procedure *p, int err, const char *fmt, ...)
{
	va_list ap;

	if (p->err)
		return err;
	p->err = err;
	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return err;
}

void step_get(struct procedure *p)
{
	p->pending++;
}

void step_put(struct procedure *p)
{
	p->pending--;
	advance(p);
}

/* The first waiting procedure whose lanes are free and not wanted by an
 * earlier one. */
static struct procedure *find_startable(struct procedure_queue *queue)
{
	uint64_t taken = queue->lanes;
	struct procedure *p;

	TAILQ_FOREACH (p, &queue->waiting, entry) {
		if (!(p->lanes & taken))
			return p;
		taken |= p->lanes;
	}
	return NULL;
}

static void start_now(struct procedure *p)
{
	struct procedure_queue *queue = &p->hv->queue;

	queue->lanes |= p->lanes;
	TAILQ_INSERT_TAIL(&queue->running, p, entry);
	p->waiting = false;
	p->began_ns = clock_now_ns();
	advance(p);
}

static void start_waiting(void *arg)
{
	struct hvmon *hv = arg;
	struct procedure *p;

	while (!hv->stopping && (p = find_startable(&hv->queue))) {
		TAILQ_REMOVE(&hv->queue.waiting, p, entry);
		start_now(p);
	}
}

void procedure_start(struct procedure *p, uint64_t lanes)
{
	struct procedure_queue *queue = &p->hv->queue;

	p->lanes = lanes;
	if (!lanes) {
		start_now(p);
		return;
	}
	p->waiting = true;
	TAILQ_INSERT_TAIL(&queue->waiting, p, entry);
	loop_defer(p->hv->program->loop, &queue->start_waiting, start_waiting,
		   p->hv);
}

void procedure_call(struct procedure *parent, struct procedure *child)
{
	child->parent = parent;
	if (parent->function[0])
		memcpy(child->function, parent->function,
		       sizeof(child->function));
	if (child->vm == PLATFORM_VM_NONE)
		child->vm = parent->vm;
	step_get(parent);
	procedure_start(child, 0);
}

static void finish(struct procedure *p)
{
	struct procedure_queue *queue = &p->hv->queue;
	struct procedure *parent = p->parent;

	TAILQ_REMOVE(&queue->running, p, entry);
	if (p->give_back)
		p->give_back(p);
	if (p->desc->end)
		p->desc->end(p);
	if (parent && p->err)
		step_fail(parent, p->err, "%s", p->why);
	if (p->lanes) {
		queue->lanes &= ~p->lanes;
		loop_defer(p->hv->program->loop, &queue->start_waiting,
			   start_waiting, p->hv);
	}
	procedure_free(p);
	if (parent)
		step_put(parent);
}

static void enter_step(struct procedure *p, unsigned step)
{
	p->step = step;
	p->round = 0;
	p->passed = false;
}

static unsigned last_step(const struct procedure *p)
{
	unsigned n = 0;

	while (p->desc->steps[n].run)
		n++;
	return n;
}

/* Where to go after the step's end; false: over. */
static bool next_step(struct procedure *p)
{
	unsigned cleanup = p->desc->cleanup ? p->desc->cleanup : last_step(p);

	if (p->result == STEP_NEXT)
		enter_step(p, p->step + 1);
	else if (p->result == STEP_DONE)
		enter_step(p, last_step(p));
	p->result = STEP_AGAIN;
	if (p->step < cleanup && p->device &&
	    p->device->generation != p->generation)
		step_fail(p, -ENODEV, "%s went away", p->device->name);
	if (p->err && p->step < cleanup)
		enter_step(p, cleanup);
	return p->desc->steps[p->step].run;
}

static void released(void *arg)
{
	struct procedure *p = arg;

	p->held = false;
	advance(p);
}

static enum point_verdict pass(struct procedure *p, unsigned at)
{
	const char *function = p->function[0] ? p->function : NULL;
	char vm[16];

	snprintf(vm, sizeof(vm), "vm%u", p->vm);
	return point(p->hv->program->points, at, &p->hold, released, p,
		     "s:s*, s:s*", "function", function, "vm",
		     p->vm == PLATFORM_VM_NONE ? NULL : vm);
}

/* Pass the step's point, once a step; false: do not run the step now. */
static bool pass_point(struct procedure *p)
{
	unsigned at = p->desc->steps[p->step].point;

	if (p->passed)
		return true;
	p->passed = true;
	p->step_began_ns = clock_now_ns();
	if (at == POINT_NONE)
		return true;
	switch (pass(p, at)) {
	case POINT_GO:
		return true;
	case POINT_HELD:
		p->held = true;
		p->flows = true; /* released, it does not wait either */
		return false;
	case POINT_FAIL:
		break;
	}
	step_fail(p, -ECANCELED, "made to fail at %s", hvmon_points[at].name);
	p->result = STEP_NEXT; /* as if a step of the cleanup had failed */
	return false;
}

/* Run steps until one waits for something. */
static void advance(struct procedure *p)
{
	bool more = true;
	int r;

	if (p->running)
		return;
	p->running = true;
	while ((!p->pending || p->flows) && !p->held && !p->hv->stopping) {
		p->flows = false;
		more = next_step(p);
		if (!more)
			break;
		if (!pass_point(p))
			continue;
		/* Released at its point, but failed or gone meanwhile. */
		r = p->desc->steps[p->step].run(p);
		p->round++;
		if (r < 0) {
			step_fail(p, r, "%s", strerror(-r));
			r = STEP_NEXT;
		}
		p->flows = r == STEP_FLOW;
		p->result = p->flows ? STEP_NEXT : r;
	}
	p->running = false;
	if (!more)
		finish(p);
}

void procedure_answer(struct procedure *p, json_t *result)
{
	struct control_call *call = p->call;

	p->call = NULL;
	if (!call) {
		json_decref(result);
	} else if (p->err) {
		json_decref(result);
		control_fail(call, p->err == -ENODEV ? RPC_MISSING : RPC_FAILED,
			     "%s: %s", p->desc->name, p->why);
	} else {
		control_reply(call, result);
	}
}
