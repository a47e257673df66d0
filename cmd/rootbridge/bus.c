/* bus.c - each VM's view of the chipset: a vfio-user server at bus/vmN.sock.
 *
 * Region 0 is the VM's guest-physical I/O space, region 1 its main memory,
 * region 9 of vm0, of its successors and of other supervisors the supervisor
 * interface.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/unixsock.h"

#include "cmd/rootbridge/bridge.h"

static void attached(void *arg, struct vfu_session *session)
{
	vm_attached(arg, session);
}

static void detached(void *arg, struct vfu_session *session, const char *why)
{
	struct vm *vm = arg;

	if (vm->session == session)
		vm_detached(vm, why);
}

static void access_region(void *arg, struct vfu_request *req)
{
	struct vm *vm = arg;

	if (req->region == PLATFORM_REGION_IO)
		relay_access(vm, req);
	else if (req->region == PLATFORM_REGION_MEMORY)
		vm_memory_access(vm_memory(vm), req);
	else if (req->region == PLATFORM_REGION_SUPERVISOR)
		supervisor_access(vm, req);
	else if (req->region >= PLATFORM_REGION_SHARED &&
		 req->region < PLATFORM_REGION_WINDOW)
		vm_memory_access(
			shares_fd(vm, req->region - PLATFORM_REGION_SHARED),
			req);
	else if (req->region >= PLATFORM_REGION_GUEST)
		vm_memory_access(
			maps_fd(vm, req->region - PLATFORM_REGION_GUEST), req);
	else
		vfu_request_fail(req, EINVAL);
}

/* The channels are a supervisor's alone, and gone when it is fenced. */
static void supervisor_info(const struct vm *vm, struct vfu_region_info *info,
			    struct vfu_sparse_area *area, unsigned *n_areas,
			    int *fd)
{
	const struct supervisor *s = vm->decides;

	if (supervisors_has(vm) ? !s->channels && !vm->any_fenced
				: !successors_listed(vm))
		return;
	info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	info->size = SUP_REGION_SIZE;
	if (!s || !s->channels)
		return;
	info->flags |= VFU_REGION_MMAP;
	*area = (struct vfu_sparse_area){ SUP_OFFSET(SUP_CHANNELS),
					  SUP_CHANNELS_SIZE };
	*n_areas = 1;
	*fd = s->channels_fd;
}

static void shared_info(const struct vm *vm, struct vfu_region_info *info,
			int *fd)
{
	*fd = shares_fd(vm, info->index - PLATFORM_REGION_SHARED);
	if (*fd < 0)
		return;
	info->flags =
		VFU_REGION_READABLE | VFU_REGION_WRITEABLE | VFU_REGION_MMAP;
	info->size = PLATFORM_SHARED_SIZE;
}

static void guest_info(const struct vm *vm, struct vfu_region_info *info,
		       int *fd)
{
	uint32_t other = info->index - PLATFORM_REGION_GUEST;

	*fd = maps_fd(vm, other);
	if (*fd < 0)
		return;
	info->flags =
		VFU_REGION_READABLE | VFU_REGION_WRITEABLE | VFU_REGION_MMAP;
	info->size = vm->bridge->vms[other].memory_size;
}

static int region_info(void *arg, struct vfu_region_info *info,
		       struct vfu_sparse_area areas[4], unsigned *n_areas,
		       int *fd)
{
	struct vm *vm = arg;

	switch (info->index) {
	case PLATFORM_REGION_IO:
		info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
		info->size = PLATFORM_IO_SIZE;
		return 0;
	case PLATFORM_REGION_MEMORY:
		*fd = vm_memory(vm);
		if (*fd < 0)
			return *fd;
		info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE |
			      VFU_REGION_MMAP;
		info->size = vm->memory_size;
		return 0;
	case PLATFORM_REGION_SUPERVISOR:
		supervisor_info(vm, info, areas, n_areas, fd);
		return 0;
	}
	if (info->index >= PLATFORM_REGION_GUEST)
		guest_info(vm, info, fd);
	else if (info->index >= PLATFORM_REGION_WINDOW)
		windows_info(vm, info, fd);
	else if (info->index >= PLATFORM_REGION_SHARED)
		shared_info(vm, info, fd);
	return 0;
}

static unsigned irq_count(void *arg, uint32_t index)
{
	return interrupts_count(arg, index);
}

