/* restart.c - start a program again, as its RESTART says. */
#include <config.h>

#include "cmd/bmc/restart.h"

#include <string.h>
#include <sys/wait.h>

#include "cmd/bmc/bmc.h"
#include "libcore/pid_state.h"

bool restart_applies(const struct process *p)
{
	switch (p->line->restart) {
	case RESTART_NO:
		return false;
	case RESTART_ON_FAILURE:
		return p->end_code != CLD_EXITED || p->end_status;
	case RESTART_ALWAYS:
		return true;
	case RESTART_N:
		break;
	}
	return false;
}

void restart_now(void *arg)
{
	struct process *p = arg;
	int err;

	p->restarts++;
	err = process_start(p);
	if (err)
		power_off(p->bmc, STATUS_INTERNAL, "%s: cannot restart it: %s",
			  p->line->name, strerror(-err));
}

bool restart_waits_for_bridge(struct process *p, loop_fn *again)
{
	struct bmc *b = p->bmc;
	unsigned i;

	for (i = 0; i < b->n; i++) {
		if (!process_runs_program(&b->process[i], "rootbridge") ||
		    !pid_is_exiting(b->process[i].pid))
			continue;
		loop_timer_in(b->program.loop, &p->timer, RESTART_BRIDGE_NS,
			      again, p);
		return true;
	}
	return false;
}

static void restart(void *arg)
{
	struct process *p = arg;
	struct bmc *b = p->bmc;
	enum point_verdict verdict;

	if (restart_waits_for_bridge(p, restart))
		return;
	if (!restart_limit_take(&p->limit, clock_now_ns())) {
		power_off(b, STATUS_INTERNAL,
			  "%s: restarted %u times in %llu s, giving up",
			  p->line->name, RESTART_LIMIT,
			  RESTART_WINDOW_NS / NS_PER_S);
		return;
	}
	verdict = point(b->program.points, POINT_RESTART, &p->hold, restart_now,
			p, "s:s, s:i", "name", p->line->name, "restarts",
			(int)p->restarts + 1);
	if (verdict == POINT_GO)
		restart_now(p);
	else if (verdict == POINT_FAIL)
		power_off(b, STATUS_INTERNAL, "%s: program.restart failed",
			  p->line->name);
}

bool restart_misses_bridge(const struct process *p)
{
	return p->end_code == CLD_EXITED && (p->end_status == STATUS_SHUTDOWN ||
					     p->end_status == STATUS_MISSING);
}

void restart_by_rule(struct process *p)
{
	if (restart_misses_bridge(p))
		loop_timer_in(p->bmc->program.loop, &p->timer,
			      RESTART_BRIDGE_NS, restart, p);
	else
		restart(p);
}
