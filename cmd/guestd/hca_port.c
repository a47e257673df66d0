/* hca_port.c - one queue pair of the adapter with its completion queue and
 * buffers.
 *
 * Theory of operation.  A port is made by two batches of verbs, one for each
 * handle that the next needs; its receive queue is full before it is up.  An
 * entry's buffer is that of its index, so what the adapter says of an entry
 * is checked against what was posted.  One doorbell is on its way for each
 * queue at a time; what is posted meanwhile goes with the next.
 *
 * One that is closed is taken from the adapter first; memory is free after
 * that.  When the adapter was reset there is nothing to take.
 */
#include <config.h>

#include "cmd/guestd/hca_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/guestd.h"

#define ENTRY ((uint64_t)sizeof(struct hca_wqe))
#define ROUND 64u
/* Of its own event queue: one of each kind at a time, a power of two. */
#define EVENTS 4u

/* Memory: the rings, then the buffers, then the window. */

static uint64_t round_up(uint64_t size)
{
	return (size + ROUND - 1) & ~(uint64_t)(ROUND - 1);
}

static void lay_out(struct hca_port *p)
{
	uint64_t n = p->spec.depth, buffers;

	p->spec.size = (uint32_t)round_up(p->spec.size);
	buffers = n * p->spec.size;
	p->send_at = 0;
	p->receive_at = p->send_at + round_up(n * ENTRY);
	p->cq_at = p->receive_at + round_up(n * ENTRY);
	p->eq_at = p->cq_at + round_up(2 * n * ENTRY);
	p->out_at = p->eq_at + round_up(EVENTS * sizeof(struct hca_eqe));
	p->in_at = p->out_at + buffers;
	p->window_at = p->in_at + buffers;
	p->bytes = p->window_at + round_up(p->spec.window);
}

static int take_memory(struct hca_port *p)
{
	struct guest *g = p->d->card.guest;
	int err;

	lay_out(p);
	err = memory_pool_take(&g->memory, p->bytes, &p->gpa);
	if (err)
		return err;
	p->hva = guest_memory_at(&g->bus.memory, p->gpa, p->bytes,
				 GUEST_READ | GUEST_WRITE);
	if (!p->hva)
		return -ENOMEM;
	memset(p->hva, 0, p->out_at);
	p->completions = (struct hca_reader){ .entries = p->hva + p->cq_at,
					      .n = 2 * p->spec.depth };
	p->events = (struct hca_reader){ .entries = p->hva + p->eq_at,
					 .n = EVENTS };
	atomic_store_explicit(&p->d->asb[1 + p->number], 0,
			      memory_order_relaxed);
	return 0;
}

void hca_port_free(struct hca_port *p)
{
	loop_defer_cancel(&p->freeing);
	if (p->gpa)
		memory_pool_give(&p->d->card.guest->memory, p->gpa, p->bytes);
	hca_driver_remove(p->d, p);
	free(p);
}

/* Failing and closing. */

static void on_freeing(void *arg)
{
	hca_port_free(arg);
}

static void on_let_go(void *arg, int err, enum hca_status status)
{
	struct hca_port *p = arg;

	(void)err, (void)status;
	loop_defer(p->d->card.guest->program.loop, &p->freeing, on_freeing, p);
}

static void let_go(struct hca_port *p)
{
	if (p->verbs_run || p->ringing)
		return; /* when they are done */
	p->verbs_run = true;
	hca_verbs_begin(&p->verbs, &p->d->card.bar, on_let_go, p);
	if (p->qp)
		hca_verbs_do(&p->verbs, HCA_FREE, 0, (uint32_t)p->qp, 0, NULL);
	if (p->cq)
		hca_verbs_do(&p->verbs, HCA_FREE, 0, (uint32_t)p->cq, 0, NULL);
	if (p->eq)
		hca_verbs_do(&p->verbs, HCA_FREE, 0, (uint32_t)p->eq, 0, NULL);
	hca_verbs_end(&p->verbs);
}

void hca_port_close(struct hca_port *p)
{
	p->ops = NULL;
	p->state = HCA_PORT_CLOSING;
	let_go(p);
}

static void fail(struct hca_port *p, const char *why)
{
	if (p->state == HCA_PORT_FAILED || p->state == HCA_PORT_CLOSING)
		return;
	p->state = HCA_PORT_FAILED;
	p->ops->failed(p->arg, why);
}

void hca_port_forget(struct hca_port *p)
{
	p->cq = p->qp = p->eq = 0;
	fail(p, "the adapter was reset");
}

/* Doorbells. */

static void on_rung(void *arg, int err, uint64_t value)
{
	struct hca_port *p = arg;

	(void)value;
	p->ringing = false;
	if (p->state == HCA_PORT_CLOSING)
		let_go(p);
	else if (err)
		fail(p, strerror(-err));
	else
		hca_port_ring(p);
}

