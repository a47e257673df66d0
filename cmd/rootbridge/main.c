/* main.c - rootbridge: PCI root bridge, address protection mechanism and
 * memory controller.  Options, wiring, end. */
#include <config.h>

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/fd_limit.h"
#include "libcore/guest_memory.h"
#include "libcore/units.h"

#include "cmd/rootbridge/bridge.h"

#define MEMORY_DEFAULT (64ull << 20)
#define MEMORY_MAX     (1ull << 40)

static struct bridge self;

const struct point_desc bridge_points[POINT_BRIDGE_N] = {
	[POINT_A900] = { "bridge.a900", "an access is issued", true },
	[POINT_A800] = { "bridge.a800", "it is looked up (a805)", true },
	[POINT_A810] = { "bridge.a810", "its address is translated", true },
	[POINT_A820] = { "bridge.a820", "no allowed row: exception", true },
	[POINT_A910] = { "bridge.a910", "it is passed on", true },
	[POINT_A920] = { "bridge.a920", "it is not passed on", true },
	[POINT_A2100] = { "bridge.a2100", "a request arrives (a1000)", true },
	[POINT_A2105] = { "bridge.a2105", "an ID is chosen for it", true },
	[POINT_A2110] = { "bridge.a2110", "it is recorded (a1005)", true },
	[POINT_A1010] = { "bridge.a1010", "it is relayed (a915)", true },
	[POINT_A1020] = { "bridge.a1020", "its reply comes", true },
	[POINT_A1025] = { "bridge.a1025", "its row is deleted", true },
	[POINT_A1105] = { "bridge.a1105", "a row is too old", false },
	[POINT_A1110] = { "bridge.a1110", "the machine shuts down", false },
	[POINT_A1220] = { "bridge.a1220", "a PF's reset reaches it", false },
	[POINT_A1225] = { "bridge.a1225",
			  "a row is too old that a reset threw away", false },
	[POINT_A1230] = { "bridge.a1230", "the machine shuts down for it",
			  false },
};

static const struct part_desc parts[PART_BRIDGE_N] = {
	[PART_OWNERSHIP] = { "ownership", "a PF's former holder is fenced" },
};

static const struct program_desc desc = {
	.role = "rootbridge",
	.parts = parts,
	.n_parts = PART_BRIDGE_N,
	.points = bridge_points,
	.n_points = POINT_BRIDGE_N,
};

bool bridge_point_slow(struct bridge *b, enum bridge_point index,
		       const struct operation *op)
{
	char name[OPERATION_NAME_MAX];

	if (!op)
		return point(b->program.points, index, NULL, NULL, NULL,
			     NULL) != POINT_FAIL;
	return point(b->program.points, index, NULL, NULL, NULL,
		     "s:s, s:s, s:s, s:I", "operation",
		     operation_name(name, op), "operator",
		     operation_operator(op), "kind",
		     op->write ? "write" : "read", "address",
		     (json_int_t)op->address) != POINT_FAIL;
}

enum {
	OPT_VMS = 1000,
	OPT_MEMORY,
	OPT_TIMEOUT,
	OPT_ON_TIMEOUT,
	OPT_EXCEPTION_TIMEOUT,
	OPT_PARK_LIMIT,
	OPT_DMA_TIMEOUT,
	OPT_NO_TIMEOUT,
	OPT_NO_PROTECTION,
	OPT_SEED,
};

static const struct argp_option options[] = {
	{ "vms", OPT_VMS, "N", 0, "Number of guest VMs (16); vm0 is extra", 0 },
	{ "memory", OPT_MEMORY, "[VM=]SIZE", 0,
	  "Main memory of each VM, or of one (64MiB)", 0 },
	{ "timeout", OPT_TIMEOUT, "TIME", 0,
	  "Completion timeout (1s; 0: never)", 0 },
	{ "on-timeout", OPT_ON_TIMEOUT, "shutdown|contain", 0,
	  "What a completion timeout does (shutdown)", 0 },
	{ "exception-timeout", OPT_EXCEPTION_TIMEOUT, "TIME", 0,
	  "How long an access waits for the supervisor (2s; 0: forever)", 0 },
	{ "park-limit", OPT_PARK_LIMIT, "TIME", 0,
	  "How long an access waits behind a fence (2s; 0: forever)", 0 },
	{ "dma-timeout", OPT_DMA_TIMEOUT, "TIME", 0,
	  "How long a device may take to give memory back (1s; 0: forever)",
	  0 },
	{ "no-timeout", OPT_NO_TIMEOUT, NULL, 0,
	  "Held operations do not time out", 0 },
	{ "no-protection", OPT_NO_PROTECTION, NULL, 0,
	  "Denied rows of the protection table do not deny", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of faults that name none", 0 },
	{ 0 },
};

struct parse {
	struct program_options program;
	struct bridge_options *o;
};

static uint64_t parse_duration(struct argp_state *state, const char *option,
			       const char *arg)
{
	struct complaint c;
	uint64_t ns = 0;

	if (units_duration(arg, &ns, &c) < 0)
		argp_error(state, "--%s: %s", option, c.text);
	return ns;
}

static uint64_t parse_number(struct argp_state *state, const char *option,
			     const char *arg, uint64_t min, uint64_t max)
{
	struct complaint c;
	uint64_t n = min;

	if (units_number(arg, min, max, &n, &c) < 0)
		argp_error(state, "--%s: %s", option, c.text);
	return n;
}

static void parse_memory(struct argp_state *state, struct bridge_options *o,
			 const char *arg)
{
	const char *equals = strchr(arg, '=');
	uint64_t size = 0, vm = 0;
	struct complaint c;
	char name[16];

	if (equals) {
		if (!strncmp(arg, "vm", 2))
			arg += 2;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - arg), arg);
		vm = parse_number(state, "memory", name, 0,
				  PLATFORM_VM_MAX - 1);
		arg = equals + 1;
	}
	if (units_size(arg, &size, &c) < 0)
		argp_error(state, "--memory: %s", c.text);
	else if (!size || size % 4096 || size > MEMORY_MAX)
		argp_error(state,
			   "--memory: '%s' is not a multiple of 4KiB from "
			   "4KiB to 1024GiB",
			   arg);
	else if (equals)
		o->vm_memory[vm] = size;
	else
		o->memory_size = size;
}

