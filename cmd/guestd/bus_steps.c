/* bus_steps.c - a procedure on the bus. */
#include <config.h>

#include "cmd/guestd/bus_steps.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libcore/platform.h"
#include "libcore/vfu_proto.h"

struct bus_op {
	struct bus_steps *steps;
	void *out;
	uint32_t size;
	void **page;
	LIST_ENTRY(bus_op) entry;
};

void bus_steps_init(struct bus_steps *steps, struct bus_link *bus,
		    struct points *points, const struct bus_steps_desc *desc,
		    void *arg)
{
	memset(steps, 0, sizeof(*steps));
	steps->desc = desc;
	steps->arg = arg;
	steps->bus = bus;
	steps->points = points;
	LIST_INIT(&steps->ops);
}

static void op_free(struct bus_op *op)
{
	LIST_REMOVE(op, entry);
	free(op);
}

void bus_steps_fini(struct bus_steps *steps)
{
	if (!steps->desc)
		return;
	point_hold_cancel(&steps->hold);
	while (!LIST_EMPTY(&steps->ops))
		op_free(LIST_FIRST(&steps->ops));
	steps->running = false;
}

static void over(struct bus_steps *steps, int err)
{
	steps->running = false;
	steps->desc->over(steps->arg, err, steps->step);
}

static void run(struct bus_steps *steps);

static void on_release(void *arg)
{
	run(arg);
}

static enum point_verdict pass(struct bus_steps *steps)
{
	unsigned point_index = steps->desc->step[steps->step].point;

	steps->passed = true;
	if (point_index == BUS_STEP_NO_POINT)
		return POINT_GO;
	return point(steps->points, point_index, &steps->hold, on_release,
		     steps, NULL);
}

static int check(struct bus_steps *steps)
{
	const struct bus_step *step = &steps->desc->step[steps->step];

	if (step->check)
		return step->check(steps->arg);
	return steps->err ? steps->err : (int)steps->step + 1;
}

/* Issue the step unless it is; false: its answers are to come. */
static bool issue(struct bus_steps *steps)
{
	const struct bus_step *step = &steps->desc->step[steps->step];

	if (steps->issued)
		return true;
	steps->issued = true;
	steps->err = 0;
	if (step->issue)
		step->issue(steps->arg);
	return !steps->pending;
}

static void run(struct bus_steps *steps)
{
	enum point_verdict verdict;
	int next;

	for (;;) {
		verdict = steps->passed ? POINT_GO : pass(steps);
		if (verdict == POINT_HELD)
			return;
		if (verdict == POINT_FAIL) {
			over(steps, -EIO);
			return;
		}
		if (!issue(steps))
			return;
		next = check(steps);
		steps->issued = false;
		if (next == STEPS_WAIT) {
			steps->waiting = true;
			return;
		}
		if (next < 0 || next == STEPS_DONE) {
			over(steps, next < 0 ? next : 0);
			return;
		}
		steps->passed = false;
		steps->step = (unsigned)next;
	}
}

void bus_steps_start(struct bus_steps *steps, unsigned first)
{
	steps->running = true;
	steps->passed = steps->issued = steps->waiting = false;
	steps->step = first;
	run(steps);
}

void bus_steps_go(struct bus_steps *steps)
{
	if (!steps->running || !steps->waiting)
		return;
	steps->waiting = false;
	run(steps);
}

static void op_done(struct bus_op *op, int err)
{
	struct bus_steps *steps = op->steps;

	op_free(op);
	if (err && !steps->err)
		steps->err = err;
	if (--steps->pending == 0)
		run(steps);
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct bus_op *op = arg;
	const uint8_t *data;
	int err = reply->err;

	/* The program ends. */
	if (err == -ENOTCONN)
		return;
	if (!err && op->out) {
		data = vfu_reply_data(reply, op->size);
		if (data)
			memcpy(op->out, data, op->size);
		else
			err = -EBADMSG;
	}
	op_done(op, err);
}

static void on_region(void *arg, const struct vfu_reply *reply)
{
	struct bus_op *op = arg;
	struct vfu_region_info info;
	void *at;
	int err = 0;

	if (reply->err == -ENOTCONN)
		return;
	if (!reply->err && reply->size >= sizeof(info) && reply->n_fds) {
		memcpy(&info, reply->payload, sizeof(info));
		at = mmap(NULL, PLATFORM_SHARED_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED, reply->fds[0], (off_t)info.offset);
		if (at == MAP_FAILED)
			err = -errno;
		else
			*op->page = at;
	}
	op_done(op, err);
}

static struct bus_op *op_new(struct bus_steps *steps)
{
	struct bus_op *op = calloc(1, sizeof(*op));

	if (!op) {
		steps->err = -ENOMEM;
		return NULL;
	}
	op->steps = steps;
	LIST_INSERT_HEAD(&steps->ops, op, entry);
	return op;
}

static void op_sent(struct bus_steps *steps, struct bus_op *op, int err)
{
	if (!err) {
		steps->pending++;
		return;
	}
	op_free(op);
	if (!steps->err)
		steps->err = err;
}

void steps_read(struct bus_steps *steps, uint32_t region, uint64_t offset,
		uint32_t size, void *out)
{
	struct bus_op *op = op_new(steps);

	if (!op)
		return;
	op->out = out;
	op->size = size;
	op_sent(steps, op,
		vfu_client_read(steps->bus->client, region, offset, size,
				on_reply, op));
}

void steps_write(struct bus_steps *steps, uint32_t region, uint64_t offset,
		 const void *data, uint32_t size)
{
	struct bus_op *op = op_new(steps);

	if (op)
		op_sent(steps, op,
			vfu_client_write(steps->bus->client, region, offset,
					 data, size, on_reply, op));
}

void steps_write32(struct bus_steps *steps, uint64_t gpa, uint32_t value)
{
	value = htole32(value);
	steps_write(steps, PLATFORM_REGION_IO, gpa, &value, sizeof(value));
}

void steps_map(struct bus_steps *steps, uint32_t vm, void **page)
{
	struct bus_op *op = op_new(steps);

	if (!op)
		return;
	op->page = page;
	op_sent(steps, op,
		vfu_client_region_info(steps->bus->client,
				       platform_shared_region(vm), on_region,
				       op));
}

void steps_set_irq(struct bus_steps *steps, uint32_t irq, const int *fd)
{
	struct bus_op *op = op_new(steps);

	if (op)
		op_sent(steps, op,
			vfu_client_set_irqs(steps->bus->client, VFU_IRQ_MSIX,
					    irq, 1, fd, 1, on_reply, op));
}
