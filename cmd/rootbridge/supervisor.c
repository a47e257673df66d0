/* supervisor.c - region 9 of vm0: the supervisor's commands and the state that
 * it reads back (libcore/supervisor.h).  Successors (successors.c) and
 * supervisors of some VMs (supervisors.c) have a small part of it. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/rootbridge/bridge.h"

/* Fills entry i of the array; false past its end. */
typedef bool entry_fn(struct bridge *b, unsigned i, void *entry);
/* The whole array.  0 with the change put later, or -errno, nothing done. */
typedef int command_fn(struct vm *vm, void *entries, size_t n,
		       struct change *change);

static unsigned count_functions(struct bridge *b)
{
	struct function *f = NULL;
	unsigned n = 0;

	while ((f = bridge_next_function(b, f)))
		n++;
	return n;
}

static uint32_t timeout_us(const struct bridge *b)
{
	uint64_t us = b->options.timeout_ns / NS_PER_US;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static bool read_info(struct bridge *b, unsigned i, void *entry)
{
	struct sup_info *info = entry;

	if (i)
		return false;
	*info = (struct sup_info){ .magic = SUP_MAGIC,
				   .version = SUP_VERSION,
				   .n_vms = b->n_vms,
				   .n_functions = count_functions(b),
				   .n_rows = protection_count(&b->protection),
				   .n_routes = b->n_routes,
				   .protection = !b->options.no_protection,
				   .timeout_us = timeout_us(b) };
	return true;
}

/* Function i of all; the next one after the last that was asked for is at
 * hand. */
static struct function *function_at(struct bridge *b, unsigned i)
{
	struct function *f = i && i == b->walk_next ? b->walk : NULL;
	unsigned k = f ? i : 0;

	do {
		f = bridge_next_function(b, f);
	} while (f && k++ < i);
	b->walk = f;
	b->walk_next = i + 1;
	return f;
}

static bool read_function(struct bridge *b, unsigned i, void *entry)
{
	struct function *f = function_at(b, i);
	struct sup_function *sup = entry;
	unsigned bar;

	if (!f)
		return false;
	*sup = (struct sup_function){
		.bdf = f->bdf,
		.pf_bdf = f->device->pf->bdf,
		.flags = (function_decodes(f) ? SUP_FUNCTION_PRESENT : 0) |
			 (f->contained ? SUP_FUNCTION_CONTAINED : 0) |
			 (f->vf ? SUP_FUNCTION_VF : 0),
		.vm = f->vm,
		.epoch = f->device->epoch,
		.owner = f->device->owner ? f->device->owner->number
					  : PLATFORM_VM_NONE,
	};
	snprintf(sup->name, sizeof(sup->name), "%s", f->name);
	for (bar = 0; bar < 6; bar++)
		sup->bar_size[bar] = f->region_size[bar];
	return true;
}

static bool read_load(struct bridge *b, unsigned i, void *entry)
{
	struct function *f = function_at(b, i);
	struct sup_load *load = entry;

	if (!f)
		return false;
	*load = (struct sup_load){ .bdf = f->bdf, .in_flight = f->inflight.n };
	return true;
}

static bool read_vm(struct bridge *b, unsigned i, void *entry)
{
	const struct vm *vm = &b->vms[i];
	struct sup_vm *sup = entry;

	if (i >= b->n_vms)
		return false;
	*sup = (struct sup_vm){ .vm = vm->number,
				.state = vm->state,
				.memory_size = vm->memory_size,
				.incarnation = vm->incarnation,
				.pid = (uint32_t)vm->pid };
	return true;
}

static bool read_row(struct bridge *b, unsigned i, void *entry)
{
	struct protection_row row;
	struct sup_row *sup = entry;
	uint32_t vm;

	if (!b->rows_next || i != b->rows_next) {
		memset(&b->rows, 0, sizeof(b->rows));
		b->rows_next = 0;
	}
	do {
		if (!protection_next(&b->protection, &b->rows, &vm, &row)) {
			b->rows_next = 0;
			return false;
		}
	} while (b->rows_next++ < i);
	*sup = (struct sup_row){ .vm = vm,
				 .flag = row.flag,
				 .first = row.first,
				 .last = row.last,
				 .offset = row.offset };
	return true;
}

static bool read_route(struct bridge *b, unsigned i, void *entry)
{
	const struct route *route = &b->routes[i];
	struct sup_route *sup = entry;

	if (i >= b->n_routes)
		return false;
	*sup = (struct sup_route){ .bdf = route->bdf,
				   .vector = route->vector,
				   .vm = route->vm,
				   .irq = route->irq,
				   .in_use = 1 };
	return true;
}

static int check_unmap(const struct vm *vm, const struct sup_vm_op *op,
		       size_t n)
{
	for (; n; n--, op++) {
		if (op->action != SUP_VM_UNMAP)
			return -EINVAL;
		if (op->vm >= vm->bridge->n_vms)
			return -ENOENT;
		if (op->vm == vm->number)
			return -EPERM;
	}
	return 0;
}

static int write_vms(struct vm *vm, void *entries, size_t n,
		     struct change *change)
{
	const struct sup_vm_op *op = entries;
	struct bridge *b = vm->bridge;
	int err;

	/* Resets one at a time: each has an end of its own to wait for. */
	if (n == 1 && op->action == SUP_VM_RESET) {
		if (op->vm >= b->n_vms)
			return -ENOENT;
		if (vm->number != PLATFORM_HYPERVISOR &&
		    !supervisors_decides(vm, op->vm))
			return -EPERM;
		return vm_reset(&b->vms[op->vm], change);
	}
	if (vm->number != PLATFORM_HYPERVISOR && supervisors_has(vm))
		return -EPERM;
	err = check_unmap(vm, op, n);
	if (err)
		return err;
	for (; n; n--, op++)
		vm_unmap(&b->vms[op->vm], change);
	return 0;
}

static int write_rows(struct vm *vm, void *entries, size_t n,
		      struct change *change)
{
	struct bridge *b = vm->bridge;
	int err = 0;

	(void)change;
	if (vm->number != PLATFORM_HYPERVISOR)
		err = supervisors_rows(vm, entries, n);
	if (!err)
		err = protection_apply(&b->protection, entries, n);
	if (err)
		return err;
	event(b->log, "protection.changed", "s:I, s:i", "changes",
	      (json_int_t)n, "rows", (int)protection_count(&b->protection));
	parking_rerun(b);
	exceptions_open_rows(vm->decides, entries, n);
	return 0;
}

static int write_contain(struct vm *vm, void *entries, size_t n,
			 struct change *change)
{
	const struct sup_contain *contained = entries;
	struct bridge *b = vm->bridge;
	struct function *f;
	size_t i;

	(void)change;
	for (i = 0; i < n; i++) {
		if (contained[i].on > 1 || contained[i].rsvd0)
			return -EINVAL;
		f = device_function_at(b, contained[i].bdf);
		if (!f)
			return -ENOENT;
		if (ownership_fenced(vm, f))
			return -EPERM;
	}
	for (i = 0; i < n; i++) {
		f = device_function_at(b, contained[i].bdf);
		if (contained[i].on && !f->contained)
			contain(f, inflight_oldest(&f->inflight, false),
				"the supervisor asks for it");
		else if (!contained[i].on && f->contained)
			uncontain(f);
	}
	return 0;
}

static int write_settle(struct vm *vm, void *entries, size_t n,
			struct change *change)
{
	const struct sup_settle *settle = entries;
	struct bridge *b = vm->bridge;

	if (n != 1 || settle->rsvd0 || settle->vm == PLATFORM_HYPERVISOR)
		return -EINVAL;
	if (settle->vm >= b->n_vms)
		return -ENOENT;
	return vm_settle(&b->vms[settle->vm], change);
}

static int assign_check(struct vm *vm, const struct sup_assign *assign)
{
	struct bridge *b = vm->bridge;
	struct function *f = device_function_at(b, assign->bdf);

	if (!f)
		return -ENOENT;
	if (assign->rsvd0)
		return -EINVAL;
	if (assign->vm != PLATFORM_VM_NONE && assign->vm >= b->n_vms)
		return -ENOENT;
	if (ownership_fenced(vm, f))
		return -EPERM;
	return maps_leave_room(f, assign->vm) ? 0 : -EEXIST;
}

static int write_assign(struct vm *vm, void *entries, size_t n,
			struct change *change)
{
	const struct sup_assign *assign = entries;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = assign_check(vm, &assign[i]);
		if (err)
			return err;
	}
	for (i = 0; i < n; i++)
		dma_assign(device_function_at(vm->bridge, assign[i].bdf),
			   assign[i].vm, change);
	return 0;
}

