/* hca_rig.c - an adapter in this process. */
#include <config.h>

#include "t/unit/hca_rig.h"

#include <stdlib.h>
#include <string.h>

#include "t/unit/unit.h"

static void *on_memory(void *arg, unsigned partition, uint64_t address,
		       uint64_t size, bool write)
{
	struct rig *r = arg;

	(void)write;
	return address < MEMORY && size <= MEMORY - address
		       ? r->memory[partition] + address
		       : NULL;
}

static bool on_may_dma(void *arg, unsigned partition)
{
	return !((struct rig *)arg)->fenced[partition];
}

static void on_interrupt(void *arg, unsigned partition, unsigned isc)
{
	((struct rig *)arg)->interrupts[partition][isc]++;
}

static uint64_t on_now_ns(void *arg)
{
	return ((struct rig *)arg)->now_ns;
}

static void on_wake_at(void *arg, uint64_t at_ns)
{
	((struct rig *)arg)->wake_ns = at_ns;
}

static void on_work(void *arg)
{
	((struct rig *)arg)->work = true;
}

static void on_told(void *arg, unsigned partition, uint32_t handle,
		    const char *what)
{
	(void)partition, (void)handle, (void)what;
	((struct rig *)arg)->told++;
}

static const struct hca_ops ops = {
	.memory = on_memory,
	.may_dma = on_may_dma,
	.interrupt = on_interrupt,
	.now_ns = on_now_ns,
	.wake_at = on_wake_at,
	.work = on_work,
	.told = on_told,
};

struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->now_ns = 1000 * US;
	hca_init(&r->hca, &ops, r);
	return r;
}

void rig_free(struct rig *r)
{
	hca_fini(&r->hca);
	free(r);
}

/* Verbs. */

enum hca_status rig_verb(struct rig *r, unsigned partition, enum hca_opcode op,
			 unsigned attribute, uint32_t handle, uint64_t value)
{
	uint64_t result;

	return hca_do(&r->hca, partition, hca_verb(op, attribute, handle),
		      value, &result);
}

enum hca_status rig_store(struct rig *r, unsigned partition, uint32_t handle,
			  unsigned attribute, uint64_t value)
{
	return rig_verb(r, partition, HCA_STORE, attribute, handle, value);
}

uint64_t rig_load(struct rig *r, unsigned partition, uint32_t handle,
		  unsigned attribute)
{
	uint64_t value;

	CHECK_INT(hca_do(&r->hca, partition,
			 hca_verb(HCA_LOAD, attribute, handle), 0, &value),
		  HCA_OK);
	return value;
}

uint32_t rig_allocate(struct rig *r, unsigned partition, enum hca_kind kind)
{
	uint64_t handle;

	CHECK_INT(hca_do(&r->hca, partition, hca_verb(HCA_ALLOCATE, kind, 0), 0,
			 &handle),
		  HCA_OK);
	return (uint32_t)handle;
}

uint32_t rig_make_eq(struct rig *r, unsigned p, uint64_t base)
{
	uint32_t eq = rig_allocate(r, p, HCA_EQ);

	STORE(r, p, eq, HCA_BASE, base);
	STORE(r, p, eq, HCA_ENTRIES, RING);
	STORE(r, p, eq, HCA_ISC, 1);
	STORE(r, p, eq, HCA_IMMEDIATE, 1);
	STORE(r, p, eq, HCA_STATE, HCA_RUNNING);
	return eq;
}

uint32_t rig_make_cq(struct rig *r, unsigned p, uint64_t base, uint32_t eq,
		     uint64_t token)
{
	uint32_t cq = rig_allocate(r, p, HCA_CQ);

	STORE(r, p, cq, HCA_BASE, base);
	STORE(r, p, cq, HCA_ENTRIES, RING);
	STORE(r, p, cq, HCA_TOKEN, token);
	STORE(r, p, cq, HCA_EVENT_QUEUE, eq);
	STORE(r, p, cq, HCA_STATE, HCA_RUNNING);
	return cq;
}

uint32_t rig_make_qp(struct rig *r, unsigned p, uint64_t send, uint64_t receive,
		     uint32_t send_cq, uint32_t receive_cq, uint32_t eq)
{
	uint32_t qp = rig_allocate(r, p, HCA_QP);

	STORE(r, p, qp, HCA_SEND_BASE, send);
	STORE(r, p, qp, HCA_SEND_ENTRIES, RING);
	STORE(r, p, qp, HCA_RECEIVE_BASE, receive);
	STORE(r, p, qp, HCA_RECEIVE_ENTRIES, RING);
	STORE(r, p, qp, HCA_SEND_CQ, send_cq);
	STORE(r, p, qp, HCA_RECEIVE_CQ, receive_cq);
	STORE(r, p, qp, HCA_EVENT_QUEUE, eq);
	STORE(r, p, qp, HCA_TOKEN, 0x9000 + p);
	return qp;
}

