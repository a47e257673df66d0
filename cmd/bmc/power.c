/* power.c - the machine's power: on in line order, off in reverse.
 *
 * Theory of operation.  Programs start one line after the other, each when the
 * one before is ready; then COMMAND, if there is one.  Off means COMMAND first,
 * then the lines in reverse, each when the one below it is gone.  The programs
 * of one line start and end together, a bounded number at a time: a thousand
 * at once would all be late.  Without a
 * root bridge there is no machine: power is lost, those who notice end by
 * themselves (71) and the rest is killed.  actions[state][event] says what
 * each event means in each state.
 */
#include <config.h>

#include "cmd/bmc/power.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "cmd/bmc/bmc.h"
#include "cmd/bmc/restart.h"

/* Programs of one line that are awaited at a time. */
#define TOGETHER 16u
/* How long after a loss of power programs may go on. */
#define LOST_GRACE_NS (1 * NS_PER_S)

enum power_event {
	EV_READY,   /* of a program */
	EV_GONE,    /* likewise */
	EV_OFF,     /* asked for; status and cause are set */
	EV_LOST,    /* likewise */
	EV_COMMAND, /* COMMAND ended */
	POWER_EVENT_N
};

typedef void power_fn(struct bmc *b, struct process *p);

static power_fn nothing, ready_starting, ready_up, gone_starting, gone_up,
	begin_off, begin_lost, command_ended, stop_next, lost_next;

static power_fn *const actions[POWER_STATE_N][POWER_EVENT_N] = {
	[POWER_STARTING] = {
		[EV_READY] = ready_starting,
		[EV_GONE] = gone_starting,
		[EV_OFF] = begin_off,
		[EV_LOST] = begin_lost,
		[EV_COMMAND] = nothing,
	},
	[POWER_UP] = {
		[EV_READY] = ready_up,
		[EV_GONE] = gone_up,
		[EV_OFF] = begin_off,
		[EV_LOST] = begin_lost,
		[EV_COMMAND] = command_ended,
	},
	[POWER_STOPPING] = {
		[EV_READY] = nothing,
		[EV_GONE] = stop_next,
		[EV_OFF] = nothing,
		[EV_LOST] = nothing,
		[EV_COMMAND] = stop_next,
	},
	[POWER_LOST] = {
		[EV_READY] = nothing,
		[EV_GONE] = lost_next,
		[EV_OFF] = nothing,
		[EV_LOST] = nothing,
		[EV_COMMAND] = lost_next,
	},
	[POWER_DOWN] = {
		[EV_READY] = nothing,
		[EV_GONE] = nothing,
		[EV_OFF] = nothing,
		[EV_LOST] = nothing,
		[EV_COMMAND] = nothing,
	},
};

const char *power_state_name(const struct bmc *b)
{
	static const char *const names[] = { "starting", "up", "stopping",
					     "lost", "down" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == POWER_STATE_N,
		       "every state has a name");
	return names[b->power.state];
}

static void take_event(struct bmc *b, enum power_event ev, struct process *p)
{
	actions[b->power.state][ev](b, p);
}

static void nothing(struct bmc *b, struct process *p)
{
	(void)b;
	(void)p;
}

static void enter(struct bmc *b, enum power_state state)
{
	unsigned i;

	b->power.state = state;
	point_hold_cancel(&b->power.hold);
	if (state < POWER_STOPPING)
		return;
	soft_reset_cancel(b);
	for (i = 0; i < b->n; i++) {
		point_hold_cancel(&b->process[i].hold);
		if (!process_runs(&b->process[i]))
			loop_timer_cancel(&b->process[i].timer);
	}
}

static struct points *points(const struct bmc *b)
{
	return b->program.points;
}

/* Why, for the exit message; status -1: COMMAND's, or 0. */
static void set_end(struct bmc *b, int status, const char *fmt, va_list ap)
{
	b->power.status = status;
	b->power.cause.text[0] = '\0';
	if (fmt)
		vsnprintf(b->power.cause.text, sizeof(b->power.cause.text), fmt,
			  ap);
}

