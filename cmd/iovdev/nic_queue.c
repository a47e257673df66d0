/* nic_queue.c - the device's end of a VF's queue: who may run, attach, stop.
 *
 * A queue runs iff four enables are on: the guest's bit in the ring,
 * NIC_Q_ENABLE, the PF's per-VF register and Bus Master Enable.  The ring in
 * guest memory is its whole state: attaching takes the indexes from there.
 */
#include <config.h>

#include "cmd/iovdev/nic_queue.h"

#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "cmd/iovdev/queue_faults.h"

#define NO_VECTOR UINT32_MAX

const char *nic_queue_name(const struct nic_queue *q)
{
	return q->kind == NIC_QUEUE_TX ? "tx" : "rx";
}

const char *queue_status_name(enum queue_status status)
{
	static const char *const names[] = {
		[QUEUE_OK] = "ok",
		[QUEUE_BAD_ADDRESS] = "bad address",
		[QUEUE_BAD_SIZE] = "bad size",
		[QUEUE_BAD_INDEX] = "bad index",
		[QUEUE_BAD_RING] = "bad ring",
		[QUEUE_LOST] = "memory lost",
		[QUEUE_FAULT] = "fault",
	};
	_Static_assert(sizeof(names) / sizeof(*names) == QUEUE_STATUS_N,
		       "one name a status");

	return names[status];
}

void nic_queue_init(struct nic_queue *q, struct function *f,
		    enum nic_queue_kind kind)
{
	q->function = f;
	q->kind = kind;
	q->vector = NO_VECTOR;
	q->pf_enable = true;
}

void nic_queue_fini(struct nic_queue *q)
{
	queue_faults_free(q);
}

static bool is_ring_size(uint32_t n)
{
	return n >= QUEUE_MIN && n <= QUEUE_MAX && !(n & (n - 1));
}

static bool attach(struct nic_queue *q, bool quiet)
{
	struct function *f = q->function;
	struct queue_ring *ring = NULL;
	uint64_t suppressed;
	int err;

	if (is_ring_size(q->entries) && !(q->base % alignof(struct queue_ring)))
		ring = guest_memory_at(&f->memory, q->base,
				       queue_ring_size(q->entries),
				       GUEST_READ | GUEST_WRITE);
	if (!ring) {
		if (!quiet)
			nic_queue_stop(q, QUEUE_BAD_RING);
		return false;
	}
	err = q->kind == NIC_QUEUE_TX
		      ? queue_attach_reader(&q->q, ring, q->entries)
		      : queue_attach_writer(&q->q, ring, q->entries);
	if (err) {
		nic_queue_stop(q, QUEUE_BAD_RING);
		return false;
	}
	q->attached = true;
	/* When VFs come back as they were, one event tells of all. */
	if (!f->nic->loading && function_tells(f, &suppressed))
		event(f->nic->log, "queue.running",
		      "s:s, s:s, s:I, s:I, s:I, s:I", "function", f->name,
		      "queue", nic_queue_name(q), "entries",
		      (json_int_t)q->entries, "write",
		      (json_int_t)nic_queue_write_index(q), "read",
		      (json_int_t)nic_queue_read_index(q), "suppressed",
		      (json_int_t)suppressed);
	return true;
}

bool nic_queue_runs(struct nic_queue *q, bool quiet)
{
	if (!q->enable || !q->pf_enable || !q->function->live ||
	    !function_bme(q->function))
		return false;
	if (!q->attached && !attach(q, quiet))
		return false;
	return queue_enabled(&q->q);
}

void nic_queue_go_on(struct nic_queue *q)
{
	if (nic_queue_runs(q, false) && !q->function->nic->loading)
		nic_queue_publish(q);
}

void nic_queue_enable(struct nic_queue *q, uint32_t value)
{
	nic_queue_detach(q);
	q->enable = value & 1;
	if (!q->enable)
		return;
	q->status = QUEUE_OK;
	(void)nic_queue_runs(q, false);
	if (q->kind == NIC_QUEUE_TX && q->enable)
		nic_tx_kick(q->function);
}

void nic_queue_stop(struct nic_queue *q, enum queue_status status)
{
	struct function *f = q->function;
	uint64_t suppressed;

	if (guest_memory_lost(&f->memory))
		status = QUEUE_LOST;
	if (q->attached)
		nic_queue_publish(q);
	nic_queue_detach(q);
	q->enable = 0;
	q->status = status;
	if (function_tells(f, &suppressed))
		event(f->nic->log, "queue.stopped", "s:s, s:s, s:i, s:s, s:I",
		      "function", f->name, "queue", nic_queue_name(q), "status",
		      (int)status, "why", queue_status_name(status),
		      "suppressed", (json_int_t)suppressed);
	interrupts_fire(f, NIC_VECTOR_EVENT);
}

void nic_queue_detach(struct nic_queue *q)
{
	if (!q->attached)
		return;
	q->attached = false;
	queue_faults_drop(q);
	if (q->kind == NIC_QUEUE_TX)
		nic_tx_idle(q);
	else
		q->function->nic->dirty &= ~nic_bit(q->function);
}

void nic_queue_reset(struct nic_queue *q)
{
	nic_queue_detach(q);
	q->base = 0;
	q->entries = q->enable = 0;
	q->vector = NO_VECTOR;
	q->status = QUEUE_OK;
	memset(&q->q, 0, sizeof(q->q));
}

uint32_t nic_queue_held(const struct nic_queue *q)
{
	return q->faults ? q->faults->n : 0;
}

/* The guest's index as it is now, if we may look. */
static uint32_t peer_index(const struct nic_queue *q)
{
	struct queue_side *side;

	if (!q->attached || !function_bme(q->function))
		return q->q.peer;
	side = q->kind == NIC_QUEUE_TX ? &q->q.ring->write : &q->q.ring->read;
	return atomic_load_explicit(&side->index, memory_order_acquire);
}

uint32_t nic_queue_write_index(const struct nic_queue *q)
{
	return q->kind == NIC_QUEUE_RX ? q->q.own : peer_index(q);
}

uint32_t nic_queue_read_index(const struct nic_queue *q)
{
	return q->kind == NIC_QUEUE_TX ? q->q.own : peer_index(q);
}

void nic_queue_publish(struct nic_queue *q)
{
	bool wake = q->kind == NIC_QUEUE_TX ? queue_publish_read(&q->q)
					    : queue_publish_write(&q->q);

	if (wake)
		interrupts_fire(q->function, q->vector);
}
