/* process.c - the commands kill, freeze, thaw, start, stop, power, soft-reset:
 * by bmc where it runs, else by a pidfd of whoever listens at the control
 * socket. */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/iovctl/client.h"
#include "libcore/loop.h"
#include "libcore/pid_state.h"
#include "libcore/unixsock.h"

struct target {
	pid_t pid;
	int pidfd;
};

/* The process that listens at ctl/NAME.sock.  It is still connected after its
 * pidfd was opened, so the pid was not given to another one before. */
static int find_target(struct iovctl *ctl, const char *name, struct target *t)
{
	char path[PATH_MAX];
	struct pollfd pfd;
	int status = STATUS_OK;

	pfd.fd = unixsock_connect(
		machine_path(&ctl->machine, path, "ctl/%s.sock", name));
	if (pfd.fd == -EAGAIN)
		return fail(ctl, STATUS_MISSING, "%s does not answer (frozen?)",
			    name);
	if (pfd.fd < 0)
		return fail(ctl, STATUS_MISSING, "%s does not run", name);
	t->pid = unixsock_peer(pfd.fd);
	t->pidfd = t->pid > 0 ? pidfd_open(t->pid, 0) : -1;
	pfd.events = 0;
	if (t->pidfd < 0 || poll(&pfd, 1, 0) > 0) {
		if (t->pidfd >= 0)
			close(t->pidfd);
		status = fail(ctl, STATUS_MISSING, "%s does not run", name);
	}
	close(pfd.fd);
	return status;
}

static int signal_name(const char *name)
{
	const char *known;
	char *end;
	long number;
	int i;

	number = strtol(name, &end, 10);
	if (*name && !*end)
		return number > 0 && number < NSIG ? (int)number : -1;
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (i = 1; i < NSIG; i++) {
		known = sigabbrev_np(i);
		if (known && !strcasecmp(known, name))
			return i;
	}
	return -1;
}

/* A stop is told when it has happened. */
static int wait_stopped(struct iovctl *ctl, const char *name, pid_t pid)
{
	uint64_t deadline = clock_now_ns() + iovctl_answer_timeout(ctl);
	struct timespec ms = { .tv_nsec = 1000000 };

	while (!pid_is_stopped(pid)) {
		if (clock_now_ns() > deadline)
			return fail(ctl, STATUS_MISSING, "%s does not stop",
				    name);
		nanosleep(&ms, NULL);
	}
	return STATUS_OK;
}

static int send_signal(struct iovctl *ctl, const char *name, int signo)
{
	struct target t;
	int status;

	status = find_target(ctl, name, &t);
	if (status)
		return status;
	if (pidfd_send_signal(t.pidfd, signo, NULL, 0) < 0)
		status = fail(
			ctl, errno == EPERM ? STATUS_PRIVILEGE : STATUS_MISSING,
			"%s: %s", name, strerror(errno));
	else if (signo == SIGSTOP)
		status = wait_stopped(ctl, name, t.pid);
	close(t.pidfd);
	return status;
}

/* bmc's name when it runs and is not the target; false: by ourselves. */
static bool find_bmc(struct iovctl *ctl, const char *target, char name[64])
{
	if (!strcmp(target, "bmc"))
		return false;
	if (!is_listening(ctl, "bmc") &&
	    !machine_is_locked(&ctl->machine, NULL))
		return false;
	if (find_role(ctl, "bmc", name)) {
		ctl->cause.text[0] = '\0';
		return false;
	}
	return strcmp(name, target) != 0;
}

static int by_bmc(struct iovctl *ctl, const char *bmc, json_t *params)
{
	uint64_t since = iovctl_event_number(ctl);
	json_t *result;
	int status;

	status = call_slow(ctl, bmc, ctl->command->name, params, &result);
	if (!status)
		print_started(ctl, result, since);
	return status;
}

static int by_signal(struct iovctl *ctl, int signo)
{
	uint64_t since = iovctl_event_number(ctl);
	int status;

	status = send_signal(ctl, ctl->args[0], signo);
	if (!status)
		print_started(ctl, NULL, since);
	return status;
}

static int do_kill(struct iovctl *ctl)
{
	const char *word = ctl->n_args > 1 ? ctl->args[1] : "KILL";
	int signo = signal_name(word);
	char bmc[64];

	if (signo < 0)
		return fail(ctl, STATUS_USAGE, "no signal '%s'", word);
	if (!find_bmc(ctl, ctl->args[0], bmc))
		return by_signal(ctl, signo);
	return by_bmc(
		ctl, bmc,
		json_pack("{s:s, s:s}", "name", ctl->args[0], "signal",
			  sigabbrev_np(signo) ? sigabbrev_np(signo) : word));
}

static json_t *name_params(const struct iovctl *ctl)
{
	return json_pack("{s:s}", "name", ctl->args[0]);
}

/* freeze, thaw */
static int do_freeze(struct iovctl *ctl)
{
	char bmc[64];

	if (find_bmc(ctl, ctl->args[0], bmc))
		return by_bmc(ctl, bmc, name_params(ctl));
	return by_signal(ctl, !strcmp(ctl->command->name, "freeze") ? SIGSTOP
								    : SIGCONT);
}

/* start, restart */
static int do_start(struct iovctl *ctl)
{
	char bmc[64];

	if (!find_bmc(ctl, ctl->args[0], bmc))
		return fail(ctl, STATUS_MISSING, "no bmc runs");
	return by_bmc(ctl, bmc, name_params(ctl));
}

/* Without bmc the program is asked itself. */
static int do_stop(struct iovctl *ctl)
{
	char bmc[64];

	if (find_bmc(ctl, ctl->args[0], bmc))
		return by_bmc(ctl, bmc, name_params(ctl));
	return by_bmc(ctl, ctl->args[0], NULL);
}

static int do_power(struct iovctl *ctl)
{
	char bmc[64];

	if (!find_bmc(ctl, "", bmc))
		return fail(ctl, STATUS_MISSING, "no bmc runs");
	return by_bmc(ctl, bmc, json_pack("{s:s}", "state", ctl->args[0]));
}

static int do_soft_reset(struct iovctl *ctl)
{
	char bmc[64];

	if (!find_bmc(ctl, "", bmc))
		return fail(ctl, STATUS_MISSING, "no bmc runs");
	return by_bmc(ctl, bmc, NULL);
}

const struct command process_commands[] = {
	{ .name = "kill",
	  .usage = "NAME [SIGNAL]",
	  .what = "kill a program, as a crash does (SIGKILL)",
	  .min_args = 1,
	  .max_args = 2,
	  .fn = do_kill },
	{ .name = "freeze",
	  .usage = "NAME",
	  .what = "stop a program's process (SIGSTOP)",
	  .help = "Answered when it has stopped.",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_freeze },
	{ .name = "thaw",
	  .usage = "NAME",
	  .what = "continue a frozen program",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_freeze },
	{ .name = "start",
	  .usage = "NAME",
	  .what = "have bmc start a program of the machine file",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_start },
	{ .name = "stop",
	  .usage = "NAME",
	  .what = "end a program in good order",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_stop },
	{ .name = "restart",
	  .usage = "NAME",
	  .what = "have bmc end a program and start it again",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_start },
	{ .name = "power",
	  .usage = "off",
	  .what = "the machine's power, by bmc",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_power },
	{ .name = "soft-reset",
	  .usage = "",
	  .what = "kill and start again the hypervisor and the guests",
	  .help = "Answered when they are gone.",
	  .fn = do_soft_reset },
	{ NULL },
};
