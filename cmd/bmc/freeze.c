/* freeze.c - stop and continue a process, for the reasons in its set. */
#include <config.h>

#include "cmd/bmc/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cmd/bmc/bmc.h"

/* The hypervisor's scheduler asks so often that telling of each would drown
 * everything else. */
static bool is_slice(const char *reason)
{
	return !strcmp(reason, "schedule");
}

static void log_stop_state(struct process *p, const char *ev, const char *by)
{
	event(p->bmc->program.log, ev, "s:s, s:i, s:s, s:o", "name",
	      p->line->name, "pid", (int)p->pid, "by", by, "reasons",
	      stop_to_json(&p->stop));
}

static void act(struct process *p, enum stop_action action)
{
	switch (action) {
	case STOP_NOTHING:
		break;
	case STOP_SEND_STOP:
		/* It has to run to end. */
		if (!p->ending)
			process_signal(p, SIGSTOP);
		break;
	case STOP_SEND_CONT:
		process_signal(p, SIGCONT);
		break;
	case STOP_WAS_FROZEN:
		log_stop_state(p, "program.frozen", "other");
		break;
	case STOP_WENT_ON:
		log_stop_state(p, "program.thawed", "other");
		break;
	}
}

static void step(struct process *p, enum stop_event ev)
{
	act(p, stop_step(&p->stop, ev));
	act(p, stop_settle(&p->stop));
	if (stop_is_settled(&p->stop))
		process_answer(p, WAIT_SETTLED);
}

void process_saw(struct process *p, enum stop_event ev)
{
	enum stop_state was = p->stop.state;

	/* Nobody stops one that is to end. */
	if (ev == STOP_SAW_STOPPED && p->ending)
		process_signal(p, SIGCONT);
	if (ev == STOP_SAW_STOPPED && was == STOP_STOPPING && !p->slicing)
		log_stop_state(p, "program.frozen", "bmc");
	if (ev == STOP_SAW_CONTINUED && was == STOP_CONTINUING && !p->slicing)
		log_stop_state(p, "program.thawed", "bmc");
	step(p, ev);
}

/* Whether the request may go on; otherwise it was answered. */
static bool pass(struct process *p, enum bmc_point index, const char *reason,
		 struct control_call *call)
{
	if (!p->pid || p->ending) {
		control_fail(call, RPC_MISSING, "%s does not run",
			     p->line->name);
		return false;
	}
	p->slicing = is_slice(reason);
	if (p->slicing && !point_armed(p->bmc->program.points, index))
		return true;
	if (point(p->bmc->program.points, index, NULL, NULL, NULL, "s:s, s:s",
		  "name", p->line->name, "reason", reason) == POINT_FAIL) {
		control_fail(call, RPC_FAILED, "failed on request");
		return false;
	}
	return true;
}

void process_freeze(struct process *p, const char *reason, pid_t holder,
		    struct control_call *call)
{
	int err;

	if (!pass(p, POINT_FREEZE, reason, call))
		return;
	err = stop_add(&p->stop, reason, holder);
	if (err == -ENOSPC) {
		control_fail(call, RPC_DENIED, "%s has too many stop reasons",
			     p->line->name);
		return;
	}
	if (err) {
		control_fail(call, RPC_PARAMS,
			     "a reason is a word of up to 23 of a-z 0-9 _ -, "
			     "but not 'other'");
		return;
	}
	process_wait(p, WAIT_SETTLED, call);
	step(p, STOP_WANT);
}

void process_thaw(struct process *p, const char *reason, bool by_operator,
		  struct control_call *call)
{
	if (!pass(p, POINT_THAW, reason, call))
		return;
	stop_remove(&p->stop, reason);
	if (p->stop.n) {
		/* It stays frozen, for the others' reasons. */
		control_reply(call, process_to_answer(p));
		return;
	}
	process_wait(p, WAIT_SETTLED, call);
	step(p, by_operator ? STOP_THAW : STOP_UNWANT);
}

void process_drop_holder(struct process *p, pid_t holder)
{
	if (p->pid && stop_drop_holder(&p->stop, holder) && !p->stop.n)
		step(p, STOP_UNWANT);
}
