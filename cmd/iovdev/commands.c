/* commands.c - control methods of a device: capture, fault, release, link,
 * bandwidth. */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/queue_faults.h"
#include "libcore/units.h"

static void no_function(const struct nic *nic, struct control_call *call,
			const char *text)
{
	if (nic->n_vfs)
		control_fail(call, RPC_MISSING,
			     "no function '%s' here (%s/pf0, %s/vf1 to vf%u)",
			     text, nic->device, nic->device, nic->n_vfs);
	else
		control_fail(call, RPC_MISSING,
			     "no function '%s' here (%s/pf0)", text,
			     nic->device);
}

/* The function that the call names; NULL: it is answered. */
static struct function *function_of(struct nic *nic, struct control_call *call,
				    json_t *params)
{
	const char *text = control_string(params, "function", "");
	struct function_name name;
	struct complaint c;

	if (function_name_parse(text, &name, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return NULL;
	}
	if (strcmp(name.device, nic->device) || name.vf > nic->n_vfs) {
		no_function(nic, call, text);
		return NULL;
	}
	return name.vf ? nic->vf[name.vf - 1] : nic->pf;
}

/* The queue that the call names; NULL: it is answered. */
static struct nic_queue *queue_of(struct nic *nic, struct control_call *call,
				  json_t *params)
{
	const char *text = control_string(params, "queue", "");
	struct function *f = function_of(nic, call, params);

	if (!f)
		return NULL;
	if (!f->vf)
		control_fail(call, RPC_PARAMS, "%s has no queues", f->name);
	else if (!strcmp(text, "tx"))
		return &f->queue[NIC_QUEUE_TX];
	else if (!strcmp(text, "rx"))
		return &f->queue[NIC_QUEUE_RX];
	else
		control_fail(call, RPC_PARAMS, "no queue '%.32s' (tx or rx)",
			     text);
	return NULL;
}

static json_int_t event_now(const struct nic *nic)
{
	return (json_int_t)atomic_load(&nic->program->state->event_sequence);
}

static void do_capture(void *arg, struct control_call *call, json_t *params)
{
	struct function *f = function_of(arg, call, params);
	long long count = control_integer(params, "count", 0);
	int fd;

	if (!f)
		return;
	fd = control_take_fd(call);
	if (fd < 0) {
		control_fail(call, RPC_PARAMS,
			     "capture: pass a descriptor to write to");
	} else if (count < 0) {
		close(fd);
		control_fail(call, RPC_PARAMS, "capture: count is negative");
	} else {
		capture_start(f, call, fd, (uint64_t)count);
	}
}

static void do_fault(void *arg, struct control_call *call, json_t *params)
{
	struct nic *nic = arg;
	struct nic_queue *q = queue_of(nic, call, params);
	json_int_t since = event_now(nic);
	struct complaint c;
	char text[128];

	if (!q)
		return;
	if (queue_faults_set(q, control_string(params, "fault", ""), &c)) {
		control_fail(call, RPC_PARAMS, "fault: %s", c.text);
		return;
	}
	fault_format(text, sizeof(text), &q->faults->fault);
	event(nic->log, "fault.set", "s:s, s:s, s:s, s:I", "function",
	      q->function->name, "queue", nic_queue_name(q), "fault", text,
	      "seed", (json_int_t)q->faults->fault.seed);
	control_reply(call, json_pack("{s:I, s:s, s:I}", "since", since,
				      "fault", text, "seed",
				      (json_int_t)q->faults->fault.seed));
}

static void do_release(void *arg, struct control_call *call, json_t *params)
{
	struct nic *nic = arg;
	json_int_t since = event_now(nic);
	struct nic_queue *q;
	unsigned n;

	if (!json_object_get(params, "function")) {
		program_release_points(nic->program, call, params);
		return;
	}
	q = queue_of(nic, call, params);
	if (!q)
		return;
	n = queue_faults_release(q);
	event(nic->log, "fault.released", "s:s, s:s, s:i", "function",
	      q->function->name, "queue", nic_queue_name(q), "entries", (int)n);
	control_reply(call, json_pack("{s:i, s:I}", "released", (int)n, "since",
				      since));
}

/* What the function's link is from now on. */
static void set_link(struct function *f, struct control_call *call,
		     const struct link_values *values)
{
	json_int_t since = event_now(f->nic);

	link_set(f, values);
	control_reply(call,
		      json_pack("{s:I, s:s, s:b, s:I, s:I}", "since", since,
				"function", f->name, "up", values->up,
				"bandwidth_max", (json_int_t)values->max,
				"bandwidth", (json_int_t)values->allocated));
}

static void do_link(void *arg, struct control_call *call, json_t *params)
{
	const char *state = control_string(params, "state", "");
	struct function *f = function_of(arg, call, params);
	struct link_values values;

	if (!f)
		return;
	values = f->link.now;
	values.up = !strcmp(state, "up");
	if (!values.up && strcmp(state, "down"))
		control_fail(call, RPC_PARAMS,
			     "no link state '%.32s' (up or "
			     "down)",
			     state);
	else
		set_link(f, call, &values);
}

static int take_rate(uint64_t *to, const json_t *params, const char *key,
		     struct complaint *c)
{
	const char *text = control_string(params, key, NULL);
	int err = text ? units_bitrate(text, to, c) : 0;

	if (!err && *to > LINK_RATE_MAX)
		err = complain(c, ERANGE, "%s is more than 1000 Tbit/s", text);
	return err ? complain_at(c, err, "%s", key) : 0;
}

static void do_bandwidth(void *arg, struct control_call *call, json_t *params)
{
	struct function *f = function_of(arg, call, params);
	struct link_values values;
	struct complaint c;
	int err;

	if (!f)
		return;
	values = f->link.now;
	err = take_rate(&values.allocated, params, "rate", &c);
	if (!err)
		err = take_rate(&values.max, params, "max", &c);
	if (!err && values.max && values.allocated > values.max)
		err = complain(&c, ERANGE,
			       "more than the %llu bit/s that %s "
			       "has at most",
			       (unsigned long long)values.max, f->name);
	if (err)
		control_fail(call, RPC_PARAMS, "bandwidth: %s", c.text);
	else
		set_link(f, call, &values);
}

static const struct control_param link_params[] = {
	{ "function", 's', false, "PF or VF" },
	{ "state", 's', false, "up or down" },
	{ NULL },
};

static const struct control_param bandwidth_params[] = {
	{ "function", 's', false, "PF or VF" },
	{ "rate", 's', false, "bit/s (10Gbit) that it may send, or unlimited" },
	{ "max", 's', true, "of these at most" },
	{ NULL },
};

static const struct control_param capture_params[] = {
	{ "function", 's', false, "whose frames" },
	{ "count", 'i', true, "end after so many (0: never)" },
	{ NULL },
};

static const struct control_param fault_params[] = {
	{ "function", 's', false, "of which VF" },
	{ "queue", 's', false, "tx or rx" },
	{ "fault", 's', false, "what happens to its entries, or none" },
	{ NULL },
};

static const struct control_param release_params[] = {
	{ "function", 's', true, "of which VF" },
	{ "queue", 's', true, "whose held entries go on, tx or rx" },
	{ "point", 's', true, "without a function: only what is held there" },
	{ NULL },
};

const struct control_method lan_commands[] = {
	{ "capture",
	  "write a function's frames as pcap to the descriptor that comes "
	  "along; answered at the end",
	  do_capture, capture_params },
	{ NULL },
};

const struct control_method nic_commands[] = {
	{ "fault", "plant a fault at a queue's entries", do_fault,
	  fault_params },
	{ "link", "connect or disconnect a function's link", do_link,
	  link_params },
	{ "bandwidth", "allocate bandwidth to a function", do_bandwidth,
	  bandwidth_params },
	{ "release", "let held queue entries, or what is held at points, go on",
	  do_release, release_params },
	{ NULL },
};
