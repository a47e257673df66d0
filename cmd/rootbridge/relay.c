/* relay.c - an access on its way to the function, and its reply back (spec
 * 01, figs. 12, 14 and 19).
 *
 * Theory of operation.  An access is looked up in the protection table (a800),
 * decoded (routing.c) and, if non-posted, recorded in the function's in-flight
 * list with an ID, its operator and its time of arrival before it is relayed.
 * The structure that records it comes from a free list, the write's data go
 * from the one connection's buffer into the other's, and the time is that at
 * which the loop woke up: a request costs no allocation and no system call of
 * its own.  Only what must wait (for an ID, for a person, for the supervisor)
 * has its data copied.
 *
 * A reply is matched by the ID that vfu_client gave out.  When the device's
 * connection ends, the client answers every ID with ENOTCONN; the rows then
 * stay in the list as orphans until they time out or the device is contained;
 * where nothing times out they are answered with all ones.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

static struct operation *operation_new(struct bridge *b, struct vm *vm,
				       struct vfu_request *req)
{
	struct operation *op = TAILQ_FIRST(&b->free_operations);

	if (op)
		TAILQ_REMOVE(&b->free_operations, op, queue);
	else
		op = malloc(sizeof(*op));
	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->vm = vm;
	op->req = req;
	if (req) {
		op->address = req->offset;
		op->count = req->count;
		op->write = req->command == VFU_REGION_WRITE;
		op->posted = req->posted;
	}
	return op;
}

void operation_free(struct bridge *b, struct operation *op)
{
	if (op->counted)
		vm_unkeep(op->vm, op);
	free(op->data);
	TAILQ_INSERT_HEAD(&b->free_operations, op, queue);
}

char *operation_name(char buf[OPERATION_NAME_MAX], const struct operation *op)
{
	if (!op->function || op->state == OPERATION_WAITING)
		snprintf(buf, OPERATION_NAME_MAX, "-");
	else if (op->posted)
		snprintf(buf, OPERATION_NAME_MAX, "%s:p%" PRIu64,
			 op->function->name, op->serial);
	else
		snprintf(buf, OPERATION_NAME_MAX, "%s:%u", op->function->name,
			 op->id);
	return buf;
}

const char *operation_operator(const struct operation *op)
{
	if (!op->vm)
		return "rootbridge";
	return op->vm->number == PLATFORM_HYPERVISOR ? "hypervisor"
						     : op->vm->name;
}

bool relay_keep_data(struct operation *op, const uint8_t *data)
{
	if (op->vm && !op->counted)
		vm_keep(op->vm, op);
	if (!op->write || op->data || !data)
		return true;
	op->data = malloc(op->count);
	if (!op->data)
		return false;
	memcpy(op->data, data, op->count);
	return true;
}

/* Off whatever list it is on. */
void relay_unlist(struct operation *op)
{
	struct function *f = op->function;

	switch ((enum operation_state)op->state) {
	case OPERATION_NEW:
	case OPERATION_TRAPPED:
	case OPERATION_PARKED:
	case OPERATION_ENDING:
	case OPERATION_STATE_N:
		return;
	case OPERATION_WAITING:
		TAILQ_REMOVE(&f->waiting, op, queue);
		op->state = OPERATION_NEW;
		return;
	case OPERATION_HELD:
		held_forget(op);
		break;
	case OPERATION_SENT:
	case OPERATION_LOST:
	case OPERATION_DROPPED:
	case OPERATION_ORPHAN:
		break;
	}
	if (!op->posted) {
		if (op->state != OPERATION_ORPHAN && f->client)
			vfu_client_abandon(f->client, op->id);
		inflight_del(&f->inflight, op);
	}
	op->state = OPERATION_ENDING;
}

static struct bridge *operation_bridge(const struct operation *op)
{
	return op->vm ? op->vm->bridge : op->function->bridge;
}

void relay_data(struct operation *op, const uint8_t *data, uint32_t count)
{
	struct bridge *b = operation_bridge(op);

	relay_unlist(op);
	if (op->done)
		op->done(op->done_arg, data, count);
	if (op->req && op->write)
		vfu_request_ok(op->req);
	else if (op->req)
		vfu_request_read_done(op->req, data);
	operation_free(b, op);
}

