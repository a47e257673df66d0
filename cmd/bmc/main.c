/* main.c - bmc: powers a machine on from a machine file, and off again. */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/bmc/bmc.h"
#include "cmd/bmc/children.h"
#include "libcore/fd_limit.h"
#include "libcore/units.h"

#define OWN_FDS 64u /* that bmc has open besides */

static const struct point_desc points[BMC_POINT_N] = {
	[POINT_POWER_ON] = { "power.on", "the machine file is read" },
	[POINT_POWER_START] = { "power.start", "before a program starts" },
	[POINT_POWER_READY] = { "power.ready", "a program is ready" },
	[POINT_POWER_UP] = { "power.up", "all programs are ready" },
	[POINT_POWER_OFF] = { "power.off", "before powering off" },
	[POINT_POWER_STOP] = { "power.stop",
			       "before a program is told to end" },
	[POINT_POWER_LOST] = { "power.lost", "the root bridge is gone" },
	[POINT_POWER_DOWN] = { "power.down", "all programs are gone" },
	[POINT_RESTART] = { "program.restart",
			    "before a program starts again" },
	[POINT_FREEZE] = { "program.freeze",
			   "before a reason to stop is added" },
	[POINT_THAW] = { "program.thaw", "before a reason to stop is removed" },
	[POINT_SOFT_RESET_START] = { "soft-reset.start",
				     "before a program starts again after one" },
};

static const struct program_desc desc = {
	.role = "bmc",
	.points = points,
	.n_points = BMC_POINT_N,
};

/* What the command line says. */
struct options {
	struct program_options common;
	const char *file;
	char **command;
	uint64_t start_timeout_ns;
	bool check;
};

static struct bmc self;

enum {
	OPT_START_TIMEOUT = 1000,
	OPT_CHECK,
};

static const struct argp_option option_table[] = {
	{ "start-timeout", OPT_START_TIMEOUT, "TIME", 0,
	  "give up when a program is not ready by then (default 10s, 0: never)",
	  0 },
	{ "check", OPT_CHECK, NULL, 0, "check FILE and end", 0 },
	{ 0 },
};

static error_t parse_argument(char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (!state->arg_num) {
		o->file = arg;
		return 0;
	}
	if (!state->quoted)
		argp_error(state, "put -- before COMMAND");
	o->command = &state->argv[state->next - 1];
	state->next = state->argc;
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct complaint c;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		break;
	case OPT_START_TIMEOUT:
		if (units_duration(arg, &o->start_timeout_ns, &c))
			argp_error(state, "--start-timeout: %s", c.text);
		break;
	case OPT_CHECK:
		o->check = true;
		break;
	case ARGP_KEY_ARG:
		return parse_argument(arg, state);
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no machine file");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = { { &program_argp, 0, NULL, 0 },
					      { 0 } };

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.args_doc = "FILE [-- COMMAND...]",
	.doc = "Power on the machine that FILE describes.\v"
	       "With COMMAND the machine runs as long as it does; without, "
	       "until SIGTERM or SIGINT.",
	.children = children,
};

static void on_off_signal(void *arg)
{
	power_off(arg, -1, NULL);
}

static int watch_signals(struct bmc *b)
{
	struct loop *loop = b->program.loop;
	int err;

	/* Whoever started us may have ignored it, and nobody could be waited
	 * for. */
	signal(SIGCHLD, SIG_DFL);
	err = loop_signal(loop, SIGCHLD, children_changed, b);
	if (!err)
		err = loop_signal(loop, SIGTERM, on_off_signal, b);
	if (!err)
		err = loop_signal(loop, SIGINT, on_off_signal, b);
	if (!err)
		err = loop_signal(loop, SIGHUP, on_off_signal, b);
	return err;
}

