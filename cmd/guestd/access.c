/* access.c - how the guest's CPU reaches registers: over its bus. */
#include <config.h>

#include "cmd/guestd/access.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct access_op {
	struct access *owner;
	access_fn *fn;
	void *arg;
	uint32_t read;              /* bytes, 0: a write */
	struct access_op *next;     /* free */
	struct access_op *next_all; /* those in flight too */
};

void access_init(struct access *a, struct bus_link *bus, uint64_t gpa)
{
	*a = (struct access){ .bus = bus, .gpa = gpa };
}

void access_fini(struct access *a)
{
	struct access_op *op;

	while ((op = a->all)) {
		a->all = op->next_all;
		free(op);
	}
}

static struct access_op *op_take(struct access *a, access_fn *fn, void *arg,
				 uint32_t read)
{
	struct access_op *op = a->free;

	if (op) {
		a->free = op->next;
	} else {
		op = calloc(1, sizeof(*op));
		if (!op)
			return NULL;
		op->next_all = a->all;
		a->all = op;
	}
	op->owner = a;
	op->fn = fn;
	op->arg = arg;
	op->read = read;
	return op;
}

static void op_give(struct access_op *op)
{
	op->next = op->owner->free;
	op->owner->free = op;
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct access_op *op = arg, done = *op;
	const uint8_t *data = NULL;
	uint64_t value = 0;
	int err = reply->err;

	op_give(op);
	done.owner->outstanding--;
	if (err == -ENOTCONN)
		return;
	if (!err && done.read) {
		data = vfu_reply_data(reply, done.read);
		if (data)
			memcpy(&value, data, done.read);
		else
			err = -EBADMSG;
	}
	done.fn(done.arg, err, le64toh(value));
}

int access_read(struct access *a, uint32_t offset, uint32_t size, access_fn *fn,
		void *arg)
{
	struct access_op *op = op_take(a, fn, arg, size);
	int err;

	if (!op)
		return -ENOMEM;
	err = bus_read(a->bus, a->gpa + offset, size, on_reply, op);
	if (err)
		op_give(op);
	else
		a->outstanding++;
	return err;
}

int access_write(struct access *a, uint32_t offset, uint32_t size,
		 uint64_t value, access_fn *fn, void *arg)
{
	struct access_op *op = op_take(a, fn, arg, 0);
	int err;

	if (!op)
		return -ENOMEM;
	value = htole64(value);
	err = bus_write(a->bus, a->gpa + offset, &value, size, on_reply, op);
	if (err)
		op_give(op);
	else
		a->outstanding++;
	return err;
}
