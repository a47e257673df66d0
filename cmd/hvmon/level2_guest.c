/* level2_guest.c - guests of a partition: their memory, doorbell, GISA and row
 * when they come; what they had is freed when they are gone. */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/platform.h"

#define ALL_ISCS ((1u << HCA_ISCS) - 1)

void *level2_guest_at(const struct level2_guest *guest, uint64_t gpa,
		      uint64_t size)
{
	if (!guest->memory || gpa >= guest->memory_size ||
	    size > guest->memory_size - gpa)
		return NULL;
	return guest->memory + gpa;
}

void *level2_at(void *level2, uint64_t address, uint64_t size)
{
	struct level2 *l = level2;
	uint64_t into = address - LEVEL2_IOVA;

	if (address < LEVEL2_IOVA || into / l->stride >= l->n_guests)
		return NULL;
	return level2_guest_at(&l->guest[into / l->stride], into % l->stride,
			       size);
}

bool level2_tells(struct level2_guest *guest, uint64_t *suppressed)
{
	return limiter_pass(&guest->told,
			    loop_now_ns(guest->l->hv->program->loop),
			    suppressed);
}

/* It comes. */

struct attach {
	struct procedure p;
	struct level2_guest *guest;
	struct sup_map map[2];
	struct sup_row row;
	void *memory;
	struct demux_call call;
};

static int attach_maps(struct procedure *p)
{
	struct attach *a = (struct attach *)p;
	const struct level2_guest *guest = a->guest;

	a->map[0] = (struct sup_map){ .bdf = guest->l->bdf,
				      .on = 1,
				      .vm = guest->vm,
				      .iova = guest->iova };
	a->map[1] =
		(struct sup_map){ .on = 1, .vm = guest->vm, .by = p->hv->vm };
	a->row = (struct sup_row){
		.vm = guest->vm,
		.flag = SUP_ROW_ALLOWED,
		.op = SUP_ROW_SET,
		.first = LEVEL2_BAR + HCA_BELL_AT(0),
		.last = LEVEL2_BAR + HCA_BELL_AT(1) - 1,
		.offset = (int64_t)(guest->l->bar + HCA_BELL_AT(guest->index)) -
			  (int64_t)(LEVEL2_BAR + HCA_BELL_AT(0)),
	};
	step_sup_write(p, SUP_MAPS, a->map, sizeof(a->map), 0);
	step_sup_write(p, SUP_ROWS, &a->row, sizeof(a->row), 0);
	return STEP_NEXT;
}

static int attach_memory(struct procedure *p)
{
	struct attach *a = (struct attach *)p;

	/* The machine's firmware reaches it too. */
	a->call = (struct demux_call){ .what = DEMUX_CALL_MAP,
				       .vm = a->guest->vm };
	step_write(p, PLATFORM_HOST_QUEUES, &a->call, sizeof(a->call));
	step_region_map(p, PLATFORM_REGION_GUEST + a->guest->vm,
			(uint32_t)a->guest->memory_size, &a->memory);
	return STEP_NEXT;
}

static void take_gisa(struct level2_guest *guest)
{
	struct level2 *l = guest->l;
	struct demux_gisa *gisa = &l->tables.gisa[guest->index];
	uint32_t generation = atomic_load(&gisa->generation);

	gisa->vm = guest->vm;
	gisa->slot = LEVEL2_SLOT;
	atomic_store(&gisa->enabled, ALL_ISCS);
	if (!(generation & 1))
		generation = demux_turn(&gisa->generation);
	guest->row->gisa = demux_handle(guest->index, generation);
}

static int attach_row(struct procedure *p)
{
	struct attach *a = (struct attach *)p;
	struct level2_guest *guest = a->guest;

	if (guest->memory)
		munmap(guest->memory, guest->memory_size);
	guest->memory = a->memory;
	a->memory = NULL;
	guest->l->reach.changes++;
	if (guest->row->vm != guest->vm)
		*guest->row = (struct level2_guest_row){ .vm = guest->vm };
	take_gisa(guest);
	return STEP_NEXT;
}

static void attach_fini(struct procedure *p)
{
	struct attach *a = (struct attach *)p;

	if (a->memory)
		munmap(a->memory, a->guest->memory_size);
}

static const struct step attach_steps[] = {
	{ POINT_NONE, attach_maps },
	{ POINT_NONE, attach_memory },
	{ POINT_NONE, attach_row },
	{ 0, NULL },
};

static const struct procedure_desc attach_desc = {
	.name = "attach guest",
	.steps = attach_steps,
	.fini = attach_fini,
};

void step_level2_attach(struct procedure *p, struct level2_guest *guest)
{
	struct attach *a =
		procedure_new(guest->l->hv, &attach_desc, sizeof(*a));

	a->guest = guest;
	a->p.vm = guest->vm;
	procedure_call(p, &a->p);
}

/* It is gone: nothing of the adapter may reach its memory when the next one
 * gets it. */

