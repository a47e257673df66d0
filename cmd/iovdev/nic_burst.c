/* nic_burst.c - a burst of frames that nothing slows down (spec 02: 801-807,
 * 901-907).
 *
 * Theory of operation.  The way of a single frame is in nic_tx.c, switch.c and
 * nic_rx.c; it can do everything.  Most frames need little of it.  Here a
 * burst goes that way in passes, each of which does one thing to all: load
 * and check the entries, fetch what decides, look for runs of frames with the
 * same addresses, and for each run find the receiver once, load and check its
 * entries, copy.  So what one pass asks memory for has come when the next
 * needs it.  The first frame that is not ordinary ends the burst and is left
 * to the other way, as if it had come alone: there is one place that knows
 * what to do with it.
 */
#include <config.h>

#include "cmd/iovdev/nic_burst.h"

#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/queue_faults.h"

struct burst {
	struct frame frame[NIC_BURST];
	uint32_t status[NIC_BURST]; /* as the guest left it */
	uint8_t *to[NIC_BURST];
};

/* 802: entries that are good; each is loaded once. */
static uint32_t gather(struct nic_queue *tx, struct burst *b, uint32_t n)
{
	const struct guest_memory *mem = &tx->function->memory;
	struct guest_window window = guest_memory_window(mem, GUEST_READ);
	struct queue_entry entry;
	struct frame *frame;
	uint32_t i;

	for (i = 0; i < n; i++) {
		entry = entry_load(queue_entry(&tx->q, i));
		frame = &b->frame[i];
		if (entry.size < NIC_FRAME_MIN || entry.size > NIC_FRAME_MAX)
			break;
		frame->data = guest_window_at(&window, entry.addr, entry.size);
		if (!frame->data)
			frame->data = guest_memory_at(mem, entry.addr,
						      entry.size, GUEST_READ);
		if (!frame->data)
			break;
		__builtin_prefetch(frame->data);
		frame->size = entry.size;
		b->status[i] = entry.status;
	}
	return i;
}

static void read_heads(struct burst *b, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		frame_read_head(&b->frame[i]);
}

/* Both addresses as they lie there. */
struct addresses {
	uint64_t low;
	uint32_t high;
};

static struct addresses addresses_of(const struct frame *frame)
{
	struct addresses a;

	memcpy(&a.low, frame->head, sizeof(a.low));
	memcpy(&a.high, frame->head + sizeof(a.low), sizeof(a.high));
	return a;
}

/* How many from the i-th on have the same addresses. */
static uint32_t run_length(const struct burst *b, uint32_t i, uint32_t n)
{
	struct addresses first = addresses_of(&b->frame[i]), next;
	uint32_t k;

	for (k = i + 1; k < n; k++) {
		next = addresses_of(&b->frame[k]);
		if (next.low != first.low || next.high != first.high)
			break;
	}
	return k - i;
}

static bool receives(struct function *f)
{
	struct nic_queue *rx = &f->queue[NIC_QUEUE_RX];

	return f->link.now.up && nic_queue_runs(rx, false) &&
	       !queue_faults_active(rx) && LIST_EMPTY(&f->captures);
}

/* Find room for k frames in the receiver's buffers; how many of them go. */
static uint32_t find_room(struct nic_queue *rx, struct burst *b, uint32_t i,
			  uint32_t k)
{
	const struct guest_memory *mem = &rx->function->memory;
	struct guest_window window = guest_memory_window(mem, GUEST_WRITE);
	struct queue_entry entry;
	uint32_t j, size;

	for (j = 0; j < k; j++) {
		entry = entry_load(queue_entry(&rx->q, j));
		size = b->frame[i + j].size;
		if (size > entry.size)
			break;
		b->to[j] = guest_window_at(&window, entry.addr, size);
		if (!b->to[j])
			b->to[j] = guest_memory_at(mem, entry.addr, size,
						   GUEST_WRITE);
		if (!b->to[j])
			break;
		__builtin_prefetch(b->to[j], 1);
	}
	return j;
}

