/* main.c - iovctl, the operator's command. */
#include <config.h>

#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/iovctl/iovctl.h"
#include "libcore/control.h"
#include "libcore/fd_limit.h"
#include "libcore/program.h"
#include "libcore/state_area.h"
#include "libcore/units.h"

static const struct command *const groups[] = {
	show_commands, wait_commands,    event_commands,   trace_commands,
	call_commands, config_commands,  capture_commands, operate_commands,
	link_commands, virtual_commands, process_commands, machine_commands,
};
#define N_GROUPS (sizeof(groups) / sizeof(*groups))

enum {
	OPT_JSON = 0x1000,
	OPT_SINCE,
	OPT_LIST_COMMANDS,
	OPT_SUSPEND,
	OPT_CONFIRM,
	OPT_GRANT,
	OPT_HOLD,
	OPT_LIMIT,
	OPT_MODE,
	OPT_ILLEGAL,
	OPT_IRQ,
	OPT_WATCH,
	OPT_BEHIND,
};

uint64_t iovctl_answer_timeout(const struct iovctl *ctl)
{
	return ctl->has_timeout ? ctl->timeout_ns : ANSWER_TIMEOUT_NS;
}

int fail(struct iovctl *ctl, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ctl->cause.text, sizeof(ctl->cause.text), fmt, ap);
	va_end(ap);
	return status;
}

static void complain_loudly(const struct iovctl *ctl, const char *text)
{
	fflush(stdout);
	fprintf(stderr, "iovctl: %s%s%s\n", ctl->machine.name,
		ctl->machine.name[0] ? ": " : "", text);
}

void warn(const struct iovctl *ctl, const char *fmt, ...)
{
	struct complaint c;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c.text, sizeof(c.text), fmt, ap);
	va_end(ap);
	complain_loudly(ctl, c.text);
}

uint64_t iovctl_event_number(const struct iovctl *ctl)
{
	struct state_area *area;
	uint64_t n;

	/* Looking must not make one. */
	if (faccessat(ctl->machine.dirfd, "state", R_OK, 0) ||
	    state_area_map(&ctl->machine, 0, &area, NULL))
		return 0;
	n = atomic_load(&area->event_sequence);
	state_area_unmap(area);
	return n;
}

void print_json(const json_t *value)
{
	json_dumpf(value, stdout, CONTROL_JSON | JSON_ENCODE_ANY);
	putchar('\n');
}

void print_started(const struct iovctl *ctl, json_t *result, uint64_t since)
{
	const char *key;
	json_t *value;

	if (!json_is_object(result)) {
		json_decref(result);
		result = json_object();
	}
	json_object_del(result, "since"); /* ours, at the end */
	json_object_set_new(result, "since", json_integer((json_int_t)since));
	if (ctl->json) {
		print_json(result);
		json_decref(result);
		return;
	}
	json_object_foreach (result, key, value) {
		printf("%s ", key);
		if (json_is_string(value))
			puts(json_string_value(value));
		else
			print_json(value);
	}
	json_decref(result);
}