void relay_fail(struct operation *op, int err)
{
	struct bridge *b = operation_bridge(op);

	relay_unlist(op);
	if (op->function)
		op->function->counters.errors++;
	if (op->done)
		op->done(op->done_arg, NULL, 0);
	if (op->req)
		vfu_request_fail(op->req, err);
	operation_free(b, op);
}

void relay_unsupported(struct operation *op)
{
	struct bridge *b = operation_bridge(op);

	relay_unlist(op);
	if (op->function)
		op->function->counters.unsupported++;
	if (op->done)
		op->done(op->done_arg, NULL, 0);
	if (op->req)
		vfu_request_unsupported(op->req);
	operation_free(b, op);
}

void relay_abort(struct function *f)
{
	struct operation *op;

	/* Those without an ID first, or they would take the freed IDs. */
	while ((op = TAILQ_FIRST(&f->waiting)))
		relay_unsupported(op);
	while ((op = inflight_oldest(&f->inflight, false)))
		relay_unsupported(op);
	while ((op = TAILQ_FIRST(&f->held))) /* posted */
		relay_unsupported(op);
}

static void flip_bit(struct operation *op, const uint8_t *data)
{
	uint64_t bit = (op->bit - 1) % ((uint64_t)op->count * 8);
	uint8_t *copy = malloc(op->count);

	if (copy) {
		memcpy(copy, data, op->count);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		data = copy;
	}
	relay_data(op, data, op->count);
	free(copy);
}

static void reply_error(struct operation *op, int err)
{
	/* The connection ended: nobody answers any more, and that is what the
	 * completion timeout is for.  Without one nothing else would end it. */
	if (err == -ENOTCONN) {
		if (op->state == OPERATION_HELD)
			held_forget(op);
		op->state = OPERATION_ORPHAN;
		/* No CPU waits for the bridge's own. */
		if (op->done || !op->function->bridge->options.timeout_ns)
			relay_unsupported(op);
		return;
	}
	op->state = OPERATION_ENDING;
	inflight_del(&op->function->inflight, op);
	relay_fail(op, err < 0 ? -err : EIO);
}

/* a1020, a1025: the reply came with the operation's ID. */
static void relay_reply(void *arg, const struct vfu_reply *reply)
{
	struct operation *op = arg;
	struct function *f = op->function;
	const uint8_t *data = NULL;

	if (op->state == OPERATION_DROPPED && reply->err != -ENOTCONN) {
		/* As if it had been lost on the way: the row stays. */
		op->state = OPERATION_ORPHAN;
		return;
	}
	if (reply->err) {
		reply_error(op, reply->err);
		return;
	}
	if (!bridge_point(f->bridge, POINT_A1020, op)) {
		op->state = OPERATION_ORPHAN;
		return;
	}
	f->counters.replies++;
	if (!op->write) {
		data = vfu_reply_data(reply, op->count);
		if (!data) {
			reply_error(op, -EIO);
			return;
		}
	}
	(void)bridge_point(f->bridge, POINT_A1025, op);
	inflight_del(&f->inflight, op);
	op->state = OPERATION_ENDING;
	/* Functions answer in order: it will not answer what is older. */
	relay_own_again(f, op->arrival_ns);
	if (op->snoop)
		bars_written(op);
	else if (data && op->bit)
		flip_bit(op, data);
	else
		relay_data(op, data, op->count);
	if (!TAILQ_EMPTY(&f->waiting))
		relay_next(f);
}

/* Whoever feeds a device that does not keep up waits. */
static void check_congestion(struct function *f, struct vm *vm)
{
	if (!vfu_conn_congested(vfu_client_conn(f->client)))
		return;
	f->congested = true;
	if (vm)
		vm_pause(vm);
}

static void send_posted(struct function *f, struct vm *vm, uint32_t region,
			uint64_t offset, const uint8_t *data, uint32_t count)
{
	(void)vfu_client_write(f->client, region, offset, data, count, NULL,
			       NULL);
	f->counters.posted++;
	check_congestion(f, vm);
}

