/* held.c - faults and holds of register operations.
 *
 * Theory of operation.  A function with a fault, or with operations held, has
 * every new operation drawn for.  What is not to pass at once goes to the end
 * of the function's list of held operations, and so does what comes after it,
 * a barrier included: the order of a function's operations changes only by
 * `reorder` and by a person's `complete`.  Each has a time at which it may go
 * on; UINT64_MAX means when told.  A held operation has its ID and its row in
 * the in-flight list, so it times out like any other (unless --no-timeout);
 * posted writes have no row and never do.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "cmd/rootbridge/bridge.h"

/* How long one that is to be overtaken waits for somebody to do so. */
#define SWAP_NS (10 * NS_PER_MS)

static void held_due(void *arg)
{
	held_run(arg);
}

static void held_arm(struct function *f)
{
	struct operation *op = TAILQ_FIRST(&f->held);

	if (op && op->due_ns != UINT64_MAX)
		loop_timer_at(f->bridge->loop, &f->held_timer, op->due_ns,
			      held_due, f);
	else
		loop_timer_cancel(&f->held_timer);
}

void held_forget(struct operation *op)
{
	TAILQ_REMOVE(&op->function->held, op, queue);
	held_arm(op->function);
}

void held_run(struct function *f)
{
	uint64_t now = loop_now_ns(f->bridge->loop);
	struct operation *op;

	while ((op = TAILQ_FIRST(&f->held)) && op->due_ns <= now) {
		TAILQ_REMOVE(&f->held, op, queue);
		op->state = OPERATION_LOST; /* until it is sent */
		relay_send(op, op->data);
	}
	held_arm(f);
}

unsigned held_release(struct function *f)
{
	struct operation *op;
	unsigned n = 0;

	TAILQ_FOREACH (op, &f->held, queue) {
		op->due_ns = 0;
		n++;
	}
	held_run(f);
	return n;
}

static void tell(const struct operation *op, unsigned kind)
{
	struct function *f = op->function;
	char name[OPERATION_NAME_MAX];

	f->counters.faults++;
	event(f->bridge->log, "fault.fired", "s:s, s:s, s:s, s:s, s:s, s:I",
	      "function", f->name, "operation", operation_name(name, op),
	      "operator", operation_operator(op), "kind",
	      op->write ? "write" : "read", "fault", fault_kind_name(kind),
	      "seed", (json_int_t)f->fault.seed);
}

static void tell_held(const struct operation *op)
{
	struct function *f = op->function;
	char name[OPERATION_NAME_MAX];

	event(f->bridge->log, "operation.held", "s:s, s:s, s:s, s:s, s:I",
	      "function", f->name, "operation", operation_name(name, op),
	      "operator", operation_operator(op), "kind",
	      op->write ? "write" : "read", "address", (json_int_t)op->address);
}

/* A write is corrupted on its way to the device, a read on its way back. */
static void corrupt(struct operation *op, const uint8_t *data, uint64_t bit)
{
	bit %= (uint64_t)op->count * 8;
	op->bit = bit + 1;
	if (op->write && relay_keep_data(op, data))
		op->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void lose(struct operation *op)
{
	/* Its row stays: that is what the completion timeout sees. */
	if (op->posted) {
		op->state = OPERATION_ENDING;
		relay_data(op, NULL, 0);
	}
}

static bool keep(struct operation *op, const uint8_t *data, bool overtakes)
{
	struct function *f = op->function;
	struct operation *last = TAILQ_LAST(&f->held, operations);

	if (!relay_keep_data(op, data)) {
		op->state = op->posted ? OPERATION_ENDING : OPERATION_LOST;
		relay_unsupported(op);
		return false;
	}
	op->state = OPERATION_HELD;
	if (overtakes && last)
		TAILQ_INSERT_BEFORE(last, op, queue);
	else
		TAILQ_INSERT_TAIL(&f->held, op, queue);
	return true;
}

/* One that waits to be overtaken: let op go first, then it. */
static bool swap(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;
	struct operation *first = TAILQ_FIRST(&f->held);

	if (!first || !first->swap || TAILQ_NEXT(first, queue))
		return false;
	first->swap = false;
	first->due_ns = 0;
	relay_send(op, op->data ? op->data : data);
	held_run(f);
	return true;
}

/* When it may go on; 0: now. */
static uint64_t draw_due(struct operation *op, const struct fault_verdict *v)
{
	uint64_t now = loop_now_ns(op->function->bridge->loop);

	if (v->kinds & FAULT_HOLD)
		return UINT64_MAX;
	if (v->kinds & FAULT_REORDER) {
		/* With somebody to overtake it goes ahead, without delay;
		 * else it is the one to be overtaken. */
		if (!TAILQ_EMPTY(&op->function->held))
			return 0;
		op->swap = true;
		return now + SWAP_NS;
	}
	return v->kinds & FAULT_DELAY ? now + v->delay_ns : 0;
}

static void draw_told(struct operation *op, unsigned kinds)
{
	unsigned bit;

	for (bit = 1; bit < 1u << FAULT_N; bit <<= 1)
		if ((kinds & bit) && bit != FAULT_HOLD)
			tell(op, bit);
}

bool held_takes(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;
	struct fault_verdict v = { 0 };

	if (!f->fault.kinds && TAILQ_EMPTY(&f->held))
		return false;
	if (f->fault.kinds)
		v = fault_draw(&f->fault);
	draw_told(op, v.kinds);
	if (v.kinds & FAULT_FAIL) {
		if (op->posted)
			op->state = OPERATION_ENDING;
		relay_fail(op, EIO);
		return true;
	}
	if (v.kinds & FAULT_LOSS) {
		lose(op);
		return true;
	}
	if (v.kinds & FAULT_CORRUPT)
		corrupt(op, data, v.bit);
	op->duplicate = v.kinds & FAULT_DUPLICATE;
	op->due_ns = draw_due(op, &v);
	if (!(v.kinds & FAULT_HOLD) && swap(op, data))
		return true;
	if (!op->due_ns && TAILQ_EMPTY(&f->held)) {
		relay_send(op, op->data ? op->data : data);
		return true;
	}
	if (keep(op, data, v.kinds & FAULT_REORDER) && (v.kinds & FAULT_HOLD))
		tell_held(op);
	held_arm(f);
	return true;
}

static void duplicate_done(void *arg, const struct vfu_reply *reply)
{
	(void)arg;
	(void)reply;
}

void held_duplicate(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;

	if (!op->duplicate || !f->client)
		return;
	op->duplicate = false;
	if (op->posted)
		(void)vfu_client_write(f->client, op->region, op->offset, data,
				       op->count, NULL, NULL);
	else if (op->write)
		(void)vfu_client_write(f->client, op->region, op->offset, data,
				       op->count, duplicate_done, NULL);
	else
		(void)vfu_client_read(f->client, op->region, op->offset,
				      op->count, duplicate_done, NULL);
}
