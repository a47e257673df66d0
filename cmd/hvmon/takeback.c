/* takeback.c - owning a PF, and getting it back from a successor (spec 02, after
 * 1707): handed over, not seized.
 *
 * Theory of operation.  A hypervisor that starts after a failover finds the PF
 * owned by a successor, which drives it.  It asks for it in the page that both
 * share, by an interrupt, and waits: for the root bridge's word that the PF is
 * nobody's, or for a look at its table now and then, since the successor may
 * have been about to end.  It waits as long as the successor lives; until then
 * it writes nothing to the PF.
 *
 * The claim takes the epoch that the table says.  When another one was faster,
 * the table is read again and all begins anew.
 */
#include <config.h>

#include "cmd/hvmon/takeback.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/successors.h"
#include "libcore/platform.h"

/* Between looks at who owns it, and asking again. */
#define LOOK_NS (100 * NS_PER_MS)

struct takeback {
	struct procedure p;
	uint32_t owner;
	uint32_t epoch;
	struct loop_timer look;
	bool waiting, asked;
};

struct claim {
	struct procedure p;
	uint32_t expected;
	int err;
};

/* Who owns it, if it is neither nobody nor we. */
static uint32_t other_owner(const struct device *device, uint32_t *epoch)
{
	const struct sup_function *function;

	function = bridge_tables_function(&device->hv->tables, device->bdf);
	*epoch = function ? function->epoch : 0;
	return function && function->owner != PLATFORM_HYPERVISOR
		       ? function->owner
		       : PLATFORM_VM_NONE;
}

/* The procedure "takeback". */

static int takeback_page(struct procedure *p)
{
	struct takeback *t = (struct takeback *)p;
	char name[VM_NAME_MAX];

	t->owner = other_owner(p->device, &t->epoch);
	event(p->hv->program->log, "takeback.asked", "s:s, s:s, s:i", "device",
	      p->device->name, "vm", vm_format(name, t->owner), "epoch",
	      (int)t->epoch);
	step_successors_owner(p, t->owner);
	return STEP_NEXT;
}

static void woken(void *arg)
{
	struct takeback *t = arg;

	if (!t->waiting)
		return;
	t->waiting = false;
	t->p.device->takeback = NULL;
	loop_timer_cancel(&t->look);
	step_put(&t->p);
}

static void ask(struct takeback *t)
{
	struct link_page *page = successors_page(t->p.hv, t->owner);

	if (page) {
		/* That of a former hypervisor with our pid is no answer. */
		if (!t->asked)
			atomic_store(&page->returned, 0);
		atomic_store(&page->wanted, (uint32_t)getpid());
	}
	t->asked = true;
	step_inject(&t->p, t->owner, PLATFORM_IRQ_PF);
}

/* In turns: ask and wait, and read who owns it. */
static int takeback_wait(struct procedure *p)
{
	struct takeback *t = (struct takeback *)p;
	uint32_t epoch;

	if (p->round % 2) {
		step_read_tables(p, &p->hv->tables);
		return STEP_AGAIN;
	}
	if (other_owner(p->device, &epoch) != t->owner || epoch != t->epoch)
		return STEP_NEXT;
	ask(t);
	t->waiting = true;
	p->device->takeback = t;
	config_emulation_go_on(p->device);
	step_get(p);
	loop_timer_in(p->hv->program->loop, &t->look, LOOK_NS, woken, t);
	return STEP_AGAIN;
}

/* Its VFs' VMs may have been reset meanwhile, or been lost. */
static int takeback_tables(struct procedure *p)
{
	struct hvmon *hv = p->hv;

	vm_table_update(&hv->vms, hv->tables.vms, hv->tables.n_vms);
	return STEP_NEXT;
}

static void takeback_fini(struct procedure *p)
{
	struct takeback *t = (struct takeback *)p;

	loop_timer_cancel(&t->look);
	if (p->device->takeback == t)
		p->device->takeback = NULL;
}

static const struct step takeback_steps[] = {
	{ POINT_TAKEBACK_PAGE, takeback_page },
	{ POINT_TAKEBACK_ASK, takeback_wait },
	{ POINT_TAKEBACK_RELEASED, takeback_tables },
	{ 0, NULL },
};

static const struct procedure_desc takeback_desc = {
	.name = "take back",
	.steps = takeback_steps,
	.fini = takeback_fini,
};

void takeback_released(struct hvmon *hv, uint16_t pf_bdf)
{
	struct device *device = device_find(hv, pf_bdf);

	if (device && device->takeback)
		woken(device->takeback);
}

/* The procedure "claim". */

static int claim_look(struct procedure *p)
{
	struct takeback *t;
	uint32_t epoch;

	if (other_owner(p->device, &epoch) == PLATFORM_VM_NONE)
		return STEP_NEXT;
	t = procedure_new(p->hv, &takeback_desc, sizeof(*t));
	procedure_about(&t->p, p->device);
	procedure_call(p, &t->p);
	return STEP_NEXT;
}

static int claim_take(struct procedure *p)
{
	struct claim *c = (struct claim *)p;
	struct sup_claim claim = { .bdf = p->device->bdf };

	(void)other_owner(p->device, &c->expected);
	claim.expected_epoch = c->expected;
	step_sup_try(p, SUP_CLAIM, &claim, sizeof(claim), &c->err);
	return STEP_NEXT;
}

/* Unless another device is still waited for. */
static void want_no_more(struct hvmon *hv)
{
	const struct device *device;
	struct link_page *page;
	unsigned i;

	TAILQ_FOREACH (device, &hv->devices, entry)
		if (device->takeback)
			return;
	for (i = 0; i <= STATE_SUCCESSORS; i++) {
		page = hv->successors.vm[i].page;
		if (page)
			atomic_store(&page->wanted, 0);
	}
}

static int claim_taken(struct procedure *p)
{
	struct claim *c = (struct claim *)p;
	struct device *device = p->device;

	if (c->err == -EBUSY || c->err == -ESTALE) {
		step_read_tables(p, &p->hv->tables);
		return STEP_NEXT;
	}
	if (c->err)
		return step_fail(p, c->err, "claiming %s: %s", p->function,
				 strerror(-c->err));
	device->claimed = true;
	device->former_epoch = c->expected;
	device->epoch = c->expected + 1;
	want_no_more(p->hv);
	return STEP_DONE;
}

static int claim_again(struct procedure *p)
{
	step_claim(p, p->device);
	return STEP_NEXT;
}

static const struct step claim_steps[] = {
	{ POINT_NONE, claim_look },
	{ POINT_NONE, claim_take },
	{ POINT_NONE, claim_taken },
	{ POINT_NONE, claim_again },
	{ 0, NULL },
};

static const struct procedure_desc claim_desc = {
	.name = "claim",
	.steps = claim_steps,
};

void step_claim(struct procedure *p, struct device *device)
{
	struct claim *c;

	if (device->claimed)
		return;
	c = procedure_new(p->hv, &claim_desc, sizeof(*c));
	procedure_about(&c->p, device);
	procedure_call(p, &c->p);
}
