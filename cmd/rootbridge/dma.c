/* dma.c - which VM's memory a function reaches.
 *
 * Theory of operation.  The supervisor assigns a function to a VM; the device
 * then gets DMA_MAP of that VM's memory and of nothing else, at IOVA 0.  A
 * function has a wish (vm, and that VM's incarnation) and a state (what the
 * device has mapped).  One step at a time, unmap before map, leads from the
 * state to the wish; whoever waits for it is answered when they agree.
 *
 * DMA_UNMAP is answered when the device no longer touches the memory.  One
 * that does not answer in time cannot be trusted with memory at all: it is
 * disconnected, and the event asks for its process to be killed.  Of a device
 * with a contained function that does not answer, only that function is.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

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

static struct vm *wanted_vm(const struct function *f)
{
	if (f->vm == PLATFORM_VM_NONE || f->contained)
		return NULL;
	if (f->bridge->vms[f->vm].unmapped)
		return NULL;
	return &f->bridge->vms[f->vm];
}

static bool dma_agrees(const struct function *f)
{
	const struct vm *vm = wanted_vm(f);

	if (!vm || f->mapped_vm == PLATFORM_VM_NONE)
		return !vm && f->mapped_vm == PLATFORM_VM_NONE;
	return f->mapped_vm == vm->number &&
	       f->mapped_incarnation == vm->incarnation;
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

static void unmapped(void *arg, const struct vfu_reply *reply)
{
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return; /* dma_gone() follows */
	dma_replied(f);
	f->mapped_vm = PLATFORM_VM_NONE;
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
		f->mapped_vm = PLATFORM_VM_NONE;
		dma_refused(f, "map", reply->err);
		return;
	}
	dma_step(f);
}

static void dma_map(struct function *f)
{
	struct vm *vm = wanted_vm(f);
	int err, fd = vm_memory(vm);

	if (fd < 0) {
		dma_refused(f, "memory", fd);
		return;
	}
	err = vfu_client_dma_map(f->client, 0, vm->memory_size,
				 VFU_DMA_READABLE | VFU_DMA_WRITEABLE, fd, 0,
				 mapped, f);
	if (err < 0) {
		dma_refused(f, "map", err);
		return;
	}
	f->mapped_vm = vm->number;
	f->mapped_incarnation = vm->incarnation;
	f->mapped_size = vm->memory_size;
	dma_sent(f);
}

static void dma_step(struct function *f)
{
	int err;

	if (f->dma_busy)
		return;
	/* Without a connection nothing is mapped; attach begins anew. */
	if (!f->present || dma_agrees(f)) {
		dma_settle(f, 0);
		return;
	}
	if (f->mapped_vm == PLATFORM_VM_NONE) {
		dma_map(f);
		return;
	}
	err = vfu_client_dma_unmap(f->client, 0, f->mapped_size, unmapped, f);
	if (err < 0)
		dma_refused(f, "unmap", err);
	else
		dma_sent(f);
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
	f->mapped_vm = PLATFORM_VM_NONE;
	loop_timer_cancel(&f->dma_timer);
	dma_settle(f, 0);
}
