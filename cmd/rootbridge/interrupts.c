/* interrupts.c - from a function's vector to a VM's interrupt.
 *
 * Theory of operation.  Two halves meet here: the VM names the eventfds of its
 * interrupts (SET_IRQS on its bus socket), the supervisor routes vectors to
 * interrupts.  When both are there the function gets the eventfd, and from
 * then on the device writes it without us.
 *
 * An eventfd that is replaced may have been written between the moment its
 * reader turned away and the moment the device took the new one.  It is kept
 * until the devices have answered, read once more, and if it held something
 * the new one is written.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/peer_eventfd.h"

#include "cmd/rootbridge/bridge.h"

struct irq_call {
	struct function *f;
	struct change *change; /* or NULL */
	unsigned vector;
};

unsigned interrupts_count(const struct vm *vm, uint32_t index)
{
	if (index == VFU_IRQ_MSIX)
		return PLATFORM_IRQS;
	if (index == VFU_IRQ_MSI)
		return 1;
	return index == VFU_IRQ_REQ && supervisors_has(vm);
}

static void raise_irq(int fd)
{
	if (fd >= 0)
		peer_eventfd_raise(fd);
}

static void set_replied(void *arg, const struct vfu_reply *reply)
{
	struct irq_call *call = arg;
	struct function *f = call->f;
	int err = reply->err == -ENOTCONN ? 0 : reply->err;

	if (err)
		event(f->bridge->log, "irq.refused", "s:s, s:i, s:i",
		      "function", f->name, "vector", (int)call->vector, "errno",
		      -err);
	change_put(call->change, err);
	free(call);
}

/* Give the function what its vector's route says now. */
static void apply(struct bridge *b, uint16_t bdf, unsigned vector, uint32_t vm,
		  uint32_t irq, struct change *change)
{
	struct function *f = device_function_at(b, bdf);
	struct irq_call *call;
	int fd = -1;

	if (!f || !f->present || vector >= f->n_vectors)
		return;
	if (vm != PLATFORM_VM_NONE && !f->contained)
		fd = b->vms[vm].irq_fd[irq];
	if (fd < 0 && !f->vector_set[vector])
		return;
	call = malloc(sizeof(*call));
	if (!call) {
		change_get(change);
		change_put(change, -ENOMEM);
		return;
	}
	*call = (struct irq_call){ f, change, vector };
	change_get(change);
	f->vector_set[vector] = fd >= 0;
	if (vfu_client_set_irqs(f->client, VFU_IRQ_MSIX, vector, 1, &fd,
				fd >= 0, set_replied, call) < 0) {
		change_put(change, -ENOTCONN);
		free(call);
	}
}

static void apply_irq(struct vm *vm, uint32_t irq, struct change *change)
{
	struct bridge *b = vm->bridge;
	unsigned i;

	for (i = 0; i < b->n_routes; i++)
		if (b->routes[i].vm == vm->number && b->routes[i].irq == irq)
			apply(b, b->routes[i].bdf, b->routes[i].vector,
			      vm->number, irq, change);
}

void interrupts_attach(struct function *f)
{
	struct bridge *b = f->bridge;
	unsigned i;

	for (i = 0; i < b->n_routes; i++)
		if (b->routes[i].bdf == f->bdf)
			apply(b, f->bdf, b->routes[i].vector, b->routes[i].vm,
			      b->routes[i].irq, NULL);
}

void interrupts_settled(struct change *change)
{
	struct replaced *r;
	unsigned i;

	for (i = 0; i < change->n_replaced; i++) {
		r = &change->replaced[i];
		if (peer_eventfd_take(r->fd))
			raise_irq(change->vm->irq_fd[r->irq]);
		close(r->fd);
	}
}

/* Takes fd; the old one goes to the change. */
static void replace(struct vm *vm, uint32_t irq, int fd, struct change *change)
{
	if (vm->irq_fd[irq] >= 0)
		change->replaced[change->n_replaced++] =
			(struct replaced){ vm->irq_fd[irq], irq };
	vm->irq_fd[irq] = fd;
	if (fd >= 0 && vm->irq_pending[irq]) {
		vm->irq_pending[irq] = false;
		raise_irq(fd);
	}
	apply_irq(vm, irq, change);
}

