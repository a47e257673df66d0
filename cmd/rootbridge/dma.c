/* dma.c - which VM's memory a function reaches.
 *
 * Theory of operation.  The supervisor assigns a function to a VM; the device
 * then gets DMA_MAP of that VM's memory at IOVA 0, and of what SUP_MAPS adds.  A
 * function has wishes (VMs, with their incarnation) and a state (what the
 * device has mapped).  One step at a time, unmap before map, leads from the
 * state to the wishes; whoever waits for it is answered when they agree.
 *
 * DMA_UNMAP is answered when the device no longer touches the memory.  One
 * that does not answer in time cannot be trusted with memory at all: it is
 * disconnected, and the event asks for its process to be killed.  Of a device
 * with a contained function that does not answer, only that function is.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

static void dma_step(struct function *f);

static void dma_settle(struct function *f, int err)
{
	struct change_wait *wait;

	while ((wait = SLIST_FIRST(&f->dma_waits))) {
		SLIST_REMOVE_HEAD(&f->dma_waits, entry);
		change_put(wait->change, err);
		free(wait);
	}
}

static bool is_reachable(const struct function *f, uint32_t vm)
{
	return vm != PLATFORM_VM_NONE && !f->contained &&
	       !f->bridge->vms[vm].unmapped;
}

static bool is_wished(const struct dma_map *wish, const struct dma_map *map)
{
	return wish->iova == map->iova && wish->vm == map->vm &&
	       wish->incarnation == map->incarnation;
}

/* What it shall reach: its VM's memory, then SUP_MAPS. */
struct wishes {
	const struct function *f;
	const struct sup_map *map;
	unsigned left;
	bool begun;
};

/* The next one, by iova; false: that was all. */
static bool next_wish(struct wishes *w, struct dma_map *wish)
{
	const struct function *f = w->f;
	uint64_t iova = 0;
	uint32_t vm;

	do {
		if (w->begun && !w->left)
			return false;
		if (!w->begun) {
			w->begun = true;
			w->left = maps_of(f, &w->map);
			vm = f->vm;
		} else {
			vm = w->map->vm;
			iova = w->map->iova;
			w->map++;
			w->left--;
		}
	} while (!is_reachable(f, vm));
	*wish = (struct dma_map){ iova, f->bridge->vms[vm].memory_size, vm,
				  f->bridge->vms[vm].incarnation };
	return true;
}

/* The first difference: what is mapped at index *at and not wished (true), or
 * *wish, which belongs there and is not mapped (false); *agrees when there is
 * none.  All that is not wished comes before all that is not mapped. */
static bool differs(const struct function *f, unsigned *at,
		    struct dma_map *wish, bool *agrees)
{
	struct wishes w = { .f = f };
	bool missing = false;
	struct dma_map next;
	unsigned i = 0;

	while (next_wish(&w, &next)) {
		if (i < f->n_mapped && f->mapped[i].iova < next.iova)
			break;
		if (i < f->n_mapped && is_wished(&next, &f->mapped[i])) {
			i++;
			continue;
		}
		if (i < f->n_mapped && f->mapped[i].iova == next.iova)
			break;
		if (!missing) {
			*wish = next;
			*at = i;
		}
		missing = true;
	}
	*agrees = !missing && i == f->n_mapped;
	if (i == f->n_mapped)
		return false;
	*at = i;
	return true;
}

static void dma_late(void *arg)
{
	struct function *f = arg;
	struct bridge *b = f->bridge;

	event(b->log, "dma.timeout", "s:s, s:i, s:I", "function", f->name,
	      "pid", (int)f->pid, "timeout_ms",
	      (json_int_t)(b->options.dma_ns / NS_PER_MS));
	if (f->vf && f->contained)
		function_gone(f, "no answer to DMA_UNMAP");
	else
		device_remove(f->device, false, "no answer to DMA_UNMAP");
}

static void dma_sent(struct function *f)
{
	f->dma_busy = true;
	if (f->bridge->options.dma_ns)
		loop_timer_in(f->bridge->loop, &f->dma_timer,
			      f->bridge->options.dma_ns, dma_late, f);
}

static void dma_replied(struct function *f)
{
	f->dma_busy = false;
	loop_timer_cancel(&f->dma_timer);
}

