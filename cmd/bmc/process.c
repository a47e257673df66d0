/* process.c - one supervised program: start, readiness, signals, end.
 *
 * Theory of operation.  A program has a pipe on which it says that it is
 * ready (ours write a newline; a foreign one is ready when exec closed the
 * pipe), a pipe for its standard error, and a pidfd.  The kernel tells by
 * SIGCHLD that a child ended, stopped or went on, and waitid() which: it is
 * asked until it knows of no more, so that signals that merged lose nothing.
 * What an end means for the machine is decided in power.c.
 */
#include <config.h>

#include "cmd/bmc/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/bmc/bmc.h"
#include "cmd/bmc/spawn.h"

static struct program *program(const struct process *p)
{
	return &p->bmc->program;
}

void process_init(struct process *p, struct bmc *b,
		  const struct machine_line *line)
{
	memset(p, 0, sizeof(*p));
	p->bmc = b;
	p->line = line;
	p->pidfd = p->status_fd = p->relay.fd = -1;
	TAILQ_INIT(&p->waiters);
}

static void close_status(struct process *p)
{
	if (p->status_fd < 0)
		return;
	loop_watch_del(&p->status_watch);
	close(p->status_fd);
	p->status_fd = -1;
}

void process_fini(struct process *p)
{
	struct process_waiter *w;

	if (p->pid)
		process_signal(p, SIGKILL);
	close_status(p);
	stderr_relay_close(&p->relay);
	loop_timer_cancel(&p->timer);
	point_hold_cancel(&p->hold);
	if (p->pidfd >= 0)
		close(p->pidfd);
	while ((w = TAILQ_FIRST(&p->waiters))) {
		TAILQ_REMOVE(&p->waiters, w, entry);
		control_fail(w->call, RPC_FAILED, "bmc ends");
		free(w);
	}
}

/* Answering */

void process_wait(struct process *p, enum process_wait what,
		  struct control_call *call)
{
	struct process_waiter *w = malloc(sizeof(*w));

	if (!w) {
		control_fail(call, RPC_INTERNAL, "out of memory");
		return;
	}
	w->what = what;
	w->call = call;
	w->since = (json_int_t)atomic_load_explicit(
		&program(p)->state->event_sequence, memory_order_relaxed);
	TAILQ_INSERT_TAIL(&p->waiters, w, entry);
}

void process_answer(struct process *p, enum process_wait what)
{
	struct process_waiter *w, *next;
	json_t *row;

	for (w = TAILQ_FIRST(&p->waiters); w; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->what != what)
			continue;
		TAILQ_REMOVE(&p->waiters, w, entry);
		row = process_to_answer(p);
		json_object_set_new(row, "since", json_integer(w->since));
		control_reply(w->call, row);
		free(w);
	}
}

void process_refuse(struct process *p, enum process_wait what, const char *why)
{
	struct process_waiter *w, *next;

	for (w = TAILQ_FIRST(&p->waiters); w; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->what != what)
			continue;
		TAILQ_REMOVE(&p->waiters, w, entry);
		/* What has ended is neither stopped nor continued. */
		control_fail(w->call,
			     what == WAIT_SETTLED ? RPC_MISSING : RPC_FAILED,
			     "%s: %s", p->line->name, why);
		free(w);
	}
}

/* Start and readiness */

static void became_ready(struct process *p)
{
	close_status(p);
	p->state = PROCESS_READY;
	if (!p->ending)
		loop_timer_cancel(&p->timer);
	event(program(p)->log, "program.ready", "s:s, s:i, s:I", "name",
	      p->line->name, "pid", (int)p->pid, "ns",
	      (json_int_t)(clock_now_ns() - p->started_ns));
	process_answer(p, WAIT_READY);
	power_ready(p->bmc, p);
}

static void on_status(void *arg, uint32_t events)
{
	struct process *p = arg;
	char text[1 + sizeof(int)];
	ssize_t n;

	(void)events;
	n = read(p->status_fd, text, sizeof(text));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(text) && text[0] == SPAWN_FAILED)
		memcpy(&p->exec_errno, text + 1, sizeof(p->exec_errno));
	if ((n > 0 && text[0] == '\n') || (n == 0 && p->line->foreign))
		became_ready(p);
	else
		close_status(p);
}

static void on_grace_over(void *arg)
{
	struct process *p = arg;

	event(program(p)->log, "program.kill", "s:s, s:i", "name",
	      p->line->name, "pid", (int)p->pid);
	process_signal(p, SIGKILL);
}

/* SIGTERM, and SIGKILL when that does not help in time. */
static void terminate(struct process *p)
{
	process_signal(p, SIGTERM);
	if (p->stop.state != STOP_RUNNING)
		process_signal(p, SIGCONT);
	loop_timer_in(program(p)->loop, &p->timer, PROCESS_GRACE_NS,
		      on_grace_over, p);
}

