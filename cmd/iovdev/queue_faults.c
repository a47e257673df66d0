/* queue_faults.c - the entries that the device took and has not finished.
 *
 * Theory of operation.  A queue with a fault remembers each entry it took in
 * a ring beside the guest's; the queue's own index stays at the oldest that
 * is not finished, so the guest (and a reset) sees these entries as not done.
 * Transmit entries are sent when they finish; receive entries are filled when
 * they are taken and published when they finish.
 */
#include <config.h>

#include "cmd/iovdev/queue_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_rx.h"
#include "cmd/iovdev/nic_tx.h"

#define ROOM_MIN 64u
/* How long a frame waits for the one that is to overtake it. */
#define REORDER_NS (10 * NS_PER_MS)
#define ALL_KINDS  ((1u << FAULT_N) - 1)

static int faults_new(struct nic_queue *q)
{
	struct queue_faults *fl = calloc(1, sizeof(*fl));

	if (!fl)
		return -ENOMEM;
	fl->queue = q;
	if (q->kind == NIC_QUEUE_RX)
		fl->late = malloc(NIC_FRAME_MAX);
	if (q->kind == NIC_QUEUE_RX && !fl->late) {
		free(fl);
		return -ENOMEM;
	}
	q->faults = fl;
	return 0;
}

int queue_faults_set(struct nic_queue *q, const char *text, struct complaint *c)
{
	struct fault fault;
	int err;

	err = fault_parse(text, ALL_KINDS, &fault, c);
	if (err)
		return err;
	if (!q->faults && faults_new(q))
		return complain(c, ENOMEM, "no memory");
	q->faults->fault = fault;
	return 0;
}

void queue_faults_free(struct nic_queue *q)
{
	struct queue_faults *fl = q->faults;

	if (!fl)
		return;
	loop_timer_cancel(&fl->timer);
	free(fl->taken);
	free(fl->late);
	free(fl);
	q->faults = NULL;
}

bool queue_faults_active(const struct nic_queue *q)
{
	const struct queue_faults *fl = q->faults;

	return fl && (fl->fault.kinds || fl->n || fl->late_size);
}

struct fault_verdict queue_faults_draw(struct nic_queue *q, uint32_t index)
{
	struct queue_faults *fl = q->faults;
	struct fault_verdict v = fault_draw(&fl->fault);
	struct function *f = q->function;
	unsigned i;

	for (i = 0; i < FAULT_N; i++) {
		if (!(v.kinds & 1u << i))
			continue;
		fl->fired++;
		event(f->nic->log, "fault.fired", "s:s, s:s, s:s, s:I, s:I",
		      "function", f->name, "queue", nic_queue_name(q), "fault",
		      fault_kind_name(1u << i), "seed",
		      (json_int_t)fl->fault.seed, "index", (json_int_t)index);
	}
	return v;
}

static bool make_room(struct queue_faults *fl)
{
	uint32_t room = fl->room ? 2 * fl->room : ROOM_MIN, i;
	struct taken *taken;

	if (fl->n < fl->room)
		return true;
	taken = calloc(room, sizeof(*taken));
	if (!taken)
		return false;
	for (i = 0; i < fl->n; i++)
		taken[i] = *queue_faults_at(fl->queue, i);
	free(fl->taken);
	fl->taken = taken;
	fl->room = room;
	fl->head = 0;
	return true;
}

struct taken *queue_faults_at(struct nic_queue *q, uint32_t i)
{
	struct queue_faults *fl = q->faults;

	return &fl->taken[(fl->head + i) & (fl->room - 1)];
}

struct taken *queue_faults_take(struct nic_queue *q,
				const struct fault_verdict *v)
{
	struct queue_faults *fl = q->faults;
	uint64_t now = loop_now_ns(q->function->nic->loop);
	struct taken *t;

	if (!make_room(fl))
		return NULL;
	t = queue_faults_at(q, fl->n++);
	*t = (struct taken){ .bit = v->bit, .kinds = v->kinds };
	if (v->kinds & FAULT_DELAY)
		t->due_ns = now + v->delay_ns;
	if (v->kinds & FAULT_REORDER && t->due_ns < now + REORDER_NS)
		t->due_ns = now + REORDER_NS;
	t->held = v->kinds & FAULT_HOLD;
	return t;
}

static void on_quiet(void *arg)
{
	function_quiet(arg);
}

/* Deferred: who waits may be in the middle of what emptied the queue. */
static void tell_quiet(struct function *f)
{
	loop_defer(f->nic->loop, &f->quiet, on_quiet, f);
}

void queue_faults_finish(struct nic_queue *q, uint32_t k)
{
	struct queue_faults *fl = q->faults;

	fl->head = (fl->head + k) & (fl->room - 1);
	fl->n -= k;
	completion_finished(q, k);
	if (!fl->n || q->function->completion.armed)
		tell_quiet(q->function);
}

void queue_faults_drop(struct nic_queue *q)
{
	struct queue_faults *fl = q->faults;

	if (!fl)
		return;
	completion_finished(q, fl->n);
	fl->n = fl->head = fl->late_size = 0;
	loop_timer_cancel(&fl->timer);
	tell_quiet(q->function);
}

static void go_on(void *arg)
{
	struct queue_faults *fl = arg;

	if (fl->queue->kind == NIC_QUEUE_TX)
		nic_tx_faults_due(fl->queue);
	else
		nic_rx_faults_due(fl->queue);
}

void queue_faults_wait(struct nic_queue *q, uint64_t due_ns)
{
	loop_timer_at(q->function->nic->loop, &q->faults->timer, due_ns, go_on,
		      q->faults);
}

unsigned queue_faults_release(struct nic_queue *q)
{
	struct queue_faults *fl = q->faults;
	unsigned released = 0;
	uint32_t i;

	if (fl)
		fl->fault.kinds &= ~(unsigned)FAULT_HOLD;
	for (i = 0; fl && i < fl->n; i++) {
		released += queue_faults_at(q, i)->held;
		queue_faults_at(q, i)->held = false;
	}
	if (released)
		go_on(fl);
	return released;
}