static int find_bindir(struct bmc *b)
{
	ssize_t n;
	char *slash;

	n = readlink("/proc/self/exe", b->bindir, sizeof(b->bindir) - 1);
	if (n < 0)
		return -errno;
	b->bindir[n] = '\0';
	slash = strrchr(b->bindir, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

/* What programs and COMMAND find in their environment. */
static int set_environment(const struct bmc *b)
{
	const char *path = getenv("PATH");
	char *text;
	int err;

	if (asprintf(&text, "%s%s%s", b->bindir, path && *path ? ":" : "",
		     path ? path : "") < 0)
		return -ENOMEM;
	err = setenv("PATH", text, 1) || setenv("IOVKIT_MACHINE",
						b->program.machine.dir, 1)
		      ? -errno
		      : 0;
	free(text);
	return err;
}

static int init_processes(struct bmc *b)
{
	unsigned i;

	b->process = calloc(b->file.n, sizeof(*b->process));
	if (!b->process)
		return -ENOMEM;
	for (i = 0; i < b->file.n; i++)
		process_init(&b->process[i], b, &b->file.line[i]);
	b->n = b->file.n;
	soft_reset_init(&b->soft_reset);
	return 0;
}

static void complain_about(const char *what)
{
	fprintf(stderr, "bmc: %s\n", what);
}

/* Read and check the machine file; a status. */
static int read_file(struct bmc *b, const struct options *o)
{
	struct complaint c = { "" };
	int err;

	b->label = o->file;
	err = find_bindir(b);
	if (err)
		complain(&c, -err, "/proc/self/exe: %s", strerror(-err));
	if (!err)
		err = machine_file_read(&b->file, o->file, b->bindir, &c);
	if (!err)
		err = machine_file_check(&b->file, o->file, b->bindir, &c);
	if (!err)
		return STATUS_OK;
	complain_about(c.text);
	return err == -ENOMEM ? STATUS_INTERNAL : STATUS_DATA;
}

/* Of each program a pidfd, its standard error, and while it starts a pipe. */
static int take_fds(struct bmc *b)
{
	struct complaint c;
	char programs[32];
	int err;

	fd_limit_raise(&b->fd_limit);
	snprintf(programs, sizeof(programs), "%u programs", b->file.n);
	err = fd_limit_check(3 * b->file.n + OWN_FDS, programs, &c);
	if (err)
		complain_about(c.text);
	return err ? STATUS_INTERNAL : STATUS_OK;
}

/* Power on and stay until power is off; a status. */
static int run(struct bmc *b)
{
	int err;

	err = set_environment(b);
	if (!err)
		err = watch_signals(b);
	if (!err)
		err = init_processes(b);
	if (err) {
		program_stop(&b->program, STATUS_INTERNAL, "%s",
			     strerror(-err));
		return STATUS_INTERNAL;
	}
	bmc_add_methods(b);
	bmc_add_tables(b);
	power_on(b);
	return program_run(&b->program);
}

static void fini(struct bmc *b)
{
	unsigned i;

	captive_fini(&b->captive);
	for (i = 0; i < b->n; i++)
		process_fini(&b->process[i]);
	point_hold_cancel(&b->power.hold);
	loop_timer_cancel(&b->power.timer);
}

int main(int argc, char **argv)
{
	struct options o = { .common = PROGRAM_OPTIONS_INIT,
			     .start_timeout_ns = 10 * NS_PER_S };
	struct bmc *b = &self;
	struct complaint c;
	int status, err;

	argp_program_version_hook = program_version_hook;
	program_argp_desc = &desc;
	argp_parse(&parser, argc, argv, 0, NULL, &o);
	status = read_file(b, &o);
	if (status || o.check)
		goto out;
	status = take_fds(b);
	if (status)
		goto out;
	b->start_timeout_ns = o.start_timeout_ns;
	b->captive.argv = o.command;
	err = bmc_take_machine(o.common.machine, &b->lock_fd, &c);
	if (err) {
		complain_about(c.text);
		status = program_status_of(err);
		goto out;
	}
	status = program_start(&b->program, &desc, &o.common);
	if (!status) {
		run(b);
		fini(b);
	}
	status = program_fini(&b->program);
	program_print_cause(&b->program, false);
	free(b->process);
out:
	machine_file_fini(&b->file);
	return status;
}
