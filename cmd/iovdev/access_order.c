/* access_order.c - register operations: in order, each with its latency.
 *
 * Theory of operation (spec 01, fig. 20).  An operation is due its latency
 * after it arrived; it begins when it is due and every earlier one is done,
 * so several overlap, order is kept, and receiving never waits.  Without
 * latency and with nothing before it an operation begins in its own arrival.
 */
#include <config.h>

#include "cmd/iovdev/access_order.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/direct.h"
#include "cmd/iovdev/nic.h"

#define OP_ROOM  64u /* bytes of a write that every op can keep */
#define FREE_MAX 64u

struct op {
	STAILQ_ENTRY(op) entry;
	struct vfu_request *req;
	uint64_t due_ns;
	size_t room;
	uint8_t data[];
};

void access_order_init(struct access_order *o, uint64_t seed)
{
	STAILQ_INIT(&o->ops);
	STAILQ_INIT(&o->free);
	o->rng = seed;
}

void access_order_fini(struct access_order *o)
{
	struct op *op;

	while ((op = STAILQ_FIRST(&o->free))) {
		STAILQ_REMOVE_HEAD(&o->free, entry);
		free(op);
	}
	loop_timer_cancel(&o->timer);
}

static struct op *op_new(struct access_order *o, size_t size)
{
	struct op *op = STAILQ_FIRST(&o->free);

	if (op && size <= op->room) {
		STAILQ_REMOVE_HEAD(&o->free, entry);
		o->n_free--;
		return op;
	}
	if (size < OP_ROOM)
		size = OP_ROOM;
	op = malloc(sizeof(*op) + size);
	if (op)
		op->room = size;
	return op;
}

static void op_free(struct access_order *o, struct op *op)
{
	if (op->room != OP_ROOM || o->n_free == FREE_MAX) {
		free(op);
		return;
	}
	STAILQ_INSERT_HEAD(&o->free, op, entry);
	o->n_free++;
}

static bool has_latency(const struct access_order *o)
{
	return o->latency.kind != LATENCY_FIXED || o->latency.a_ns;
}

/* False: it is not done and resumes later. */
static bool begin(struct function *f, struct vfu_request *req,
		  const uint8_t *data)
{
	struct access_order *o = &f->order;

	o->busy = true;
	if (function_execute(f, req, data) == OP_WAIT)
		return false;
	o->busy = false;
	o->completed++;
	return true;
}

static void on_due(void *arg)
{
	access_order_run(arg);
}

void access_order_run(struct function *f)
{
	struct access_order *o = &f->order;
	struct op *op;
	bool done;

	while (!o->busy && (op = STAILQ_FIRST(&o->ops))) {
		if (op->due_ns > loop_now_ns(f->nic->loop) &&
		    op->due_ns > clock_now_ns()) {
			loop_timer_at(f->nic->loop, &o->timer, op->due_ns,
				      on_due, f);
			return;
		}
		if (function_blocks(f, op->req))
			return;
		STAILQ_REMOVE_HEAD(&o->ops, entry);
		o->n_ops--;
		done = begin(f, op->req, op->data);
		op_free(o, op);
		if (!done)
			return;
	}
}

void access_order_resume(struct function *f)
{
	f->order.busy = false;
	f->order.completed++;
	access_order_run(f);
	direct_kick(f);
}

void access_order_add(struct function *f, struct vfu_request *req)
{
	struct access_order *o = &f->order;
	size_t size = req->data ? req->count : 0;
	struct op *op;

	if (!has_latency(o) && !o->busy && STAILQ_EMPTY(&o->ops) &&
	    !function_blocks(f, req)) {
		if (begin(f, req, req->data) && o->n_ops)
			access_order_run(f);
		return;
	}
	op = op_new(o, size);
	if (!op) {
		vfu_request_fail(req, ENOMEM);
		return;
	}
	if (size)
		memcpy(op->data, req->data, size);
	op->req = req;
	op->due_ns = 0;
	if (has_latency(o))
		op->due_ns =
			clock_now_ns() + latency_draw(&o->latency, &o->rng);
	STAILQ_INSERT_TAIL(&o->ops, op, entry);
	o->n_ops++;
	access_order_run(f);
}

void access_order_drop(struct function *f)
{
	struct access_order *o = &f->order;
	struct op *op;

	while ((op = STAILQ_FIRST(&o->ops))) {
		STAILQ_REMOVE_HEAD(&o->ops, entry);
		vfu_request_drop(op->req);
		op_free(o, op);
	}
	o->n_ops = 0;
	loop_timer_cancel(&o->timer);
}
