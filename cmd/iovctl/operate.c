/* operate.c - the commands that break, hold and mend: faults, operations,
 * devices, points, resets. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovctl/client.h"
#include "cmd/iovctl/show.h"
#include "cmd/iovctl/table.h"
#include "libcore/fault.h"
#include "libcore/function_name.h"

/* Call and print what was started. */
static int start(struct iovctl *ctl, const char *name, const char *method,
		 json_t *params)
{
	uint64_t since = iovctl_event_number(ctl);
	json_t *result;
	int status;

	status = call_slow(ctl, name, method, params, &result);
	if (!status)
		print_started(ctl, result, since);
	return status;
}

static int start_at_role(struct iovctl *ctl, const char *role,
			 const char *method, json_t *params)
{
	char name[64];
	int status;

	status = find_role(ctl, role, name);
	if (!status)
		return start(ctl, name, method, params);
	json_decref(params);
	return status;
}

static int set_fault(struct iovctl *ctl, const char *queue, const char *fault)
{
	const char *function = ctl->args[0];
	struct function_name fn;
	char device[64];
	int status;

	if (function_name_parse(function, &fn, &ctl->cause) < 0)
		return STATUS_USAGE;
	if (!strcmp(queue, "requests"))
		return start_at_role(ctl, "rootbridge", "fault",
				     json_pack("{s:s, s:s}", "function",
					       function, "fault", fault));
	status = find_device(ctl, fn.device, device);
	if (status)
		return status;
	return start(ctl, device, "fault",
		     json_pack("{s:s, s:s, s:s}", "function", function, "queue",
			       queue, "fault", fault));
}

static bool is_queue(const char *word)
{
	return !strcmp(word, "requests") || !strcmp(word, "tx") ||
	       !strcmp(word, "rx");
}

static int do_fault(struct iovctl *ctl)
{
	const char *queue = "requests";
	char text[256] = "";
	struct fault fault;
	int i = 1;

	if (is_queue(ctl->args[i]))
		queue = ctl->args[i++];
	for (; i < ctl->n_args; i++) {
		strlcat(text, ctl->args[i], sizeof(text));
		if (strlcat(text, " ", sizeof(text)) >= sizeof(text))
			return fail(ctl, STATUS_USAGE, "the fault is too long");
	}
	if (text[0])
		text[strlen(text) - 1] = '\0';
	/* A wrong word is told without asking anybody. */
	if (fault_parse(text, (1u << FAULT_N) - 1, &fault, &ctl->cause) < 0)
		return STATUS_USAGE;
	return set_fault(ctl, queue, text);
}

static int do_hold(struct iovctl *ctl)
{
	const char *queue = ctl->n_args > 1 ? ctl->args[1] : "requests";

	if (!is_queue(queue))
		return fail(ctl, STATUS_USAGE, "'%s' is not requests, tx or rx",
			    queue);
	return set_fault(ctl, queue, "hold");
}

/* complete, fail, drop: the method has the command's name. */
static int do_operation(struct iovctl *ctl)
{
	return start_at_role(ctl, "rootbridge", ctl->command->name,
			     json_pack("{s:s}", "operation", ctl->args[0]));
}

/* The method has the command's name and takes a function. */
static int do_function(struct iovctl *ctl)
{
	struct function_name fn;

	if (function_name_parse(ctl->args[0], &fn, &ctl->cause) < 0)
		return STATUS_USAGE;
	return start_at_role(ctl, "rootbridge", ctl->command->name,
			     json_pack("{s:s}", "function", ctl->args[0]));
}

/* attach, remove */
static int do_device(struct iovctl *ctl)
{
	return start_at_role(ctl, "rootbridge", ctl->command->name,
			     json_pack("{s:s}", "device", ctl->args[0]));
}

static int do_reset(struct iovctl *ctl)
{
	struct function_name fn;

	if (function_name_parse(ctl->args[0], &fn, &ctl->cause) < 0)
		return STATUS_USAGE;
	return start_at_role(ctl, "hvmon", "reset",
			     json_pack("{s:s, s:s*, s:s*, s:b}", "function",
				       ctl->args[0], "suspend", ctl->suspend,
				       "confirm", ctl->confirm, "grant",
				       (int)ctl->grant));
}

static int do_connect(struct iovctl *ctl)
{
	return start_at_role(ctl, "hvmon", "connect",
			     json_pack("{s:s, s:s}", "device", ctl->args[0],
				       "vm", ctl->args[1]));
}

/* activate, deactivate: the method has the command's name. */
static int do_vm(struct iovctl *ctl)
{
	return start_at_role(ctl, "hvmon", ctl->command->name,
			     json_pack("{s:s}", "vm", ctl->args[0]));
}

static int wait_times(struct iovctl *ctl, json_t *params)
{
	json_t *result, *columns;
	char name[64];
	int status = find_role(ctl, "hvmon", name);

	if (status) {
		json_decref(params);
		return status;
	}
	status = call(ctl, name, "wait-time", params, &result);
	if (status)
		return status;
	columns = json_array();
	table_column(columns, "pf", "PF");
	table_column(columns, "vf", "VF");
	table_column(columns, "wait", "WAIT");
	if (ctl->json)
		print_json(result);
	else
		table_print(columns, json_object_get(result, "times"));
	json_decref(columns);
	json_decref(result);
	return STATUS_OK;
}

