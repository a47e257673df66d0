/* operate.c - control methods: faults, held operations, devices. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/units.h"

#include "cmd/rootbridge/bridge.h"

/* Event number to wait from, as every command that starts something gives. */
static json_int_t since(const struct bridge *b)
{
	return (json_int_t)atomic_load(&b->program.state->event_sequence);
}

static struct operation *find_posted(struct function *f, const char *id)
{
	struct operation *op;
	uint64_t n;

	if (units_number(id, 1, UINT64_MAX, &n, NULL) < 0)
		return NULL;
	TAILQ_FOREACH (op, &f->held, queue)
		if (op->posted && op->serial == n)
			return op;
	return NULL;
}

/* FUNCTION:ID; NULL: the call was answered. */
static struct operation *
find_operation(struct bridge *b, struct control_call *call, const char *text)
{
	const char *colon = strrchr(text, ':');
	char name[FUNCTION_NAME_MAX];
	struct operation *op = NULL;
	struct function *f;
	uint64_t id;

	if (!colon || (size_t)(colon - text) >= sizeof(name)) {
		control_fail(call, RPC_PARAMS,
			     "'%.64s' is not FUNCTION:ID, as in nic0/vf1:17",
			     text);
		return NULL;
	}
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	f = device_function(b, call, name);
	if (!f)
		return NULL;
	if (colon[1] == 'p')
		op = find_posted(f, colon + 2);
	else if (!units_number(colon + 1, 0, UINT16_MAX, &id, NULL))
		op = inflight_find(&f->inflight, (uint16_t)id);
	if (!op)
		control_fail(call, RPC_FAILED, "no operation '%.64s'", text);
	return op;
}

static void tell(struct bridge *b, const struct operation *op, const char *what)
{
	char name[OPERATION_NAME_MAX];

	event(b->log, what, "s:s, s:s, s:s", "function", op->function->name,
	      "operation", operation_name(name, op), "operator",
	      operation_operator(op));
}

