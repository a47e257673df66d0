/* nic_tx.c - transmit queues (spec 02, fig. 9: 801-807).
 *
 * Theory of operation.  A VF is active while its ring may hold something:
 * each pass of the loop gives every active VF, in turn, one burst.  A ring
 * that stays empty (--poll) ends in the sleep handshake; then a doorbell makes
 * the VF active again.  A frame for a receiver that is fenced for a reset stays in its ring
 * and its queue waits (stalled), so a reset loses nothing; for how long is
 * bounded.  So does a queue wait that has used up its bandwidth; one whose link
 * is down is idle until the link is up.
 *
 * What is ordinary goes in bursts (nic_burst.c); the rest, and everything
 * while something is armed, captured or limited, entry by entry.
 */
#include <config.h>

#include "cmd/iovdev/nic_tx.h"

#include <errno.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_burst.h"
#include "cmd/iovdev/nic_rx.h"
#include "cmd/iovdev/queue_faults.h"

#define TX_BATCH NIC_BURST

void nic_tx_idle(struct nic_queue *tx)
{
	struct nic *nic = tx->function->nic;

	nic->active &= ~nic_bit(tx->function);
	nic->stalled &= ~nic_bit(tx->function);
}

void nic_tx_kick(struct function *f)
{
	struct nic_queue *tx = &f->queue[NIC_QUEUE_TX];
	struct nic *nic = f->nic;

	nic->stalled &= ~nic_bit(f);
	if (nic->active & nic_bit(f))
		return;
	nic->active |= nic_bit(f);
	poll_found(&tx->spin, &nic->options->poll, loop_now_ns(nic->loop));
	if (tx->attached && function_bme(f))
		queue_reader_awake(&tx->q);
}

void nic_tx_unstall(struct nic *nic)
{
	uint64_t stalled = nic->stalled;
	unsigned i;

	for (i = 0; stalled; i++, stalled >>= 1)
		if (stalled & 1)
			nic_tx_kick(nic->vf[i]);
}

static void on_stall_over(void *arg)
{
	nic_tx_unstall(arg);
}

static void stall(struct function *f, uint64_t until_ns)
{
	struct nic *nic = f->nic;

	nic->active &= ~nic_bit(f);
	nic->stalled |= nic_bit(f);
	if (!nic->stall_timer.loop || nic->stall_timer.due_ns > until_ns)
		loop_timer_at(nic->loop, &nic->stall_timer, until_ns,
			      on_stall_over, nic);
}

/* Whether the link lets one more entry be taken now; else the queue waits. */
static bool link_is_open(struct function *f)
{
	uint64_t until;

	if (!f->link.now.up) {
		nic_tx_idle(&f->queue[NIC_QUEUE_TX]);
		return false;
	}
	until = link_busy_until(f, loop_now_ns(f->nic->loop));
	if (until)
		stall(f, until);
	return !until;
}

/* 805: through the switch, once or twice; -EAGAIN: a receiver is fenced. */
static int send_frame(struct nic_queue *tx, const uint8_t *data, uint32_t size,
		      const struct taken *t)
{
	struct function *f = tx->function;
	struct nic *nic = f->nic;
	struct frame frame;
	uint64_t until;

	if (t && t->kinds & FAULT_CORRUPT) {
		memcpy(nic->scratch, data, size);
		nic->scratch[t->bit / 8 % size] ^= 1u << t->bit % 8;
		data = nic->scratch;
	}
	frame_init(&frame, data, size);
	if (switch_forward(nic, f->vf, &frame, &until)) {
		stall(f, until);
		return -EAGAIN;
	}
	link_take(f, size, loop_now_ns(nic->loop));
	if (t && t->kinds & FAULT_DUPLICATE)
		(void)switch_forward(nic, f->vf, &frame, &until);
	if (!LIST_EMPTY(&f->captures))
		capture_frame(f, &frame);
	tx->frames++;
	tx->bytes += size;
	return 0;
}

