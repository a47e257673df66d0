/* heartbeat.c - the hypervisor's sign of life in the state area (spec 02: 1201,
 * 1202).
 *
 * It is a procedure on the main loop like all others, so that a loop that hangs
 * stops counting.  One that was away for long may have been taken for dead: it
 * asks the root bridge whether it still is the hypervisor, and ends (75) if it
 * is not.  It counts on meanwhile: where the computer is busy the answer takes
 * its time, and that says nothing about the loop.
 */
#include <config.h>

#include "cmd/hvmon/heartbeat.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/units.h"

/* What is a long time: so many periods, but at least this. */
#define LATE_PERIODS 3u
#define LATE_MIN_NS  (20 * NS_PER_MS)

/* For the answer to get away. */
#define END_AFTER_NS (5 * NS_PER_MS)

struct ask {
	struct procedure p;
	struct sup_info info;
};

static int ask_read(struct procedure *p)
{
	step_sup_read(p, SUP_INFO, &((struct ask *)p)->info,
		      sizeof(struct sup_info));
	return STEP_NEXT;
}

static void ask_end(struct procedure *p)
{
	p->hv->heartbeat.asks = false;
}

static const struct step ask_steps[] = {
	{ POINT_NONE, ask_read },
	{ 0, NULL },
};

static const struct procedure_desc ask_desc = {
	.name = "ask who is the hypervisor",
	.steps = ask_steps,
	.end = ask_end,
};

static void ask(struct hvmon *hv)
{
	struct ask *a;

	if (hv->heartbeat.asks)
		return;
	hv->heartbeat.asks = true;
	a = procedure_new(hv, &ask_desc, sizeof(*a));
	procedure_start(&a->p, 0);
}

static void begin(struct hvmon *hv);

static int beat_1201(struct procedure *p)
{
	step_sleep(p, p->hv->heartbeat.period_ns);
	return STEP_NEXT;
}

static bool is_late(const struct heartbeat *h, uint64_t now_ns)
{
	uint64_t late = LATE_PERIODS * h->period_ns;

	return now_ns - h->last_ns > (late < LATE_MIN_NS ? LATE_MIN_NS : late);
}

static int beat_1202(struct procedure *p)
{
	struct heartbeat *h = &p->hv->heartbeat;
	uint64_t now_ns = clock_now_ns();

	if (is_late(h, now_ns))
		ask(p->hv);
	h->last_ns = now_ns;
	if (!h->stopped)
		atomic_fetch_add(&p->hv->program->state->heartbeat, 1);
	return STEP_NEXT;
}

/* One that failed (a point did it) is one left out. */
static void beat_end(struct procedure *p)
{
	begin(p->hv);
}

static const struct step beat_steps[] = {
	{ POINT_DRIVER_1201, beat_1201 },
	{ POINT_DRIVER_1202, beat_1202 },
	{ 0, NULL },
};

static const struct procedure_desc beat_desc = {
	.name = "heartbeat",
	.steps = beat_steps,
	.end = beat_end,
};

static void begin(struct hvmon *hv)
{
	if (!hv->stopping)
		procedure_start(
			procedure_new(hv, &beat_desc, sizeof(struct procedure)),
			0);
}

int heartbeat_parse(struct heartbeat *h, const char *text, struct complaint *c)
{
	uint64_t ns;
	int err = units_duration(text, &ns, c);

	if (!err && ns && (ns < HEARTBEAT_MIN_NS || ns > HEARTBEAT_MAX_NS))
		err = complain(c, ERANGE, "not from 100us to 10s: '%s'", text);
	if (!err)
		h->period_ns = ns;
	return err;
}

void heartbeat_start(struct hvmon *hv)
{
	struct state_area *state = hv->program->state;

	if (!state)
		return;
	atomic_store(&state->heartbeat_us,
		     (uint32_t)(hv->heartbeat.period_ns / NS_PER_US));
	atomic_store(&state->hypervisor, (uint32_t)getpid());
	if (!hv->heartbeat.period_ns)
		return;
	hv->heartbeat.last_ns = clock_now_ns();
	atomic_fetch_add(&state->heartbeat, 1);
	begin(hv);
}

void heartbeat_end(struct hvmon *hv)
{
	struct state_area *state = hv->program->state;
	uint32_t self = (uint32_t)getpid();

	loop_timer_cancel(&hv->heartbeat.end);
	/* One that was told to end is not missed. */
	if (state && hv->program->status == STATUS_OK)
		atomic_compare_exchange_strong(&state->hypervisor, &self, 0);
}

/* Ways to lose it. */

static void hang(void *arg)
{
	volatile bool *spins = &((struct hvmon *)arg)->heartbeat.spins;

	for (;;)
		if (!*spins)
			pause();
}

static void crash(void *arg)
{
	(void)arg;
	abort();
}

static void end(struct hvmon *hv, struct control_call *call, loop_fn *fn)
{
	control_reply(call, json_pack("{s:i}", "pid", (int)getpid()));
	loop_timer_in(hv->program->loop, &hv->heartbeat.end, END_AFTER_NS, fn,
		      hv);
}

void hang_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;

	hv->heartbeat.spins = json_is_true(json_object_get(params, "spin"));
	end(hv, call, hang);
}

void abort_method(void *arg, struct control_call *call, json_t *params)
{
	(void)params;
	end(arg, call, crash);
}

void stop_heartbeat_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;

	(void)params;
	hv->heartbeat.stopped = true;
	control_reply(
		call,
		json_pack("{s:I}", "heartbeat",
			  hv->program->state
				  ? (json_int_t)atomic_load(
					    &hv->program->state->heartbeat)
				  : 0));
}