static void answer_complete(void *arg, struct control_call *call,
			    json_t *params)
{
	const char *text = control_string(params, "operation", "");
	struct operation *op = find_operation(arg, call, text);
	json_int_t from = since(arg);
	struct function *f;

	if (!op)
		return;
	f = op->function;
	if (op->state != OPERATION_HELD && op->state != OPERATION_LOST) {
		control_fail(call, RPC_FAILED, "%.64s is %s, not held", text,
			     operation_state_name(op));
		return;
	}
	if (op->state == OPERATION_LOST && op->write && !op->data) {
		control_fail(call, RPC_FAILED,
			     "%.64s was lost, and its data with it", text);
		return;
	}
	tell(arg, op, "operation.completed");
	if (op->state == OPERATION_HELD)
		held_forget(op);
	op->state = OPERATION_LOST;
	relay_send(op, op->data);
	held_run(f);
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_fail(void *arg, struct control_call *call, json_t *params)
{
	const char *text = control_string(params, "operation", "");
	struct operation *op = find_operation(arg, call, text);
	json_int_t from = since(arg);
	struct function *f;

	if (!op)
		return;
	f = op->function;
	tell(arg, op, "operation.failed");
	relay_fail(op, EIO);
	held_run(f);
	relay_next(f);
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_drop(void *arg, struct control_call *call, json_t *params)
{
	const char *text = control_string(params, "operation", "");
	struct operation *op = find_operation(arg, call, text);
	json_int_t from = since(arg);
	struct function *f;

	if (!op)
		return;
	f = op->function;
	tell(arg, op, "operation.dropped");
	if (op->state == OPERATION_HELD) {
		held_forget(op);
		op->state = OPERATION_LOST;
		if (op->posted) {
			op->state = OPERATION_ENDING;
			relay_data(op, NULL, 0);
		}
		held_run(f);
	} else if (op->state == OPERATION_SENT) {
		op->state = OPERATION_DROPPED;
	}
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_fault(void *arg, struct control_call *call, json_t *params)
{
	struct bridge *b = arg;
	const char *text = control_string(params, "fault", "");
	json_int_t from = since(b);
	struct complaint c;
	struct function *f;
	struct fault fault;
	char back[256];

	f = device_function(b, call, control_string(params, "function", ""));
	if (!f)
		return;
	if (fault_parse(text, (1u << FAULT_N) - 1, &fault, &c) < 0) {
		control_fail(call, RPC_PARAMS, "fault: %s", c.text);
		return;
	}
	if (b->options.seeded && fault.kinds && !strstr(text, "seed"))
		fault.seed = fault.rng = rng_next(&b->options.seed) >> 1;
	f->fault = fault;
	fault_format(back, sizeof(back), &fault);
	event(b->log, "fault.set", "s:s, s:s, s:I", "function", f->name,
	      "fault", back, "seed", (json_int_t)fault.seed);
	control_reply(call,
		      json_pack("{s:s, s:I}", "fault", back, "since", from));
}

/* A function's held operations go on, and nothing is held any more; without a
 * function: points, as everywhere. */
static void answer_release(void *arg, struct control_call *call, json_t *params)
{
	struct bridge *b = arg;
	const char *name = control_string(params, "function", NULL);
	json_int_t from = since(b);
	struct function *f;
	unsigned n;

	if (!name) {
		program_release_points(&b->program, call, params);
		return;
	}
	f = device_function(b, call, name);
	if (!f)
		return;
	f->fault.kinds &= ~(unsigned)FAULT_HOLD;
	n = held_release(f);
	event(b->log, "operation.released", "s:s, s:i", "function", f->name,
	      "count", (int)n);
	control_reply(call, json_pack("{s:i, s:I}", "released", (int)n, "since",
				      from));
}

static void answer_contain(void *arg, struct control_call *call, json_t *params)
{
	json_int_t from = since(arg);
	struct function *f;

	f = device_function(arg, call, control_string(params, "function", ""));
	if (!f)
		return;
	if (f->contained) {
		control_fail(call, RPC_FAILED, "%s is contained", f->name);
		return;
	}
	contain(f, inflight_oldest(&f->inflight, false), "asked for");
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_uncontain(void *arg, struct control_call *call,
			     json_t *params)
{
	json_int_t from = since(arg);
	struct function *f;

	f = device_function(arg, call, control_string(params, "function", ""));
	if (!f)
		return;
	if (!f->contained) {
		control_fail(call, RPC_FAILED, "%s is not contained", f->name);
		return;
	}
	uncontain(f);
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_remove(void *arg, struct control_call *call, json_t *params)
{
	const char *name = control_string(params, "device", "");
	struct device *d = device_find(arg, name);
	json_int_t from = since(arg);

	if (!d || !d->pf->client) {
		control_fail(call, RPC_MISSING, "no device '%.32s' is attached",
			     name);
		return;
	}
	device_remove(d, true, "removed");
	control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_attach(void *arg, struct control_call *call, json_t *params)
{
	json_int_t from = since(arg);
	struct complaint c;

	if (device_attach(arg, control_string(params, "device", ""), &c) < 0)
		control_fail(call, RPC_MISSING, "%s", c.text);
	else
		control_reply(call, json_pack("{s:I}", "since", from));
}

static void answer_timeout(void *arg, struct control_call *call, json_t *params)
{
	const char *time = control_string(params, "time", "");
	json_int_t from = since(arg);
	struct bridge *b = arg;
	struct complaint c;
	uint64_t ns;

	if (units_duration(time, &ns, &c)) {
		control_fail(call, RPC_PARAMS, "time: %s", c.text);
		return;
	}
	event(b->log, "timeout.set", "s:I", "timeout_ns", (json_int_t)ns);
	completion_timeout_set(b, ns);
	control_reply(call, json_pack("{s:I}", "since", from));
}

static const struct control_param device_params[] = {
	{ "device", 's', false, "the device's name, as in dev/NAME" },
	{ NULL },
};
static const struct control_param function_params[] = {
	{ "function", 's', false, "FUNCTION, as in nic0/vf1" },
	{ NULL },
};
static const struct control_param some_function_params[] = {
	{ "function", 's', true, "only this one" },
	{ NULL },
};
static const struct control_param operation_params[] = {
	{ "operation", 's', false, "FUNCTION:ID, as in nic0/vf1:17" },
	{ NULL },
};
static const struct control_param fault_params[] = {
	{ "function", 's', false, "FUNCTION, as in nic0/vf1" },
	{ "fault", 's', false, "delay, loss, corrupt, ..., hold or none" },
	{ NULL },
};
static const struct control_param timeout_params[] = {
	{ "time", 's', false, "such as 200ms; 0: never" },
	{ NULL },
};
static const struct control_param release_params[] = {
	{ "function", 's', true, "whose held operations go on, in order" },
	{ "point", 's', true, "only what is held there" },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "attach", "connect a device that was removed", answer_attach,
	  device_params },
	{ "remove", "pull a device out", answer_remove, device_params },
	{ "fault", "set the fault of a function's register operations",
	  answer_fault, fault_params },
	{ "complete", "let one held operation go to the device",
	  answer_complete, operation_params },
	{ "fail", "end one operation in an error", answer_fail,
	  operation_params },
	{ "drop", "never answer one operation", answer_drop, operation_params },
	{ "release", "let a function's held operations go, or points",
	  answer_release, release_params },
	{ "timeout", "set the completion timeout", answer_timeout,
	  timeout_params },
	{ "contain", "keep everybody off a function, as after a timeout",
	  answer_contain, function_params },
	{ "uncontain", "let a contained function be reached again",
	  answer_uncontain, function_params },
	{ "config-dump", "config spaces as read from the functions",
	  config_dump, some_function_params },
	{ NULL },
};

void operate_methods(struct bridge *b)
{
	control_add_methods(b->program.control, methods, b);
}
