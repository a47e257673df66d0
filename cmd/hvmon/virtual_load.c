/* virtual_load.c - the procedure "load": a device's registers are read, and the
 * emulator goes on from there.
 *
 * It follows 420, a reset of the device and the start of a hypervisor; meanwhile
 * the guest's accesses wait.  Another reset ends it early (virtual_reset.c).
 */
#include <config.h>

#include <errno.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/virtual.h"

struct load {
	struct procedure p;
	struct virtual *v;
	bool taken_up;
};

static struct virtual *load_of(struct procedure *p)
{
	struct virtual *v = ((struct load *)p)->v;

	if (!v->device)
		step_fail(p, -ENODEV, "it is gone");
	else if (v->stands_ns)
		step_fail(p, -ECANCELED, "it is reset");
	return p->err ? NULL : v;
}

/* Its BARs are decoded when this is answered. */
static int load_settle(struct procedure *p)
{
	struct virtual *v = load_of(p);

	if (!v)
		return p->err;
	if (v->device->carried)
		step_carried_enable(p, v->device);
	step_config_read(p, v->worker->bdf, PCI_COMMAND, p->vfs.word,
			 sizeof(p->vfs.word[0]));
	return STEP_NEXT;
}

static int load_ask(struct procedure *p)
{
	struct virtual *v = load_of(p);

	if (!v)
		return p->err;
	v->backend->ask(v, p);
	return STEP_NEXT;
}

static int load_take(struct procedure *p)
{
	struct virtual *v = load_of(p);

	return v ? v->backend->load(v, p, ((struct load *)p)->taken_up)
		 : p->err;
}

/* The guest's mode is in the record before the device has another one. */
static int load_mode(struct procedure *p)
{
	struct virtual *v = load_of(p);

	if (!v)
		return p->err;
	v->record.phase = VIRTUAL_EMULATING;
	virtual_keep_record(v);
	if (v->backend->prefer)
		v->backend->prefer(v, p);
	return STEP_NEXT;
}

static void load_end(struct procedure *p)
{
	struct virtual *v = ((struct load *)p)->v;

	v->loading = false;
	if (!v->device || v->stands_ns)
		return;
	if (v->load_again) {
		virtual_load(v);
		return;
	}
	if (p->err) {
		virtual_refused(v, p->why);
		return;
	}
	event(p->hv->program->log, "virtual.emulating", "s:s, s:b", "device",
	      v->device->name, "taken_up", (int)((struct load *)p)->taken_up);
	v->record.phase = VIRTUAL_EMULATING;
	if (v->backend->loaded)
		v->backend->loaded(v);
	v->backend->drive(v, false);
	if (!v->closing)
		virtual_run_kept(v);
	virtual_changed(v);
	virtual_tell(v->device);
	behind_start(v);
}

static void load_fini(struct procedure *p)
{
	virtual_put(((struct load *)p)->v);
}

static const struct step load_steps[] = {
	{ POINT_NONE, load_settle },
	{ POINT_NONE, load_ask },
	{ POINT_NONE, load_take },
	{ POINT_NONE, load_mode },
	{ 0, NULL },
};

static const struct procedure_desc load_desc = {
	.name = "load",
	.steps = load_steps,
	.end = load_end,
	.fini = load_fini,
};

void virtual_load(struct virtual *v)
{
	struct load *load;

	v->load_again = v->loading;
	if (v->loading || v->stands_ns)
		return;
	v->loading = true;
	loop_timer_cancel(&v->look);
	load = procedure_new(v->hv, &load_desc, sizeof(*load));
	load->v = v;
	load->taken_up = v->record.phase == VIRTUAL_EMULATING;
	v->record.phase = VIRTUAL_LOADING;
	virtual_get(v);
	procedure_start(&load->p, 0);
}
