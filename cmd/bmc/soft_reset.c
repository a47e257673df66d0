/* soft_reset.c - the hypervisor and the guests are killed and started again
 * (1707), all but the guest that asks for it.
 *
 * Theory of operation.  SIGKILL to all at once, also to those that stand
 * still; when the last pidfd has told of its end the callers are answered, and
 * the programs start in line order, each when the one before is ready.  What
 * RESTART says does not matter for those that the reset killed.  Asked for
 * again while it kills, it is the same reset; while it starts, a new one.
 *
 * At power on it does not wait: the program that is awaited may wait for the
 * hypervisor that has failed.  Those that were not started yet are left to the
 * power on, which goes on as they become ready.
 *
 * A reset that went well leaves nobody with restarts of late to answer for.
 *
 * A program that had ended by itself with status 0, or was told to, is left
 * so.  A guest that ends before it is ready is passed over; without a
 * hypervisor the reset has failed, and waits for nobody.
 */
#include <config.h>

#include "cmd/bmc/soft_reset.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cmd/bmc/bmc.h"
#include "cmd/bmc/restart.h"

static bool is_hypervisor(const struct process *p)
{
	return process_runs_program(p, "hvmon");
}

static bool is_vm(const struct process *p)
{
	return is_hypervisor(p) || process_runs_program(p, "guestd");
}

/* Whether it is one of those that are reset. */
static bool is_meant(const struct bmc *b, const struct process *p)
{
	if (!is_vm(p) || p->state == PROCESS_OFF)
		return false;
	return !p->pid || p->pid != b->soft_reset.spared;
}

/* One that nobody wants to run: told to end, or its work is done. */
static bool is_at_rest(const struct process *p)
{
	if (p->ending)
		return !p->again;
	return !p->pid && !process_restarts(p) && p->end_code == CLD_EXITED &&
	       !p->end_status;
}

void soft_reset_init(struct soft_reset *r)
{
	TAILQ_INIT(&r->callers);
}

static void answer(struct bmc *b, const char *why)
{
	struct soft_reset *r = &b->soft_reset;
	struct soft_reset_caller *caller;

	while ((caller = TAILQ_FIRST(&r->callers))) {
		TAILQ_REMOVE(&r->callers, caller, entry);
		if (why)
			control_fail(caller->call, RPC_FAILED, "%s", why);
		else
			control_reply(caller->call, json_pack("{s:i}", "killed",
							      (int)r->killed));
		free(caller);
	}
}

static void end(struct bmc *b, const char *ev, const char *name)
{
	struct soft_reset *r = &b->soft_reset;

	r->state = SOFT_RESET_NONE;
	event(b->program.log, ev, "s:i, s:s*, s:I", "killed", (int)r->killed,
	      "name", name, "took_ns",
	      (json_int_t)(clock_now_ns() - r->begun_ns));
}

/* Starting */

static void forgive(struct bmc *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (is_vm(&b->process[i]))
			restart_limit_forget(&b->process[i].limit);
}

static void start_at(struct bmc *b);

static void start_this(void *arg)
{
	struct bmc *b = arg;
	struct process *p = &b->process[b->soft_reset.next];

	p->resetting = false;
	/* Somebody may have started it while this was held. */
	if (!process_runs(p))
		restart_now(p);
	else if (p->state == PROCESS_READY)
		start_at(b);
}

static void start_at(struct bmc *b)
{
	struct soft_reset *r = &b->soft_reset;
	enum point_verdict verdict;
	struct process *p;

	while (r->next < b->n && !b->process[r->next].resetting)
		r->next++;
	if (r->next == b->n) {
		forgive(b);
		end(b, "soft-reset.done", NULL);
		return;
	}
	p = &b->process[r->next];
	verdict = point(b->program.points, POINT_SOFT_RESET_START, &r->hold,
			start_this, b, "s:s", "name", p->line->name);
	if (verdict == POINT_GO) {
		start_this(b);
	} else if (verdict == POINT_FAIL) {
		p->resetting = false;
		soft_reset_gone(b, p);
	}
}

void soft_reset_ready(struct bmc *b, struct process *p)
{
	struct soft_reset *r = &b->soft_reset;

	if (r->state == SOFT_RESET_STARTING && p == &b->process[r->next] &&
	    !r->hold.points)
		start_at(b);
}

/* No hypervisor: those behind it would wait for nothing. */
static void give_up(struct bmc *b, const struct process *p)
{
	unsigned i;

	for (i = 0; i < b->n; i++) {
		if (!b->process[i].resetting)
			continue;
		b->process[i].resetting = false;
		process_refuse(&b->process[i], WAIT_READY,
			       "the hypervisor does not start");
	}
	end(b, "soft-reset.failed", p->line->name);
	if (b->power.state == POWER_STARTING)
		power_off(b, STATUS_INTERNAL, "%s: does not start again",
			  p->line->name);
}

/* Killing */

static void killed_all(struct bmc *b)
{
	struct soft_reset *r = &b->soft_reset;

	r->state = SOFT_RESET_STARTING;
	r->next = 0;
	answer(b, NULL);
	start_at(b);
}

static bool any_left(const struct bmc *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (b->process[i].doomed)
			return true;
	return false;
}

void soft_reset_gone(struct bmc *b, struct process *p)
{
	struct soft_reset *r = &b->soft_reset;

	if (p->doomed) {
		p->doomed = false;
		if (!any_left(b))
			killed_all(b);
		return;
	}
	if (r->state != SOFT_RESET_STARTING || p != &b->process[r->next] ||
	    r->hold.points || process_runs(p) || process_restarts(p))
		return;
	if (is_hypervisor(p))
		give_up(b, p);
	else
		start_at(b);
}

/* Into the reset; true when it has to be killed first. */
static bool doom(struct process *p)
{
	p->resetting = !is_at_rest(p);
	if (!p->pid) {
		loop_timer_cancel(&p->timer);
		point_hold_cancel(&p->hold);
		return false;
	}
	p->doomed = true;
	process_signal(p, SIGKILL);
	return true;
}

static void begin(struct bmc *b)
{
	struct soft_reset *r = &b->soft_reset;
	unsigned i;

	point_hold_cancel(&r->hold);
	r->state = SOFT_RESET_KILLING;
	r->killed = 0;
	r->begun_ns = clock_now_ns();
	event(b->program.log, "soft-reset.begin", "s:i", "spared",
	      (int)r->spared);
	for (i = 0; i < b->n; i++) {
		b->process[i].resetting = false;
		if (is_meant(b, &b->process[i]) && doom(&b->process[i]))
			r->killed++;
	}
	if (!r->killed)
		killed_all(b);
}

void soft_reset_ask(struct bmc *b, struct control_call *call)
{
	struct soft_reset_caller *caller = malloc(sizeof(*caller));
	struct soft_reset *r = &b->soft_reset;
	pid_t peer = control_peer(call);

	if (!caller) {
		control_fail(call, RPC_INTERNAL, "out of memory");
		return;
	}
	caller->call = call;
	TAILQ_INSERT_TAIL(&r->callers, caller, entry);
	if (r->state == SOFT_RESET_KILLING)
		return;
	r->spared = bmc_find_pid(b, peer) ? peer : 0;
	begin(b);
}

void soft_reset_cancel(struct bmc *b)
{
	unsigned i;

	point_hold_cancel(&b->soft_reset.hold);
	b->soft_reset.state = SOFT_RESET_NONE;
	for (i = 0; i < b->n; i++)
		b->process[i].resetting = b->process[i].doomed = false;
	answer(b, "the machine is powered off");
}
