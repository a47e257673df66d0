/* virtual.c - devices that are virtualised at run time.
 *
 * Theory of operation.  While the rows of a device's registers are denied, each
 * access of the guest is an exception.  In phase "search" it is let through,
 * and the machine only follows (boundary_search.c); then the device's registers
 * are read once, while accesses wait; from then on the emulator answers.  An
 * access that has no answer yet can always be left to the root bridge: it runs
 * by itself when the row is opened (720), so nothing is done twice or lost at
 * the switch.
 *
 * The record (virtual_record.h) is written before an access is answered.  A
 * new hypervisor takes it up, or, when there is none that is whole, lets the
 * device go; the guest is told to look at it again in either case.
 */
#include <config.h>

#include "cmd/hvmon/virtual.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/boundary_search.h"
#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/translation.h"
#include "libcore/platform.h"

/* Life. */

struct virtual *virtual_new(struct device *device, enum virtual_phase phase)
{
	struct virtual *v = calloc(1, sizeof(*v));
	const struct vf_allocation *row;

	if (!v)
		abort();
	v->hv = device->hv;
	v->device = v->worker = device;
	v->emulator = device_shown(device);
	v->backend = device_backend(device);
	STAILQ_INIT(&v->kept);
	device->virtual = v;
	translation_allow(device, false);
	row = virtual_row(v);
	v->record.bdf = device->bdf;
	v->record.behind = device->bdf;
	v->record.vm = row ? row->vm : PLATFORM_VM_NONE;
	v->record.emulator = emulator_number(v->emulator);
	v->record.phase = (uint16_t)phase;
	v->record.machine = (uint16_t)v->emulator->start(v);
	return v;
}

void virtual_get(struct virtual *v)
{
	v->users++;
}

static void free_if_over(struct virtual *v)
{
	if (!v->device && !v->users)
		free(v);
}

void virtual_put(struct virtual *v)
{
	v->users--;
	free_if_over(v);
}

void *virtual_room(const struct device *device)
{
	uint8_t *room = device_room(device);

	return room ? room + VIRTUAL_ROOM_AT : NULL;
}

bool virtual_read_record(const struct device *device,
			 struct virtual_record *record)
{
	const void *room = virtual_room(device);

	record->head.magic = VIRTUAL_RECORD_MAGIC;
	record->head.version = VIRTUAL_RECORD_VERSION;
	return room && !record_pair_get(room, sizeof(*record), record) &&
	       virtual_record_is_sound(record, device->bdf);
}

void virtual_forget(const struct device *device)
{
	void *room = virtual_room(device);

	if (room)
		memset(room, 0, 2 * sizeof(struct virtual_record));
}

void virtual_keep_record(struct virtual *v)
{
	void *room = v->device ? virtual_room(v->device) : NULL;

	v->record.head.magic = VIRTUAL_RECORD_MAGIC;
	v->record.head.version = VIRTUAL_RECORD_VERSION;
	if (room)
		record_pair_put(room, sizeof(v->record), &v->record);
}

static void tell_waiter(void *arg)
{
	struct virtual *v = arg;
	struct procedure *p = v->waiter;

	v->waiter = NULL;
	if (p)
		step_put(p);
}

void virtual_changed(struct virtual *v)
{
	if (v->waiter)
		loop_defer(v->hv->program->loop, &v->changed, tell_waiter, v);
}

void virtual_wait(struct virtual *v, struct procedure *p)
{
	v->waiter = p;
	step_get(p);
}

static void leave(struct device *device)
{
	struct virtual *v = device->virtual;

	virtual_forget_kept(v);
	device->virtual = NULL;
	v->worker->serves = NULL;
	v->device = v->wanted = NULL;
	loop_defer_cancel(&v->changed);
	loop_timer_cancel(&v->look);
	virtual_get(v);
	tell_waiter(v);
	virtual_put(v);
}

void virtual_end(struct device *device)
{
	if (!device->virtual)
		return;
	if (!behind_end(device->virtual))
		virtual_forget(device);
	leave(device);
	translation_allow(device, true);
}

void virtual_close(struct device *device)
{
	if (!device->virtual)
		return;
	device->virtual->waiter = NULL;
	leave(device);
}

