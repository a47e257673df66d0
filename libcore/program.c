/* program.c - what every program of a machine has. */
#include <config.h>

#include "libcore/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/function_name.h"
#include "libcore/units.h"

#define HEAP_KEEP_BYTES (16 << 20)
#define HEAP_STEP_BYTES (256 << 10)

const struct program_desc *program_argp_desc;

enum {
	OPT_NAME = 0x1000,
	OPT_EVENTS,
	OPT_READY_FD,
	OPT_AT,
	OPT_WITHOUT,
	OPT_LIST_POINTS,
	OPT_LIST_PARTS,
};

static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Common options:", 100 },
	{ "machine", 'm', "NAME|DIR", 0,
	  "the machine (default: $IOVKIT_MACHINE, else m0)", 0 },
	{ "name", OPT_NAME, "NAME", 0,
	  "what events, sockets and commands call this program", 0 },
	{ "events", OPT_EVENTS, "PATH|-", 0,
	  "write events there (default: events/NAME.jsonl of the machine)", 0 },
	{ "ready-fd", OPT_READY_FD, "FD", 0,
	  "write a newline to FD and close it when able to serve", 0 },
	{ "at", OPT_AT, "POINT=ACTION[:NTH]", 0,
	  "at a point: kill, stop, hold, fail or trace", 0 },
	{ "without", OPT_WITHOUT, "PART", 0,
	  "leave a safety part out, to see that a test notices", 0 },
	{ "list-points", OPT_LIST_POINTS, NULL, 0, "list the points", 0 },
	{ "list-parts", OPT_LIST_PARTS, NULL, 0, "list the safety parts", 0 },
	{ 0 },
};

static void check_stdout(void)
{
	if (!fclose(stdout) || errno == EBADF)
		return;
	fprintf(stderr, "%s: standard output: %s\n",
		program_invocation_short_name, strerror(errno));
	_exit(STATUS_INTERNAL);
}

void program_check_stdout(void)
{
	atexit(check_stdout);
}

static void list_points(void)
{
	const struct program_desc *desc = program_argp_desc;
	unsigned i;

	for (i = 0; desc && i < desc->n_points; i++)
		printf("%-24s %s%s\n", desc->points[i].name,
		       desc->points[i].what,
		       desc->points[i].quiet ? " (quiet)" : "");
	exit(STATUS_OK);
}

static void list_parts(void)
{
	const struct program_desc *desc = program_argp_desc;
	unsigned i;

	for (i = 0; desc && i < desc->n_parts; i++)
		printf("%-24s %s\n", desc->parts[i].name, desc->parts[i].what);
	exit(STATUS_OK);
}

static int parse_ready_fd(const char *arg, struct argp_state *state)
{
	struct complaint c;
	uint64_t fd;

	if (units_number(arg, 0, INT_MAX, &fd, &c) < 0)
		argp_error(state, "--ready-fd: %s", c.text);
	else if (fcntl((int)fd, F_GETFD) < 0)
		argp_error(state, "--ready-fd: %s is not open", arg);
	return (int)fd;
}

static void add_word(const char **words, unsigned *n, const char *option,
		     const char *arg, struct argp_state *state)
{
	if (*n == PROGRAM_AT_MAX)
		argp_error(state, "%s: at most %d times", option,
			   PROGRAM_AT_MAX);
	else
		words[(*n)++] = arg;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct program_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		program_check_stdout();
		break;
	case 'm':
		o->machine = arg;
		break;
	case OPT_NAME:
		if (!name_is_valid(arg))
			argp_error(state, "--name: '%s' is no name", arg);
		o->name = arg;
		break;
	case OPT_EVENTS:
		o->events = arg;
		break;
	case OPT_READY_FD:
		o->ready_fd = parse_ready_fd(arg, state);
		break;
	case OPT_AT:
		add_word(o->at, &o->n_at, "--at", arg, state);
		break;
	case OPT_WITHOUT:
		add_word(o->without, &o->n_without, "--without", arg, state);
		break;
	case OPT_LIST_POINTS:
		list_points();
		break;
	case OPT_LIST_PARTS:
		list_parts();
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp program_argp = {
	.options = argp_options,
	.parser = parse_option,
};

void program_version_hook(FILE *stream, struct argp_state *state)
{
	fprintf(stream, "%s (iovkit) %s\n",
		state && state->name ? state->name
				     : program_invocation_short_name,
		PACKAGE_VERSION);
}

int program_status_of(int err)
{
	switch (err) {
	case 0:
		return STATUS_OK;
	case -EINVAL:
	case -ERANGE:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -ENOTSOCK:
		return STATUS_USAGE;
	case -EBADMSG:
	case -EPROTO:
		return STATUS_DATA;
	case -ENOENT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ENOTCONN:
	case -EPIPE:
	case -ETIMEDOUT:
		return STATUS_MISSING;
	case -EEXIST:
	case -EADDRINUSE:
		return STATUS_EXISTS;
	case -EPERM:
	case -EACCES:
		return STATUS_PRIVILEGE;
	}
	return STATUS_INTERNAL;
}

/* A descriptor that is opened later must not become 0, 1 or 2. */
static int open_standard_fds(struct complaint *c)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return complain(c, errno, "/dev/null: %s",
					strerror(errno));
	} while (fd <= 2);
	close(fd);
	return 0;
}