static int set_eventfds(struct vm *vm, uint32_t start, uint32_t count, int *fds,
			unsigned n_fds, struct vfu_request *req)
{
	struct change *change;
	unsigned i;

	for (i = 0; i < n_fds; i++)
		if (peer_eventfd_accept(fds[i]) < 0)
			return -EINVAL;
	change = change_new(vm, req);
	if (!change)
		return -ENOMEM;
	change->done = interrupts_settled;
	change->replaced = calloc(count + 1u, sizeof(*change->replaced));
	if (!change->replaced) {
		free(change);
		return -ENOMEM;
	}
	for (i = 0; i < count; i++) {
		replace(vm, start + i, n_fds ? fds[i] : -1, change);
		if (n_fds)
			fds[i] = -1;
	}
	change_put(change, 0);
	return 0;
}

static int set_req(struct vm *vm, int *fds, unsigned n_fds,
		   struct vfu_request *req)
{
	if (n_fds && peer_eventfd_accept(fds[0]) < 0)
		return -EINVAL;
	if (vm->req_fd >= 0)
		close(vm->req_fd);
	vm->req_fd = -1;
	if (n_fds) {
		vm->req_fd = fds[0];
		fds[0] = -1;
		/* What was told before there was a bell. */
		raise_irq(vm->req_fd);
	}
	vfu_request_ok(req);
	return 0;
}

static int trigger(struct vm *vm, const struct vfu_irq_set *set,
		   const uint8_t *data, struct vfu_request *req)
{
	uint32_t i;

	for (i = 0; i < set->count; i++)
		if (!data || data[i])
			raise_irq(vm->irq_fd[set->start + i]);
	vfu_request_ok(req);
	return 0;
}

int interrupts_set(struct vm *vm, const struct vfu_irq_set *set, int *fds,
		   unsigned n_fds, const uint8_t *data, struct vfu_request *req)
{
	unsigned n = interrupts_count(vm, set->index);

	if (set->start > n || set->count > n - set->start)
		return -EINVAL;
	if (n_fds && n_fds != set->count)
		return -EINVAL;
	if (set->index == VFU_IRQ_MSI)
		return n_fds || set->count != 1 ? -EINVAL
						: msi_set(vm, set->flags, req);
	switch (set->flags) {
	case VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACTION_TRIGGER:
		if (set->index == VFU_IRQ_REQ)
			return set_req(vm, fds, n_fds, req);
		return set_eventfds(vm, set->start, set->count, fds, n_fds,
				    req);
	case VFU_IRQ_DATA_NONE | VFU_IRQ_ACTION_TRIGGER:
		if (n_fds)
			return -EINVAL;
		if (!set->count && set->index == VFU_IRQ_REQ)
			return set_req(vm, NULL, 0, req);
		if (!set->count)
			return set_eventfds(vm, 0, n, NULL, 0, req);
		if (set->index == VFU_IRQ_REQ)
			return -EINVAL;
		return trigger(vm, set, NULL, req);
	case VFU_IRQ_DATA_BOOL | VFU_IRQ_ACTION_TRIGGER:
		if (n_fds || set->index == VFU_IRQ_REQ)
			return -EINVAL;
		return trigger(vm, set, data, req);
	}
	return -EINVAL;
}

void interrupts_detach(struct vm *vm)
{
	uint32_t irq;
	int fd;

	memset(&vm->msi, 0, sizeof(vm->msi));
	for (irq = 0; irq < PLATFORM_IRQS; irq++) {
		fd = vm->irq_fd[irq];
		if (fd < 0)
			continue;
		vm->irq_fd[irq] = -1;
		apply_irq(vm, irq, NULL);
		close(fd);
	}
	if (vm->req_fd >= 0)
		close(vm->req_fd);
	vm->req_fd = -1;
}