/* a1220: what the device and its VFs work on will be thrown away. */
static bool reset_relayed(struct operation *op)
{
	struct device *d = op->function->device;
	char name[OPERATION_NAME_MAX];

	d->reset_ns = loop_now_ns(d->bridge->loop);
	return point(d->bridge->program.points, POINT_A1220, NULL, NULL, NULL,
		     "s:s, s:s", "operation", operation_name(name, op),
		     "function", op->function->name) != POINT_FAIL;
}

/* a1010 (a915); a request that cannot be sent is one that is never answered,
 * as is one to a device that is gone. */
void relay_send(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;
	struct vfu_region_access access = { .offset = op->offset,
					    .region = op->region,
					    .count = op->count };
	struct iovec iov[2] = { { &access, sizeof(access) },
				{ (void *)(uintptr_t)data, op->count } };

	if (op->posted) {
		if (f->client)
			send_posted(f, op->vm, op->region, op->offset, data,
				    op->count);
		held_duplicate(op, data);
		op->state = OPERATION_ENDING;
		relay_data(op, NULL, 0);
		return;
	}
	if (!bridge_point(f->bridge, POINT_A1010, op)) {
		op->state = OPERATION_LOST;
		return;
	}
	if (op->snoop & SNOOP_FLR && !reset_relayed(op)) {
		op->state = OPERATION_LOST;
		return;
	}
	op->state = OPERATION_SENT;
	bars_sent(op);
	if (vfu_client_send(f->client, op->id,
			    op->write ? VFU_REGION_WRITE : VFU_REGION_READ, iov,
			    op->write ? 2 : 1, NULL, 0) < 0)
		op->state = OPERATION_LOST;
	held_duplicate(op, data);
	check_congestion(f, op->vm);
}

static void relay_wait(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;

	if (!relay_keep_data(op, data) ||
	    (f->client && !f->inflight.n && TAILQ_EMPTY(&f->waiting))) {
		/* No memory, or every ID belongs to a reply that is late. */
		relay_unsupported(op);
		return;
	}
	op->state = OPERATION_WAITING;
	TAILQ_INSERT_TAIL(&f->waiting, op, queue);
}

/* a2105, a2110: the operation gets an ID and is recorded. */
static bool relay_admit(struct operation *op)
{
	struct function *f = op->function;
	struct bridge *b = f->bridge;

	if (vfu_client_reserve(f->client, relay_reply, op, &op->id) < 0)
		return false;
	op->arrival_ns = loop_now_ns(b->loop);
	op->connection = f->connection;
	op->state = OPERATION_LOST; /* until it is sent */
	inflight_add(&f->inflight, op);
	completion_timeout_start(b, op->arrival_ns);
	if (op->write)
		f->counters.writes++;
	else
		f->counters.reads++;
	return bridge_point(b, POINT_A2110, op);
}

void relay_next(struct function *f)
{
	struct operation *op;

	while (f->client && (op = TAILQ_FIRST(&f->waiting))) {
		if (vfu_client_outstanding(f->client) >= VFU_CLIENT_MAX)
			return;
		TAILQ_REMOVE(&f->waiting, op, queue);
		op->state = OPERATION_NEW;
		if (!relay_admit(op)) {
			if (op->state != OPERATION_NEW)
				continue; /* recorded, but never to be sent */
			op->state = OPERATION_WAITING;
			TAILQ_INSERT_HEAD(&f->waiting, op, queue);
			return;
		}
		if (!held_takes(op, op->data))
			relay_send(op, op->data);
	}
}

/* a2100: it arrived at the bridge, for a function that is there. */
static void relay_submit(struct operation *op, const uint8_t *data)
{
	struct function *f = op->function;
	struct bridge *b = f->bridge;

	if (op->config && !f->vf && op->write)
		op->snoop = bars_snoop(f, op->offset, op->count, data);
	if (!bridge_point(b, POINT_A2100, op)) {
		relay_unsupported(op);
		return;
	}
	if (op->posted) {
		op->serial = ++f->n_posted_ids;
		if (!held_takes(op, data))
			relay_send(op, data);
		return;
	}
	if (!bridge_point(b, POINT_A2105, op) || !TAILQ_EMPTY(&f->waiting) ||
	    !relay_admit(op)) {
		if (op->state == OPERATION_NEW)
			relay_wait(op, data);
		return;
	}
	if (!held_takes(op, data))
		relay_send(op, data);
}