static void parse_on_timeout(struct argp_state *state, struct bridge_options *o,
			     const char *arg)
{
	if (!strcmp(arg, "shutdown"))
		o->on_timeout = ON_TIMEOUT_SHUTDOWN;
	else if (!strcmp(arg, "contain"))
		o->on_timeout = ON_TIMEOUT_CONTAIN;
	else
		argp_error(state,
			   "--on-timeout: '%s' is not shutdown or contain",
			   arg);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct bridge_options *o = parse->o;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &parse->program;
		return 0;
	case OPT_VMS:
		o->n_guests = (unsigned)parse_number(state, "vms", arg, 1,
						     PLATFORM_VM_MAX - 1);
		return 0;
	case OPT_MEMORY:
		parse_memory(state, o, arg);
		return 0;
	case OPT_TIMEOUT:
		o->timeout_ns = parse_duration(state, "timeout", arg);
		return 0;
	case OPT_ON_TIMEOUT:
		parse_on_timeout(state, o, arg);
		return 0;
	case OPT_EXCEPTION_TIMEOUT:
		o->exception_ns =
			parse_duration(state, "exception-timeout", arg);
		return 0;
	case OPT_PARK_LIMIT:
		o->park_ns = parse_duration(state, "park-limit", arg);
		return 0;
	case OPT_DMA_TIMEOUT:
		o->dma_ns = parse_duration(state, "dma-timeout", arg);
		return 0;
	case OPT_NO_TIMEOUT:
		o->no_timeout = true;
		return 0;
	case OPT_NO_PROTECTION:
		o->no_protection = true;
		return 0;
	case OPT_SEED:
		o->seed = parse_number(state, "seed", arg, 0, INT64_MAX);
		o->seeded = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &program_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.doc = "PCI root bridge, address protection mechanism and memory "
	       "controller of a machine.",
	.children = children,
};

static void bridge_init(struct bridge *b)
{
	b->loop = b->program.loop;
	b->log = b->program.log;
	b->n_vms = b->options.n_guests + 1;
	b->inotify_fd = -1;
	LIST_INIT(&b->devices);
	LIST_INIT(&b->watches);
	TAILQ_INIT(&b->free_operations);
	TAILQ_INIT(&b->parked);
}

static int bridge_start(struct bridge *b)
{
	struct complaint *c = &b->program.cause;
	int err;

	err = guest_memory_guard();
	if (!err)
		err = protection_init(&b->protection, b->n_vms);
	if (err < 0)
		complain(c, -err, "%s", strerror(-err));
	else
		err = bus_start(b, c);
	if (!err)
		err = device_start(b, c);
	if (err < 0)
		b->program.status = program_status_of(err);
	return err;
}

static void bridge_stop(struct bridge *b)
{
	struct operation *op;
	unsigned i;

	/* The VMs hang up first: what is in flight is not answered. */
	bus_stop(b);
	device_stop(b);
	loop_timer_cancel(&b->timeout_timer);
	while ((op = TAILQ_FIRST(&b->free_operations))) {
		TAILQ_REMOVE(&b->free_operations, op, queue);
		free(op);
	}
	routing_fini(&b->routing);
	protection_fini(&b->protection);
	free(b->routes);
	free(b->successors);
	free(b->maps);
	shares_fini(b);
	for (i = 0; b->vms && i < b->n_vms; i++)
		free(b->vms[i].decides);
	free(b->vms);
}

int main(int argc, char **argv)
{
	struct parse parse = { .program = PROGRAM_OPTIONS_INIT,
			       .o = &self.options };
	struct program *p = &self.program;
	int status;

	self.options = (struct bridge_options){
		.n_guests = BRIDGE_VMS_DEFAULT,
		.memory_size = MEMORY_DEFAULT,
		.timeout_ns = NS_PER_S,
		.exception_ns = 2 * NS_PER_S,
		.park_ns = 2 * NS_PER_S,
		.dma_ns = NS_PER_S,
		.vm_memory = calloc(PLATFORM_VM_MAX, sizeof(uint64_t)),
	};
	if (!self.options.vm_memory)
		return STATUS_INTERNAL;
	argp_program_version_hook = program_version_hook;
	program_argp_desc = &desc;
	argp_parse(&argp, argc, argv, 0, NULL, &parse);
	fd_limit_raise(NULL);
	if (!program_start(p, &desc, &parse.program)) {
		bridge_init(&self);
		tables_add(&self);
		operate_methods(&self);
		if (!bridge_start(&self)) {
			program_ready(p);
			(void)program_run(p);
		}
		bridge_stop(&self);
	}
	program_print_cause(p, false);
	status = program_fini(p);
	free(self.options.vm_memory);
	return status;
}