/* 906 for k frames from the i-th on. */
static void fill(struct nic_queue *rx, const struct burst *b, uint32_t i,
		 uint32_t k)
{
	const struct frame *frame = &b->frame[i];
	struct queue_entry *e;
	uint64_t bytes = 0;
	uint32_t j;

	for (j = 0; j < k; j++, frame++) {
		frame_copy(b->to[j], frame);
		e = queue_entry(&rx->q, j);
		entry_fill(e, frame->size, QUEUE_OK);
		bytes += frame->size;
	}
	queue_advance(&rx->q, k);
	rx->frames += k;
	rx->bytes += bytes;
	rx->written += bytes;
	if (k)
		rx->function->nic->dirty |= nic_bit(rx->function);
}

/* A run to a VF; returns how many frames were delivered or dropped. */
static uint32_t to_vf(struct function *f, struct burst *b, uint32_t i,
		      uint32_t k)
{
	struct nic_queue *rx = &f->queue[NIC_QUEUE_RX];
	uint32_t room, good;
	int space;

	if (!receives(f))
		return 0;
	space = queue_space(&rx->q, k);
	if (space < 0)
		return 0;
	room = (uint32_t)space < k ? (uint32_t)space : k;
	good = find_room(rx, b, i, room);
	fill(rx, b, i, good);
	if (good < room)
		return good;
	rx->dropped += k - room; /* 902, 903 */
	return k;
}

static uint32_t to_uplink(struct nic *nic, const struct burst *b, uint32_t i,
			  uint32_t k)
{
	uint32_t j;

	if (nic->uplink)
		for (j = i; j < i + k; j++)
			nic->uplink->send(nic->uplink, &b->frame[j]);
	return k;
}

/* 805 for a run. */
static uint32_t send_run(struct function *f, struct burst *b, uint32_t i,
			 uint32_t k)
{
	struct nic *nic = f->nic;
	struct switch_path path;
	uint32_t sent;

	if (!switch_find(nic, f->vf, &b->frame[i], &path))
		return 0;
	if (path.port == SWITCH_UPLINK)
		sent = to_uplink(nic, b, i, k);
	else
		sent = to_vf(nic->vf[path.port - 1], b, i, k);
	if (sent)
		switch_passed(nic, f->vf, &b->frame[i], &path, sent);
	return sent;
}

/* 806 */
static void finish(struct nic_queue *tx, const struct burst *b, uint32_t n)
{
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		bytes += b->frame[i].size;
		/* What is there already would only move the line. */
		if (b->status[i] != QUEUE_OK)
			entry_finish(queue_entry(&tx->q, i), QUEUE_OK);
	}
	tx->frames += n;
	tx->bytes += bytes;
}

void nic_burst_fetch(const struct nic_queue *rx)
{
	const struct guest_memory *mem = &rx->function->memory;
	struct guest_window window = guest_memory_window(mem, GUEST_WRITE);
	const struct queue *q = &rx->q;
	struct queue_entry *e = &q->ring->entry[q->own & q->mask];
	uint8_t *to;

	to = guest_window_at(&window, entry_load(e).addr, NIC_FRAME_MIN);
	__builtin_prefetch(e, 1);
	if (to)
		__builtin_prefetch(to, 1);
}

uint32_t nic_burst(struct nic_queue *tx, uint32_t n)
{
	uint32_t done = 0, k, sent;
	struct burst b;

	if (n > NIC_BURST)
		n = NIC_BURST;
	n = gather(tx, &b, n);
	read_heads(&b, n);
	while (done < n) {
		k = run_length(&b, done, n);
		sent = send_run(tx->function, &b, done, k);
		done += sent;
		if (sent < k)
			break;
	}
	finish(tx, &b, done);
	return done;
}