static enum queue_status finish(struct nic_queue *tx, struct queue_entry *e,
				enum queue_status status)
{
	tx->errors += status != QUEUE_OK;
	(void)nic_step(tx->function->nic, POINT_TX_806, tx->function);
	entry_finish(e, status); /* 806 */
	return status;
}

/* The i-th entry after our index.  0: finished; -EAGAIN: not yet; else the
 * status with which the queue must stop. */
static int send_entry(struct nic_queue *tx, uint32_t i, const struct taken *t)
{
	struct function *f = tx->function;
	struct queue_entry *e = queue_entry(&tx->q, i), entry = entry_load(e);
	const uint8_t *data;

	if (entry.size < NIC_FRAME_MIN || entry.size > NIC_FRAME_MAX)
		return (int)finish(tx, e, QUEUE_BAD_SIZE);
	data = guest_memory_at(&f->memory, entry.addr, entry.size, GUEST_READ);
	if (!data)
		return (int)finish(tx, e, QUEUE_BAD_ADDRESS);
	if (!nic_step(f->nic, POINT_TX_805, f) ||
	    (t && t->kinds & FAULT_FAIL)) {
		(void)finish(tx, e, QUEUE_FAULT);
		return 0;
	}
	if (!(t && t->kinds & FAULT_LOSS) &&
	    send_frame(tx, data, entry.size, t) < 0)
		return -EAGAIN;
	return (int)finish(tx, e, QUEUE_OK);
}

static void move_index(struct nic_queue *tx, uint32_t k)
{
	if (!k)
		return;
	(void)nic_step(tx->function->nic, POINT_TX_807, tx->function);
	queue_advance(&tx->q, k); /* 807 */
	nic_queue_publish(tx);
}

/* Nothing but good entries can make a difference between two of them. */
static bool is_ordinary(const struct function *f)
{
	return !f->nic->traced && f->link.now.up && !link_is_limited(f) &&
	       LIST_EMPTY(&f->captures);
}

/* Returns how many entries were finished. */
static uint32_t burst(struct nic_queue *tx)
{
	int n, got = 0;
	uint32_t i = 0;

	n = queue_available(&tx->q, TX_BATCH); /* 801, 802 */
	if (n < 0)
		nic_queue_stop(tx, QUEUE_BAD_INDEX);
	if (n > 0 && is_ordinary(tx->function))
		i = nic_burst(tx, (uint32_t)n);
	while (!got && (int)i < n && i < TX_BATCH &&
	       link_is_open(tx->function)) {
		got = send_entry(tx, i, NULL);
		i += got >= 0;
	}
	/* First what somebody may wait for. */
	nic_rx_flush(tx->function->nic);
	if (!tx->attached)
		return i;
	move_index(tx, i);
	if (got > 0)
		nic_queue_stop(tx, (enum queue_status)got);
	return i;
}

/* Let the second oldest go first. */
static int overtake(struct nic_queue *tx, uint64_t now)
{
	struct taken *first = queue_faults_at(tx, 0), *second;
	int got;

	if (!(first->kinds & FAULT_REORDER) || tx->faults->n < 2)
		return 0;
	second = queue_faults_at(tx, 1);
	if (second->held ||
	    (second->due_ns > now && !(second->kinds & FAULT_REORDER)))
		return 0;
	got = send_entry(tx, 1, second);
	if (got < 0)
		return got;
	/* Bad or not, its status is set; a bad one stops the queue when it
	 * is its turn, by being looked at again. */
	second->done = !got;
	first->kinds &= ~(unsigned)FAULT_REORDER;
	first->due_ns = 0;
	return 0;
}