static struct function *decode(struct bridge *b, uint64_t mpa, uint32_t count,
			       struct routing_target *target)
{
	struct device *d;

	routing_lookup(&b->routing, mpa, count, target);
	switch (target->kind) {
	case ROUTING_NOWHERE:
		return NULL;
	case ROUTING_CONFIG:
		d = b->bus[target->bdf >> 8];
		return d ? d->by_devfn[target->bdf & 0xff] : NULL;
	case ROUTING_BAR:
		d = target->device;
		return target->vf <= FUNCTION_VF_MAX ? d->vf[target->vf] : NULL;
	}
	return NULL;
}

/* A posted write with nothing in its way needs no operation. */
static bool relay_posted(struct vm *vm, struct vfu_request *req,
			 struct function *f, const struct routing_target *t)
{
	if (!req->posted || t->kind != ROUTING_BAR || f->fault.kinds ||
	    !TAILQ_EMPTY(&f->held) ||
	    point_armed(vm->bridge->program.points, POINT_A2100))
		return false;
	send_posted(f, vm, t->bar, t->offset, req->data, req->count);
	vfu_request_ok(req);
	return true;
}

static void relay_refuse(struct vfu_request *req, struct operation *op)
{
	if (op)
		relay_fail(op, EPERM);
	else
		vfu_request_fail(req, EPERM);
}

/* Whether an owner row lets the access through. */
static bool relay_owns(struct vm *vm, uint64_t mpa, uint32_t count)
{
	struct routing_target t;
	struct function *f = decode(vm->bridge, mpa, count, &t);

	if (ownership_row(vm, f))
		return true;
	ownership_refused(vm, f);
	return false;
}

/* What is left of an access once its machine-physical address is known.  op is
 * NULL for one that comes straight from the VM. */
static void relay_route(struct vm *vm, struct vfu_request *req,
			struct operation *op, uint64_t mpa, const uint8_t *data)
{
	struct routing_target t;
	struct function *f;

	f = decode(vm->bridge, mpa, req->count, &t);
	if (f &&
	    ((vm->any_fenced && ownership_fenced(vm, f)) ||
	     (req->command == VFU_REGION_WRITE && ownership_bars(vm, f)))) {
		relay_refuse(req, op);
		return;
	}
	if (f && (f->contained || !function_decodes(f))) {
		f->counters.unsupported++;
		f = NULL;
	}
	if (f && !op && relay_posted(vm, req, f, &t))
		return;
	if (f && !op)
		op = operation_new(vm->bridge, vm, req);
	if (!f || !op) {
		if (op)
			relay_unsupported(op);
		else
			vfu_request_unsupported(req);
		return;
	}
	op->function = f;
	op->state = OPERATION_NEW;
	op->config = t.kind == ROUTING_CONFIG;
	op->region = op->config ? VFU_REGION_CONFIG : t.bar;
	op->offset = t.offset;
	/* Config writes are never posted (pcie6 2.4). */
	op->posted = op->posted && !op->config;
	relay_submit(op, data);
}

static void relay_trap(struct vm *vm, struct vfu_request *req,
		       struct operation *op, const uint8_t *data,
		       enum protection_result result)
{
	if (!op)
		op = operation_new(vm->bridge, vm, req);
	if (!op) {
		vfu_request_unsupported(req);
		return;
	}
	op->denied = result != PROTECTION_NO_ROW;
	vm->exceptions++;
	(void)bridge_point(vm->bridge, POINT_A820, op);
	(void)bridge_point(vm->bridge, POINT_A920, op);
	if (result == PROTECTION_FENCED)
		parking_add(op, data);
	else
		exceptions_trap(op, data);
}

/* a800, a805, a810 */
static enum protection_result
relay_lookup(struct vm *vm, const struct vfu_request *req, uint64_t *mpa)
{
	struct protection *p = &vm->bridge->protection;
	bool write = req->command == VFU_REGION_WRITE;
	enum protection_result result;

	if (vm->number == PLATFORM_HYPERVISOR)
		result = write ? protection_guard(p, req->offset, req->count)
			       : PROTECTION_ALLOWED;
	else if (write)
		result = protection_write(p, vm->number, req->offset,
					  req->count, mpa);
	else
		result = protection_lookup(p, vm->number, req->offset,
					   req->count, mpa);
	result = supervisors_beyond(vm, result, req->count, mpa);
	if (result != PROTECTION_NO_ROW && vm->bridge->options.no_protection)
		return PROTECTION_ALLOWED;
	return result;
}