static int write_routes(struct vm *vm, void *entries, size_t n,
			struct change *change)
{
	return interrupts_route(vm->bridge, entries, n, change);
}

static int write_claim(struct vm *vm, void *entries, size_t n,
		       struct change *change)
{
	return ownership_claim(vm, entries, n, change);
}

static int write_inject(struct vm *vm, void *entries, size_t n,
			struct change *change)
{
	const struct sup_inject *inject = entries;
	size_t i;

	(void)change;
	for (i = 0; vm->number != PLATFORM_HYPERVISOR && i < n; i++)
		if (!supervisors_decides(vm, inject[i].vm))
			return -EPERM;
	return interrupts_inject(vm->bridge, entries, n);
}

static int write_successors(struct vm *vm, void *entries, size_t n,
			    struct change *change)
{
	(void)change;
	return successors_write(vm->bridge, entries, n);
}

static int write_shares(struct vm *vm, void *entries, size_t n,
			struct change *change)
{
	(void)change;
	return shares_write(vm->bridge, entries, n);
}

static int write_watch(struct vm *vm, void *entries, size_t n,
		       struct change *change)
{
	return watch_start(vm->bridge, entries, n, change);
}

static int write_windows(struct vm *vm, void *entries, size_t n,
			 struct change *change)
{
	return windows_write(vm, entries, n, change);
}