/* One FUNCTION=TIME. */
static int add_wait_time(struct iovctl *ctl, json_t *times, const char *word)
{
	const char *equals = strchr(word, '=');
	char name[64];

	if (!equals || (size_t)(equals - word) >= sizeof(name))
		return fail(ctl, STATUS_USAGE,
			    "'%s' is not FUNCTION=TIME, such as nic0/vf1=10ms",
			    word);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
	if (json_object_get(times, name))
		return fail(ctl, STATUS_USAGE, "%s is given twice", name);
	json_object_set_new(times, name, json_string(equals + 1));
	return STATUS_OK;
}

/* fig. 10: show them, or apply several edited ones at once. */
static int do_wait_time(struct iovctl *ctl)
{
	json_t *times = json_object();
	int i, status = STATUS_OK;

	for (i = 0; !status && i < ctl->n_args; i++)
		status = add_wait_time(ctl, times, ctl->args[i]);
	if (!status)
		return wait_times(ctl, json_pack("{s:o}", "times", times));
	json_decref(times);
	return status;
}

static int do_at(struct iovctl *ctl)
{
	uint64_t since = iovctl_event_number(ctl);
	int i, status;

	for (i = 1; i < ctl->n_args; i++) {
		status = call(ctl, ctl->args[0], "at",
			      json_pack("{s:s}", "point", ctl->args[i]), NULL);
		if (status)
			return status;
	}
	print_started(ctl, NULL, since);
	return STATUS_OK;
}

/* Add up what a program let go; takes params. */
static int release_one(struct iovctl *ctl, const char *name, json_t *params,
		       json_int_t *released)
{
	json_t *result;
	int status;

	status = call(ctl, name, "release", params, &result);
	if (status)
		return status;
	*released += json_integer_value(json_object_get(result, "released"));
	json_decref(result);
	return STATUS_OK;
}

static int release_queue(struct iovctl *ctl, const char *function,
			 const char *queue, json_int_t *released)
{
	struct function_name fn;
	char name[64];
	int status;

	status = function_name_parse(function, &fn, &ctl->cause);
	if (status < 0)
		return STATUS_USAGE;
	if (!strcmp(queue, "requests")) {
		status = find_role(ctl, "rootbridge", name);
		queue = NULL;
	} else {
		status = find_device(ctl, fn.device, name);
	}
	if (status)
		return status;
	return release_one(
		ctl, name,
		json_pack("{s:s, s:s*}", "function", function, "queue", queue),
		released);
}

/* Register operations, and the queues of a VF, which a PF has not. */
static int release_function(struct iovctl *ctl, const char *function,
			    json_int_t *released)
{
	struct function_name fn;
	int status;

	status = release_queue(ctl, function, "requests", released);
	if (status || function_name_parse(function, &fn, NULL) < 0 || !fn.vf)
		return status;
	/* Another vfio-user device than ours has no control socket. */
	if (!is_listening(ctl, fn.device))
		return STATUS_OK;
	status = release_queue(ctl, function, "tx", released);
	return status ? status : release_queue(ctl, function, "rx", released);
}

/* NAME or NAME.POINT; a point has dots of its own. */
static int release_points(struct iovctl *ctl, const char *word,
			  json_int_t *released)
{
	size_t size = strcspn(word, ".");
	char name[64];

	if (size >= sizeof(name))
		return fail(ctl, STATUS_USAGE, "'%s' is no name", word);
	memcpy(name, word, size);
	name[size] = '\0';
	return release_one(
		ctl, name,
		word[size] ? json_pack("{s:s}", "point", word + size + 1)
			   : NULL,
		released);
}

static void release_functions(struct iovctl *ctl, json_int_t *released)
{
	json_t *result, *row;
	const char *function;
	char bridge[64];
	size_t i;

	if (find_role(ctl, "rootbridge", bridge) ||
	    call(ctl, bridge, "show", json_pack("{s:s}", "table", "functions"),
		 &result))
		return;
	json_array_foreach (json_object_get(result, "rows"), i, row) {
		function = json_string_value(json_object_get(row, "function"));
		if (function && release_function(ctl, function, released))
			warn(ctl, "%s", ctl->cause.text);
	}
	json_decref(result);
}

static int release_all(struct iovctl *ctl, json_int_t *released)
{
	json_t *row, *programs;
	const char *name;
	int status;
	size_t i;

	release_functions(ctl, released);
	status = fetch_programs(ctl, &programs);
	if (status)
		return status;
	json_array_foreach (programs, i, row) {
		name = json_string_value(json_object_get(row, "name"));
		if (is_listening(ctl, name) &&
		    release_one(ctl, name, NULL, released))
			warn(ctl, "%s", ctl->cause.text);
	}
	json_decref(programs);
	return STATUS_OK;
}

