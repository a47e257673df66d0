/* corrective_reset.c - a virtual device that cannot go on is reset (spec 05).
 *
 * Theory of operation.  Past the limit (708) what is open is dropped, and the
 * device is reset with whatever it does.  The same is done with one that refuses
 * an access of our driver's, which may have been half of what was to be done, or
 * may have taken something that nobody has now.  One that goes on refusing is
 * reset again and again, until it obeys or is let go.  One that is being reset
 * meanwhile needs no other.
 */
#include <config.h>

#include "cmd/hvmon/corrective_reset.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/whole.h"
#include "libcore/units.h"

#define PAUSE_NS (10 * NS_PER_MS)

struct correct {
	struct procedure p;
	char machine[16];
	unsigned refused;
};

static int correct_drop(struct procedure *p)
{
	struct correct *c = (struct correct *)p;
	struct virtual *v = p->device->virtual;

	if (!v)
		return step_fail(p, -ENODEV, "%s is not virtualised any more",
				 p->device->name);
	strlcpy(c->machine, virtual_machine_name(v), sizeof(c->machine));
	c->refused = virtual_refuse_kept(v);
	v->record.n_log = v->record.n_replayed = 0;
	return STEP_NEXT;
}

static int correct_reset(struct procedure *p)
{
	step_whole_reset(p, p->device);
	return STEP_NEXT;
}

static void tell_reset(const struct correct *c, const char *ev)
{
	const struct procedure *p = &c->p;

	event(p->hv->program->log, ev, "s:s, s:s, s:I, s:s*", "device",
	      p->device->name, "machine", c->machine, "dropped",
	      (json_int_t)c->refused, "why", p->err ? p->why : NULL);
}

static void correct_end(struct procedure *p)
{
	if (p->parent)
		tell_reset((struct correct *)p, "devirtualize.reset");
	else if (!p->err)
		tell_reset((struct correct *)p, "virtual.reset");
}

static const struct step correct_steps[] = {
	{ POINT_NONE, correct_drop },
	{ POINT_NONE, correct_reset },
	{ 0, NULL },
};

static const struct procedure_desc correct_desc = {
	.name = "corrective reset",
	.steps = correct_steps,
	.end = correct_end,
};

static struct procedure *correct_new(struct device *device)
{
	struct procedure *p = procedure_new(device->hv, &correct_desc,
					    sizeof(struct correct));

	procedure_about(p, device);
	return p;
}

void step_corrective_reset(struct procedure *p, struct device *device)
{
	procedure_call(p, correct_new(device));
}

static void on_pause(void *arg)
{
	struct virtual *v = arg;

	procedure_start(correct_new(v->device), 0);
}

void virtual_refused(struct virtual *v, const char *why)
{
	uint64_t suppressed;

	if (v->stands_ns)
		return;
	if (limiter_pass(&v->complaints, clock_now_ns(), &suppressed))
		event(v->hv->program->log, "virtual.refused", "s:s, s:s, s:I",
		      "device", v->device->name, "why", why, "suppressed",
		      (json_int_t)suppressed);
	v->record.phase = VIRTUAL_LOADING;
	virtual_keep_record(v);
	loop_timer_in(v->hv->program->loop, &v->look, PAUSE_NS, on_pause, v);
}