static void answer_status(void *arg, struct control_call *call, json_t *params)
{
	const struct program *p = arg;

	(void)params;
	control_reply(call,
		      json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:I, s:I}",
				"name", p->name, "role", p->desc->role, "pid",
				(int)getpid(), "version", PACKAGE_VERSION,
				"machine", p->machine.name, "ready",
				p->is_ready, "event",
				(json_int_t)event_last(p->log), "incarnation",
				(json_int_t)event_incarnation(p->log)));
}

static void answer_points(void *arg, struct control_call *call, json_t *params)
{
	struct program *p = arg;

	(void)params;
	control_reply(call, points_to_json(p->points));
}

/* The last event number of the whole machine: what to wait from. */
static json_int_t event_now(const struct program *p)
{
	return (json_int_t)atomic_load(&p->state->event_sequence);
}

static void answer_at(void *arg, struct control_call *call, json_t *params)
{
	struct program *p = arg;
	json_int_t since = event_now(p);
	struct complaint c;

	if (points_arm(p->points, control_string(params, "point", ""), &c) < 0)
		control_fail(call, RPC_PARAMS, "at: %s", c.text);
	else
		control_reply(call, json_pack("{s:I}", "since", since));
}

static bool is_point(const struct program *p, const char *name)
{
	unsigned i;

	for (i = 0; i < p->desc->n_points; i++)
		if (!strcmp(p->desc->points[i].name, name))
			return true;
	return false;
}

void program_release_points(struct program *p, struct control_call *call,
			    const json_t *params)
{
	const char *name = control_string(params, "point", NULL);
	json_int_t since = event_now(p);
	unsigned n;

	if (name && !is_point(p, name)) {
		control_fail(call, RPC_PARAMS, "release: no point '%.64s'",
			     name);
		return;
	}
	n = points_release(p->points, name);
	control_reply(call, json_pack("{s:i, s:I}", "released", (int)n, "since",
				      since));
}

static void answer_release(void *arg, struct control_call *call, json_t *params)
{
	program_release_points(arg, call, params);
}

static void answer_stop(void *arg, struct control_call *call, json_t *params)
{
	struct program *p = arg;

	(void)params;
	control_reply(call, json_pack("{s:I}", "since", event_now(p)));
	program_stop(p, STATUS_OK, NULL);
}

static const struct control_param at_params[] = {
	{ "point", 's', false, "POINT=ACTION[:NTH], or POINT=off" },
	{ NULL },
};

static const struct control_param release_params[] = {
	{ "point", 's', true, "only what is held there" },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "status", "who this program is and how far it got", answer_status,
	  NULL },
	{ "points", "the points, what is armed and held there", answer_points,
	  NULL },
	{ "at", "arm a point", answer_at, at_params },
	{ "release", "let what is held at points go on", answer_release,
	  release_params },
	{ "stop", "end this program", answer_stop, NULL },
	{ NULL },
};

static void on_signal(void *arg)
{
	program_stop(arg, STATUS_OK, NULL);
}

static int start_loop(struct program *p)
{
	int err;

	signal(SIGPIPE, SIG_IGN);
	err = loop_new(&p->loop);
	if (!err)
		err = loop_signal(p->loop, SIGTERM, on_signal, p);
	if (!err)
		err = loop_signal(p->loop, SIGINT, on_signal, p);
	if (err < 0)
		complain(&p->cause, -err, "event loop: %s", strerror(-err));
	return err;
}

/* The socket comes before the log: a live program of the same name keeps its
 * log to itself. */