static void set_irqs(void *arg, struct vfu_request *req,
		     const struct vfu_irq_set *set, int *fds, unsigned n_fds,
		     const uint8_t *data)
{
	int err = interrupts_set(arg, set, fds, n_fds, data, req);

	if (err < 0)
		vfu_request_fail(req, -err);
}

static void io_fds(void *arg, struct vfu_request *req, uint32_t region)
{
	doorbells_answer(arg, req, region);
}

static void reply(void *arg, struct vfu_session *session, struct vfu_msg *msg)
{
	(void)session, (void)msg;
	msi_answered(arg);
}

static void refused(void *arg, struct vfu_session *session, const char *why)
{
	struct vm *vm = arg;
	uint64_t suppressed;

	vm->refused++;
	if (!limiter_pass(&vm->complaints, loop_now_ns(vm->bridge->loop),
			  &suppressed))
		return;
	event(vm->bridge->log, "message.refused", "s:s, s:i, s:s, s:I", "vm",
	      vm->name, "pid", (int)vfu_session_peer(session), "why", why,
	      "suppressed", (json_int_t)suppressed);
}

static void waiting(void *arg, pid_t pid)
{
	struct vm *vm = arg;
	uint64_t suppressed;

	if (limiter_pass(&vm->complaints, loop_now_ns(vm->bridge->loop),
			 &suppressed))
		event(vm->bridge->log, "vm.waiting", "s:s, s:i, s:i, s:I", "vm",
		      vm->name, "pid", (int)pid, "holder", (int)vm->pid,
		      "suppressed", (json_int_t)suppressed);
}

static const struct vfu_server_desc server_desc = {
	.num_regions = PLATFORM_REGION_N,
	.max_sessions = 1,
};

static const struct vfu_server_ops server_ops = {
	.attached = attached,
	.detached = detached,
	.access = access_region,
	.region_info = region_info,
	.irq_count = irq_count,
	.set_irqs = set_irqs,
	.io_fds = io_fds,
	.reply = reply,
	.waiting = waiting,
	.refused = refused,
};

static int bus_serve(struct vm *vm, struct complaint *c)
{
	struct bridge *b = vm->bridge;
	char path[PATH_MAX];
	int err, fd;

	machine_path(&b->program.machine, path, "bus/%s.sock", vm->name);
	fd = unixsock_listen(path, c);
	if (fd < 0)
		return fd;
	err = vfu_server_new(&vm->server, b->loop, fd, &server_desc,
			     &server_ops, vm);
	return err < 0 ? complain(c, -err, "%s: %s", path, strerror(-err)) : 0;
}

int bus_start(struct bridge *b, struct complaint *c)
{
	unsigned i;
	int err;

	b->vms = calloc(b->n_vms, sizeof(*b->vms));
	if (!b->vms)
		return complain(c, ENOMEM, "no memory for %u VMs", b->n_vms);
	for (i = 0; i < b->n_vms; i++)
		vm_init(&b->vms[i], b, i);
	err = exceptions_supervisor(&b->vms[PLATFORM_HYPERVISOR]);
	if (err < 0)
		return complain(c, -err, "%s", strerror(-err));
	for (i = 0; i < b->n_vms; i++)
		b->vms[i].supervisor = b->vms[PLATFORM_HYPERVISOR].decides;
	b->vms[PLATFORM_HYPERVISOR].decides->n_guests = b->n_vms;
	for (i = 0; i < b->n_vms; i++) {
		err = bus_serve(&b->vms[i], c);
		if (err < 0)
			return err;
	}
	return 0;
}

void bus_stop(struct bridge *b)
{
	char path[PATH_MAX];
	struct vm *vm;
	unsigned i;

	for (i = 0; b->vms && i < b->n_vms; i++) {
		vm = &b->vms[i];
		if (!vm->server)
			continue;
		machine_path(&b->program.machine, path, "bus/%s.sock",
			     vm->name);
		unlink(path);
		vm->session = NULL;
		vfu_server_free(vm->server);
		vm->server = NULL;
	}
	exceptions_fini(b);
	parking_supervisor_gone(b);
	vm_settle_cancel(b);
	watch_forget(b, NULL);
	for (i = 0; b->vms && i < b->n_vms; i++)
		vm_fini(&b->vms[i]);
}
