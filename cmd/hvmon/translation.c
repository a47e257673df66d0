/* translation.c - translations that guests propose (spec 05, fig. 5).
 *
 * Theory of operation.  A guest's CPU that misses a translation proposes one
 * (510): the page, the rights, the place where it shall be.  It is inspected
 * (512) in the lane and the turn of its device, so that it never falls into a
 * procedure about that, nor into its guest's reset: is it a page of registers of
 * a device that the VM has whole, and what does the operator's policy say?  Then
 * it is rejected (514), changed (516: other rights, another page) or accepted
 * (518), and the root bridge opens the window (520).  It keeps what is granted,
 * and the next hypervisor reads it there.  A guest whose proposal is rejected
 * makes none again until its translations are invalidated.
 */
#include <config.h>

#include "cmd/hvmon/translation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/turn.h"
#include "libcore/nic_regs.h"
#include "libcore/window.h"

#define NO_WHOLE "no page of a device that the VM has whole"

struct proposal {
	struct procedure p;
	struct sup_exception exception;
	struct sup_translation asked;
	struct device *target; /* whose page it gets; NULL: rejected */
	struct sup_window window;
	const char *why;
	bool changed;
	int err; /* of the root bridge */
};

void translations_init(struct translations *t)
{
	SLIST_INIT(&t->rules);
	LIST_INIT(&t->revoking);
	t->limit_ns = REVOKE_LIMIT_DEFAULT_NS;
}

void translations_fini(struct translations *t)
{
	struct translation_rule *rule;

	while ((rule = SLIST_FIRST(&t->rules))) {
		SLIST_REMOVE_HEAD(&t->rules, entry);
		free(rule);
	}
	free(t->windows);
	t->windows = NULL;
}

/* What is granted. */

void translation_forget(struct translations *t, uint16_t bdf)
{
	unsigned i;

	for (i = 0; i < t->n_windows; i++)
		if (t->windows[i].bdf == bdf) {
			t->windows[i] = t->windows[--t->n_windows];
			return;
		}
}

void translation_forget_vm(struct translations *t, uint32_t vm)
{
	unsigned i = 0;

	while (i < t->n_windows) {
		if (t->windows[i].vm == vm)
			t->windows[i] = t->windows[--t->n_windows];
		else
			i++;
	}
}

static void remember(struct translations *t, const struct sup_window *window)
{
	translation_forget(t, window->bdf);
	t->windows = reallocarray(t->windows, t->n_windows + 1u,
				  sizeof(*t->windows));
	if (!t->windows)
		abort();
	t->windows[t->n_windows++] = *window;
}

void translations_adopt(struct hvmon *hv, const struct bridge_tables *tables)
{
	unsigned i;

	for (i = 0; i < tables->n_windows; i++)
		remember(&hv->translations, &tables->windows[i]);
}

/* The device, which the VM has whole, at whose BAR 0 gpa lies. */
static struct device *device_at(struct hvmon *hv, uint32_t vm, uint64_t gpa,
				uint64_t *offset)
{
	const struct vf_allocation *row;
	const struct config_overlay *o;

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		o = &row->overlay;
		if (row->vm != vm || !row->ready || !o->whole ||
		    gpa < o->bar_gpa[0] ||
		    gpa - o->bar_gpa[0] >= o->bar_size[0])
			continue;
		*offset = gpa - o->bar_gpa[0];
		return device_find_name(hv, row->vf.device);
	}
	return NULL;
}

bool translation_concerns(struct hvmon *hv, const struct sup_window *window,
			  const struct device *device)
{
	uint64_t offset;

	return window->bdf == device->bdf ||
	       device_at(hv, window->vm, window->gpa, &offset) == device;
}

static uint32_t vm_of(struct hvmon *hv, const struct device *device)
{
	const struct vf_allocation *row;
	struct function_name name;

	vf_name(&device->whole, &name);
	row = vf_allocations_find(&hv->allocations, &name);
	return row ? row->vm : PLATFORM_VM_NONE;
}

