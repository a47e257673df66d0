/* program.h - what every program of a machine has: common options, machine,
 * loop, events, points, parts, control socket, readiness, end.
 *
 * main.c: parse with program_argp as a child, program_start(), wire its own
 * parts, program_ready() when able to serve, program_run(), program_fini().
 */
#ifndef IOVKIT_PROGRAM_H
#define IOVKIT_PROGRAM_H

#include <argp.h>
#include <stdbool.h>

#include "libcore/complaint.h"
#include "libcore/control.h"
#include "libcore/event_log.h"
#include "libcore/loop.h"
#include "libcore/machine.h"
#include "libcore/parts.h"
#include "libcore/points.h"
#include "libcore/state_area.h"
#include "libcore/status.h"

#define PROGRAM_AT_MAX 32

/* Filled by program_argp; pass its address as the child's input. */
struct program_options {
	const char *machine; /* -m, --machine */
	const char *name;    /* --name */
	const char *events;  /* --events PATH|- */
	int ready_fd;        /* --ready-fd, -1 none */
	const char *at[PROGRAM_AT_MAX];
	unsigned n_at;
	const char *without[PROGRAM_AT_MAX];
	unsigned n_without;
};
#define PROGRAM_OPTIONS_INIT   \
	{                      \
		.ready_fd = -1 \
	}

/* What a program is; const, in main.c. */
struct program_desc {
	const char *role; /* "iovdev"; also the default name */
	const struct point_desc *points;
	unsigned n_points;
	const struct part_desc *parts;
	unsigned n_parts;
};

struct program {
	const struct program_desc *desc;
	char name[32];
	struct machine machine;
	struct state_area *state;
	struct loop *loop;
	struct event_log *log;
	struct points *points;
	struct parts parts;
	struct control *control;
	int ready_fd;
	bool is_ready;
	bool is_stopping;
	int status;             /* with which it will end */
	struct complaint cause; /* why, for main.c to print when not empty */
};

/* The common options as an argp child: {&program_argp, 0, NULL, 0}, with the
 * child's input set to a struct program_options in the parent's
 * ARGP_KEY_INIT.  Also --list-points and --list-parts, which need
 * program_argp_desc to be set by main before argp_parse. */
extern const struct argp program_argp;
extern const struct program_desc *program_argp_desc;

/* "iovdev (iovkit) 0.1" for --version; set argp_program_version_hook. */
void program_version_hook(FILE *stream, struct argp_state *state);
/* At exit, fail (70) when standard output could not be written: `--help
 * >/dev/full` is an error.  program_argp does this; other mains call it. */
void program_check_stdout(void);

/* Sane fds 0-2, machine directory, state area, loop, SIGTERM and SIGINT
 * (they stop the loop with status 0), SIGPIPE ignored, event log, points,
 * parts, control socket.  Writes the event "start".  Returns 0 or an exit
 * status with p->cause set; program_fini() is right in both cases. */
int program_start(struct program *p, const struct program_desc *desc,
		  const struct program_options *o)
	__attribute__((warn_unused_result));
/* Able to serve: event "ready", newline on --ready-fd, which is closed. */
void program_ready(struct program *p);
/* Run the loop; returns the exit status (event "exit" is written). */
int program_run(struct program *p);
/* End the loop with this status and cause. The first call decides. */
void program_stop(struct program *p, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Print the cause, if there is one, to standard error: "iovdev: m0: CAUSE", and
 * behind the machine the program's name where `named`; neither of them when no
 * machine was found. */
void program_print_cause(const struct program *p, bool named);
/* Free everything; prints nothing.  Returns p->status. */
int program_fini(struct program *p);
/* What the method `release` of points does, for a program whose own `release`
 * knows more: answers the call after the member "point" of params. */
void program_release_points(struct program *p, struct control_call *call,
			    const json_t *params);
/* The exit status that fits a -errno of libcore. */
int program_status_of(int err);

#endif
