/* link_state.c - the link states of a device's VFs. */
#include <config.h>

#include "libcore/link_state.h"

#include <errno.h>

/* A writer that was killed in between is taken for what it is. */
#define LOAD_TRIES 1000u

static bool values_equal(const struct link_values *a,
			 const struct link_values *b)
{
	return a->up == b->up && a->max == b->max &&
	       a->allocated == b->allocated;
}

bool link_state_differs(const struct link_state *state)
{
	return state->vm != PLATFORM_VM_NONE &&
	       !values_equal(&state->physical, &state->notified);
}

int link_entry_load(const struct link_device *device, unsigned vf,
		    struct link_state *state)
{
	const struct link_entry *e;
	uint32_t before;
	unsigned i;

	if (vf > LINK_VFS)
		return -EINVAL;
	e = &device->entry[vf];
	for (i = 0; i < LOAD_TRIES; i++) {
		before = atomic_load_explicit(&e->sequence,
					      memory_order_acquire);
		*state = (struct link_state){
			.physical = { e->physical_up, e->physical_max,
				      e->physical_allocated },
			.notified = { e->notified_up, e->notified_max,
				      e->notified_allocated },
			.vm = e->vm,
		};
		atomic_thread_fence(memory_order_acquire);
		if (!(before & 1) &&
		    atomic_load_explicit(&e->sequence, memory_order_relaxed) ==
			    before)
			return 0;
	}
	return -EAGAIN;
}

void link_entry_store(struct link_device *device, unsigned vf,
		      const struct link_state *state)
{
	struct link_entry *e = &device->entry[vf];
	uint32_t sequence =
		atomic_load_explicit(&e->sequence, memory_order_relaxed) | 1;

	atomic_store_explicit(&e->sequence, sequence, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	e->vm = state->vm;
	e->physical_up = state->physical.up;
	e->physical_max = state->physical.max;
	e->physical_allocated = state->physical.allocated;
	e->notified_up = state->notified.up;
	e->notified_max = state->notified.max;
	e->notified_allocated = state->notified.allocated;
	atomic_store_explicit(&e->sequence, sequence + 1, memory_order_release);
}