/* a900: an access is issued; a800 to a820, a910, a920. */
static void relay_issue(struct vm *vm, struct vfu_request *req,
			struct operation *op, const uint8_t *data)
{
	struct bridge *b = vm->bridge;
	uint64_t mpa = req->offset;
	enum protection_result result;

	(void)bridge_point(b, POINT_A900, op);
	(void)bridge_point(b, POINT_A800, op);
	result = relay_lookup(vm, req, &mpa);
	if (result == PROTECTION_OWNER) {
		if (!relay_owns(vm, mpa, req->count)) {
			relay_refuse(req, op);
			return;
		}
	} else if (result != PROTECTION_ALLOWED) {
		relay_trap(vm, req, op, data, result);
		return;
	}
	(void)bridge_point(b, POINT_A810, op);
	(void)bridge_point(b, POINT_A910, op);
	relay_route(vm, req, op, mpa, data);
}

void relay_access(struct vm *vm, struct vfu_request *req)
{
	vm->accesses++;
	if (!req->count) {
		vfu_request_fail(req, EINVAL);
		return;
	}
	if (vm->number != PLATFORM_HYPERVISOR)
		parking_before(vm->bridge);
	relay_issue(vm, req, NULL, req->data);
}

void relay_again(struct operation *op)
{
	op->state = OPERATION_NEW;
	relay_issue(op->vm, op->req, op, op->data);
}

void relay_fence(struct function *f, const struct vm *vm)
{
	struct operation *op, *next;

	/* Those without an ID first, or they would take the freed IDs. */
	TAILQ_FOREACH_SAFE (op, &f->waiting, queue, next)
		if (op->vm == vm)
			relay_fail(op, EPERM);
	TAILQ_FOREACH_SAFE (op, &f->held, queue, next)
		if (op->vm == vm)
			relay_fail(op, EPERM);
	relay_next(f);
}

/* Nobody holds what the bridge itself wants to know. */
static void own_submit(struct operation *op)
{
	if (TAILQ_EMPTY(&op->function->waiting) && relay_admit(op))
		relay_send(op, NULL);
	else if (op->state == OPERATION_NEW)
		relay_wait(op, NULL);
}

void relay_own_again(struct function *f, uint64_t before_ns)
{
	struct operations again = TAILQ_HEAD_INITIALIZER(again);
	struct operation *op, *next;

	TAILQ_FOREACH_SAFE (op, &f->inflight.rows, inflight, next) {
		if (op->arrival_ns >= before_ns)
			break;
		if (op->vm || op->state != OPERATION_SENT)
			continue;
		relay_unlist(op);
		op->state = OPERATION_NEW;
		TAILQ_INSERT_TAIL(&again, op, queue);
	}
	while ((op = TAILQ_FIRST(&again))) {
		TAILQ_REMOVE(&again, op, queue);
		own_submit(op);
	}
}

static void own_read(struct function *f, bool config, uint32_t offset,
		     uint32_t count, operation_fn *fn, void *arg)
{
	struct operation *op = operation_new(f->bridge, NULL, NULL);

	if (!op || !f->client) {
		if (op)
			operation_free(f->bridge, op);
		fn(arg, NULL, 0);
		return;
	}
	op->function = f;
	op->done = fn;
	op->done_arg = arg;
	op->config = config;
	op->region = config ? VFU_REGION_CONFIG : VFU_REGION_BAR0;
	op->address = offset +
		      (config ? platform_config(f->bdf) : bars_address(f, 0));
	op->offset = offset;
	op->count = count;
	own_submit(op);
}

void relay_own_read(struct function *f, uint32_t offset, uint32_t count,
		    operation_fn *fn, void *arg)
{
	own_read(f, true, offset, count, fn, arg);
}

void relay_own_bar_read(struct function *f, uint32_t offset, uint32_t count,
			operation_fn *fn, void *arg)
{
	own_read(f, false, offset, count, fn, arg);
}