static int write_maps(struct vm *vm, void *entries, size_t n,
		      struct change *change)
{
	return maps_write(vm, entries, n, change);
}

static int write_supervisors(struct vm *vm, void *entries, size_t n,
			     struct change *change)
{
	(void)change;
	return supervisors_write(vm->bridge, entries, n);
}

static const struct {
	entry_fn *read;
	size_t read_size;
	command_fn *write;
	size_t write_size;
} kinds[SUP_KIND_N] = {
	[SUP_INFO] = { read_info, sizeof(struct sup_info), NULL, 0 },
	[SUP_FUNCTIONS] = { read_function, sizeof(struct sup_function), NULL,
			    0 },
	[SUP_VMS] = { read_vm, sizeof(struct sup_vm), write_vms,
		      sizeof(struct sup_vm_op) },
	[SUP_ROWS] = { read_row, sizeof(struct sup_row), write_rows,
		       sizeof(struct sup_row) },
	[SUP_ASSIGN] = { NULL, 0, write_assign, sizeof(struct sup_assign) },
	[SUP_ROUTES] = { read_route, sizeof(struct sup_route), write_routes,
			 sizeof(struct sup_route) },
	[SUP_CLAIM] = { NULL, 0, write_claim, sizeof(struct sup_claim) },
	[SUP_INJECT] = { NULL, 0, write_inject, sizeof(struct sup_inject) },
	[SUP_CHANNELS] = { NULL, 0, NULL, 0 },
	[SUP_CONTAIN] = { NULL, 0, write_contain, sizeof(struct sup_contain) },
	[SUP_LOADS] = { read_load, sizeof(struct sup_load), NULL, 0 },
	[SUP_SETTLE] = { NULL, 0, write_settle, sizeof(struct sup_settle) },
	[SUP_SUCCESSORS] = { successors_read, sizeof(struct sup_successor),
			     write_successors, sizeof(struct sup_successor) },
	[SUP_SHARES] = { shares_read, sizeof(struct sup_share), write_shares,
			 sizeof(struct sup_share) },
	[SUP_WATCH] = { NULL, 0, write_watch, sizeof(struct sup_watch) },
	[SUP_WINDOWS] = { windows_read, sizeof(struct sup_window),
			  write_windows, sizeof(struct sup_window) },
	[SUP_MAPS] = { maps_read, sizeof(struct sup_map), write_maps,
		       sizeof(struct sup_map) },
	[SUP_SUPERVISORS] = { supervisors_read, sizeof(struct sup_supervisor),
			      write_supervisors,
			      sizeof(struct sup_supervisor) },
};

