/* parking.c - accesses that a fence stopped (spec 01, rulings: `table`).
 *
 * Theory of operation.  While a function is reset its rows are fenced: what
 * they stop is not the supervisor's to decide about, it waits here in order of
 * arrival, is in nobody's in-flight list, and runs before anything newer of a VM
 * when its row allows it.  Accesses of the same VM to other functions pass it; a
 * VM for which BRIDGE_KEPT_MAX wait is not read from any further (vm_keep()).
 *
 * One that waits longer than --park-limit, or that is there (or comes) when
 * the supervisor is gone, reads as all ones.
 */
#include <config.h>

#include "cmd/rootbridge/bridge.h"

static void due(void *arg);

static void arm(struct bridge *b)
{
	struct operation *op = TAILQ_FIRST(&b->parked);

	if (op && b->options.park_ns)
		loop_timer_at(b->loop, &b->park_timer,
			      op->arrival_ns + b->options.park_ns, due, b);
	else
		loop_timer_cancel(&b->park_timer);
}

static void take(struct bridge *b, struct operation *op)
{
	TAILQ_REMOVE(&b->parked, op, queue);
	op->state = OPERATION_NEW;
}

static void expire(struct operation *op, const char *why)
{
	struct bridge *b = op->vm->bridge;
	uint64_t suppressed, now = loop_now_ns(b->loop);

	if (limiter_pass(&op->vm->complaints, now, &suppressed))
		event(b->log, "parked.expired",
		      "s:s, s:s, s:I, s:I, s:s, s:I, s:I", "vm", op->vm->name,
		      "kind", op->write ? "write" : "read", "address",
		      (json_int_t)op->address, "size", (json_int_t)op->count,
		      "why", why, "age_ms",
		      (json_int_t)((now - op->arrival_ns) / NS_PER_MS),
		      "suppressed", (json_int_t)suppressed);
	relay_unsupported(op);
}

static void due(void *arg)
{
	struct bridge *b = arg;
	struct operation *op;

	while ((op = TAILQ_FIRST(&b->parked)) &&
	       op->arrival_ns + b->options.park_ns <= loop_now_ns(b->loop)) {
		take(b, op);
		expire(op, "limit");
	}
	arm(b);
}

static bool is_supervised(const struct bridge *b)
{
	return b->vms[PLATFORM_HYPERVISOR].decides->channels;
}

void parking_add(struct operation *op, const uint8_t *data)
{
	struct bridge *b = op->vm->bridge;

	op->state = OPERATION_NEW;
	op->function = NULL;
	op->arrival_ns = loop_now_ns(b->loop);
	if (!is_supervised(b) || !relay_keep_data(op, data)) {
		expire(op, is_supervised(b) ? "no memory" : "no supervisor");
		return;
	}
	op->state = OPERATION_PARKED;
	TAILQ_INSERT_TAIL(&b->parked, op, queue);
	if (!b->park_timer.loop)
		arm(b);
}

static bool is_fenced(const struct operation *op)
{
	enum protection_result result;
	uint64_t mpa;

	result = protection_lookup(&op->vm->bridge->protection, op->vm->number,
				   op->address, op->count, &mpa);
	return supervisors_beyond(op->vm, result, op->count, &mpa) ==
	       PROTECTION_FENCED;
}

static void rerun(void *arg)
{
	struct operation *op, *next;
	struct bridge *b = arg;

	TAILQ_FOREACH_SAFE (op, &b->parked, queue, next) {
		if (is_fenced(op))
			continue;
		take(b, op);
		relay_again(op);
	}
	arm(b);
}

/* There may be thousands: whoever changed the rows is answered first. */
void parking_rerun(struct bridge *b)
{
	if (!TAILQ_EMPTY(&b->parked))
		loop_defer(b->loop, &b->rerun, rerun, b);
}

void parking_before(struct bridge *b)
{
	if (!b->rerun.loop)
		return;
	loop_defer_cancel(&b->rerun);
	rerun(b);
}

void parking_forget(struct vm *vm)
{
	struct bridge *b = vm->bridge;
	struct operation *op, *next;

	TAILQ_FOREACH_SAFE (op, &b->parked, queue, next) {
		if (op->vm != vm)
			continue;
		take(b, op);
		relay_unsupported(op);
	}
	arm(b);
}

void parking_supervisor_gone(struct bridge *b)
{
	struct operation *op;

	parking_before(b); /* the last thing that it allowed */
	while ((op = TAILQ_FIRST(&b->parked))) {
		take(b, op);
		expire(op, "supervisor gone");
	}
	arm(b);
}