/* What it is about. */

struct vf_allocation *virtual_row(const struct virtual *v)
{
	struct function_name name;

	if (!v->device)
		return NULL;
	vf_name(&v->device->whole, &name);
	return vf_allocations_find(&v->hv->allocations, &name);
}

uint64_t virtual_register(const struct virtual *v, uint32_t offset)
{
	return v->worker->bar[0] + offset;
}

bool virtual_leans(const struct virtual *v)
{
	return v->device && v->worker != v->device;
}

const char *virtual_machine_name(const struct virtual *v)
{
	return v->emulator->machine.names[v->record.machine];
}

bool virtual_at_start(const struct virtual *v)
{
	return v->emulator->machine.starts >> v->record.machine & 1;
}

/* Answers. */

void virtual_answer(struct virtual *v, const struct access *a,
		    const uint8_t *data)
{
	exception_answer(v->hv, a->serial, data, data ? a->size : 0);
}

void virtual_refuse(struct virtual *v, const struct access *a)
{
	exception_all_ones(v->hv, a->serial);
}

void virtual_illegal(struct virtual *v, const struct access *a,
		     const char *what)
{
	uint64_t suppressed;

	v->illegal++;
	if (limiter_pass(&v->complaints, clock_now_ns(), &suppressed))
		event(v->hv->program->log, "virtual.illegal",
		      "s:s, s:s, s:s, s:I, s:s, s:I", "device", v->device->name,
		      "machine", virtual_machine_name(v), "kind",
		      a->write ? "write" : "read", "offset",
		      (json_int_t)a->offset, "why", what, "suppressed",
		      (json_int_t)suppressed);
	if (v->record.aborts)
		exception_abort(v->hv, a->serial);
	else
		virtual_answer(v, a, a->write ? NULL : a->data);
}

/* The machine. */

bool virtual_step(struct virtual *v, int input)
{
	const struct state_machine *m = &v->emulator->machine;
	uint8_t next =
		m->next[v->record.machine * m->n_inputs + (unsigned)input];

	v->record.machine = next ? next : (uint16_t)v->emulator->start(v);
	return next;
}

/* Accesses that the device does. */

struct pass {
	struct procedure p;
	struct virtual *v;
	struct access access;
	uint8_t data[ACCESS_MAX];
	virtual_done_fn *done;
};

static int pass_start(struct procedure *p)
{
	struct pass *pass = (struct pass *)p;
	const struct access *a = &pass->access;
	uint64_t at;

	if (!pass->v->device)
		return step_fail(p, -ENODEV, "it is gone");
	at = virtual_register(pass->v, a->offset);
	if (a->write)
		step_write(p, at, a->data, a->size);
	else
		step_read(p, at, pass->data, a->size);
	return STEP_NEXT;
}

static void pass_end(struct procedure *p)
{
	struct pass *pass = (struct pass *)p;
	struct virtual *v = pass->v;

	v->running--;
	if (v->device)
		pass->done(v, &pass->access, pass->data, p->err);
	else
		virtual_refuse(v, &pass->access);
	virtual_changed(v);
}

static void pass_fini(struct procedure *p)
{
	virtual_put(((struct pass *)p)->v);
}

static const struct step pass_steps[] = {
	{ POINT_NONE, pass_start },
	{ 0, NULL },
};

static const struct procedure_desc pass_desc = {
	.name = "access",
	.steps = pass_steps,
	.end = pass_end,
	.fini = pass_fini,
};

void virtual_pass(struct virtual *v, const struct access *a,
		  virtual_done_fn *done)
{
	struct pass *pass = procedure_new(v->hv, &pass_desc, sizeof(*pass));

	pass->v = v;
	pass->access = *a;
	pass->done = done;
	v->running++;
	virtual_get(v);
	procedure_start(&pass->p, 0);
}

/* Accesses that wait. */

static void keep(struct virtual *v, const struct access *a)
{
	struct kept_access *kept = calloc(1, sizeof(*kept));

	if (!kept)
		abort();
	kept->access = *a;
	STAILQ_INSERT_TAIL(&v->kept, kept, entry);
	v->n_kept++;
}