/* It may tell what it waits for. */
static void on_late(void *arg)
{
	struct process *p = arg;

	p->late = true;
	close_status(p);
	event(program(p)->log, "program.late", "s:s, s:i", "name",
	      p->line->name, "pid", (int)p->pid);
	terminate(p);
}

/* The words of the command; ours get a name and a place to say "ready". */
static char **make_argv(const struct process *p, char option[2][64])
{
	const struct machine_line *line = p->line;
	char **argv = calloc(line->argc + 3, sizeof(*argv));
	unsigned i, n = 0;

	if (!argv)
		return NULL;
	argv[n++] = line->argv[0];
	if (!line->foreign) {
		snprintf(option[0], 64, "--name=%s", line->name);
		snprintf(option[1], 64, "--ready-fd=%d", SPAWN_READY_FD);
		argv[n++] = option[0];
		argv[n++] = option[1];
	}
	for (i = 1; i < line->argc; i++)
		argv[n++] = line->argv[i];
	return argv;
}

static int start_with(struct process *p, int status_fd, int stderr_fd)
{
	char path[PATH_MAX + 64], option[2][64];
	const char *word = p->line->argv[0];
	char **argv = make_argv(p, option);
	struct spawn s = {
		.path = word,
		.argv = argv,
		.fd_limit = &p->bmc->fd_limit,
		.status_fd = status_fd,
		.keep_status = !p->line->foreign,
		.stderr_fd = stderr_fd,
		.stopped = p->born_reason[0],
	};
	int err;

	if (!argv)
		return -ENOMEM;
	if (!p->line->foreign) {
		snprintf(path, sizeof(path), "%s/%s", p->bmc->bindir, word);
		s.path = path;
	}
	err = spawn(&s, program(p)->loop, &p->pid, &p->pidfd);
	free(argv);
	return err;
}

static void begin(struct process *p)
{
	p->state = PROCESS_STARTING;
	p->ending = p->again = p->late = false;
	p->resetting = p->fenced = false;
	p->exec_errno = 0;
	p->started_ns = clock_now_ns();
	/* One that is stopped cannot hurry. */
	if (p->bmc->start_timeout_ns && !p->born_reason[0])
		loop_timer_in(program(p)->loop, &p->timer,
			      p->bmc->start_timeout_ns, on_late, p);
}

/* It stops itself before it is executed. */
static void take_born_reason(struct process *p)
{
	if (!p->born_reason[0])
		return;
	if (!stop_add(&p->stop, p->born_reason, p->born_holder))
		(void)stop_step(&p->stop, STOP_WANT);
	p->born_reason[0] = '\0';
	p->slicing = false;
}

int process_start(struct process *p)
{
	int status[2], stderr_fd, err;

	assert(!p->pid);
	if (pipe2(status, O_CLOEXEC))
		return -errno;
	fcntl(status[0], F_SETFL, O_NONBLOCK);
	err = stderr_relay_open(&p->relay, program(p)->loop, p->line->name,
				&stderr_fd);
	if (err)
		goto out_status;
	err = loop_watch_add(program(p)->loop, &p->status_watch, status[0],
			     EPOLLIN, on_status, p);
	if (err)
		goto out_relay;
	p->status_fd = status[0];
	err = start_with(p, status[1], stderr_fd);
	if (err)
		goto out_watch;
	close(stderr_fd);
	close(status[1]);
	begin(p);
	event(program(p)->log, "program.start", "s:s, s:s, s:i, s:s*", "name",
	      p->line->name, "program", p->line->argv[0], "pid", (int)p->pid,
	      "stopped", p->born_reason[0] ? p->born_reason : NULL);
	take_born_reason(p);
	process_answer(p, WAIT_STARTED);
	return 0;
out_watch:
	loop_watch_del(&p->status_watch);
	p->status_fd = -1;
out_relay:
	close(stderr_fd);
	stderr_relay_close(&p->relay);
out_status:
	close(status[0]);
	close(status[1]);
	return err;
}

/* Signals and the end */

int process_signal(struct process *p, int signo)
{
	if (!p->pid)
		return -ESRCH;
	return pidfd_send_signal(p->pidfd, signo, NULL, 0) ? -errno : 0;
}

void process_end(struct process *p)
{
	if (!p->pid)
		return;
	p->ending = true;
	terminate(p);
}

void process_reboot(struct process *p, const char *reason, pid_t holder,
		    struct control_call *call)
{
	int err;