/* The procedure "translation". */

static const char *apply_rule(struct proposal *q, struct device *device)
{
	struct hvmon *hv = q->p.hv;
	const struct translation_rule *rule =
		translation_rule_find(&hv->translations, device->name);

	q->target = device;
	switch (rule ? rule->policy : TRANSLATION_ACCEPT) {
	case TRANSLATION_ACCEPT:
	case TRANSLATION_POLICY_N:
		break;
	case TRANSLATION_READ_ONLY:
		q->window.rights &= WINDOW_READ;
		q->changed = true;
		return q->window.rights ? NULL : "it may be read only";
	case TRANSLATION_PAGE:
		q->target = device_find_name(hv, rule->page);
		q->changed = true;
		if (!q->target || !q->target->single ||
		    vm_of(hv, q->target) != q->p.vm)
			return "the VM has no such other device";
		break;
	case TRANSLATION_REJECT:
		return "the policy rejects it";
	}
	return NULL;
}

/* NULL: granted as in q->window and q->target. */
static const char *inspect(struct proposal *q)
{
	const struct sup_translation *asked = &q->asked;
	struct device *device;
	const char *why;
	uint64_t page;

	device = device_at(q->p.hv, q->p.vm, asked->gpa, &page);
	if (!device || page % WINDOW_PAGE)
		return NO_WHOLE;
	if (page >= NIC_MSIX_TABLE)
		return "interrupts are set up over the bus";
	if (!asked->rights ||
	    asked->rights & ~(uint32_t)(WINDOW_READ | WINDOW_WRITE) ||
	    asked->entry >= PLATFORM_TLB_ENTRIES)
		return "it is malformed";
	if (device->trapped)
		return "accesses are trapped";
	q->window = (struct sup_window){ .rights = (uint16_t)asked->rights,
					 .vm = q->p.vm,
					 .region = asked->entry,
					 .gpa = asked->gpa,
					 .page = page };
	why = apply_rule(q, device);
	if (why)
		return why;
	if (q->target->trapped)
		return "accesses of the other device are trapped";
	q->window.bdf = q->target->bdf;
	return q->target->state == DEVICE_READY ? NULL
						: "the device is not ready";
}

static int proposal_turn(struct procedure *p)
{
	const struct proposal *q = (struct proposal *)p;
	uint64_t page;
	struct device *device = device_at(p->hv, p->vm, q->asked.gpa, &page);

	return device && !turn_take(p, device) ? STEP_AGAIN : STEP_NEXT;
}

static int proposal_grant(struct procedure *p)
{
	struct proposal *q = (struct proposal *)p;

	q->why = inspect(q);
	if (!q->why)
		step_sup_try(p, SUP_WINDOWS, &q->window, sizeof(q->window),
			     &q->err);
	return STEP_NEXT;
}

static void tell(const struct proposal *q, const char *ev)
{
	struct hvmon *hv = q->p.hv;
	uint64_t suppressed;
	char vm[VM_NAME_MAX];

	if (vm_tells(hv, q->p.vm, &suppressed))
		event(hv->program->log, ev, "s:s, s:I, s:s*, s:i, s:s*, s:I",
		      "vm", vm_format(vm, q->p.vm), "gpa",
		      (json_int_t)q->asked.gpa, "function",
		      q->why ? NULL : q->p.function, "rights",
		      (int)(q->why ? q->asked.rights : q->window.rights), "why",
		      q->why, "suppressed", (json_int_t)suppressed);
}

static void proposal_end(struct procedure *p)
{
	struct proposal *q = (struct proposal *)p;

	if (!q->why && (p->err || q->err))
		q->why = strerror(p->err ? -p->err : -q->err);
	if (q->why) {
		tell(q, "translation.rejected");
		exception_fail(p->hv, &q->exception, EPERM);
		return;
	}
	remember(&p->hv->translations, &q->window);
	vf_format(p->function, &q->target->whole);
	tell(q, q->changed ? "translation.changed" : "translation.accepted");
	exception_done(p->hv, &q->exception, NULL);
}

