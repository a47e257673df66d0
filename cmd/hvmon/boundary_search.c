/* boundary_search.c - 410 to 420 (fig. 4): emulation begins between two
 * sequences of the guest.
 *
 * Theory of operation.  Each access is let through and the machine follows it
 * from the start state.  One without a transition sets it back to start, and is
 * not tried again from there: the search began in the middle of a sequence.
 * When an end state is reached, the next access is the first of a sequence; who
 * wants to be surer watches several whole ones.
 * Before 218 accesses are let through as well, but not watched.
 */
#include <config.h>

#include "cmd/hvmon/boundary_search.h"

#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/virtual.h"

/* A point of this search; it cannot be held. */
static void pass(struct virtual *v, unsigned at)
{
	(void)!point(v->hv->program->points, at, NULL, NULL, NULL, "s:s",
		     "device", v->device->name);
}

/* One that each access passes. */
static void pass_quietly(struct virtual *v, unsigned at)
{
	if (point_armed(v->hv->program->points, at))
		pass(v, at);
}

static void answered(struct virtual *v, const struct access *a,
		     const uint8_t *data, int err)
{
	uint8_t shown[ACCESS_MAX];

	if (err) {
		virtual_refuse(v, a);
	} else if (a->write) {
		virtual_answer(v, a, NULL);
	} else {
		memcpy(shown, data, a->size);
		if (v->backend->show)
			v->backend->show(v, a, shown);
		virtual_answer(v, a, shown);
	}
}

static void found(struct virtual *v)
{
	pass(v, POINT_VIRT_420);
	v->record.machine = (uint16_t)v->emulator->start(v);
	v->record.phase = VIRTUAL_LOADING;
	virtual_keep_record(v);
	virtual_load(v);
}

void boundary_search_start(struct virtual *v)
{
	pass(v, POINT_VIRT_410);
	v->searching = true;
	v->record.machine = (uint16_t)v->emulator->start(v);
}

void boundary_search_stop(struct virtual *v)
{
	v->searching = false;
}

void boundary_search(struct virtual *v, const struct access *a)
{
	int input = v->emulator->input(v, a);

	pass_quietly(v, POINT_VIRT_412);
	pass_quietly(v, POINT_VIRT_414);
	if (v->backend->watch)
		v->backend->watch(v, a);
	virtual_pass(v, a, answered);
	if (!v->searching || input == INPUT_NONE)
		return;
	pass_quietly(v, POINT_VIRT_416);
	if (!virtual_step(v, input)) {
		pass_quietly(v, POINT_VIRT_410);
		return;
	}
	pass_quietly(v, POINT_VIRT_418);
	if (!(v->emulator->machine.ends >> v->record.machine & 1))
		return;
	if (v->watch > 1) {
		v->watch--;
		v->record.machine = (uint16_t)v->emulator->start(v);
	} else {
		found(v);
	}
}