static bool take_kept(struct virtual *v, struct access *a)
{
	struct kept_access *kept = STAILQ_FIRST(&v->kept);

	if (!kept)
		return false;
	STAILQ_REMOVE_HEAD(&v->kept, entry);
	v->n_kept--;
	*a = kept->access;
	free(kept);
	return true;
}

unsigned virtual_refuse_kept(struct virtual *v)
{
	struct access a;
	unsigned n = 0;

	for (; take_kept(v, &a); n++)
		virtual_refuse(v, &a);
	return n;
}

void virtual_forget_kept(struct virtual *v)
{
	struct access a;

	while (take_kept(v, &a))
		;
}

static bool all_wait(const struct virtual *v)
{
	return v->closing || v->stands_ns || v->record.phase == VIRTUAL_LOADING;
}

static void run(struct virtual *v, const struct access *a)
{
	if (v->record.phase == VIRTUAL_SEARCH) {
		boundary_search(v, a);
	} else if (hold_stops(v, a)) {
		if (!hold_takes(v, a))
			keep(v, a);
	} else {
		v->emulated++;
		v->emulator->access(v, a);
	}
	virtual_changed(v);
}

void virtual_run_kept(struct virtual *v)
{
	unsigned n = v->n_kept;
	struct access a;

	virtual_get(v);
	for (; n && v->device && !all_wait(v) && take_kept(v, &a); n--)
		run(v, &a);
	/* What is left comes before what was kept again. */
	for (; n && take_kept(v, &a); n--)
		keep(v, &a);
	virtual_put(v);
}

void virtual_hold(struct virtual *v, enum hold hold)
{
	v->hold = hold;
	if (!hold && !all_wait(v))
		virtual_run_kept(v);
}

static void take_access(struct virtual *v, const struct sup_exception *ex,
			uint32_t offset)
{
	struct access a = {
		.serial = ex->serial,
		.offset = offset,
		.size = ex->size,
		.write = ex->flags & SUP_EX_WRITE,
	};

	v->trapped++;
	if (ex->size > ACCESS_LARGEST) {
		virtual_refuse(v, &a);
		return;
	}
	if (a.write)
		memcpy(a.data, ex->data, ex->size);
	if (all_wait(v))
		keep(v, &a);
	else
		run(v, &a);
}

bool virtual_takes(struct hvmon *hv, const struct sup_exception *ex)
{
	const struct vf_allocation *row;
	const struct vf *vf;
	uint64_t offset;

	if (ex->gpa < PLATFORM_MMIO)
		return false;
	row = vf_allocations_at(
		&hv->allocations, ex->vm,
		(uint32_t)((ex->gpa - PLATFORM_MMIO) / VF_SLOT_SIZE));
	vf = row && row->ready ? vf_find(hv, &row->vf) : NULL;
	if (!vf || vf->number || ex->gpa < row->overlay.bar_gpa[0])
		return false;
	offset = ex->gpa - row->overlay.bar_gpa[0];
	if (offset >= vf->device->regs_bytes ||
	    ex->size > vf->device->regs_bytes - offset)
		return false;
	if (vf->device->virtual)
		take_access(vf->device->virtual, ex, (uint32_t)offset);
	else
		exception_again(hv, ex->serial); /* let go meanwhile */
	return true;
}

/* Interrupts. */

void virtual_inject(struct virtual *v)
{
	interrupt_pass(v->device);
}

void virtual_set_level(struct virtual *v, bool level)
{
	bool rises = level && !v->level;

	v->level = level;
	if (rises)
		virtual_inject(v);
}

void virtual_interrupt(struct virtual *v)
{
	v->interrupts = true;
	switch ((enum virtual_phase)v->record.phase) {
	case VIRTUAL_SEARCH:
		/* Of what the guest itself began. */
		v->passed_on++;
		virtual_inject(v);
		break;
	case VIRTUAL_LOADING:
		break; /* which looks at the reason */
	case VIRTUAL_EMULATING:
		v->backend->drive(v, true);
		break;
	case VIRTUAL_PHASE_N:
		break;
	}
}