static int start_channels(struct program *p, const struct program_options *o)
{
	char path[PATH_MAX], file[64];
	int err;

	snprintf(file, sizeof(file), "ctl/%s.sock", p->name);
	err = control_new(&p->control, p->loop,
			  machine_path(&p->machine, path, "%s", file),
			  &p->cause);
	if (!err)
		err = event_log_open(&p->log, &p->machine, p->state, p->name,
				     o->events, &p->cause);
	if (!err)
		control_add_methods(p->control, methods, p);
	return err;
}

static int start_points(struct program *p, const struct program_options *o)
{
	unsigned i;
	int err;

	err = points_new(&p->points, p->desc->points, p->desc->n_points,
			 p->log);
	if (err < 0)
		return complain(&p->cause, -err, "%s", strerror(-err));
	for (i = 0; i < o->n_at; i++) {
		err = points_arm(p->points, o->at[i], &p->cause);
		if (err < 0)
			return complain_at(&p->cause, err, "--at");
	}
	p->parts.table = p->desc->parts;
	p->parts.n = p->desc->n_parts;
	for (i = 0; i < o->n_without; i++) {
		err = parts_leave_out(&p->parts, o->without[i], &p->cause);
		if (err < 0)
			return complain_at(&p->cause, err, "--without");
	}
	return 0;
}

static int start_all(struct program *p, const struct program_options *o)
{
	int err;

	err = open_standard_fds(&p->cause);
	if (!err)
		err = machine_open(&p->machine, o->machine, MACHINE_CREATE,
				   &p->cause);
	if (!err)
		err = state_area_map(&p->machine, 0, &p->state, &p->cause);
	if (!err)
		err = start_loop(p);
	if (!err)
		err = start_channels(p, o);
	if (!err)
		err = start_points(p, o);
	return err;
}

/* What a procedure needed once the next one needs, too: given back to the
 * kernel in between it would cost a page fault for each page. */
static void keep_memory(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEEP_BYTES);
	(void)mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
}

int program_start(struct program *p, const struct program_desc *desc,
		  const struct program_options *o)
{
	keep_memory();
	memset(p, 0, sizeof(*p));
	p->desc = desc;
	p->machine.dirfd = -1;
	p->ready_fd = o->ready_fd;
	snprintf(p->name, sizeof(p->name), "%s",
		 o->name ? o->name : desc->role);
	if (p->ready_fd >= 0)
		fcntl(p->ready_fd, F_SETFD, FD_CLOEXEC);
	p->status = program_status_of(start_all(p, o));
	if (!p->status)
		event(p->log, "start", "s:s, s:i, s:s", "role", desc->role,
		      "pid", (int)getpid(), "version", PACKAGE_VERSION);
	return p->status;
}

void program_ready(struct program *p)
{
	ssize_t n;

	if (p->is_ready)
		return;
	p->is_ready = true;
	event(p->log, "ready", NULL);
	if (p->ready_fd < 0)
		return;
	do {
		n = write(p->ready_fd, "\n", 1);
	} while (n < 0 && errno == EINTR);
	close(p->ready_fd);
	p->ready_fd = -1;
}

int program_run(struct program *p)
{
	if (!p->is_stopping)
		loop_run(p->loop);
	event(p->log, "exit", "s:i, s:s*", "status", p->status, "cause",
	      p->cause.text[0] ? p->cause.text : NULL);
	return p->status;
}

void program_stop(struct program *p, int status, const char *fmt, ...)
{
	va_list ap;

	if (p->is_stopping)
		return;
	p->is_stopping = true;
	p->status = status;
	p->cause.text[0] = '\0';
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(p->cause.text, sizeof(p->cause.text), fmt, ap);
		va_end(ap);
	}
	if (p->loop)
		loop_stop(p->loop, status);
}

void program_print_cause(const struct program *p, bool named)
{
	const char *machine = p->machine.name;

	if (!p->cause.text[0])
		return;
	fprintf(stderr, "%s: ", p->desc->role);
	if (machine[0])
		fprintf(stderr, "%s: ", machine);
	if (machine[0] && named)
		fprintf(stderr, "%s: ", p->name);
	fprintf(stderr, "%s\n", p->cause.text);
}

int program_fini(struct program *p)
{
	control_free(p->control);
	points_free(p->points);
	event_log_close(p->log);
	loop_free(p->loop);
	state_area_unmap(p->state);
	machine_close(&p->machine);
	if (p->ready_fd >= 0)
		close(p->ready_fd);
	p->control = NULL;
	p->points = NULL;
	p->log = NULL;
	p->loop = NULL;
	p->state = NULL;
	p->ready_fd = -1;
	return p->status;
}
