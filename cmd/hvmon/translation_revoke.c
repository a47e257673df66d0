/* translation_revoke.c - windows are taken back (spec 05).
 *
 * Theory of operation.  The guest's CPU is asked to drop its translations,
 * which it says when no access of its is on its way any more.  It may be
 * frozen, or evil: past a limit nobody waits for it.  Then the root bridge
 * ends the window: the device does what is in the ring, publishes how far that
 * went, and the memory is truncated under the guest.
 */
#include <config.h>

#include "cmd/hvmon/translation.h"

#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"

struct revoke {
	struct procedure p;
	LIST_ENTRY(revoke) entry;
	struct device *device;
	bool listed, dropped;
	struct loop_timer limit;
	struct sup_window windows[DEVICE_MAX];
	unsigned n;
	translation_fn *done;
	void *arg;
};

static void collect(struct revoke *r)
{
	struct translations *t = &r->p.hv->translations;
	unsigned i;

	for (i = 0; i < t->n_windows && r->n < DEVICE_MAX; i++)
		if (translation_concerns(r->p.hv, &t->windows[i], r->device))
			r->windows[r->n++] = t->windows[i];
	for (i = 0; i < r->n; i++)
		r->windows[i].rights = 0;
}

static void go_on(struct revoke *r)
{
	if (!r->listed)
		return;
	LIST_REMOVE(r, entry);
	r->listed = false;
	loop_timer_cancel(&r->limit);
	step_put(&r->p);
}

static void on_limit(void *arg)
{
	go_on(arg);
}

void revoke_dropped(struct hvmon *hv, uint32_t vm)
{
	struct revoke *r, *next;

	LIST_FOREACH_SAFE (r, &hv->translations.revoking, entry, next) {
		if (r->p.vm != vm)
			continue;
		r->dropped = true;
		go_on(r);
	}
}

static int revoke_ask(struct procedure *p)
{
	struct revoke *r = (struct revoke *)p;
	const struct vm *vm = vm_find(&p->hv->vms, p->vm);

	/* One that has failed would not answer. */
	if (!vm || vm->state != SUP_VM_RUNNING || vm->deactivated ||
	    vm->panicked)
		return STEP_NEXT;
	step_get(p);
	r->listed = true;
	LIST_INSERT_HEAD(&p->hv->translations.revoking, r, entry);
	loop_timer_in(p->hv->program->loop, &r->limit,
		      p->hv->translations.limit_ns, on_limit, r);
	step_inject(p, p->vm, PLATFORM_IRQ_INVALIDATE);
	return STEP_NEXT;
}

static int revoke_end_windows(struct procedure *p)
{
	struct revoke *r = (struct revoke *)p;

	step_sup_write(p, SUP_WINDOWS, r->windows,
		       r->n * (uint32_t)sizeof(r->windows[0]), 0);
	return STEP_NEXT;
}

static void revoke_over(struct procedure *p)
{
	struct revoke *r = (struct revoke *)p;
	char vm[VM_NAME_MAX];
	unsigned i;

	for (i = 0; !p->err && i < r->n; i++)
		translation_forget(&p->hv->translations, r->windows[i].bdf);
	if (!p->err)
		event(p->hv->program->log, "translation.revoked",
		      "s:s, s:s, s:b, s:I", "device", r->device->name, "vm",
		      vm_format(vm, p->vm), "acknowledged", (int)r->dropped,
		      "took_ns", (json_int_t)(clock_now_ns() - p->began_ns));
	r->done(r->arg, p->err);
}

static void revoke_fini(struct procedure *p)
{
	struct revoke *r = (struct revoke *)p;

	if (r->listed)
		LIST_REMOVE(r, entry);
	loop_timer_cancel(&r->limit);
}

static const struct step revoke_steps[] = {
	{ POINT_REVOKE_ASK, revoke_ask },
	{ POINT_REVOKE_END, revoke_end_windows },
	{ 0, NULL },
};

static const struct procedure_desc revoke_desc = {
	.name = "revoke",
	.steps = revoke_steps,
	.end = revoke_over,
	.fini = revoke_fini,
};

void translation_revoke(struct device *device, translation_fn *done, void *arg)
{
	struct revoke *r = procedure_new(device->hv, &revoke_desc, sizeof(*r));

	r->device = device;
	r->done = done;
	r->arg = arg;
	collect(r);
	if (!r->n) {
		free(r);
		done(arg, 0);
		return;
	}
	r->p.vm = r->windows[0].vm;
	vf_format(r->p.function, &device->whole);
	procedure_start(&r->p, 0);
}

static void step_done(void *arg, int err)
{
	struct procedure *p = arg;

	if (err)
		step_fail(p, err, "windows cannot be taken back: %s",
			  strerror(-err));
	step_put(p);
}

void step_revoke(struct procedure *p, struct device *device)
{
	step_get(p);
	translation_revoke(device, step_done, p);
}
