/* drain_limit.c - VFs that do not answer in a110.
 *
 * One that is not done by the deadline (--drain-limit) is contained alone, the
 * others are drained and the PF is reset.  So it is when an operator or the
 * root bridge contains one: its requests are answered then, by all ones, but
 * its completion interrupt never comes.
 */
#include <config.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/reset_procedure.h"

/* It is of no use any more to wait for what has not come. */
static void lost(struct reset *r, unsigned i)
{
	struct vf *vf = r->p.vfs.vf[i];
	bool awaited = !vf_is_quiet(&r->p, i);

	vf->contained = true;
	r->n_contained++;
	if (awaited && r->interrupts)
		confirm_interrupt_lost(r);
}

void reset_vf_contained(struct vf *vf)
{
	struct reset *r = vf->device->reset;
	unsigned i;

	for (i = 0; r && !vf->contained && i < r->p.vfs.n; i++)
		if (r->p.vfs.vf[i] == vf)
			lost(r, i);
	vf->contained = true;
}

static void contain_one(struct reset *r, unsigned i)
{
	struct vf *vf = r->p.vfs.vf[i];
	const struct sup_contain contain = { .bdf = vf->bdf, .on = 1 };
	char name[FUNCTION_NAME_MAX];

	event(r->p.hv->program->log, "drain.expired", "s:s, s:s, s:I",
	      "function", vf_format(name, vf), "reset", r->p.function,
	      "limit_ns", (json_int_t)r->p.hv->drain_limit_ns);
	/* Its requests, ours included, are answered with all ones. */
	step_sup_write(&r->p, SUP_CONTAIN, &contain, sizeof(contain), 0);
	lost(r, i);
}

static void expired(void *arg)
{
	struct reset *r = arg;
	unsigned i;

	/* What is done here may end the step. */
	step_get(&r->p);
	for (i = 0; i < r->p.vfs.n; i++)
		if (!r->p.vfs.vf[i]->contained && !vf_has_answered(&r->p, i))
			contain_one(r, i);
	step_put(&r->p);
}

void drain_limit_start(struct procedure *p)
{
	if (p->hv->drain_limit_ns)
		loop_timer_in(p->hv->program->loop, &reset_of(p)->drain,
			      p->hv->drain_limit_ns, expired, p);
}

void drain_limit_cancel(struct procedure *p)
{
	loop_timer_cancel(&reset_of(p)->drain);
}