	process_wait(p, WAIT_STARTED, call);
	strlcpy(p->born_reason, reason ? reason : "", sizeof(p->born_reason));
	p->born_holder = holder;
	if (p->pid) {
		p->ending = p->again = true;
		process_signal(p, SIGKILL);
		return;
	}
	loop_timer_cancel(&p->timer);
	point_hold_cancel(&p->hold);
	p->restarts++;
	err = process_start(p);
	if (err)
		process_refuse(p, WAIT_STARTED, strerror(-err));
}

/* What a killed program cannot remove any more. */
static void remove_control_socket(const struct process *p)
{
	char path[PATH_MAX];

	if (!p->line->foreign && p->end_code != CLD_EXITED)
		unlink(machine_path(&program(p)->machine, path, "ctl/%s.sock",
				    p->line->name));
}

static void log_end(const struct process *p, pid_t pid)
{
	if (p->end_code == CLD_EXITED)
		event(program(p)->log, "program.gone", "s:s, s:i, s:i", "name",
		      p->line->name, "pid", (int)pid, "status", p->end_status);
	else
		event(program(p)->log, "program.gone", "s:s, s:i, s:s", "name",
		      p->line->name, "pid", (int)pid, "signal",
		      sigabbrev_np(p->end_status));
}

/* Those who waited for another life of it go on waiting while there is one. */
static void answer_end(struct process *p, pid_t pid)
{
	struct process_waiter *w;
	char end[32], why[64];

	snprintf(why, sizeof(why), "it ended (%s)",
		 process_end_text(p, end, sizeof(end)));
	process_answer(p, WAIT_ENDED);
	process_refuse(p, WAIT_SETTLED, why);
	process_refuse(p, WAIT_READY, why);
	TAILQ_FOREACH (w, &p->waiters, entry)
		if (w->what != WAIT_STARTED)
			w->what = WAIT_READY;
	power_gone(p->bmc, p, pid);
	if (process_runs(p) || process_restarts(p))
		return;
	process_refuse(p, WAIT_READY, why);
	process_refuse(p, WAIT_STARTED, why);
}

void process_reap(struct process *p)
{
	siginfo_t info = { 0 };
	pid_t pid = p->pid;

	/* What it left in its group; the group is ours until it is reaped. */
	kill(-pid, SIGKILL);
	while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) &&
	       errno == EINTR)
		;
	p->end_code = info.si_code;
	p->end_status = info.si_status;
	p->has_ended = true;
	/* It may have been ready a moment before. */
	if (p->status_fd >= 0)
		on_status(p, EPOLLIN);
	close_status(p);
	stderr_relay_close(&p->relay);
	loop_timer_cancel(&p->timer);
	close(p->pidfd);
	p->pidfd = -1;
	p->last_pid = p->pid;
	p->pid = 0;
	p->was_ready = p->state == PROCESS_READY;
	p->state = PROCESS_ENDED;
	stop_clear(&p->stop);
	remove_control_socket(p);
	log_end(p, pid);
	answer_end(p, pid);
}

void process_poll(struct process *p)
{
	siginfo_t info = { 0 };

	/* An end is looked at only: its group goes first. */
	if (p->pid &&
	    !waitid(P_PIDFD, (id_t)p->pidfd, &info,
		    WEXITED | WNOHANG | WNOWAIT) &&
	    info.si_pid)
		process_reap(p);
}

/* Words */

bool process_runs_program(const struct process *p, const char *name)
{
	const char *word = p->line->argv[0];
	const char *slash = strrchr(word, '/');

	return !strcmp(slash ? slash + 1 : word, name);
}

const char *process_state_name(const struct process *p)
{
	static const char *const names[] = { "off", "starting", "running",
					     "ended" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == PROCESS_STATE_N,
		       "every state has a name");
	if (p->pid && p->ending)
		return "stopping";
	if (p->pid && stop_is_frozen(&p->stop))
		return "frozen";
	return names[p->state];
}

const char *process_end_text(const struct process *p, char *buf, size_t size)
{
	if (!p->has_ended)
		return NULL;
	if (p->end_code == CLD_EXITED)
		snprintf(buf, size, "%d", p->end_status);
	else
		snprintf(buf, size, "SIG%s", sigabbrev_np(p->end_status));
	return buf;
}

json_t *process_to_json(const struct process *p)
{
	char end[32];

	return json_pack("{s:s, s:s, s:o, s:s, s:i, s:o, s:b, s:s?}", "name",
			 p->line->name, "program", p->line->argv[0], "pid",
			 p->pid ? json_integer(p->pid) : json_null(), "state",
			 process_state_name(p), "restarts", (int)p->restarts,
			 "reasons", stop_to_json(&p->stop), "ready",
			 p->pid && p->state == PROCESS_READY, "status",
			 process_end_text(p, end, sizeof(end)));
}

json_t *process_to_answer(const struct process *p)
{
	json_t *row = process_to_json(p);

	if (process_runs(p))
		json_object_set_new(row, "status", json_null());
	return row;
}