/* Finish taken entries in order; returns how many. */
static uint32_t finish_taken(struct nic_queue *tx)
{
	uint64_t now = loop_now_ns(tx->function->nic->loop);
	struct taken *t;
	uint32_t k = 0;
	int got = 0;

	while (!got && tx->faults->n) {
		t = queue_faults_at(tx, 0);
		if (t->held || overtake(tx, now) < 0)
			break;
		if (t->due_ns > now) {
			queue_faults_wait(tx, t->due_ns);
			break;
		}
		if (!t->done)
			got = send_entry(tx, 0, t);
		if (got < 0)
			break;
		queue_advance(&tx->q, 1);
		queue_faults_finish(tx, 1);
		k++;
	}
	if (k)
		nic_queue_publish(tx);
	if (got > 0)
		nic_queue_stop(tx, (enum queue_status)got);
	return k;
}

static uint32_t burst_with_faults(struct nic_queue *tx)
{
	struct queue_faults *fl = tx->faults;
	struct fault_verdict v;
	int n;

	n = queue_available(&tx->q, fl->n + TX_BATCH);
	if (n < 0) {
		nic_queue_stop(tx, QUEUE_BAD_INDEX);
		return 0;
	}
	while (fl->n < (uint32_t)n && link_is_open(tx->function)) {
		v = queue_faults_draw(tx, tx->q.own + fl->n);
		if (!queue_faults_take(tx, &v))
			break;
	}
	return finish_taken(tx);
}

/* Nothing to do: look again at once?  Not while every look is told. */
static bool spins(struct nic_queue *tx, bool runs)
{
	struct nic *nic = tx->function->nic;

	return runs && !nic->traced && tx->attached &&
	       poll_spins(&tx->spin, &nic->options->poll,
			  loop_now_ns(nic->loop));
}

/* Nothing to do: sleep, unless the guest moved meanwhile. */
static void go_to_sleep(struct nic_queue *tx, bool runs)
{
	struct function *f = tx->function;
	struct queue ahead = tx->q;

	(void)nic_step(f->nic, runs ? POINT_TX_803 : POINT_TX_804, f);
	ahead.own += nic_queue_held(tx);
	if (!tx->attached || !function_bme(f) || queue_reader_sleep(&ahead) ||
	    !runs)
		nic_tx_idle(tx);
}

/* Returns how many entries were finished. */
static uint32_t poll_one(struct function *f)
{
	struct nic_queue *tx = &f->queue[NIC_QUEUE_TX];
	bool runs = nic_queue_runs(tx, false);
	uint32_t n = 0;

	(void)nic_step(f->nic, POINT_TX_801, f);
	if (runs && nic_step(f->nic, POINT_TX_802, f))
		n = queue_faults_active(tx) ? burst_with_faults(tx) : burst(tx);
	else if (nic_queue_held(tx))
		n = finish_taken(tx); /* what was taken is finished */
	if (n)
		poll_found(&tx->spin, &f->nic->options->poll,
			   loop_now_ns(f->nic->loop));
	else if (f->nic->active & nic_bit(f) && !spins(tx, runs))
		go_to_sleep(tx, runs);
	nic_rx_flush(f->nic);
	function_check_memory(f);
	return n;
}

/* Those of `vfs` that are active still when it is their turn. */
static uint32_t poll_some(struct nic *nic, uint64_t vfs)
{
	uint32_t n = 0;
	unsigned at;

	for (; vfs; vfs &= vfs - 1) {
		at = (unsigned)__builtin_ctzll(vfs);
		if (nic->active >> at & 1)
			n += poll_one(nic->vf[at]);
	}
	return n;
}

enum loop_poll nic_tx_poll(void *arg)
{
	struct nic *nic = arg;
	uint64_t from = UINT64_MAX << nic->turn;
	uint32_t n;

	if (!nic->active)
		return LOOP_IDLE;
	nic_update_traced(nic);
	n = poll_some(nic, nic->active & from);
	n += poll_some(nic, nic->active & ~from);
	nic->turn = (nic->turn + 1) % nic->n_vfs;
	if (n)
		return LOOP_WORKED;
	return nic->active ? LOOP_SPINS : LOOP_IDLE;
}

void nic_tx_faults_due(struct nic_queue *tx)
{
	nic_tx_kick(tx->function);
}
