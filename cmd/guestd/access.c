/* access.c - how the guest's CPU reaches registers.
 *
 * Theory of operation.  An access takes the window of its page if the CPU
 * holds a translation that allows it, else the bus.  The two are not ordered
 * against each other, so an access waits here while earlier ones are on their
 * way by the other path, and everything that comes later waits behind it.
 */
#include <config.h>

#include "cmd/guestd/access.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/tlb.h"

void access_init(struct access *a, struct bus_link *bus, struct tlb *tlb,
		 uint64_t gpa)
{
	*a = (struct access){ .bus = bus, .tlb = tlb, .gpa = gpa };
	TAILQ_INIT(&a->free);
	TAILQ_INIT(&a->held);
}

void access_fini(struct access *a)
{
	struct access_op *op;

	while ((op = a->all)) {
		a->all = op->next_all;
		free(op);
	}
}

static struct access_op *op_take(struct access *a)
{
	struct access_op *op = TAILQ_FIRST(&a->free);

	if (op) {
		TAILQ_REMOVE(&a->free, op, entry);
		return op;
	}
	op = calloc(1, sizeof(*op));
	if (!op)
		return NULL;
	op->owner = a;
	op->next_all = a->all;
	a->all = op;
	return op;
}

static void op_give(struct access_op *op)
{
	TAILQ_INSERT_HEAD(&op->owner->free, op, entry);
}

static void finish(struct access_op *op, int err, uint64_t value)
{
	struct access *a = op->owner;
	access_fn *fn = op->fn;
	void *arg = op->arg;

	op_give(op);
	fn(arg, err, value);
	if (!TAILQ_EMPTY(&a->held))
		access_run(a);
}

void access_done(struct access_op *op, int err, uint64_t value)
{
	op->owner->in_window--;
	finish(op, err, value);
}

void access_again(struct access_op *op)
{
	op->owner->in_window--;
	TAILQ_INSERT_HEAD(&op->owner->held, op, entry);
}

/* Over the bus. */

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct access_op *op = arg;
	const uint8_t *data = NULL;
	uint64_t value = 0;
	int err = reply->err;

	op->owner->on_bus--;
	if (err == -ENOTCONN)
		return;
	if (!err && !op->access.write) {
		data = vfu_reply_data(reply, op->access.size);
		if (data)
			memcpy(&value, data, op->access.size);
		else
			err = -EBADMSG;
	}
	finish(op, err, le64toh(value));
}

static int send(struct access *a, struct access_op *op)
{
	uint64_t value = htole64(op->access.value);
	int err;

	if (op->access.write)
		err = bus_write(a->bus, op->gpa, &value, op->access.size,
				on_reply, op);
	else
		err = bus_read(a->bus, op->gpa, op->access.size, on_reply, op);
	a->on_bus += !err;
	return err;
}

/* The translation by which it goes; NULL: none. */
static struct translation *translate(struct access *a, struct access_op *op)
{
	struct translation *t = a->hit;
	uint64_t page = op->gpa & ~(uint64_t)(WINDOW_PAGE - 1);

	if (!t || t->page != page || t->state != TRANSLATION_OPEN) {
		t = a->tlb ? tlb_find(a->tlb, page) : NULL;
		a->hit = t;
		if (!t)
			return NULL;
	}
	op->access.offset = (uint32_t)(op->gpa - page);
	if (!translation_allows(t, op->access.write) ||
	    op->access.offset > WINDOW_PAGE - op->access.size)
		return NULL;
	return t;
}

/* 0, -EAGAIN: it must wait for others, or why it cannot be made. */
static int issue(struct access *a, struct access_op *op)
{
	struct translation *t = translate(a, op);

	if (!t)
		return a->in_window ? -EAGAIN : send(a, op);
	if (a->on_bus || !window_has_room(&t->window))
		return -EAGAIN;
	a->in_window++;
	translation_send(t, op);
	return 0;
}

void access_run(struct access *a)
{
	struct access_op *op;
	int err;

	while ((op = TAILQ_FIRST(&a->held))) {
		err = issue(a, op);
		if (err == -EAGAIN)
			return;
		TAILQ_REMOVE(&a->held, op, entry);
		if (!err)
			continue;
		op_give(op);
		op->fn(op->arg, err, 0);
	}
}

static int make(struct access *a, uint32_t offset, bool write, uint32_t size,
		uint64_t value, access_fn *fn, void *arg)
{
	struct access_op *op = op_take(a);
	int err = -EAGAIN;

	if (!op)
		return -ENOMEM;
	op->fn = fn;
	op->arg = arg;
	op->gpa = a->gpa + offset;
	op->access.size = (uint8_t)size;
	op->access.write = write;
	op->access.value = value;
	if (TAILQ_EMPTY(&a->held))
		err = issue(a, op);
	if (err == -EAGAIN) {
		TAILQ_INSERT_TAIL(&a->held, op, entry);
		return 0;
	}
	if (err)
		op_give(op);
	return err;
}

int access_read(struct access *a, uint32_t offset, uint32_t size, access_fn *fn,
		void *arg)
{
	return make(a, offset, false, size, 0, fn, arg);
}

int access_write(struct access *a, uint32_t offset, uint32_t size,
		 uint64_t value, access_fn *fn, void *arg)
{
	return make(a, offset, true, size, value, fn, arg);
}