static void dma_refused(struct function *f, const char *what, int err)
{
	event(f->bridge->log, "dma.refused", "s:s, s:s, s:i", "function",
	      f->name, "what", what, "errno", -err);
	dma_settle(f, err);
}

static void forget(struct function *f, unsigned at)
{
	f->n_mapped--;
	memmove(f->mapped + at, f->mapped + at + 1,
		(f->n_mapped - at) * sizeof(*f->mapped));
}

static void unmapped(void *arg, const struct vfu_reply *reply)
{
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return; /* dma_gone() follows */
	dma_replied(f);
	forget(f, f->dma_at);
	if (reply->err)
		dma_refused(f, "unmap", reply->err);
	dma_step(f);
}

static void mapped(void *arg, const struct vfu_reply *reply)
{
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return;
	dma_replied(f);
	if (reply->err) {
		forget(f, f->dma_at);
		dma_refused(f, "map", reply->err);
		return;
	}
	dma_step(f);
}

static bool remember(struct function *f, unsigned at, const struct dma_map *map)
{
	struct dma_map *all =
		reallocarray(f->mapped, f->n_mapped + 1u, sizeof(*all));

	if (!all)
		return false;
	f->mapped = all;
	memmove(all + at + 1, all + at, (f->n_mapped - at) * sizeof(*all));
	all[at] = *map;
	f->n_mapped++;
	f->dma_at = at;
	return true;
}

static void dma_map(struct function *f, unsigned at, const struct dma_map *map)
{
	int err, fd = vm_memory(&f->bridge->vms[map->vm]);

	if (fd < 0) {
		dma_refused(f, "memory", fd);
		return;
	}
	if (!remember(f, at, map)) {
		dma_refused(f, "map", -ENOMEM);
		return;
	}
	err = vfu_client_dma_map(f->client, map->iova, map->size,
				 VFU_DMA_READABLE | VFU_DMA_WRITEABLE, fd, 0,
				 mapped, f);
	if (err < 0) {
		forget(f, at);
		dma_refused(f, "map", err);
		return;
	}
	dma_sent(f);
}

static void dma_unmap(struct function *f, unsigned at)
{
	const struct dma_map *map = &f->mapped[at];
	int err;

	f->dma_at = at;
	err = vfu_client_dma_unmap(f->client, map->iova, map->size, unmapped,
				   f);
	if (err < 0)
		dma_refused(f, "unmap", err);
	else
		dma_sent(f);
}

static void dma_step(struct function *f)
{
	struct dma_map wish;
	unsigned at = 0;
	bool agrees;

	if (f->dma_busy)
		return;
	/* Without a connection nothing is mapped; attach begins anew. */
	if (!f->present) {
		dma_settle(f, 0);
		return;
	}
	if (differs(f, &at, &wish, &agrees))
		dma_unmap(f, at);
	else if (agrees)
		dma_settle(f, 0);
	else
		dma_map(f, at, &wish);
}

void dma_update(struct function *f, struct change *change)
{
	struct change_wait *wait;

	if (change) {
		wait = malloc(sizeof(*wait));
		if (!wait) {
			change_get(change);
			change_put(change, -ENOMEM);
			return;
		}
		wait->change = change;
		change_get(change);
		SLIST_INSERT_HEAD(&f->dma_waits, wait, entry);
	}
	dma_step(f);
}

void dma_assign(struct function *f, uint32_t vm, struct change *change)
{
	if (f->vm != vm)
		event(f->bridge->log, "function.assigned", "s:s, s:s?",
		      "function", f->name, "vm",
		      vm == PLATFORM_VM_NONE ? NULL : f->bridge->vms[vm].name);
	if (f->vm != vm)
		windows_end(f, change);
	f->vm = vm;
	dma_update(f, change);
}

void dma_gone(struct function *f)
{
	f->dma_busy = false;
	f->n_mapped = 0;
	loop_timer_cancel(&f->dma_timer);
	dma_settle(f, 0);
}

bool dma_maps(const struct function *f, const struct vm *vm)
{
	unsigned i;

	for (i = 0; i < f->n_mapped; i++)
		if (f->mapped[i].vm == vm->number)
			return true;
	return false;
}

bool dma_has(const struct function *f, uint64_t iova)
{
	unsigned i;

	for (i = 0; i < f->n_mapped && f->mapped[i].iova < iova; i++)
		;
	return i < f->n_mapped && f->mapped[i].iova == iova;
}
