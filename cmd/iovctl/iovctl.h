/* iovctl.h - what the files of iovctl share. */
#ifndef IOVCTL_IOVCTL_H
#define IOVCTL_IOVCTL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/machine.h"
#include "libcore/status.h"

struct iovctl;

/* Options that commands may have; every command has -m, -t and --json. */
enum {
	TAKES_FOLLOW = 1 << 0, /* -f, --follow */
	TAKES_SINCE = 1 << 1,  /* --since N|start|now */
	TAKES_WRITE = 1 << 2,  /* -w, --write FILE|- */
	TAKES_COUNT = 1 << 3,  /* -c, --count N */
	NEEDS_NO_MACHINE = 1 << 4,
	TAKES_RESET = 1 << 5, /* --suspend HOW, --confirm HOW, --grant */
	TAKES_HOLD = 1 << 6,  /* --hold HOW, --limit TIME */
	/* --mode WHOSE, --illegal HOW, --watch N, --behind DEVICE */
	TAKES_VIRTUAL = 1 << 7,
	TAKES_DIRECT = 1 << 8, /* --irq HOW */
};

struct command {
	const char *name;
	const char *usage; /* its arguments */
	const char *what;  /* one line */
	const char *help;  /* more, for --help */
	unsigned takes;
	int min_args, max_args; /* max < 0: any number */
	/* Returns an exit status; one that is not 0 leaves ctl->cause. */
	int (*fn)(struct iovctl *ctl);
};

struct iovctl {
	const struct command *command;
	const char *machine_name;
	struct machine machine;
	uint64_t timeout_ns; /* -t, or 0 when it was not given */
	bool has_timeout;
	bool json;
	bool follow;
	const char *since; /* NULL: not given */
	const char *file;
	const char *suspend, *confirm; /* NULL: not given */
	const char *hold, *limit, *mode, *illegal, *irq, *behind;
	uint64_t watch; /* 0: not given */
	bool grant;
	uint64_t count;
	char **args;
	int n_args;
	struct complaint cause;
};

/* Tables of commands, each ended by a NULL name; one a file. */
extern const struct command show_commands[];
extern const struct command wait_commands[];
extern const struct command event_commands[];
extern const struct command trace_commands[];
extern const struct command call_commands[];
extern const struct command config_commands[];
extern const struct command capture_commands[];
extern const struct command operate_commands[];
extern const struct command link_commands[];
extern const struct command virtual_commands[];
extern const struct command process_commands[];
extern const struct command machine_commands[];

/* How long to wait for an answer. */
#define ANSWER_TIMEOUT_NS 2000000000ull
#define SLOW_TIMEOUT_NS   30000000000ull
uint64_t iovctl_answer_timeout(const struct iovctl *ctl);

/* Set ctl->cause; returns status. */
int fail(struct iovctl *ctl, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Something is missing from the output, which comes all the same. */
void warn(const struct iovctl *ctl, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The last event number of the machine, 0 when nothing happened yet. */
uint64_t iovctl_event_number(const struct iovctl *ctl);
/* Print what a method that starts something answered (taken), and `since`,
 * the number to wait from. */
void print_started(const struct iovctl *ctl, json_t *result, uint64_t since);
/* Print one JSON value and a newline. */
void print_json(const json_t *value);

#endif