void end_make(struct end *e, struct rig *r, unsigned p)
{
	*e = (struct end){ .r = r, .p = p };
	e->eq = rig_make_eq(r, p, EQ_AT);
	e->cq = rig_make_cq(r, p, CQ_AT, e->eq, 0x7000 + p);
	e->qp = rig_make_qp(r, p, SEND_AT, RECEIVE_AT, e->cq, e->cq, e->eq);
	e->events = (struct hca_reader){ r->memory[p] + EQ_AT, RING, 0 };
	e->completions = (struct hca_reader){ r->memory[p] + CQ_AT, RING, 0 };
}

/* Two that are each other's. */
void end_join(struct end *a, struct end *b)
{
	STORE(a->r, a->p, a->qp, HCA_PEER, b->qp);
	STORE(b->r, b->p, b->qp, HCA_PEER, a->qp);
	STORE(a->r, a->p, a->qp, HCA_STATE, HCA_RUNNING);
	STORE(b->r, b->p, b->qp, HCA_STATE, HCA_RUNNING);
}

struct hca_wqe *end_entry(struct end *e, uint32_t at, uint32_t index)
{
	return (struct hca_wqe *)(e->r->memory[e->p] + at) + index % RING;
}

void rig_run(struct rig *r)
{
	unsigned i;

	for (i = 0; i < 1000 && hca_work(&r->hca, 7); i++)
		;
	CHECK(i < 1000);
}

void end_ring(struct end *e, bool receive)
{
	hca_ring(&e->r->hca, e->p, 0, receive,
		 hca_bell(e->qp, receive ? e->received : e->sent));
	rig_run(e->r);
}

void end_post_receive(struct end *e, uint64_t address, uint32_t length)
{
	*end_entry(e, RECEIVE_AT, e->received) = (struct hca_wqe){
		.address = address, .length = length, .id = e->received
	};
	e->received++;
	end_ring(e, true);
}

void end_post(struct end *e, unsigned work, uint64_t address, uint32_t length,
	      uint64_t remote)
{
	*end_entry(e, SEND_AT, e->sent) = (struct hca_wqe){
		.address = address,
		.length = length,
		.work = work,
		.remote = remote,
		.id = 100 + e->sent,
	};
	e->sent++;
	end_ring(e, false);
}

void end_write_text(struct end *e, uint32_t at, const char *text)
{
	strcpy((char *)e->r->memory[e->p] + at, text);
}

const char *end_text_at(struct end *e, uint32_t at)
{
	return (const char *)e->r->memory[e->p] + at;
}

void end_check_completion(struct end *e, unsigned work, uint64_t id,
			  unsigned status, uint32_t length)
{
	struct hca_cqe cqe = { 0 };

	if (!CHECK(hca_take_completion(&e->completions, &cqe)))
		return;
	CHECK_INT(cqe.work, work);
	CHECK_INT(cqe.id, id);
	CHECK_INT(cqe.status, status);
	CHECK_INT(cqe.length, length);
	CHECK_INT(cqe.qp, e->qp);
}

void end_check_event(struct end *e, unsigned event, uint64_t token,
		     uint64_t detail)
{
	struct hca_eqe eqe = { 0 };

	if (!CHECK(hca_take_event(&e->events, &eqe)))
		return;
	CHECK_INT(eqe.event, event);
	CHECK_INT(eqe.token, token);
	CHECK_INT(eqe.detail, detail);
}

void end_check_no_event(struct end *e)
{
	struct hca_eqe eqe = { 0 };

	CHECK(!hca_take_event(&e->events, &eqe));
}

void end_check_no_completion(struct end *e)
{
	struct hca_cqe cqe = { 0 };

	CHECK(!hca_take_completion(&e->completions, &cqe));
}

unsigned end_interrupts(const struct end *e)
{
	return e->r->interrupts[e->p][1];
}

void end_deliver(struct end *a, struct end *b)
{
	struct hca_cqe cqe = { 0 };

	end_post_receive(b, DATA_AT, 64);
	end_post(a, HCA_SEND, 0x9000, 8, 0);
	CHECK(hca_take_completion(&a->completions, &cqe));
}
