/* completion_timeout.c - a row that is too old: shutdown, or containment
 * (spec 01, fig. 15: a1105, a1110).
 *
 * Theory of operation.  One timer serves all functions.  It is armed for the
 * first operation that finds it idle, and when it fires it looks at the oldest
 * row of each function and is armed again for the oldest that is left: no
 * request arms a timer of its own.
 *
 * A root bridge that was stopped finds itself late, with the replies of that
 * time still in its sockets: it reads once more before it judges.
 */
#include <config.h>

#include <stdio.h>

#include "cmd/rootbridge/bridge.h"

#define LATE_NS  (50 * NS_PER_MS)
#define GRACE_NS (20 * NS_PER_MS)

static void timeout_due(void *arg);

static void arm(struct bridge *b, uint64_t due_ns)
{
	loop_timer_at(b->loop, &b->timeout_timer, due_ns, timeout_due, b);
}

void completion_timeout_start(struct bridge *b, uint64_t arrival_ns)
{
	if (!b->timeout_timer.loop && b->options.timeout_ns)
		arm(b, arrival_ns + b->options.timeout_ns);
}

static json_int_t age_ms(const struct operation *op)
{
	uint64_t now = loop_now_ns(op->function->bridge->loop);

	return (json_int_t)((now - op->arrival_ns) / NS_PER_MS);
}

void contain(struct function *f, const struct operation *op, const char *why)
{
	char name[OPERATION_NAME_MAX];

	f->contained = true;
	if (op)
		event(f->bridge->log, "contained", "s:s, s:s, s:s, s:s, s:I",
		      "function", f->name, "why", why, "operation",
		      operation_name(name, op), "operator",
		      operation_operator(op), "age_ms", age_ms(op));
	else
		event(f->bridge->log, "contained", "s:s, s:s", "function",
		      f->name, "why", why);
	relay_abort(f);
	/* What does not pass the bridge ends as well. */
	windows_end(f, NULL);
	windows_gone(f);
	interrupts_attach(f);
	dma_update(f, NULL);
	exceptions_notify(f->bridge, SUP_EX_CONTAINED, f->vm, f->bdf);
}

void uncontain(struct function *f)
{
	f->contained = false;
	event(f->bridge->log, "uncontained", "s:s", "function", f->name);
	interrupts_attach(f);
	dma_update(f, NULL);
	exceptions_notify(f->bridge, SUP_EX_UNCONTAINED, f->vm, f->bdf);
}

/* The oldest row of all that can time out, or NULL. */
static struct operation *oldest(struct bridge *b)
{
	struct operation *op, *first = NULL;
	struct function *f = NULL;

	while ((f = bridge_next_function(b, f))) {
		op = inflight_oldest(&f->inflight, b->options.no_timeout);
		if (op && (!first || op->arrival_ns < first->arrival_ns))
			first = op;
	}
	return first;
}

/* Whether a reset threw it away (fig. 13). */
static bool was_reset(const struct operation *op)
{
	return op->arrival_ns <= op->function->device->reset_ns;
}

/* a1225, a1230 */
static void tell_reset(const struct operation *op, enum bridge_point index)
{
	struct bridge *b = op->function->bridge;
	char name[OPERATION_NAME_MAX];

	if (was_reset(op) &&
	    point(b->program.points, index, NULL, NULL, NULL, "s:s, s:s",
		  "operation", operation_name(name, op), "function",
		  op->function->name) == POINT_FAIL)
		return; /* there is no other way */
}

/* a1110 */
static void shut_down(void *arg)
{
	struct bridge *b = arg;
	struct operation *op = oldest(b);
	char name[OPERATION_NAME_MAX], text[200];

	if (!op) {
		/* Answered while the step was held. */
		b->shutting_down = false;
		return;
	}
	operation_name(name, op);
	tell_reset(op, POINT_A1230);
	if (point(b->program.points, POINT_A1110, &b->timeout_hold, shut_down,
		  b, "s:s, s:s", "operation", name, "function",
		  op->function->name) == POINT_HELD)
		return;
	snprintf(text, sizeof(text),
		 "completion timeout: operation %s of %s at %s is %lld ms old",
		 name, operation_operator(op), op->function->name,
		 (long long)age_ms(op));
	event(b->log, "shutdown", "s:s, s:s, s:s, s:s, s:I", "cause",
	      "completion timeout", "operation", name, "function",
	      op->function->name, "operator", operation_operator(op), "age_ms",
	      age_ms(op));
	state_area_set_cause(b->program.state, text);
	program_stop(&b->program, STATUS_SHUTDOWN, "%s", text);
}

/* The device that owed the answers is gone, and another one is there: what
 * it did not do is no reason to give the new one up. */
static void give_up_orphans(struct function *f)
{
	struct operation *op, *next;
	unsigned n = 0;

	TAILQ_FOREACH_SAFE (op, &f->inflight.rows, inflight, next) {
		if (op->connection == f->connection)
			continue;
		relay_unsupported(op);
		n++;
	}
	event(f->bridge->log, "operation.orphans", "s:s, s:i", "function",
	      f->name, "count", (int)n);
}

/* a1105 */
static void expired(struct bridge *b, struct operation *op)
{
	char name[OPERATION_NAME_MAX];
	enum point_verdict verdict;

	operation_name(name, op);
	op->function->counters.timeouts++;
	tell_reset(op, POINT_A1225);
	if (b->options.on_timeout == ON_TIMEOUT_SHUTDOWN)
		b->shutting_down = true;
	verdict = point(b->program.points, POINT_A1105,
			b->shutting_down ? &b->timeout_hold : NULL, shut_down,
			b, "s:s, s:s, s:s, s:I", "operation", name, "function",
			op->function->name, "operator", operation_operator(op),
			"age_ms", age_ms(op));
	if (verdict == POINT_HELD)
		return;
	if (verdict == POINT_FAIL) {
		/* Not noticed: nobody ever answers it. */
		b->shutting_down = false;
		relay_unsupported(op);
	} else if (b->shutting_down) {
		shut_down(b);
	} else if (op->function->present &&
		   op->connection != op->function->connection) {
		give_up_orphans(op->function);
	} else {
		contain(op->function, op, "completion timeout");
	}
}

static void timeout_due(void *arg)
{
	struct bridge *b = arg;
	uint64_t now = loop_now_ns(b->loop), due;
	struct operation *op;

	if (clock_now_ns() - b->timeout_timer.due_ns > LATE_NS &&
	    !b->timeout_late) {
		b->timeout_late = true;
		arm(b, now + GRACE_NS);
		return;
	}
	b->timeout_late = false;
	while (!b->shutting_down && (op = oldest(b))) {
		due = op->arrival_ns + b->options.timeout_ns;
		if (due > now) {
			arm(b, due);
			return;
		}
		expired(b, op);
	}
}

void completion_timeout_set(struct bridge *b, uint64_t timeout_ns)
{
	struct operation *op = oldest(b);

	b->options.timeout_ns = timeout_ns;
	b->timeout_late = false;
	loop_timer_cancel(&b->timeout_timer);
	if (op)
		completion_timeout_start(b, op->arrival_ns);
}
