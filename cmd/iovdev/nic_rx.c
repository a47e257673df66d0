/* nic_rx.c - receive queues (spec 02, fig. 10: 901-907). */
#include <config.h>

#include "cmd/iovdev/nic_rx.h"

#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_burst.h"
#include "cmd/iovdev/queue_faults.h"

#define LATE_NS (10 * NS_PER_MS)

/* What an entry says when it is finished. */
struct outcome {
	uint32_t size;
	enum queue_status status;
};

/* 906: copy the frame into the entry's buffer. */
static struct outcome fill(struct nic_queue *rx, struct queue_entry *e,
			   const struct frame *frame,
			   const struct fault_verdict *v)
{
	struct function *f = rx->function;
	struct queue_entry entry = entry_load(e);
	uint8_t *hva;

	if (!nic_step(f->nic, POINT_RX_906, f) || v->kinds & FAULT_FAIL)
		return (struct outcome){ 0, QUEUE_FAULT };
	if (frame->size > entry.size)
		return (struct outcome){ 0, QUEUE_BAD_SIZE };
	hva = guest_memory_at(&f->memory, entry.addr, frame->size, GUEST_WRITE);
	if (!hva)
		return (struct outcome){ 0, QUEUE_BAD_ADDRESS };
	frame_copy(hva, frame);
	if (v->kinds & FAULT_CORRUPT)
		hva[v->bit / 8 % frame->size] ^= 1u << v->bit % 8;
	rx->frames++;
	rx->bytes += frame->size;
	rx->written += frame->size;
	return (struct outcome){ frame->size, QUEUE_OK };
}

static void finish(struct queue_entry *e, const struct outcome *out)
{
	entry_fill(e, out->size, out->status);
}

/* Into the i-th entry after our index, which is not finished yet; false:
 * there is none (902, 903), or the queue was stopped. */
static bool place(struct nic_queue *rx, const struct frame *frame, uint32_t i,
		  const struct fault_verdict *v, struct outcome *out)
{
	struct function *f = rx->function;
	int space = queue_space(&rx->q, i + 1);

	(void)nic_step(f->nic, POINT_RX_902, f);
	if (space < 0) {
		nic_queue_stop(rx, QUEUE_BAD_INDEX);
		return false;
	}
	if ((uint32_t)space <= i) {
		(void)nic_step(f->nic, POINT_RX_903, f);
		rx->dropped++;
		return false;
	}
	*out = fill(rx, queue_entry(&rx->q, i), frame, v);
	rx->errors += out->status != QUEUE_OK;
	if (out->status == QUEUE_BAD_ADDRESS) {
		/* What was taken before is left to the next attach. */
		if (!i) {
			finish(queue_entry(&rx->q, 0), out);
			queue_advance(&rx->q, 1);
		}
		nic_queue_stop(rx, QUEUE_BAD_ADDRESS);
		return false;
	}
	if (!LIST_EMPTY(&f->captures) && out->status == QUEUE_OK)
		capture_frame(f, frame);
	return true;
}

static void place_taken(struct nic_queue *rx, const struct frame *frame,
			const struct fault_verdict *v)
{
	struct outcome out;
	struct taken *t;

	if (!rx->attached || !place(rx, frame, rx->faults->n, v, &out))
		return;
	t = queue_faults_take(rx, v);
	if (!t) {
		rx->dropped++;
		return;
	}
	t->size = out.size;
	t->status = out.status;
}

static void place_late(struct nic_queue *rx)
{
	const struct fault_verdict plain = { 0 };
	struct queue_faults *fl = rx->faults;
	struct frame frame;

	if (!fl->late_size)
		return;
	frame_init(&frame, fl->late, fl->late_size);
	fl->late_size = 0;
	place_taken(rx, &frame, &plain);
}

static void deliver_with_faults(struct nic_queue *rx, const struct frame *frame)
{
	struct queue_faults *fl = rx->faults;
	struct fault_verdict v = queue_faults_draw(rx, rx->q.own + fl->n);

	if (v.kinds & FAULT_LOSS)
		return;
	if (v.kinds & FAULT_REORDER && !fl->late_size) {
		frame_copy(fl->late, frame);
		fl->late_size = frame->size;
		queue_faults_wait(rx, loop_now_ns(rx->function->nic->loop) +
					      LATE_NS);
		return;
	}
	v.kinds &= ~(unsigned)FAULT_REORDER;
	place_taken(rx, frame, &v);
	if (v.kinds & FAULT_DUPLICATE)
		place_taken(rx, frame, &v);
	place_late(rx);
	nic_rx_finish_taken(rx);
}

void nic_rx_finish_taken(struct nic_queue *rx)
{
	struct queue_faults *fl = rx->faults;
	uint64_t now = loop_now_ns(rx->function->nic->loop);
	struct taken *t;

	while (rx->attached && fl->n) {
		t = queue_faults_at(rx, 0);
		if (t->held)
			return;
		if (t->due_ns > now) {
			queue_faults_wait(rx, t->due_ns);
			return;
		}
		finish(queue_entry(&rx->q, 0),
		       &(struct outcome){ t->size, t->status });
		queue_advance(&rx->q, 1);
		queue_faults_finish(rx, 1);
		rx->function->nic->dirty |= nic_bit(rx->function);
	}
}

void nic_rx_faults_due(struct nic_queue *rx)
{
	if (rx->attached)
		place_late(rx);
	nic_rx_finish_taken(rx);
	nic_rx_flush(rx->function->nic);
}

void nic_rx_deliver(struct function *f, const struct frame *frame)
{
	struct nic_queue *rx = &f->queue[NIC_QUEUE_RX];
	const struct fault_verdict plain = { 0 };
	struct outcome out;

	(void)nic_step(f->nic, POINT_RX_901, f);
	/* 904, 905 */
	if (!f->link.now.up || !nic_queue_runs(rx, false)) {
		(void)nic_step(f->nic, POINT_RX_905, f);
		rx->dropped++;
		return;
	}
	(void)nic_step(f->nic, POINT_RX_904, f);
	if (queue_faults_active(rx)) {
		deliver_with_faults(rx, frame);
	} else if (place(rx, frame, 0, &plain, &out)) {
		finish(queue_entry(&rx->q, 0), &out);
		queue_advance(&rx->q, 1);
		f->nic->dirty |= nic_bit(f);
	}
}

void nic_rx_flush(struct nic *nic)
{
	uint64_t dirty = nic->dirty;
	struct function *f;

	nic->dirty = 0;
	for (; dirty; dirty &= dirty - 1) {
		f = nic->vf[__builtin_ctzll(dirty)];
		(void)nic_step(nic, POINT_RX_907, f);
		nic_queue_publish(&f->queue[NIC_QUEUE_RX]); /* 907 */
		nic_burst_fetch(&f->queue[NIC_QUEUE_RX]);
		function_check_memory(f);
	}
}
