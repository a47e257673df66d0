/* behind_release.c - the procedure "release": a device that stood behind another
 * one is nobody's again; and what else may end that.
 *
 * Theory of operation.  The front does its own work again at once, and the other
 * one is reset and taken from the VM by itself.  The record of the front names it
 * until then, whether the front is still virtual or not.
 */
#include <config.h>

#include <errno.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/vf_quiet.h"

struct release {
	struct procedure p;
	struct device *front;
};

static int release_away(struct procedure *p)
{
	step_routes_away(p);
	step_assign_away(p);
	return STEP_NEXT;
}

/* The record, of which the front may not be virtual any more, names it no
 * longer. */
static void forget(const struct device *front, uint16_t bdf)
{
	struct virtual *v = front->virtual;
	struct virtual_record record;

	if (v && v->record.other == bdf) {
		v->record.other = 0;
		virtual_keep_record(v);
		virtual_changed(v);
	} else if (!v && virtual_read_record(front, &record) &&
		   record.other == bdf) {
		record.other = 0;
		record_pair_put(virtual_room(front), sizeof(record), &record);
	}
}

static void release_end(struct procedure *p)
{
	const struct device *worker = p->vfs.vf[0]->device;

	event(p->hv->program->log, "behind.released", "s:s, s:s*", "device",
	      worker->name, "why", p->err ? p->why : NULL);
	forget(((struct release *)p)->front, worker->bdf);
}

static const struct step release_steps[] = {
	{ POINT_BEHIND_RELEASE, vfs_bus_master_off },
	{ POINT_NONE, vfs_barrier },
	{ POINT_NONE, vfs_flr },
	{ POINT_NONE, vfs_settle },
	{ POINT_NONE, release_away },
	{ 0, NULL },
};

static const struct procedure_desc release_desc = {
	.name = "release",
	.steps = release_steps,
	.cleanup = 4, /* release_away */
	.end = release_end,
};

void behind_release(struct device *worker, struct device *front)
{
	struct release *r =
		procedure_new(worker->hv, &release_desc, sizeof(*r));

	r->front = front;
	r->p.vfs.vf[r->p.vfs.n++] = &worker->whole;
	procedure_about(&r->p, worker);
	procedure_start(&r->p, device_lane(worker));
}

/* The front is its own worker. */
static struct device *leave(struct virtual *v)
{
	struct device *worker = v->worker;

	worker->serves = NULL;
	v->worker = v->device;
	v->record.behind = v->device->bdf;
	v->record.other = worker->bdf;
	virtual_keep_record(v);
	return worker;
}

bool behind_end(struct virtual *v)
{
	v->wanted = NULL;
	if (!virtual_leans(v))
		return false;
	behind_release(leave(v), v->device);
	return true;
}

void behind_lost(struct device *worker, const char *why)
{
	struct virtual *v = worker->serves;

	if (!v)
		return;
	worker->serves = NULL;
	/* One that was about to does not come. */
	if (v->worker != worker)
		return;
	event(v->hv->program->log, "virtual.behind-lost", "s:s, s:s, s:s",
	      "device", v->device->name, "behind", worker->name, "why", why);
	v->backend->lost(v);
	behind_release(leave(v), v->device);
	/* Some of its accesses may have failed. */
	v->device->look_again = true;
	virtual_load(v);
}

/* Adoption. */

static struct vf_allocation *row_of(struct device *device)
{
	struct function_name name;

	vf_name(&device->whole, &name);
	return vf_allocations_find(&device->hv->allocations, &name);
}

/* NULL: it is not there. */
static struct device *disown(struct hvmon *hv, uint16_t bdf)
{
	struct device *device = bdf ? device_find(hv, bdf) : NULL;
	struct vf_allocation *row = device ? row_of(device) : NULL;

	if (row)
		vf_allocations_remove(&hv->allocations, row);
	return device;
}

void behind_adopt(struct hvmon *hv)
{
	struct virtual_record record;
	struct device *front, *other;

	TAILQ_FOREACH (front, &hv->devices, entry) {
		if (!virtual_read_record(front, &record))
			continue;
		if (record.behind != front->bdf)
			disown(hv, record.behind);
		other = disown(hv, record.other);
		if (other && record.other != record.behind)
			behind_release(other, front);
	}
}

static bool is_assigned(const struct device *worker, uint32_t vm)
{
	const struct sup_function *function =
		bridge_tables_function(&worker->hv->tables, worker->bdf);

	return function && function->vm == vm;
}

void behind_take_up(struct virtual *v)
{
	struct device *worker = device_find(v->hv, v->record.behind);

	if (v->record.behind == v->device->bdf)
		return;
	if (worker && is_assigned(worker, v->record.vm)) {
		v->worker = worker;
		worker->serves = v;
	} else {
		v->backend->lost(v);
		v->record.behind = v->device->bdf;
	}
}
