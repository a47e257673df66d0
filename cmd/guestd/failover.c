/* failover.c - the failover (spec 02, fig. 18).
 *
 * Theory of operation.  One row of steps, each for all PFs that this VM may
 * claim.  From the claim on the PFs' interrupts come here; they are followed
 * as soon as 130A is filled, which is when the takeover counts as done.  A step
 * that fails begins all anew after a pause, a few times; then the others are
 * reset at once, since their memory is not used again anyway.  Who finds that
 * somebody else was faster stands down.
 */
#include <config.h>

#include "cmd/guestd/failover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/failover_steps.h"

#define TRIES_MAX    5u
#define TRY_PAUSE_NS (10 * NS_PER_MS)

static void issue_1603(void *arg)
{
	struct failover *f = arg;
	struct guest *g = f->successor->guest;

	if (part(&g->program.parts, PART_FORCED_STOP))
		event(g->program.log, "takeover.stopped", "s:i", "guests",
		      (int)emergency_link_stop(&g->emergency));
}

static void issue_serve(void *arg)
{
	struct failover *f = arg;
	struct successor *s = f->successor;
	struct sub_pf *pf;

	f->serves = true;
	f->serving_ns = clock_now_ns();
	event(s->guest->program.log, "takeover.serving", "s:I, s:I, s:I",
	      "takeover_ns", (json_int_t)(f->serving_ns - f->detected_ns),
	      "claim_ns", (json_int_t)(f->claimed_ns - f->detected_ns),
	      "drain_ns", (json_int_t)(f->drained_ns - f->drain_ns));
	for (EACH_PF(pf, s))
		sub_pf_event(pf);
}

static int check_unmap(void *arg)
{
	struct failover *f = arg;

	if (f->steps.err)
		return f->steps.err;
	return f->successor->guest->options.check_memory ? STEP_CHECK
							 : STEP_1707;
}

static int check_1603(void *arg)
{
	(void)arg;
	return STEP_1604;
}

#define QUIET BUS_STEP_NO_POINT

static const struct bus_step steps[] = {
	[STEP_1603] = { POINT_FAILOVER_1603, issue_1603, check_1603 },
	[STEP_1604] = { POINT_FAILOVER_1604, NULL, failover_check_1604 },
	[STEP_WHO] = { QUIET, failover_issue_who, failover_check_who },
	[STEP_CLAIM] = { QUIET, failover_issue_claim, failover_check_claim },
	[STEP_ROUTE] = { QUIET, failover_issue_route, failover_check_route },
	[STEP_1701] = { POINT_FAILOVER_1701, failover_issue_1701, NULL },
	[STEP_1702] = { POINT_FAILOVER_1702, failover_issue_1702,
			failover_check_1702 },
	[STEP_1703] = { POINT_FAILOVER_1703, failover_issue_1703, NULL },
	[STEP_LOOK] = { QUIET, failover_issue_1702, failover_check_look },
	[STEP_ON] = { QUIET, failover_issue_on, failover_check_on },
	[STEP_1702_AGAIN] = { QUIET, failover_issue_1702, failover_check_1702 },
	[STEP_1703_AGAIN] = { QUIET, failover_issue_1703,
			      failover_check_1703_again },
	[STEP_WATCH] = { QUIET, failover_issue_watch, failover_check_watch },
	[STEP_1704] = { POINT_FAILOVER_1704, failover_issue_1704, NULL },
	[STEP_1705] = { POINT_FAILOVER_1705, failover_issue_1705, NULL },
	[STEP_1706] = { POINT_FAILOVER_1706, failover_issue_1706,
			failover_check_1706 },
	[STEP_2001] = { POINT_FAILOVER_2001, NULL, failover_check_2001 },
	[STEP_SERVE] = { QUIET, issue_serve, NULL },
	[STEP_UNMAP] = { QUIET, failover_issue_unmap, check_unmap },
	[STEP_CHECK] = { QUIET, failover_issue_1702, failover_check_memory },
	[STEP_1707] = { POINT_FAILOVER_1707, failover_issue_1707,
			failover_check_1707 },
};

static void retry(void *arg)
{
	struct failover *f = arg;

	if (successor_is_idle(f->successor))
		bus_steps_start(&f->steps, f->gave_up || f->reset_only
						   ? STEP_1707
						   : STEP_1603);
	else
		loop_timer_in(f->successor->guest->program.loop, &f->again,
			      TRY_PAUSE_NS, retry, f);
}

static void on_over(void *arg, int err, unsigned at)
{
	struct failover *f = arg;
	struct successor *s = f->successor;
	const char *name = steps[at].point == QUIET
				   ? NULL
				   : guest_points[steps[at].point].name;
	/* Somebody else owns it now, or this VM may not. */
	bool late = err == -ESTALE || err == -EALREADY || err == -EPERM ||
		    err == -EBUSY;

	if (err)
		event(s->guest->program.log, "takeover.failed",
		      "s:s*, s:s, s:b", "step", name, "why", strerror(-err),
		      "again", !late && f->tries < TRIES_MAX);
	if (err)
		f->serves = false;
	if (!err || late || f->gave_up) {
		successor_took_over(s, err);
		return;
	}
	f->gave_up = f->tries++ == TRIES_MAX;
	if (f->gave_up)
		event(s->guest->program.log, "takeover.gave-up", "s:s", "why",
		      strerror(-err));
	loop_timer_in(s->guest->program.loop, &f->again, TRY_PAUSE_NS, retry,
		      f);
}

static const struct bus_steps_desc desc = { steps, on_over };

void failover_init(struct failover *f, struct successor *s)
{
	memset(f, 0, sizeof(*f));
	f->successor = s;
	bus_steps_init(&f->steps, &s->guest->bus, s->guest->program.points,
		       &desc, f);
}

void failover_fini(struct failover *f)
{
	if (!f->successor)
		return;
	loop_timer_cancel(&f->again);
	bus_steps_fini(&f->steps);
	rpc_client_close(f->bmc);
	f->bmc = NULL;
	free(f->functions);
	free(f->vms);
	f->functions = NULL;
	f->vms = NULL;
}

static void begin(struct failover *f, const char *why, unsigned first)
{
	struct successor *s = f->successor;
	const struct monitor *m = &s->monitor;

	f->tries = 0;
	f->answered = f->serves = f->gave_up = false;
	f->reset_only = first == STEP_1707;
	f->reset_err = 0;
	f->detected_ns = clock_now_ns();
	f->claimed_ns = f->drain_ns = f->drained_ns = f->serving_ns =
		f->detected_ns;
	event(s->guest->program.log, "takeover.begin", "s:s, s:i, s:I, s:I",
	      "why", why, "hypervisor", (int)m->hypervisor.pid, "silent_ns",
	      (json_int_t)(m->beat_ns ? f->detected_ns - m->beat_ns : 0),
	      "delayed_ns", (json_int_t)m->hypervisor.delay.delayed_ns);
	bus_steps_start(&f->steps, first);
}

void failover_start(struct failover *f, const char *why)
{
	/* Without room the first look fails, and is tried again. */
	if (!f->functions && failover_make_room(f, &f->successor->info) < 0)
		f->n_functions = f->n_vms = 0;
	begin(f, why, STEP_1603);
}

void failover_reset_only(struct failover *f, const char *why)
{
	begin(f, why, STEP_1707);
}

bool failover_runs(const struct failover *f)
{
	return f->steps.running || f->again.loop;
}