/* Index of the first route that is not before (bdf, vector). */
static unsigned route_bound(const struct bridge *b, uint16_t bdf,
			    uint16_t vector)
{
	unsigned i;

	for (i = 0; i < b->n_routes; i++)
		if (b->routes[i].bdf > bdf ||
		    (b->routes[i].bdf == bdf && b->routes[i].vector >= vector))
			break;
	return i;
}

/* There is room for one more. */
static void route_set(struct bridge *b, const struct sup_route *sup)
{
	unsigned i = route_bound(b, sup->bdf, sup->vector);
	bool there = i < b->n_routes && b->routes[i].bdf == sup->bdf &&
		     b->routes[i].vector == sup->vector;

	if (sup->vm == PLATFORM_VM_NONE) {
		if (!there)
			return;
		b->n_routes--;
		memmove(b->routes + i, b->routes + i + 1,
			(b->n_routes - i) * sizeof(*b->routes));
		return;
	}
	if (!there) {
		memmove(b->routes + i + 1, b->routes + i,
			(b->n_routes - i) * sizeof(*b->routes));
		b->n_routes++;
	}
	b->routes[i] =
		(struct route){ sup->bdf, sup->vector, sup->vm, sup->irq };
}

void interrupts_withdraw(struct function *f, const struct vm *vm,
			 struct change *change)
{
	struct bridge *b = f->bridge;
	unsigned i = route_bound(b, f->bdf, 0);
	struct sup_route none = { .bdf = f->bdf, .vm = PLATFORM_VM_NONE };

	while (i < b->n_routes && b->routes[i].bdf == f->bdf) {
		if (b->routes[i].vm != vm->number) {
			i++;
			continue;
		}
		none.vector = b->routes[i].vector;
		route_set(b, &none);
		apply(b, f->bdf, none.vector, PLATFORM_VM_NONE, 0, change);
	}
}

/* A successor routes a PF that it owns to itself, and nothing else. */
static bool may_route(struct vm *vm, const struct function *f,
		      const struct sup_route *route)
{
	if (vm->number == PLATFORM_HYPERVISOR)
		return !ownership_bars(vm, f);
	return !f->vf && f->device->owner == vm &&
	       (route->vm == PLATFORM_VM_NONE ||
		(route->vm == vm->number && route->irq == PLATFORM_IRQ_PF));
}

static int route_check(struct bridge *b, const struct change *change,
		       const struct sup_route *route)
{
	struct function *f = device_function_at(b, route->bdf);

	if (!f)
		return -ENOENT;
	if (ownership_fenced(change->vm, f) || !may_route(change->vm, f, route))
		return -EPERM;
	if (route->vector >= BRIDGE_VECTORS_MAX)
		return -EINVAL;
	if (route->vm == PLATFORM_VM_NONE)
		return 0;
	if (route->vm >= b->n_vms)
		return -ENOENT;
	return route->irq < PLATFORM_IRQS ? 0 : -EINVAL;
}

int interrupts_route(struct bridge *b, const struct sup_route *routes, size_t n,
		     struct change *change)
{
	struct route *bigger;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = route_check(b, change, &routes[i]);
		if (err)
			return err;
	}
	bigger = reallocarray(b->routes, b->n_routes + n, sizeof(*bigger));
	if (!bigger && n)
		return -ENOMEM;
	b->routes = bigger;
	for (i = 0; i < n; i++) {
		route_set(b, &routes[i]);
		apply(b, routes[i].bdf, routes[i].vector, routes[i].vm,
		      routes[i].irq, change);
	}
	return 0;
}

int interrupts_inject(struct bridge *b, const struct sup_inject *inject,
		      size_t n)
{
	struct vm *vm;
	size_t i;

	for (i = 0; i < n; i++) {
		if (inject[i].vm >= b->n_vms)
			return -ENOENT;
		if (inject[i].irq >= PLATFORM_IRQS)
			return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		vm = &b->vms[inject[i].vm];
		if (vm->irq_fd[inject[i].irq] >= 0)
			raise_irq(vm->irq_fd[inject[i].irq]);
		else if (inject[i].irq != PLATFORM_IRQ_PLATFORM ||
			 !msi_send(vm))
			vm->irq_pending[inject[i].irq] = true;
	}
	return 0;
}