void power_off(struct bmc *b, int status, const char *fmt, ...)
{
	va_list ap;

	if (b->power.state > POWER_UP)
		return;
	va_start(ap, fmt);
	set_end(b, status, fmt, ap);
	va_end(ap);
	take_event(b, EV_OFF, NULL);
}

static __attribute__((format(printf, 2, 3))) void
power_lost(struct bmc *b, const char *fmt, ...)
{
	va_list ap;

	if (b->power.state > POWER_UP)
		return;
	va_start(ap, fmt);
	set_end(b, STATUS_SHUTDOWN, fmt, ap);
	va_end(ap);
	take_event(b, EV_LOST, NULL);
}

/* On */

static void all_ready(void *arg)
{
	struct bmc *b = arg;
	int err;

	enter(b, POWER_UP);
	program_ready(&b->program);
	err = b->captive.argv ? captive_start(&b->captive, b) : 0;
	if (err)
		power_off(b, STATUS_INTERNAL, "cannot run %s: %s",
			  b->captive.argv[0], strerror(-err));
}

static void go_on(struct bmc *b);

static void start_this(void *arg)
{
	struct bmc *b = arg;
	struct process *p = &b->process[b->power.next++];
	int err = process_start(p);

	p->awaited = true;
	b->power.n_awaited++;
	if (err)
		power_off(b, STATUS_INTERNAL, "%s: cannot start it: %s",
			  p->line->name, strerror(-err));
	go_on(b);
}

static bool same_line(const struct process *p, const struct process *q)
{
	return p->line->number == q->line->number;
}

/* The next one's turn: all before it are ready but some of its own line. */
static bool is_turn(const struct bmc *b)
{
	const struct process *p = &b->process[b->power.next];

	return !b->power.n_awaited ||
	       (same_line(p, p - 1) && b->power.n_awaited < TOGETHER);
}

static void start_next(struct bmc *b)
{
	struct process *p = &b->process[b->power.next];
	enum point_verdict verdict;

	verdict = point(points(b), POINT_POWER_START, &b->power.hold,
			start_this, b, "s:s", "name", p->line->name);
	if (verdict == POINT_GO)
		start_this(b);
	else if (verdict == POINT_FAIL)
		power_off(b, STATUS_INTERNAL, "%s: power.start failed",
			  p->line->name);
}

/* One that is ready, and not yet taken for it; NULL: none. */
static struct process *arrived(struct bmc *b)
{
	unsigned left = b->power.n_awaited, i;
	struct process *p;

	for (i = b->power.next; left; i--) {
		p = &b->process[i - 1];
		if (p->awaited && p->arrived)
			return p;
		left -= p->awaited;
	}
	return NULL;
}

static void take_arrived(void *arg)
{
	struct process *p = arg;

	p->awaited = false;
	p->bmc->power.n_awaited--;
	go_on(p->bmc);
}

static void welcome(struct bmc *b, struct process *p)
{
	enum point_verdict verdict;

	verdict = point(points(b), POINT_POWER_READY, &b->power.hold,
			take_arrived, p, "s:s, s:i", "name", p->line->name,
			"pid", (int)p->pid);
	if (verdict == POINT_GO)
		take_arrived(p);
	else if (verdict == POINT_FAIL)
		power_off(b, STATUS_INTERNAL, "%s: power.ready failed",
			  p->line->name);
}

static void come_up(struct bmc *b)
{
	enum point_verdict verdict;

	verdict = point(points(b), POINT_POWER_UP, &b->power.hold, all_ready, b,
			NULL);
	if (verdict == POINT_GO)
		all_ready(b);
	else if (verdict == POINT_FAIL)
		power_off(b, STATUS_INTERNAL, "power.up failed");
}

/* Each step goes on from where it got to, until somebody is waited for. */
static void go_on(struct bmc *b)
{
	struct process *p;

	if (b->power.state != POWER_STARTING || b->power.hold.points)
		return;
	p = arrived(b);
	if (p)
		welcome(b, p);
	else if (b->power.next < b->n && is_turn(b))
		start_next(b);
	else if (b->power.next == b->n && !b->power.n_awaited)
		come_up(b);
}