static const struct command *find_command(const char *name)
{
	const struct command *c;
	unsigned i;

	for (i = 0; i < N_GROUPS; i++)
		for (c = groups[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

/* One line, for completion; the forms of the arguments are apart. */
static void list_command(const struct command *c)
{
	const char *p;

	printf("%s\t", c->name);
	for (p = c->usage; *p; p++)
		fputs(*p == '\n' ? " | " : (char[]){ *p, '\0' }, stdout);
	putchar('\n');
}

static void list_commands(void)
{
	const struct command *c;
	unsigned i;

	for (i = 0; i < N_GROUPS; i++)
		for (c = groups[i]; c->name; c++)
			list_command(c);
	exit(STATUS_OK);
}

static char *describe_commands(void)
{
	const struct command *c;
	char *text = NULL;
	size_t size = 0;
	unsigned i;
	FILE *out;

	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fputs("Commands (iovctl COMMAND --help tells more):\n", out);
	for (i = 0; i < N_GROUPS; i++)
		for (c = groups[i]; c->name; c++)
			fprintf(out, "  %-12s %s\n", c->name, c->what);
	fclose(out);
	return text;
}

static char *main_help(int key, const char *text, void *input)
{
	(void)input;
	return key == ARGP_KEY_HELP_POST_DOC ? describe_commands()
					     : (char *)text;
}

static const struct argp_option common_options[] = {
	{ "machine", 'm', "NAME|DIR", 0,
	  "the machine (default: $IOVKIT_MACHINE, else m0)", 10 },
	{ "timeout", 't', "TIME", 0,
	  "how long to wait (default: 2s for an answer, 10s in wait)", 10 },
	{ "json", OPT_JSON, NULL, 0, "print JSON", 10 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct iovctl *ctl = state->input;
	struct complaint c;

	switch (key) {
	case 'm':
		ctl->machine_name = arg;
		return 0;
	case 't':
		if (units_duration(arg, &ctl->timeout_ns, &c) < 0)
			argp_error(state, "--timeout: %s", c.text);
		ctl->has_timeout = true;
		return 0;
	case OPT_JSON:
		ctl->json = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp common_argp = {
	.options = common_options,
	.parser = parse_common,
};

static const struct argp_child common_child[] = {
	{ &common_argp, 0, NULL, 0 },
	{ 0 },
};

/* The options before the command. */
static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct iovctl *ctl = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = ctl;
		return 0;
	case OPT_LIST_COMMANDS:
		list_commands();
		return 0;
	case ARGP_KEY_ARG:
		ctl->command = find_command(arg);
		if (!ctl->command)
			argp_error(state, "no command '%s'", arg);
		ctl->args = state->argv + state->next - 1;
		ctl->n_args = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command?");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void parse_main_options(struct iovctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "list-commands", OPT_LIST_COMMANDS, NULL, 0,
		  "list the commands and their arguments", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_main,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Look into a machine, operate it, break it.",
		.children = common_child,
		.help_filter = main_help,
	};

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, ctl);
}

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct iovctl *ctl = state->input;
	const struct command *c = ctl->command;
	struct complaint cause;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = ctl;
		return 0;
	case 'f':
		ctl->follow = true;
		return 0;
	case OPT_SINCE:
		ctl->since = arg;
		return 0;
	case 'w':
		ctl->file = arg;
		return 0;
	case 'c':
		if (units_number(arg, 1, INT64_MAX, &ctl->count, &cause) < 0)
			argp_error(state, "--count: %s", cause.text);
		return 0;
	case OPT_SUSPEND:
		ctl->suspend = arg;
		return 0;
	case OPT_CONFIRM:
		ctl->confirm = arg;
		return 0;
	case OPT_GRANT:
		ctl->grant = true;
		return 0;
	case OPT_HOLD:
		ctl->hold = arg;
		return 0;
	case OPT_LIMIT:
		ctl->limit = arg;
		return 0;
	case OPT_MODE:
		ctl->mode = arg;
		return 0;
	case OPT_ILLEGAL:
		ctl->illegal = arg;
		return 0;
	case OPT_WATCH:
		if (units_number(arg, 1, 1000, &ctl->watch, &cause) < 0)
			argp_error(state, "--watch: %s", cause.text);
		return 0;
	case OPT_BEHIND:
		ctl->behind = arg;
		return 0;
	case OPT_IRQ:
		ctl->irq = arg;
		return 0;
	case ARGP_KEY_ARGS:
		ctl->args = state->argv + state->next;
		ctl->n_args = state->argc - state->next;
		return 0;
	case ARGP_KEY_END:
		if (ctl->n_args < c->min_args)
			argp_error(state, "it needs: %.*s",
				   (int)strcspn(c->usage, "\n"), c->usage);
		if (c->max_args >= 0 && ctl->n_args > c->max_args)
			argp_error(state, "'%s' is too much",
				   ctl->args[c->max_args]);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

#define OWN_OPTIONS 14u

/* The options that this command takes: out, or NULL, which is not the same as
 * an empty list to argp (it leaks one when it prints help). */
static struct argp_option *own_options(unsigned takes,
				       struct argp_option out[OWN_OPTIONS + 1])
{
	static const struct {
		unsigned takes;
		struct argp_option option;
	} all[OWN_OPTIONS] = {
		{ TAKES_FOLLOW,
		  { "follow", 'f', NULL, 0, "go on with what comes", 0 } },
		{ TAKES_SINCE,
		  { "since", OPT_SINCE, "N|start|now", 0,
		    "events after number N", 0 } },
		{ TAKES_WRITE, { "write", 'w', "FILE|-", 0, "where to", 0 } },
		{ TAKES_COUNT, { "count", 'c', "N", 0, "end after N", 0 } },
		{ TAKES_RESET,
		  { "suspend", OPT_SUSPEND, "table|invalid-address|vcpu|none",
		    0, "how new requests are suspended (table)", 0 } },
		{ TAKES_RESET,
		  { "confirm", OPT_CONFIRM, "barrier|interrupt|wait|none", 0,
		    "how earlier ones are known to be answered (barrier)",
		    0 } },
		{ TAKES_RESET,
		  { "grant", OPT_GRANT, NULL, 0,
		    "let the PF driver do it, once", 0 } },
		{ TAKES_HOLD,
		  { "hold", OPT_HOLD, "pause|lock|busy|block|log", 0,
		    "how new sequences of the guest are held off", 0 } },
		{ TAKES_HOLD,
		  { "limit", OPT_LIMIT, "TIME", 0,
		    "how long to wait for the guest (1s; 0: for ever)", 0 } },
		{ TAKES_VIRTUAL,
		  { "mode", OPT_MODE, "own|adopt", 0,
		    "whose mode the device is in (own: the monitor's)", 0 } },
		{ TAKES_VIRTUAL,
		  { "illegal", OPT_ILLEGAL, "drop|abort", 0,
		    "what becomes of an access without a transition (drop)",
		    0 } },
		{ TAKES_VIRTUAL,
		  { "watch", OPT_WATCH, "N", 0,
		    "emulate after N whole sequences (1)", 0 } },
		{ TAKES_VIRTUAL,
		  { "behind", OPT_BEHIND, "DEVICE", 0,
		    "another device does the work", 0 } },
		{ TAKES_DIRECT,
		  { "irq", OPT_IRQ, "redirect|forward", 0,
		    "how the guest gets its interrupts (redirect)", 0 } },
	};
	unsigned i, n = 0;

	memset(out, 0, (OWN_OPTIONS + 1) * sizeof(*out));
	for (i = 0; i < OWN_OPTIONS; i++)
		if (takes & all[i].takes)
			out[n++] = all[i].option;
	return n ? out : NULL;
}

static void parse_command_options(struct iovctl *ctl)
{
	const struct command *c = ctl->command;
	struct argp_option options[OWN_OPTIONS + 1];
	char name[64], doc[2048];
	struct argp argp = {
		.options = own_options(c->takes, options),
		.parser = parse_command,
		.args_doc = c->usage,
		.doc = doc,
		.children = common_child,
	};
	char **argv = ctl->args;
	int argc = ctl->n_args;

	snprintf(name, sizeof(name), "iovctl %s", c->name);
	snprintf(doc, sizeof(doc), "%s.\v%s", c->what, c->help ? c->help : "");
	argv[0] = name;
	ctl->n_args = 0;
	argp_parse(&argp, argc, argv, 0, NULL, ctl);
}

int main(int argc, char **argv)
{
	struct iovctl ctl = { .machine.dirfd = -1 };
	int status = STATUS_OK, err = 0;

	argp_program_version_hook = program_version_hook;
	fd_limit_raise(NULL); /* it asks all programs at once */
	program_check_stdout();
	parse_main_options(&ctl, argc, argv);
	parse_command_options(&ctl);
	if (!(ctl.command->takes & NEEDS_NO_MACHINE))
		err = machine_open(&ctl.machine, ctl.machine_name, 0,
				   &ctl.cause);
	status = err ? program_status_of(err) : ctl.command->fn(&ctl);
	if (status && ctl.cause.text[0])
		complain_loudly(&ctl, ctl.cause.text);
	machine_close(&ctl.machine);
	return status;
}