/* count bytes of the array from byte offset on; what is past it is zero. */
static void read_array(struct bridge *b, unsigned kind, uint64_t offset,
		       uint8_t *data, uint32_t count)
{
	uint8_t entry[sizeof(struct sup_function)];
	size_t size = kinds[kind].read_size, skip = offset % size, part;
	unsigned i = (unsigned)(offset / size);

	_Static_assert(sizeof(entry) >= sizeof(struct sup_row), "entry");
	b->walk_next = b->rows_next = 0; /* there may be new ones */
	for (; count && kinds[kind].read(b, i, entry); i++) {
		part = size - skip < count ? size - skip : count;
		memcpy(data, entry + skip, part);
		data += part;
		count -= (uint32_t)part;
		skip = 0;
	}
	memset(data, 0, count);
}

static void supervisor_read(struct vm *vm, struct vfu_request *req)
{
	unsigned kind = (unsigned)(req->offset >> SUP_SHIFT);
	const struct supervisor *s = vm->decides;
	struct bridge *b = vm->bridge;
	uint8_t *data;
	int err = 0;

	if (kind >= SUP_KIND_N || (!kinds[kind].read && kind != SUP_CHANNELS)) {
		vfu_request_fail(req, EINVAL);
		return;
	}
	data = malloc(req->count);
	if (!data)
		err = ENOMEM;
	else if (kind != SUP_CHANNELS)
		read_array(b, kind, req->offset - SUP_OFFSET(kind), data,
			   req->count);
	else if (!s || !s->channels ||
		 pread(s->channels_fd, data, req->count, (off_t)req->offset) !=
			 req->count)
		err = EIO;
	if (err)
		vfu_request_fail(req, err);
	else
		vfu_request_read_done(req, data);
	free(data);
}

static int run_command(struct vm *vm, unsigned kind, struct vfu_request *req)
{
	size_t size = kinds[kind].write_size;
	struct change *change;
	void *entries;
	int err;

	/* Its data lie unaligned in the connection's buffer. */
	entries = malloc(req->count);
	change = change_new(vm, req);
	if (!entries || !change) {
		free(entries);
		free(change);
		return -ENOMEM;
	}
	memcpy(entries, req->data, req->count);
	err = kinds[kind].write(vm, entries, req->count / size, change);
	free(entries);
	if (err < 0) {
		change->req = NULL;
		change->done = NULL;
	}
	change_put(change, 0);
	return err;
}

static bool may(const struct vm *vm, unsigned kind, bool write)
{
	if (vm->number == PLATFORM_HYPERVISOR)
		return !vm->any_fenced;
	return successors_may(vm, kind, write) ||
	       supervisors_may(vm, kind, write);
}

static void refused(struct vm *vm, unsigned kind)
{
	uint64_t suppressed;

	if (limiter_pass(&vm->complaints, loop_now_ns(vm->bridge->loop),
			 &suppressed))
		event(vm->bridge->log, "supervisor.refused",
		      "s:s, s:i, s:b, s:I", "vm", vm->name, "kind", (int)kind,
		      "fenced", (int)vm->any_fenced, "suppressed",
		      (json_int_t)suppressed);
}

void supervisor_access(struct vm *vm, struct vfu_request *req)
{
	unsigned kind = (unsigned)(req->offset >> SUP_SHIFT);
	bool write = req->command == VFU_REGION_WRITE;
	int err = -EINVAL;

	if (!may(vm, kind, write)) {
		refused(vm, kind);
		vfu_request_fail(req, EPERM);
		return;
	}
	if (!write) {
		supervisor_read(vm, req);
		return;
	}
	if (kind < SUP_KIND_N && kinds[kind].write &&
	    req->offset == SUP_OFFSET(kind) &&
	    req->count % kinds[kind].write_size == 0)
		err = run_command(vm, kind, req);
	if (err == -EPERM)
		refused(vm, kind);
	if (err < 0)
		vfu_request_fail(req, -err);
}