/* It may be a soft reset's turn as well. */
static void ready_starting(struct bmc *b, struct process *p)
{
	soft_reset_ready(b, p);
	p->arrived = true;
	go_on(b);
}

static void ready_up(struct bmc *b, struct process *p)
{
	soft_reset_ready(b, p);
}

static void start_first(void *arg)
{
	go_on(arg);
}

void power_on(struct bmc *b)
{
	enum point_verdict verdict;

	verdict = point(points(b), POINT_POWER_ON, &b->power.hold, start_first,
			b, "s:s, s:i", "file", b->label, "programs", (int)b->n);
	if (verdict == POINT_GO)
		go_on(b);
	else if (verdict == POINT_FAIL)
		power_off(b, STATUS_INTERNAL, "power.on failed");
}

void power_ready(struct bmc *b, struct process *p)
{
	take_event(b, EV_READY, p);
}

/* A program ended */

static void gone_up(struct bmc *b, struct process *p)
{
	const char *cause = state_area_cause(b->program.state);
	char end[32];

	if (cause) {
		power_lost(b, "shut down: %s", cause);
		return;
	}
	if (process_runs_program(p, "rootbridge")) {
		power_lost(b, "shut down: %s ended (%s)", p->line->name,
			   process_end_text(p, end, sizeof(end)));
		return;
	}
	if (!p->doomed && p->ending && p->again)
		restart_now(p);
	else if (!p->doomed && !p->ending && restart_applies(p))
		restart_by_rule(p);
	if (b->power.state <= POWER_UP)
		soft_reset_gone(b, p);
}

/* The machine cannot come up: with the program's own status if it has one. */
static void start_failed(void *arg)
{
	struct process *p = arg;
	struct bmc *b = p->bmc;
	bool has_status = p->end_code == CLD_EXITED && p->end_status;
	char end[32];

	if (restart_waits_for_bridge(p, start_failed))
		return;
	if (p->exec_errno)
		power_off(b, STATUS_DATA, "%s: cannot run %s: %s",
			  p->line->name, p->line->argv[0],
			  strerror(p->exec_errno));
	else if (p->late)
		power_off(
			b, STATUS_INTERNAL, "%s: not ready within %llu ms",
			p->line->name,
			(unsigned long long)(b->start_timeout_ns / NS_PER_MS));
	else
		power_off(b, has_status ? p->end_status : STATUS_INTERNAL,
			  "%s: ended before it was ready (%s)", p->line->name,
			  process_end_text(p, end, sizeof(end)));
}

static void gone_starting(struct bmc *b, struct process *p)
{
	bool awaited = p->awaited && !p->arrived;
	bool again = p->ending ? p->again : restart_applies(p);

	if (state_area_cause(b->program.state))
		gone_up(b, p);
	else if (p->doomed)
		soft_reset_gone(b, p);
	else if (awaited && !again && restart_misses_bridge(p))
		loop_timer_in(b->program.loop, &p->timer, RESTART_BRIDGE_NS,
			      start_failed, p);
	else if (awaited && (p->exec_errno || !again))
		start_failed(p);
	else if (awaited && !p->ending)
		restart_by_rule(p);
	else
		gone_up(b, p);
}

void power_gone(struct bmc *b, struct process *p, pid_t pid)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		process_drop_holder(&b->process[i], pid);
	take_event(b, EV_GONE, p);
}

/* Off */

static void down(void *arg)
{
	struct bmc *b = arg;
	int status = b->power.status;

	if (status < 0)
		status = captive_status(&b->captive);
	bmc_remove_sockets(&b->program.machine);
	program_stop(&b->program, status, b->power.cause.text[0] ? "%s" : NULL,
		     b->power.cause.text);
}

static void all_gone(struct bmc *b)
{
	enter(b, POWER_DOWN);
	loop_timer_cancel(&b->power.timer);
	if (point(points(b), POINT_POWER_DOWN, &b->power.hold, down, b, NULL) !=
	    POINT_HELD)
		down(b);
}

