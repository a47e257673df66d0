/* vm.c - a VM: its main memory, its states, and how much of it is kept.
 *
 * Theory of operation.  EMPTY: memory as new, nobody connected.  RUNNING: one
 * process is connected.  LOST: it is gone while functions are assigned, which
 * may still write into its memory; the supervisor quiets them, then says
 * SUP_VM_RESET.  Without functions the bridge resets the VM by itself.
 *
 * A supervisor's VM is never LOST: the next process adopts what it has.
 *
 * Memory is abandoned, never taken back: a reset makes a new memfd, and the
 * old one lives as long as anybody maps it.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/guest_memory.h"

#include "cmd/rootbridge/bridge.h"

#define SETTLE_PAUSE_NS (50 * NS_PER_US)

void vm_init(struct vm *vm, struct bridge *b, uint32_t number)
{
	uint64_t named = b->options.vm_memory[number];
	unsigned i;

	vm->bridge = b;
	vm->number = number;
	snprintf(vm->name, sizeof(vm->name), "vm%u", number);
	vm->state = SUP_VM_EMPTY;
	vm->memory_size = named ? named : b->options.memory_size;
	vm->memory_fd = -1;
	vm->req_fd = -1;
	for (i = 0; i < PLATFORM_IRQS; i++)
		vm->irq_fd[i] = -1;
}

void vm_fini(struct vm *vm)
{
	interrupts_detach(vm);
	if (vm->memory_fd >= 0)
		close(vm->memory_fd);
	vm->memory_fd = -1;
}

int vm_memory(struct vm *vm)
{
	char name[48];

	if (vm->memory_fd >= 0)
		return vm->memory_fd;
	snprintf(name, sizeof(name), "iovkit-%s-%u", vm->name, vm->incarnation);
	vm->memory_fd = guest_memory_create(name, vm->memory_size);
	return vm->memory_fd;
}

/* Whether a device may write to its memory. */
static bool vm_has_functions(const struct vm *vm)
{
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f)))
		if (f->vm == vm->number || maps_reach(f, vm))
			return true;
	return false;
}

/* The DMA maps of functions that reach it follow what is wanted. */
static void vm_follow(struct vm *vm, struct change *change)
{
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f)))
		if (f->vm == vm->number || maps_reach(f, vm))
			dma_update(f, change);
}

void vm_attached(struct vm *vm, struct vfu_session *session)
{
	struct bridge *b = vm->bridge;
	int err;

	vm->session = session;
	vm->state = SUP_VM_RUNNING;
	vm->pid = vfu_session_peer(session);
	vm->any_fenced = false;
	memset(vm->fenced, 0, sizeof(vm->fenced));
	err = vm_memory(vm);
	if (err >= 0 && supervisors_has(vm))
		err = exceptions_open(vm->decides);
	event(b->log, "vm.attached", "s:s, s:i, s:i", "vm", vm->name, "pid",
	      (int)vm->pid, "incarnation", (int)vm->incarnation);
	if (err < 0)
		vfu_session_close(session, strerror(-err));
	else if (vm->number != PLATFORM_HYPERVISOR)
		exceptions_notify_of(vm, SUP_EX_VM_STARTED);
	/* Nobody used its memory since, or it is the hypervisor's. */
	if (vm->unmapped) {
		vm->unmapped = false;
		vm_follow(vm, NULL);
	}
}

static void vm_open(struct vm *vm)
{
	vm->state = SUP_VM_EMPTY;
	event(vm->bridge->log, "vm.reset", "s:s, s:i", "vm", vm->name,
	      "incarnation", (int)vm->incarnation);
	vfu_server_accept(vm->server, true);
}

static void vm_renew(struct vm *vm)
{
	if (vm->memory_fd >= 0)
		close(vm->memory_fd);
	vm->memory_fd = -1;
	vm->unmapped = false;
	watch_forget(vm->bridge, vm);
	vm->incarnation++;
	memset(vm->irq_pending, 0, sizeof(vm->irq_pending));
}

void vm_detached(struct vm *vm, const char *why)
{
	struct bridge *b = vm->bridge;
	bool decides = supervisors_has(vm);
	bool keeps = !decides && vm_has_functions(vm);

	event(b->log, "vm.lost", "s:s, s:i, s:s, s:b", "vm", vm->name, "pid",
	      (int)vm->pid, "why", why ? why : "hung up", "has_functions",
	      (int)keeps);
	vm->session = NULL;
	vm->pid = 0;
	vm->paused = false;
	ownership_detached(vm);
	if (vm->decides)
		exceptions_close(vm->decides);
	if (vm->number == PLATFORM_HYPERVISOR)
		parking_supervisor_gone(b);
	exceptions_forget(vm);
	parking_forget(vm);
	interrupts_detach(vm);
	windows_forget(vm);
	if (decides) {
		/* The next one adopts; its memory is what it was. */
		vm->state = SUP_VM_EMPTY;
		return;
	}
	vm->state = SUP_VM_LOST;
	vfu_server_accept(vm->server, false);
	exceptions_notify_of(vm, SUP_EX_VM_LOST);
	if (!keeps) {
		vm_renew(vm);
		vm_open(vm);
	}
}