struct leave {
	struct procedure p;
	struct level2_guest *guest;
	struct sup_vm_op reset;
	struct demux_call call;
};

static struct level2_guest *guest_of(struct procedure *p)
{
	return ((struct leave *)p)->guest;
}

static int leave_quiet(struct procedure *p)
{
	struct level2_guest *guest = guest_of(p);

	atomic_store(&guest->l->tables.gisa[guest->index].enabled, 0);
	if (guest->busy || guest->l->running) {
		step_sleep(p, NS_PER_MS);
		return STEP_AGAIN;
	}
	guest->l->running = true;
	guest->l->wanted--;
	return STEP_NEXT;
}

static int leave_free(struct procedure *p)
{
	step_level2_free_all(p, guest_of(p));
	return STEP_NEXT;
}

static int leave_reset(struct procedure *p)
{
	struct leave *leave = (struct leave *)p;
	struct level2_guest *guest = leave->guest;

	/* What came of its verbs means nothing to the next process. */
	*guest->row = (struct level2_guest_row){ .vm = guest->vm,
						 .gisa = guest->row->gisa };
	atomic_store(&guest->l->tables.gisa[guest->index].pending, 0);
	level2_config_init(guest);
	leave->reset = (struct sup_vm_op){ guest->vm, SUP_VM_RESET };
	step_sup_write(p, SUP_VMS, &leave->reset, sizeof(leave->reset),
		       STEP_MAY_FAIL);
	return STEP_NEXT;
}

static int leave_attach(struct procedure *p)
{
	step_level2_attach(p, guest_of(p));
	return STEP_NEXT;
}

/* The firmware reaches the new memory, too, once it serves the partition. */
static int leave_map(struct procedure *p)
{
	struct leave *leave = (struct leave *)p;
	const struct level2_guest *guest = leave->guest;

	leave->call = (struct demux_call){ DEMUX_CALL_MAP, guest->vm };
	if (guest->l->rows.record->host_made)
		step_write(p, PLATFORM_HOST_QUEUES, &leave->call,
			   sizeof(leave->call));
	return STEP_NEXT;
}

static void leave_end(struct procedure *p)
{
	struct level2_guest *guest = guest_of(p);

	if (p->hv->stopping)
		return;
	event(p->hv->program->log, "level2.guest-reset", "s:i, s:s*", "vm",
	      (int)guest->vm, "why", p->err ? p->why : NULL);
	guest->lost = false;
	guest->l->running = false;
	if (guest->lost_again)
		level2_guest_lost(guest);
	level2_window_run(guest->l);
}

static const struct step leave_steps[] = {
	{ POINT_NONE, leave_quiet }, { POINT_NONE, leave_free },
	{ POINT_NONE, leave_reset }, { POINT_NONE, leave_attach },
	{ POINT_NONE, leave_map },   { 0, NULL },
};

static const struct procedure_desc leave_desc = {
	.name = "guest reset",
	.steps = leave_steps,
	.end = leave_end,
};

void level2_guest_lost(struct level2_guest *guest)
{
	struct leave *leave;

	level2_window_forget(guest);
	guest->lost_again = guest->lost;
	if (guest->lost)
		return;
	guest->lost = true;
	guest->l->wanted++;
	leave = procedure_new(guest->l->hv, &leave_desc, sizeof(*leave));
	leave->guest = guest;
	leave->p.vm = guest->vm;
	procedure_start(&leave->p, 0);
}

void level2_guest_started(struct level2_guest *guest)
{
	atomic_store(&guest->l->tables.gisa[guest->index].enabled, ALL_ISCS);
}

/* Alerts: level 2 does not run guests by itself, so one that is not enabled
 * was stopped by its method, and is interrupted for what came. */
static void give_pending(struct level2_guest *guest)
{
	struct demux_gisa *gisa = &guest->l->tables.gisa[guest->index];
	uint32_t pending = atomic_exchange(&gisa->pending, 0), isc;

	for (isc = 0; isc < HCA_ISCS; isc++)
		if (pending >> isc & 1)
			level2_interrupt(guest->l, guest->vm,
					 platform_irq(LEVEL2_SLOT, isc));
}

void level2_guest_wake(struct level2_guest *guest)
{
	struct demux_gisa *gisa = &guest->l->tables.gisa[guest->index];

	event(guest->l->hv->program->log, "level2.woken", "s:i", "vm",
	      (int)guest->vm);
	guest->asleep = false;
	atomic_store(&gisa->enabled, ALL_ISCS);
	atomic_store(&gisa->alert, 0);
	give_pending(guest);
}

void level2_guest_sleep(struct level2_guest *guest)
{
	struct demux_gisa *gisa = &guest->l->tables.gisa[guest->index];

	guest->asleep = true;
	atomic_store(&gisa->enabled, 0);
	atomic_store(&gisa->alert, ALL_ISCS);
	/* What came just before. */
	if (atomic_load(&gisa->pending))
		level2_guest_wake(guest);
}