static void ring(struct hca_port *p, uint32_t which, uint32_t index)
{
	int err = access_write(&p->d->card.bar, HCA_BELL_AT(0) + which, 8,
			       hca_bell((uint32_t)p->qp, index), on_rung, p);

	if (err)
		fail(p, strerror(-err));
	else
		p->ringing = true;
}

void hca_port_ring(struct hca_port *p)
{
	if (p->ringing || p->state != HCA_PORT_UP)
		return;
	if (p->ring_receive) {
		p->ring_receive = false;
		ring(p, HCA_BELL_RECEIVE, p->received);
	} else if (p->ring_send) {
		p->ring_send = false;
		ring(p, HCA_BELL_SEND, p->sent);
	}
}

/* Entries. */

static struct hca_wqe *entry(struct hca_port *p, uint64_t at, uint32_t index)
{
	return (struct hca_wqe *)(p->hva + at) + (index & (p->spec.depth - 1));
}

static uint64_t buffer_at(const struct hca_port *p, uint64_t at, uint32_t index)
{
	return at + (uint64_t)(index & (p->spec.depth - 1)) * p->spec.size;
}

uint32_t hca_port_room(const struct hca_port *p)
{
	return p->state == HCA_PORT_UP ? p->spec.depth - (p->sent - p->done)
				       : 0;
}

uint8_t *hca_port_buffer(const struct hca_port *p)
{
	return p->hva + buffer_at(p, p->out_at, p->sent);
}

static void post(struct hca_port *p, enum hca_work work, uint32_t size,
		 uint64_t remote)
{
	*entry(p, p->send_at, p->sent) = (struct hca_wqe){
		.address = htole64(p->gpa + buffer_at(p, p->out_at, p->sent)),
		.length = htole32(size),
		.work = htole32(work),
		.remote = htole64(remote),
		.id = htole64(p->sent),
	};
	p->sent++;
	p->ring_send = true;
}

void hca_port_send(struct hca_port *p, uint32_t size)
{
	post(p, HCA_SEND, size, 0);
}

void hca_port_write(struct hca_port *p, uint32_t size, uint64_t remote)
{
	post(p, HCA_WRITE, size, remote);
}

static void post_receive(struct hca_port *p)
{
	*entry(p, p->receive_at, p->received) = (struct hca_wqe){
		.address =
			htole64(p->gpa + buffer_at(p, p->in_at, p->received)),
		.length = htole32(p->spec.size),
		.id = htole64(p->received),
	};
	p->received++;
	p->ring_receive = true;
}

const uint8_t *hca_port_window(const struct hca_port *p)
{
	return p->hva + p->window_at;
}

/* Completions. */

static const char *const completion_names[] = {
	[HCA_DONE] = "done",
	[HCA_LOCAL_ADDRESS] = "an entry's address is bad",
	[HCA_LOCAL_LENGTH] = "an entry's length is bad",
	[HCA_LOCAL_WORK] = "an entry's work is bad",
	[HCA_REMOTE_GONE] = "the peer is gone",
	[HCA_REMOTE_WINDOW] = "not in the peer's window",
	[HCA_REMOTE_FAILED] = "the peer failed",
	[HCA_CQ_FAILED] = "a completion was lost",
};
_Static_assert(sizeof(completion_names) / sizeof(*completion_names) ==
		       HCA_COMPLETION_N,
	       "one name a status");

static void take(struct hca_port *p, const struct hca_cqe *cqe)
{
	bool in = cqe->work == HCA_RECEIVE;
	/* What is next, in order. */
	uint32_t id = in ? p->received - p->spec.depth : p->done;

	if (cqe->status != HCA_DONE) {
		fail(p, cqe->status < HCA_COMPLETION_N
				? completion_names[cqe->status]
				: "no such status");
	} else if (cqe->qp != p->qp || cqe->id != id ||
		   cqe->length > p->spec.size) {
		fail(p, "a completion is not its own");
	} else if (in) {
		p->ops->message(p->arg, p->hva + buffer_at(p, p->in_at, id),
				cqe->length);
		post_receive(p);
	} else {
		p->done++;
		p->ops->sent(p->arg);
	}
}

void hca_port_event(struct hca_port *p, const struct hca_eqe *eqe)
{
	struct hca_cqe cqe = { 0 };

	while (p->state == HCA_PORT_UP &&
	       hca_take_completion(&p->completions, &cqe))
		take(p, &cqe);
	if (eqe->event != HCA_EVENT_COMPLETION)
		fail(p, eqe->event == HCA_EVENT_CQ_ERROR
				? "its completion queue is in error"
				: "the adapter ended it");
	hca_port_ring(p);
}

/* Making one. */

static void refused(struct hca_port *p, int err, enum hca_status status)
{
	fail(p, err == -EPROTO ? hca_status_name(status) : strerror(-err));
}