static void stop_this(void *arg)
{
	struct process *p = arg;

	/* It may have ended while this was held. */
	process_end(p);
	stop_next(p->bmc, NULL);
}

/* Of the last line that still runs one that was not told to end; NULL: they all
 * are, or enough of them. */
static struct process *to_stop(struct bmc *b)
{
	struct process *top = &b->process[b->power.next - 1], *p;
	unsigned ending = 0;

	for (p = top; ending < TOGETHER && same_line(p, top); p--) {
		if (process_runs(p) && !p->ending)
			return p;
		ending += process_runs(p);
		if (p == b->process)
			break;
	}
	return NULL;
}

/* COMMAND or a program is gone: those before it. */
static void stop_next(struct bmc *b, struct process *p)
{
	struct power *w = &b->power;

	(void)p;
	if (captive_runs(&b->captive) || w->hold.points)
		return;
	while (w->next && !process_runs(&b->process[w->next - 1]))
		w->next--;
	if (!w->next) {
		all_gone(b);
		return;
	}
	p = to_stop(b);
	if (p && point(points(b), POINT_POWER_STOP, &w->hold, stop_this, p,
		       "s:s, s:i", "name", p->line->name, "pid",
		       (int)p->pid) != POINT_HELD)
		stop_this(p);
}

static void off_now(void *arg)
{
	struct bmc *b = arg;

	b->power.next = b->n;
	captive_end(&b->captive, b);
	stop_next(b, NULL);
}

static void begin_off(struct bmc *b, struct process *p)
{
	const char *cause = b->power.cause.text;

	(void)p;
	enter(b, POWER_STOPPING);
	atomic_store(&b->program.state->power_off, 1);
	if (point(points(b), POINT_POWER_OFF, &b->power.hold, off_now, b,
		  "s:s*", "cause", cause[0] ? cause : NULL) != POINT_HELD)
		off_now(b);
}

/* COMMAND may have ended because the machine did. */
static void command_ended(struct bmc *b, struct process *p)
{
	const char *cause = state_area_cause(b->program.state);

	(void)p;
	if (cause)
		power_lost(b, "shut down: %s", cause);
	else if (b->captive.exec_errno)
		power_off(b, -1, "cannot run %s: %s", b->captive.argv[0],
			  strerror(b->captive.exec_errno));
	else
		power_off(b, -1, NULL);
}

void power_command_ended(struct bmc *b)
{
	take_event(b, EV_COMMAND, NULL);
}

/* Lost */

static void kill_all(void *arg)
{
	struct bmc *b = arg;
	unsigned i;

	for (i = 0; i < b->n; i++)
		process_signal(&b->process[i], SIGKILL);
}

static void lost_next(struct bmc *b, struct process *p)
{
	unsigned i;

	(void)p;
	if (b->power.hold.points)
		return;
	for (i = 0; i < b->n; i++)
		if (process_runs(&b->process[i]))
			return;
	if (!captive_runs(&b->captive))
		all_gone(b);
}

static void lost_now(void *arg)
{
	struct bmc *b = arg;
	struct process *p;
	unsigned i;

	/* Ours see it by themselves, once they run; a foreign one is told. */
	for (i = 0; i < b->n; i++) {
		p = &b->process[i];
		if (p->line->foreign)
			process_signal(p, SIGTERM);
		if (p->stop.state != STOP_RUNNING)
			process_signal(p, SIGCONT);
	}
	captive_end(&b->captive, b);
	loop_timer_in(b->program.loop, &b->power.timer, LOST_GRACE_NS, kill_all,
		      b);
	lost_next(b, NULL);
}

static void begin_lost(struct bmc *b, struct process *p)
{
	(void)p;
	enter(b, POWER_LOST);
	state_area_set_cause(b->program.state, b->power.cause.text);
	if (point(points(b), POINT_POWER_LOST, &b->power.hold, lost_now, b,
		  "s:s", "cause", b->power.cause.text) != POINT_HELD)
		lost_now(b);
}
