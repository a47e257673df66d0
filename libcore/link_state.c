/* link_state.c - the link states of a device's VFs. */
#include <config.h>

#include "libcore/link_state.h"

#include <errno.h>

#include "libcore/pci_caps.h"

/* A writer that was killed in between is taken for what it is. */
#define LOAD_TRIES 1000u

static bool values_equal(const struct link_values *a,
			 const struct link_values *b)
{
	return a->up == b->up && a->max == b->max &&
	       a->allocated == b->allocated;
}

static uint64_t get64(const uint8_t *regs, unsigned offset)
{
	return pci_get32(regs, offset) | (uint64_t)pci_get32(regs, offset + 4)
						 << 32;
}

static void put64(uint8_t *regs, unsigned offset, uint64_t value)
{
	pci_put32(regs, offset, (uint32_t)value);
	pci_put32(regs, offset + 4, (uint32_t)(value >> 32));
}

bool link_causes_take(struct link_causes *causes,
		      const uint8_t regs[LINK_PF_SIZE])
{
	if (pci_get32(regs, NIC_ID) != NIC_ID_VALUE)
		return false;
	causes->changed = get64(regs, NIC_PF_LINK_CHANGED);
	causes->asked = get64(regs, NIC_PF_MBX_PENDING);
	causes->pf_changed = pci_get32(regs, NIC_PF_CHANGED) & 1;
	causes->pf.up = pci_get32(regs, NIC_STATUS) & NIC_STATUS_LINK_UP;
	causes->pf.max = get64(regs, NIC_BANDWIDTH_MAX);
	causes->pf.allocated = get64(regs, NIC_BANDWIDTH);
	return true;
}

bool link_values_take(struct link_values *physical,
		      const uint8_t regs[LINK_VF_SIZE])
{
	uint32_t link = pci_get32(regs, NIC_PF_VF_LINK - LINK_VF_AT);

	if (link > 1)
		return false;
	physical->up = link;
	physical->max = get64(regs, NIC_PF_VF_BW_MAX - LINK_VF_AT);
	physical->allocated = get64(regs, NIC_PF_VF_BW - LINK_VF_AT);
	return true;
}

bool link_state_store(struct link_state *state,
		      const struct link_values *physical)
{
	if (values_equal(&state->physical, physical))
		return false;
	state->physical = *physical;
	return true;
}

void link_state_notified(struct link_state *state)
{
	state->notified = state->physical;
}

void link_answer_put(const struct link_state *state, uint32_t request,
		     uint8_t regs[LINK_ANSWER_SIZE])
{
	put64(regs, NIC_PF_VF_ANS_MAX - LINK_ANSWER_AT, state->notified.max);
	put64(regs, NIC_PF_VF_ANS_BW - LINK_ANSWER_AT,
	      state->notified.allocated);
	pci_put32(regs, NIC_PF_VF_ANS_LINK - LINK_ANSWER_AT,
		  state->notified.up);
	/* The last: it makes the answer whole. */
	pci_put32(regs, NIC_PF_VF_ANSWER - LINK_ANSWER_AT, request);
}

void link_state_forget(struct link_state *state)
{
	state->notified = (struct link_values){ .up = false };
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