/* At power off what was under way ends without a server to open. */
static void vm_reset_done(struct change *change)
{
	if (change->target->state == SUP_VM_LOST && change->target->server)
		vm_open(change->target);
}

int vm_reset(struct vm *vm, struct change *change)
{
	if (vm->number == PLATFORM_HYPERVISOR)
		return -EINVAL;
	if (vm->state == SUP_VM_RUNNING)
		return -EBUSY;
	vm->state = SUP_VM_LOST;
	vfu_server_accept(vm->server, false);
	vm_renew(vm);
	change->target = vm;
	change->done = vm_reset_done;
	vm_follow(vm, change);
	return 0;
}

static bool vm_is_mapped(const struct vm *vm)
{
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f)))
		if (dma_maps(f, vm))
			return true;
	return false;
}

/* All of one command, or of several that overlap. */
static void vm_unmap_done(struct change *change)
{
	struct bridge *b = change->vm->bridge;
	unsigned i;

	for (i = 0; i < b->n_vms; i++)
		if (b->vms[i].unmapped && !vm_is_mapped(&b->vms[i]))
			watch_check(&b->vms[i]);
}

void vm_unmap(struct vm *vm, struct change *change)
{
	event(vm->bridge->log, "vm.unmapped", "s:s, s:s", "vm", vm->name, "by",
	      change->vm->name);
	vm->unmapped = true;
	change->done = vm_unmap_done;
	vm_follow(vm, change);
}

/* Looks again until the VM's socket is empty; one that is paused because too
 * much is kept for it goes on when that is answered. */
static void settle(void *arg)
{
	struct bridge *b = arg;
	struct change *change = b->settling;
	struct vm *vm = b->settles;

	if (vm->session && vfu_conn_unread(vfu_session_conn(vm->session))) {
		loop_timer_in(b->loop, &b->settle_timer, SETTLE_PAUSE_NS,
			      settle, b);
		return;
	}
	b->settling = NULL;
	change_put(change, 0);
}

int vm_settle(struct vm *vm, struct change *change)
{
	struct bridge *b = vm->bridge;

	if (b->settling)
		return -EBUSY;
	change_get(change);
	b->settling = change;
	b->settles = vm;
	parking_before(b);
	settle(b);
	return 0;
}

void vm_settle_cancel(struct bridge *b)
{
	struct change *change = b->settling;

	if (!change)
		return;
	loop_timer_cancel(&b->settle_timer);
	b->settling = NULL;
	change->req = NULL;
	change_put(change, 0);
}

void vm_memory_access(int fd, struct vfu_request *req)
{
	uint8_t *data;

	if (fd < 0) {
		vfu_request_fail(req, -fd);
		return;
	}
	if (req->command == VFU_REGION_WRITE) {
		if (pwrite(fd, req->data, req->count, (off_t)req->offset) ==
		    (ssize_t)req->count)
			vfu_request_ok(req);
		else
			vfu_request_fail(req, EIO);
		return;
	}
	data = malloc(req->count);
	if (data && pread(fd, data, req->count, (off_t)req->offset) ==
			    (ssize_t)req->count)
		vfu_request_read_done(req, data);
	else
		vfu_request_fail(req, data ? EIO : ENOMEM);
	free(data);
}

static uint64_t kept_size(const struct operation *op)
{
	return op->write ? op->count : 0;
}

void vm_keep(struct vm *vm, struct operation *op)
{
	op->counted = true;
	vm->n_kept++;
	vm->kept_bytes += kept_size(op);
	if (vm->n_kept >= BRIDGE_KEPT_MAX ||
	    vm->kept_bytes >= BRIDGE_KEPT_BYTES)
		vm_pause(vm);
}

void vm_unkeep(struct vm *vm, struct operation *op)
{
	op->counted = false;
	vm->n_kept--;
	vm->kept_bytes -= kept_size(op);
	if (vm->paused && vm->n_kept <= BRIDGE_KEPT_MAX / 2 &&
	    vm->kept_bytes <= BRIDGE_KEPT_BYTES / 2)
		vm_resume_all(vm->bridge);
}

void vm_pause(struct vm *vm)
{
	if (!vm->session || vm->paused)
		return;
	vm->paused = true;
	vfu_conn_pause(vfu_session_conn(vm->session));
}

static bool vm_may_resume(const struct vm *vm, bool congested)
{
	return vm->paused && vm->session && !congested &&
	       vm->n_kept < BRIDGE_KEPT_MAX &&
	       vm->kept_bytes < BRIDGE_KEPT_BYTES;
}

/* Whom a congested device stopped is not recorded: while one is left all stay
 * stopped, which is rare and short. */
void vm_resume_all(struct bridge *b)
{
	struct function *f = NULL;
	bool congested = false;
	unsigned i;

	while ((f = bridge_next_function(b, f)))
		congested |= f->congested;
	for (i = 0; i < b->n_vms; i++) {
		if (!vm_may_resume(&b->vms[i], congested))
			continue;
		b->vms[i].paused = false;
		vfu_conn_resume(vfu_session_conn(b->vms[i].session));
	}
}