static int release_what(struct iovctl *ctl, json_int_t *released)
{
	const char *what = ctl->n_args ? ctl->args[0] : NULL;

	if (!what)
		return release_all(ctl, released);
	if (ctl->n_args > 1 && (!strchr(what, '/') || !is_queue(ctl->args[1])))
		return fail(ctl, STATUS_USAGE, "'%s' is not requests, tx or rx",
			    ctl->args[1]);
	if (ctl->n_args > 1)
		return release_queue(ctl, what, ctl->args[1], released);
	if (strchr(what, '/'))
		return release_function(ctl, what, released);
	return release_points(ctl, what, released);
}

static int do_release(struct iovctl *ctl)
{
	uint64_t since = iovctl_event_number(ctl);
	json_int_t released = 0;
	int status;

	status = release_what(ctl, &released);
	if (!status)
		print_started(ctl, json_pack("{s:I}", "released", released),
			      since);
	return status;
}

static int do_translate(struct iovctl *ctl)
{
	return start_at_role(ctl, "hvmon", "translate",
			     json_pack("{s:s, s:s}", "device", ctl->args[0],
				       "policy", ctl->args[1]));
}

const struct command operate_commands[] = {
	{ .name = "fault",
	  .usage = "FUNCTION [requests|tx|rx] FAULT...",
	  .what = "set a fault of register operations or queue entries",
	  .help = "FAULT: delay TIME [JITTER], loss PERCENT, corrupt PERCENT, "
		  "duplicate PERCENT, reorder PERCENT, fail N, hold, count N, "
		  "seed N; or none. Register operations (requests) have theirs "
		  "at the root bridge, queue entries (tx, rx) at the device.",
	  .min_args = 2,
	  .max_args = -1,
	  .fn = do_fault },
	{ .name = "hold",
	  .usage = "FUNCTION [requests|tx|rx]",
	  .what = "hold operations: fault FUNCTION hold",
	  .min_args = 1,
	  .max_args = 2,
	  .fn = do_hold },
	{ .name = "complete",
	  .usage = "OPERATION",
	  .what = "let a held operation go to the device",
	  .help = "OPERATION is FUNCTION:ID of table inflight.",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_operation },
	{ .name = "fail",
	  .usage = "OPERATION",
	  .what = "end an operation in an error",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_operation },
	{ .name = "drop",
	  .usage = "OPERATION",
	  .what = "never answer an operation",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_operation },
	{ .name = "release",
	  .usage = "[FUNCTION|NAME[.POINT]] [requests|tx|rx]",
	  .what = "let held operations, or programs held at points, go on",
	  .help = "Without argument: everything in the machine. Of a FUNCTION: "
		  "register operations, queue entries, or both.",
	  .max_args = 2,
	  .fn = do_release },
	{ .name = "at",
	  .usage = "NAME POINT=ACTION[:NTH]...",
	  .what = "at a point of a program: kill, stop, hold, fail or trace",
	  .help = "The action happens the NTH time from now; POINT=off "
		  "disarms. `iovctl call NAME points` lists them.",
	  .min_args = 2,
	  .max_args = -1,
	  .fn = do_at },
	{ .name = "wait-time",
	  .usage = "[FUNCTION=TIME...]",
	  .what = "show waiting times, or set several at once",
	  .help = "How long a request of the VF takes at most, from 1us to less "
		  "than the completion timeout; a PF stands for all its VFs. "
		  "All are set, or none.",
	  .max_args = -1,
	  .fn = do_wait_time },
	{ .name = "reset",
	  .usage = "FUNCTION",
	  .what = "reset a function, losing nothing",
	  .help = "None and none show what a reset without protection does.",
	  .takes = TAKES_RESET,
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_reset },
	{ .name = "connect",
	  .usage = "DEVICE VM",
	  .what = "switch a device with a single port to a VM",
	  .help = "VM is a VM that runs, such as vm2, or none. What the VM "
		  "that has the device asked for before is answered first.",
	  .min_args = 2,
	  .max_args = 2,
	  .fn = do_connect },
	{ .name = "translate",
	  .usage = "DEVICE POLICY",
	  .what = "say what becomes of direct accesses to a device",
	  .help = "POLICY: accept, read-only, reject, or page:DEVICE, which "
		  "its guest then reaches instead. What it has is taken back "
		  "first.",
	  .min_args = 2,
	  .max_args = 2,
	  .fn = do_translate },
	{ .name = "deactivate",
	  .usage = "VM",
	  .what = "stop a VM and take all its devices",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_vm },
	{ .name = "activate",
	  .usage = "VM",
	  .what = "let a deactivated VM go on, without devices",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_vm },
	{ .name = "contain",
	  .usage = "FUNCTION",
	  .what = "keep everybody off a function",
	  .help = "What it has not answered reads as all ones; it neither "
		  "interrupts nor reaches memory.",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_function },
	{ .name = "uncontain",
	  .usage = "FUNCTION",
	  .what = "let a contained function be reached again",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_function },
	{ .name = "attach",
	  .usage = "DEVICE",
	  .what = "connect a device that was removed",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_device },
	{ .name = "remove",
	  .usage = "DEVICE",
	  .what = "pull a device out",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_device },
	{ NULL },
};