/* A batch is over; true: go on. */
static bool batch_over(struct hca_port *p, int err, enum hca_status status)
{
	p->verbs_run = false;
	if (p->state == HCA_PORT_CLOSING)
		let_go(p);
	else if (err)
		refused(p, err, status);
	return p->state == HCA_PORT_STARTING;
}

static void on_running(void *arg, int err, enum hca_status status)
{
	struct hca_port *p = arg;
	uint32_t i;

	if (!batch_over(p, err, status))
		return;
	p->state = HCA_PORT_UP;
	for (i = 0; i < p->spec.depth; i++)
		post_receive(p);
	hca_port_ring(p);
	if (p->ops)
		p->ops->up(p->arg);
}

static void begin(struct hca_port *p, hca_verbs_fn *done)
{
	p->verbs_run = true;
	hca_verbs_begin(&p->verbs, &p->d->card.bar, done, p);
}

/* Its own event queue runs; returns the handle. */
static uint32_t run_eq(struct hca_port *p)
{
	uint64_t delay_us = p->spec.delay_ns / NS_PER_US;
	struct hca_verbs *v = &p->verbs;
	uint32_t eq = (uint32_t)p->eq;

	hca_verbs_store(v, eq, HCA_BASE, p->gpa + p->eq_at);
	hca_verbs_store(v, eq, HCA_ENTRIES, EVENTS);
	hca_verbs_store(v, eq, HCA_ASB, hca_driver_asb(p->d, p));
	hca_verbs_store(v, eq, HCA_ISC, 0);
	hca_verbs_store(v, eq, HCA_DELAY, delay_us);
	hca_verbs_store(v, eq, HCA_IMMEDIATE, !delay_us);
	hca_verbs_store(v, eq, HCA_STATE, HCA_RUNNING);
	return eq;
}

static void on_allocated(void *arg, int err, enum hca_status status)
{
	struct hca_port *p = arg;
	uint32_t cq = (uint32_t)p->cq, qp = (uint32_t)p->qp, eq;
	struct hca_verbs *v = &p->verbs;

	if (!batch_over(p, err, status))
		return;
	begin(p, on_running);
	eq = p->spec.own_eq ? run_eq(p) : (uint32_t)p->d->eq;
	hca_verbs_store(v, cq, HCA_BASE, p->gpa + p->cq_at);
	hca_verbs_store(v, cq, HCA_ENTRIES, 2 * p->spec.depth);
	hca_verbs_store(v, cq, HCA_TOKEN, p->number);
	hca_verbs_store(v, cq, HCA_EVENT_QUEUE, eq);
	hca_verbs_store(v, cq, HCA_STATE, HCA_RUNNING);
	hca_verbs_store(v, qp, HCA_TOKEN, p->number);
	hca_verbs_store(v, qp, HCA_EVENT_QUEUE, eq);
	hca_verbs_store(v, qp, HCA_SEND_BASE, p->gpa + p->send_at);
	hca_verbs_store(v, qp, HCA_SEND_ENTRIES, p->spec.depth);
	hca_verbs_store(v, qp, HCA_RECEIVE_BASE, p->gpa + p->receive_at);
	hca_verbs_store(v, qp, HCA_RECEIVE_ENTRIES, p->spec.depth);
	hca_verbs_store(v, qp, HCA_SEND_CQ, cq);
	hca_verbs_store(v, qp, HCA_RECEIVE_CQ, cq);
	hca_verbs_store(v, qp, HCA_WINDOW_BASE, p->gpa + p->window_at);
	hca_verbs_store(v, qp, HCA_WINDOW_SIZE, p->spec.window);
	hca_verbs_store(v, qp, HCA_SERVICE, p->spec.service);
	hca_verbs_store(v, qp, HCA_PEER, p->spec.peer);
	hca_verbs_store(v, qp, HCA_STATE, HCA_RUNNING);
	hca_verbs_end(v);
}

int hca_port_open(struct card *card, const struct hca_port_spec *spec,
		  const struct hca_port_ops *ops, void *arg,
		  struct hca_port **result)
{
	struct hca_port *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->d = (struct hca_driver *)card;
	p->ops = ops;
	p->arg = arg;
	p->spec = *spec;
	err = hca_driver_add(p->d, p);
	if (err) {
		free(p);
		return err;
	}
	err = take_memory(p);
	if (err) {
		hca_port_free(p);
		return err;
	}
	begin(p, on_allocated);
	if (spec->own_eq)
		hca_verbs_do(&p->verbs, HCA_ALLOCATE, HCA_EQ, 0, 0, &p->eq);
	hca_verbs_do(&p->verbs, HCA_ALLOCATE, HCA_CQ, 0, 0, &p->cq);
	hca_verbs_do(&p->verbs, HCA_ALLOCATE, HCA_QP, 0, 0, &p->qp);
	hca_verbs_end(&p->verbs);
	*result = p;
	return 0;
}