static const struct step proposal_steps[] = {
	{ POINT_NONE, proposal_turn },
	{ POINT_TRANSLATION_512, proposal_grant },
	{ 0, NULL },
};

static const struct procedure_desc proposal_desc = {
	.name = "translation",
	.steps = proposal_steps,
	.end = proposal_end,
};

/* One of many that a guest makes. */
static const struct step quiet_steps[] = {
	{ POINT_NONE, proposal_turn },
	{ POINT_NONE, proposal_grant },
	{ 0, NULL },
};

static const struct procedure_desc quiet_desc = {
	.name = "translation",
	.steps = quiet_steps,
	.end = proposal_end,
};

/* A guest may propose in a loop. */
static const struct procedure_desc *desc_for(struct hvmon *hv, uint32_t vm)
{
	uint64_t suppressed;

	if (point_armed(hv->program->points, POINT_TRANSLATION_512) ||
	    vm_tells(hv, vm, &suppressed))
		return &proposal_desc;
	return &quiet_desc;
}

static void propose(struct hvmon *hv, const struct sup_exception *exception,
		    const struct sup_translation *asked)
{
	struct proposal *q =
		procedure_new(hv, desc_for(hv, exception->vm), sizeof(*q));
	uint64_t offset;
	struct device *device =
		device_at(hv, exception->vm, asked->gpa, &offset);

	q->p.vm = exception->vm;
	q->exception = *exception;
	q->asked = *asked;
	procedure_start(&q->p, device ? device_lane(device) : 0);
}

bool translation_takes(struct hvmon *hv, const struct sup_exception *exception)
{
	struct sup_translation asked;

	if (exception->gpa != PLATFORM_TRANSLATIONS ||
	    !(exception->flags & SUP_EX_WRITE) ||
	    exception->size != sizeof(asked))
		return false;
	memcpy(&asked, exception->data, sizeof(asked));
	if (asked.what == SUP_TRANSLATION_PROPOSE) {
		propose(hv, exception, &asked);
		return true;
	}
	if (asked.what != SUP_TRANSLATION_DROPPED)
		return false;
	exception_done(hv, exception, NULL);
	revoke_dropped(hv, exception->vm);
	return true;
}

/* Which proposals are made. */

static int invalidate_now(struct procedure *p)
{
	step_inject(p, p->vm, PLATFORM_IRQ_INVALIDATE);
	return STEP_NEXT;
}

static const struct step invalidate_steps[] = {
	{ POINT_NONE, invalidate_now },
	{ 0, NULL },
};

static const struct procedure_desc invalidate_desc = {
	.name = "invalidate",
	.steps = invalidate_steps,
};

void translation_ask_anew(struct device *device)
{
	uint32_t vm = vm_of(device->hv, device);
	struct procedure *p;

	if (vm == PLATFORM_VM_NONE)
		return;
	p = procedure_new(device->hv, &invalidate_desc, sizeof(*p));
	p->vm = vm;
	procedure_start(p, 0);
}

void translation_allow(struct device *device, bool allowed)
{
	bool trapped = device->trapped;

	device->trapped = !allowed;
	if (trapped && allowed)
		translation_ask_anew(device);
}

const struct sup_window *translation_window(struct hvmon *hv,
					    const struct device *device)
{
	const struct translations *t = &hv->translations;
	unsigned i;

	for (i = 0; i < t->n_windows; i++)
		if (translation_concerns(hv, &t->windows[i], device))
			return &t->windows[i];
	return NULL;
}

void translations_begin(struct hvmon *hv)
{
	struct device *device;

	TAILQ_FOREACH (device, &hv->devices, entry)
		if (device->single && !device->trapped &&
		    !translation_window(hv, device))
			translation_ask_anew(device);
}
