/* hca_test.c - the host channel adapter: recording, interrupts, queue pairs,
 * verbs, and those who do it wrong. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "libcore/hca.h"
#include "libcore/hca_consumer.h"
#include "t/unit/unit.h"

#define MEMORY 0x20000u
#define US     1000ull

/* Where a partition has things. */
#define EQ_AT      0x1000u
#define CQ_AT      0x2000u
#define SEND_AT    0x3000u
#define RECEIVE_AT 0x4000u
#define ASB_AT     0x5000u
#define DATA_AT    0x8000u
#define RING       16u

/* The adapter and four partitions' memories; 0 is the machine's. */
struct rig {
	struct hca hca;
	_Alignas(64) uint8_t memory[4][MEMORY];
	bool fenced[4];
	uint64_t now_ns, wake_ns;
	unsigned interrupts[4][HCA_ISCS];
	unsigned told;
	bool work;
};

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

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->now_ns = 1000 * US;
	hca_init(&r->hca, &ops, r);
	return r;
}

static void rig_free(struct rig *r)
{
	hca_fini(&r->hca);
	free(r);
}

/* Verbs. */

static enum hca_status verb(struct rig *r, unsigned partition,
			    enum hca_opcode op, unsigned attribute,
			    uint32_t handle, uint64_t value)
{
	uint64_t result;

	return hca_do(&r->hca, partition, hca_verb(op, attribute, handle),
		      value, &result);
}

static enum hca_status store(struct rig *r, unsigned partition, uint32_t handle,
			     unsigned attribute, uint64_t value)
{
	return verb(r, partition, HCA_STORE, attribute, handle, value);
}

static uint64_t load(struct rig *r, unsigned partition, uint32_t handle,
		     unsigned attribute)
{
	uint64_t value;

	CHECK_INT(hca_do(&r->hca, partition,
			 hca_verb(HCA_LOAD, attribute, handle), 0, &value),
		  HCA_OK);
	return value;
}

static uint32_t allocate(struct rig *r, unsigned partition, enum hca_kind kind)
{
	uint64_t handle;

	CHECK_INT(hca_do(&r->hca, partition, hca_verb(HCA_ALLOCATE, kind, 0), 0,
			 &handle),
		  HCA_OK);
	return (uint32_t)handle;
}

#define STORE(r, p, h, a, v) CHECK_INT(store(r, p, h, a, v), HCA_OK)

static uint32_t make_eq(struct rig *r, unsigned p, uint64_t base)
{
	uint32_t eq = allocate(r, p, HCA_EQ);

	STORE(r, p, eq, HCA_BASE, base);
	STORE(r, p, eq, HCA_ENTRIES, RING);
	STORE(r, p, eq, HCA_ISC, 1);
	STORE(r, p, eq, HCA_IMMEDIATE, 1);
	STORE(r, p, eq, HCA_STATE, HCA_RUNNING);
	return eq;
}

static uint32_t make_cq(struct rig *r, unsigned p, uint64_t base, uint32_t eq,
			uint64_t token)
{
	uint32_t cq = allocate(r, p, HCA_CQ);

	STORE(r, p, cq, HCA_BASE, base);
	STORE(r, p, cq, HCA_ENTRIES, RING);
	STORE(r, p, cq, HCA_TOKEN, token);
	STORE(r, p, cq, HCA_EVENT_QUEUE, eq);
	STORE(r, p, cq, HCA_STATE, HCA_RUNNING);
	return cq;
}

static uint32_t make_qp(struct rig *r, unsigned p, uint64_t send,
			uint64_t receive, uint32_t send_cq, uint32_t receive_cq,
			uint32_t eq)
{
	uint32_t qp = allocate(r, p, HCA_QP);

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

/* A partition with one of each, and its consumer. */
struct end {
	struct rig *r;
	unsigned p;
	uint32_t eq, cq, qp;
	struct hca_reader events, completions;
	uint32_t sent, received; /* tails */
};

static void end_make(struct end *e, struct rig *r, unsigned p)
{
	*e = (struct end){ .r = r, .p = p };
	e->eq = make_eq(r, p, EQ_AT);
	e->cq = make_cq(r, p, CQ_AT, e->eq, 0x7000 + p);
	e->qp = make_qp(r, p, SEND_AT, RECEIVE_AT, e->cq, e->cq, e->eq);
	e->events = (struct hca_reader){ r->memory[p] + EQ_AT, RING, 0 };
	e->completions = (struct hca_reader){ r->memory[p] + CQ_AT, RING, 0 };
}

/* Two that are each other's. */
static void join(struct end *a, struct end *b)
{
	STORE(a->r, a->p, a->qp, HCA_PEER, b->qp);
	STORE(b->r, b->p, b->qp, HCA_PEER, a->qp);
	STORE(a->r, a->p, a->qp, HCA_STATE, HCA_RUNNING);
	STORE(b->r, b->p, b->qp, HCA_STATE, HCA_RUNNING);
}

static struct hca_wqe *entry(struct end *e, uint32_t at, uint32_t index)
{
	return (struct hca_wqe *)(e->r->memory[e->p] + at) + index % RING;
}

static void run(struct rig *r)
{
	unsigned i;

	for (i = 0; i < 1000 && hca_work(&r->hca, 7); i++)
		;
	CHECK(i < 1000);
}

static void ring(struct end *e, bool receive)
{
	hca_ring(&e->r->hca, e->p, 0, receive,
		 hca_bell(e->qp, receive ? e->received : e->sent));
	run(e->r);
}

static void post_receive(struct end *e, uint64_t address, uint32_t length)
{
	*entry(e, RECEIVE_AT, e->received) = (struct hca_wqe){
		.address = address, .length = length, .id = e->received
	};
	e->received++;
	ring(e, true);
}

static void post(struct end *e, unsigned work, uint64_t address,
		 uint32_t length, uint64_t remote)
{
	*entry(e, SEND_AT, e->sent) = (struct hca_wqe){
		.address = address,
		.length = length,
		.work = work,
		.remote = remote,
		.id = 100 + e->sent,
	};
	e->sent++;
	ring(e, false);
}

static void write_text(struct end *e, uint32_t at, const char *text)
{
	strcpy((char *)e->r->memory[e->p] + at, text);
}

static const char *text_at(struct end *e, uint32_t at)
{
	return (const char *)e->r->memory[e->p] + at;
}

static void check_completion(struct end *e, unsigned work, uint64_t id,
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

static void check_event(struct end *e, unsigned event, uint64_t token,
			uint64_t detail)
{
	struct hca_eqe eqe = { 0 };

	if (!CHECK(hca_take_event(&e->events, &eqe)))
		return;
	CHECK_INT(eqe.event, event);
	CHECK_INT(eqe.token, token);
	CHECK_INT(eqe.detail, detail);
}

static void check_no_event(struct end *e)
{
	struct hca_eqe eqe = { 0 };

	CHECK(!hca_take_event(&e->events, &eqe));
}

static void check_no_completion(struct end *e)
{
	struct hca_cqe cqe = { 0 };

	CHECK(!hca_take_completion(&e->completions, &cqe));
}

static unsigned interrupts(const struct end *e)
{
	return e->r->interrupts[e->p][1];
}

/* Transfers. */

static void test_send(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	post_receive(&b, DATA_AT, 64);
	write_text(&a, 0x9000, "a message");
	post(&a, HCA_SEND, 0x9000, 10, 0);
	CHECK_STR(text_at(&b, DATA_AT), "a message");
	check_completion(&a, HCA_SEND, 100, HCA_DONE, 10);
	check_completion(&b, HCA_RECEIVE, 0, HCA_DONE, 10);
	check_event(&a, HCA_EVENT_COMPLETION, 0x7001, 0);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	check_no_event(&a);
	check_no_event(&b);
	CHECK_INT(interrupts(&a), 1);
	CHECK_INT(interrupts(&b), 1);
	CHECK_INT(r->told, 0);
	rig_free(r);
}

/* A sender waits for a receive entry, for a peer that runs, for memory. */
static void test_waits(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	STORE(r, 1, a.qp, HCA_PEER, b.qp);
	STORE(r, 1, a.qp, HCA_STATE, HCA_RUNNING);
	write_text(&a, 0x9000, "late");
	post(&a, HCA_SEND, 0x9000, 5, 0);
	check_no_completion(&a);
	STORE(r, 2, b.qp, HCA_PEER, a.qp);
	STORE(r, 2, b.qp, HCA_STATE, HCA_RUNNING);
	run(r);
	check_no_completion(&a);
	r->fenced[2] = true;
	post_receive(&b, DATA_AT, 64);
	check_no_completion(&a);
	r->fenced[2] = false;
	hca_reaches(&r->hca, 2);
	run(r);
	CHECK_STR(text_at(&b, DATA_AT), "late");
	check_completion(&a, HCA_SEND, 100, HCA_DONE, 5);
	/* The sender's own memory. */
	r->fenced[1] = true;
	post_receive(&b, DATA_AT, 64);
	post(&a, HCA_SEND, 0x9000, 5, 0);
	check_no_completion(&a);
	r->fenced[1] = false;
	hca_reaches(&r->hca, 1);
	run(r);
	check_completion(&a, HCA_SEND, 101, HCA_DONE, 5);
	/* One that waits for who is then freed is told. */
	post(&a, HCA_SEND, 0x9000, 5, 0);
	check_no_completion(&a);
	CHECK_INT(verb(r, 2, HCA_FREE, 0, b.qp, 0), HCA_OK);
	run(r);
	check_completion(&a, HCA_SEND, 102, HCA_REMOTE_GONE, 0);
	CHECK_INT(load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
	rig_free(r);
}

static void test_write(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	STORE(r, 2, b.qp, HCA_WINDOW_BASE, DATA_AT);
	STORE(r, 2, b.qp, HCA_WINDOW_SIZE, 32);
	join(&a, &b);
	write_text(&a, 0x9000, "by RDMA");
	post(&a, HCA_WRITE, 0x9000, 8, DATA_AT + 24);
	CHECK_STR(text_at(&b, DATA_AT + 24), "by RDMA");
	check_completion(&a, HCA_WRITE, 100, HCA_DONE, 8);
	check_no_completion(&b);
	check_no_event(&b);
	rig_free(r);
}

/* Each of these ends the sender, and only him. */
static void test_bad_send(void)
{
	static const struct {
		unsigned work;
		uint64_t address;
		uint32_t length;
		uint64_t remote;
		unsigned status;
	} bad[] = {
		{ 0, 0x9000, 8, 0, HCA_LOCAL_WORK },
		{ HCA_RECEIVE, 0x9000, 8, 0, HCA_LOCAL_WORK },
		{ UINT32_MAX, 0x9000, 8, 0, HCA_LOCAL_WORK },
		{ HCA_SEND, 0x9000, 0, 0, HCA_LOCAL_LENGTH },
		{ HCA_SEND, 0x9000, HCA_MESSAGE_MAX + 1, 0, HCA_LOCAL_LENGTH },
		{ HCA_SEND, MEMORY - 7, 8, 0, HCA_LOCAL_ADDRESS },
		{ HCA_SEND, UINT64_MAX - 3, 8, 0, HCA_LOCAL_ADDRESS },
		{ HCA_WRITE, 0x9000, 8, DATA_AT + 25, HCA_REMOTE_WINDOW },
		{ HCA_WRITE, 0x9000, 8, DATA_AT - 1, HCA_REMOTE_WINDOW },
		{ HCA_WRITE, 0x9000, 33, DATA_AT, HCA_REMOTE_WINDOW },
		{ HCA_WRITE, 0x9000, 8, UINT64_MAX - 3, HCA_REMOTE_WINDOW },
	};
	struct rig *r;
	struct end a, b;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = rig_new();
		end_make(&a, r, 1);
		end_make(&b, r, 2);
		STORE(r, 2, b.qp, HCA_WINDOW_BASE, DATA_AT);
		STORE(r, 2, b.qp, HCA_WINDOW_SIZE, 32);
		join(&a, &b);
		post_receive(&b, DATA_AT, 64);
		post(&a, bad[i].work, bad[i].address, bad[i].length,
		     bad[i].remote);
		check_completion(&a, (uint16_t)bad[i].work, 100, bad[i].status,
				 0);
		check_event(&a, HCA_EVENT_COMPLETION, 0x7001, 0);
		check_event(&a, HCA_EVENT_QP_ERROR, 0x9001, bad[i].status);
		check_no_event(&b);
		CHECK_INT(load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
		CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
		rig_free(r);
	}
}

/* A bad receive entry ends both: they are one connection. */
static void test_bad_receive(void)
{
	static const struct {
		uint64_t address;
		uint32_t length;
		unsigned status;
	} bad[] = {
		{ DATA_AT, 7, HCA_LOCAL_LENGTH },
		{ MEMORY - 4, 64, HCA_LOCAL_ADDRESS },
	};
	struct rig *r;
	struct end a, b;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = rig_new();
		end_make(&a, r, 1);
		end_make(&b, r, 2);
		join(&a, &b);
		post_receive(&b, bad[i].address, bad[i].length);
		post(&a, HCA_SEND, 0x9000, 8, 0);
		check_completion(&b, HCA_RECEIVE, 0, bad[i].status, 0);
		check_completion(&a, HCA_SEND, 100, HCA_REMOTE_FAILED, 0);
		CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
		rig_free(r);
	}
}

/* A queue pair's entries have its own addresses: its memory's. */
static void test_domain(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	STORE(r, 1, a.qp, HCA_MEMORY_BASE, 0x9000);
	STORE(r, 1, a.qp, HCA_MEMORY_SIZE, 0x100);
	STORE(r, 2, b.qp, HCA_MEMORY_BASE, 0xa000);
	STORE(r, 2, b.qp, HCA_MEMORY_SIZE, 0x1000);
	join(&a, &b);
	write_text(&a, 0x90f8, "at last");
	post_receive(&b, 0x10, 64);
	post(&a, HCA_SEND, 0xf8, 8, 0);
	CHECK_STR(text_at(&b, 0xa010), "at last");
	check_completion(&a, HCA_SEND, 100, HCA_DONE, 8);
	post_receive(&b, 0x10, 64);
	post(&a, HCA_SEND, 0xf9, 8, 0);
	check_completion(&a, HCA_SEND, 101, HCA_LOCAL_ADDRESS, 0);
	rig_free(r);
}

/* Who is no peer, or does not take the other for his. */
static void test_no_peer(void)
{
	struct rig *r = rig_new();
	struct end a, b, c;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_make(&c, r, 3);
	join(&a, &b);
	STORE(r, 3, c.qp, HCA_PEER, b.qp);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	post_receive(&b, DATA_AT, 64);
	post(&c, HCA_SEND, 0x9000, 8, 0);
	check_completion(&c, HCA_SEND, 100, HCA_REMOTE_GONE, 0);
	/* Neither an event queue nor nothing is a peer. */
	STORE(r, 3, c.qp, HCA_STATE, HCA_STOPPED);
	STORE(r, 3, c.qp, HCA_PEER, b.eq);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	c.sent = 0;
	post(&c, HCA_SEND, 0x9000, 8, 0);
	check_completion(&c, HCA_SEND, 100, HCA_REMOTE_GONE, 0);
	check_no_completion(&b);
	write_text(&a, 0x9000, "still");
	post(&a, HCA_SEND, 0x9000, 6, 0);
	CHECK_STR(text_at(&b, DATA_AT), "still");
	rig_free(r);
}

/* Many at once take turns, and none is done before its turn. */
static void test_turns(void)
{
	struct rig *r = rig_new();
	struct end a, b;
	unsigned i;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	for (i = 0; i < RING / 2; i++)
		*entry(&b, RECEIVE_AT, b.received++) = (struct hca_wqe){
			.address = DATA_AT + i * 8, .length = 8, .id = i
		};
	ring(&b, true);
	for (i = 0; i < RING / 2; i++)
		*entry(&a, SEND_AT, a.sent++) =
			(struct hca_wqe){ .address = 0x9000,
					  .length = 8,
					  .work = HCA_SEND,
					  .id = i };
	r->work = false;
	hca_ring(&r->hca, 1, 0, false, hca_bell(a.qp, a.sent));
	CHECK(r->work);
	CHECK(hca_work(&r->hca, 3));
	for (i = 0; i < 3; i++)
		check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	check_no_completion(&b);
	run(r);
	for (; i < RING / 2; i++)
		check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	CHECK(!hca_work(&r->hca, 3));
	rig_free(r);
}

/* Recording. */

/* One more completion at b. */
static void deliver(struct end *a, struct end *b)
{
	struct hca_cqe cqe = { 0 };

	post_receive(b, DATA_AT, 64);
	post(a, HCA_SEND, 0x9000, 8, 0);
	CHECK(hca_take_completion(&a->completions, &cqe));
}

/* 412: one event for all completions until it is taken. */
static void test_coalesce(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	r->memory[2][ASB_AT] = 0;
	STORE(r, 2, b.eq, HCA_ASB, ASB_AT);
	deliver(&a, &b);
	CHECK(hca_summary_take((_Atomic uint8_t *)&r->memory[2][ASB_AT]));
	deliver(&a, &b);
	deliver(&a, &b);
	/* No entry, no summary byte, no interrupt. */
	CHECK_INT(r->memory[2][ASB_AT], 0);
	CHECK_INT(interrupts(&b), 1);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	check_no_event(&b);
	deliver(&a, &b);
	CHECK_INT(r->memory[2][ASB_AT], 1);
	CHECK_INT(interrupts(&b), 2);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	check_no_event(&b);
	rig_free(r);
}

/* 414: two completion queues have an event each, in one event queue. */
static void test_shared_eq(void)
{
	struct rig *r = rig_new();
	struct end a, b, c;
	uint32_t cq, qp;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_make(&c, r, 3);
	cq = make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, b.cq, cq, b.eq);
	join(&a, &b);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	deliver(&a, &b);
	*(struct hca_wqe *)(r->memory[2] + RECEIVE_AT + 0x800) =
		(struct hca_wqe){ .address = DATA_AT, .length = 64 };
	hca_ring(&r->hca, 2, 0, true, hca_bell(qp, 1));
	post(&c, HCA_SEND, 0x9000, 8, 0);
	deliver(&a, &b);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7777, 0);
	check_no_event(&b);
	/* The second found one queued: 602, 608, 612. */
	CHECK_INT(interrupts(&b), 1);
	rig_free(r);
}

/* 502 to 508: adapter and primary summary byte; the latter is the machine's
 * memory and the machine's to attach. */
static void test_summary(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	CHECK_INT(store(r, 2, b.eq, HCA_ASB, MEMORY), HCA_BAD_ADDRESS);
	CHECK_INT(store(r, 2, b.eq, HCA_ASB, UINT64_MAX), HCA_BAD_ADDRESS);
	CHECK_INT(store(r, 2, b.eq, HCA_PSB, ASB_AT), HCA_BAD_ATTRIBUTE);
	CHECK_INT(store(r, 2, b.eq, HCA_HOST, 1), HCA_BAD_ATTRIBUTE);
	CHECK_INT(store(r, 0, b.eq, HCA_ASB, ASB_AT), HCA_BAD_ATTRIBUTE);
	CHECK_INT(store(r, 0, b.eq, HCA_PSB, MEMORY), HCA_BAD_ADDRESS);
	STORE(r, 0, b.eq, HCA_PSB, ASB_AT + 1);
	CHECK_INT(load(r, 2, b.eq, HCA_PSB), ASB_AT + 1);
	deliver(&a, &b);
	CHECK_INT(r->memory[0][ASB_AT + 1], 1);
	CHECK_INT(r->memory[2][ASB_AT + 1], 0);
	CHECK(hca_summary_take((_Atomic uint8_t *)&r->memory[0][ASB_AT + 1]));
	CHECK(!hca_summary_take((_Atomic uint8_t *)&r->memory[0][ASB_AT + 1]));
	rig_free(r);
}

/* Overflow by the valid mark: of completions, and of events. */
static void test_cq_overflow(void)
{
	struct rig *r = rig_new();
	struct end a, b;
	unsigned i;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	for (i = 0; i < RING; i++)
		deliver(&a, &b);
	CHECK_INT(load(r, 2, b.cq, HCA_STATE), HCA_RUNNING);
	deliver(&a, &b); /* never consumes: its queue, its error */
	CHECK_INT(load(r, 2, b.cq, HCA_STATE), HCA_ERROR);
	CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	check_event(&b, HCA_EVENT_CQ_ERROR, 0x7002, HCA_FAULT_OVERFLOW);
	check_event(&b, HCA_EVENT_QP_ERROR, 0x9002, HCA_CQ_FAILED);
	check_no_event(&b);
	for (i = 0; i < RING; i++)
		check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	check_no_completion(&b);
	rig_free(r);
}

static void test_eq_overflow(void)
{
	struct rig *r = rig_new();
	struct hca_eqe *slot;
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	slot = (struct hca_eqe *)(r->memory[2] + EQ_AT);
	deliver(&a, &b);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	slot[1].valid = 1; /* as one that is not consumed */
	slot[1].token = 0x1234;
	deliver(&a, &b);
	CHECK_INT(load(r, 2, b.eq, HCA_STATE), HCA_ERROR);
	CHECK_INT(slot[1].token, 0x1234); /* the event is dropped */
	/* Messages go on, and nobody else has a part in it. */
	deliver(&a, &b);
	CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
	CHECK_INT(load(r, 1, a.eq, HCA_STATE), HCA_RUNNING);
	CHECK_INT(store(r, 2, b.eq, HCA_STATE, HCA_RUNNING), HCA_BUSY);
	STORE(r, 2, b.eq, HCA_STATE, HCA_STOPPED);
	memset(slot, 0, RING * sizeof(*slot));
	b.events.next = 0;
	STORE(r, 2, b.eq, HCA_STATE, HCA_RUNNING);
	deliver(&a, &b); /* what was recorded before does not count */
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	rig_free(r);
}

/* A consumer that writes nonsense over its ring harms itself only. */
static void test_hostile_ring(void)
{
	struct rig *r = rig_new();
	struct end a, b;
	unsigned i;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	deliver(&a, &b);
	memset(r->memory[2] + EQ_AT, 0xff, RING * sizeof(struct hca_eqe));
	for (i = 0; i < 4; i++)
		deliver(&a, &b);
	memset(r->memory[2] + EQ_AT, 0, RING * sizeof(struct hca_eqe));
	for (i = 0; i < 4; i++)
		deliver(&a, &b);
	memset(r->memory[2] + SEND_AT, 0xff, RING * sizeof(struct hca_wqe));
	b.sent = RING / 2;
	ring(&b, false);
	CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
	CHECK_INT(load(r, 1, a.qp, HCA_STATE), HCA_RUNNING);
	/* A doorbell too far. */
	a.sent += RING + 1;
	ring(&a, false);
	CHECK_INT(load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
	rig_free(r);
}

/* Interrupts (fig. 6). */

/* 602, 604, 610: immediate, once for what is not taken. */
static void test_immediate(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	deliver(&a, &b);
	CHECK_INT(interrupts(&b), 1);
	CHECK_INT(r->interrupts[2][0] + r->interrupts[2][2], 0);
	CHECK_INT(r->wake_ns, 0);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	deliver(&a, &b);
	CHECK_INT(interrupts(&b), 2);
	STORE(r, 2, b.eq, HCA_ISC, HCA_ISC_NONE);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	deliver(&a, &b);
	CHECK_INT(interrupts(&b), 2);
	rig_free(r);
}

/* A second completion queue with events of its own. */
static void other_event(struct end *a, struct end *b, uint32_t qp, uint32_t n)
{
	*((struct hca_wqe *)(a->r->memory[b->p] + RECEIVE_AT + 0x800) +
	  n % RING) = (struct hca_wqe){ .address = DATA_AT, .length = 64 };
	hca_ring(&a->r->hca, b->p, 0, true, hca_bell(qp, n + 1));
	post(a, HCA_SEND, 0x9000, 8, 0);
}

/* 608: one is queued, and the timer ran out or not. */
static void test_delay_immediate(void)
{
	struct rig *r = rig_new();
	struct end a, b, c, d;
	uint32_t cq, qp;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_make(&c, r, 3);
	d = b;
	cq = make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, cq, cq, b.eq);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 2, b.eq, HCA_DELAY, 100);
	join(&a, &b);
	deliver(&a, &b); /* interrupts, and the timer starts */
	CHECK_INT(interrupts(&b), 1);
	CHECK_INT(r->wake_ns, r->now_ns + 100 * US);
	r->now_ns += 99 * US;
	hca_expire(&r->hca);
	other_event(&c, &d, qp, 0); /* 612 */
	CHECK_INT(interrupts(&b), 1);
	r->now_ns += US;
	hca_expire(&r->hca); /* it ran out: the first was told */
	CHECK_INT(interrupts(&b), 1);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	deliver(&a, &b); /* 0x7777 is queued: 608, 610 */
	CHECK_INT(interrupts(&b), 2);
	CHECK_INT(r->wake_ns, r->now_ns + 100 * US);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7777, 0);
	other_event(&c, &d, qp, 1); /* 0x7002 is, and it runs: 612 */
	CHECK_INT(interrupts(&b), 2);
	rig_free(r);
}

/* 604 off: by the timer, if the queue is not empty then. */
static void test_delay(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	STORE(r, 2, b.eq, HCA_IMMEDIATE, 0);
	STORE(r, 2, b.eq, HCA_DELAY, 50);
	CHECK_INT(load(r, 2, b.eq, HCA_DELAY), 50);
	deliver(&a, &b);
	CHECK_INT(interrupts(&b), 0);
	CHECK_INT(r->wake_ns, r->now_ns + 50 * US);
	r->now_ns += 50 * US;
	hca_expire(&r->hca);
	CHECK_INT(interrupts(&b), 1);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	/* Who polled meanwhile is left alone. */
	deliver(&a, &b);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	r->now_ns += 50 * US;
	hca_expire(&r->hca);
	CHECK_INT(interrupts(&b), 1);
	/* The timer runs from the first; memory that it may not look at holds
	 * something. */
	deliver(&a, &b);
	r->now_ns += 30 * US;
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	deliver(&a, &b);
	r->now_ns += 20 * US;
	r->fenced[2] = true;
	hca_expire(&r->hca);
	CHECK_INT(interrupts(&b), 2);
	/* No timer, no immediate control: it never interrupts. */
	r->fenced[2] = false;
	STORE(r, 2, b.eq, HCA_DELAY, 0);
	check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	deliver(&a, &b);
	r->now_ns += 1000000 * US;
	hca_expire(&r->hca);
	CHECK_INT(interrupts(&b), 2);
	rig_free(r);
}

/* 1610, 1624: a host queue interrupts for each entry. */
static void test_host(void)
{
	struct rig *r = rig_new();
	struct end a, b, c, d;
	uint32_t cq, qp;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_make(&c, r, 3);
	d = b;
	cq = make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, cq, cq, b.eq);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 0, b.eq, HCA_HOST, 1);
	join(&a, &b);
	deliver(&a, &b);
	other_event(&c, &d, qp, 0);
	CHECK_INT(interrupts(&b), 2);
	deliver(&a, &b); /* 1604: no entry */
	CHECK_INT(interrupts(&b), 2);
	rig_free(r);
}

/* Verbs. */

static void test_handles(void)
{
	struct rig *r = rig_new();
	uint32_t other = allocate(r, 1, HCA_EQ);
	uint32_t eq = allocate(r, 1, HCA_EQ), cq = allocate(r, 1, HCA_CQ);
	uint32_t bad[] = {
		eq + 5,                    /* no such index */
		eq ^ 1u << HCA_INDEX_BITS, /* another generation */
		eq | HCA_EQ_MAX,           /* above all that there are */
		(uint32_t)HCA_QP << 30,    /* no such queue pair */
		UINT32_MAX,                /* nonsense */
		(eq & 0x3fffffffu),        /* of no kind */
	};
	uint32_t freed = allocate(r, 1, HCA_EQ);
	unsigned i;

	CHECK(other != eq && other != freed);
	CHECK_INT(verb(r, 1, HCA_FREE, 0, freed, 0), HCA_OK);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(store(r, 1, bad[i], HCA_ISC, 1), HCA_BAD_HANDLE);
		CHECK_INT(verb(r, 1, HCA_LOAD, HCA_ISC, bad[i], 0),
			  HCA_BAD_HANDLE);
		CHECK_INT(verb(r, 1, HCA_FREE, 0, bad[i], 0), HCA_BAD_HANDLE);
		CHECK_INT(store(r, 1, cq, HCA_EVENT_QUEUE, bad[i]),
			  HCA_BAD_HANDLE);
	}
	CHECK_INT(store(r, 1, freed, HCA_ISC, 1), HCA_BAD_HANDLE);
	CHECK_INT(verb(r, 1, HCA_FREE, 0, freed, 0), HCA_BAD_HANDLE);
	CHECK_INT(store(r, 1, cq, HCA_EVENT_QUEUE, 1ull << 32 | eq),
		  HCA_BAD_HANDLE);
	/* Of another partition. */
	CHECK_INT(store(r, 2, eq, HCA_ISC, 1), HCA_BAD_HANDLE);
	CHECK_INT(verb(r, 2, HCA_LOAD, HCA_ISC, eq, 0), HCA_BAD_HANDLE);
	CHECK_INT(verb(r, 2, HCA_FREE, 0, eq, 0), HCA_BAD_HANDLE);
	CHECK_INT(store(r, 2, 0, HCA_EVENT_QUEUE, eq), HCA_BAD_HANDLE);
	CHECK_INT(store(r, 1, 0, HCA_EVENT_QUEUE, eq), HCA_OK);
	CHECK_INT(verb(r, 1, HCA_FREE, 0, eq, 0), HCA_BUSY);
	CHECK_INT(store(r, 1, 0, HCA_EVENT_QUEUE, 0), HCA_OK);
	CHECK_INT(verb(r, 1, HCA_FREE, 0, eq, 0), HCA_OK);
	CHECK(r->told > 0);
	rig_free(r);
}

static void test_bad_verbs(void)
{
	struct rig *r = rig_new();
	struct end a;
	uint32_t eq = allocate(r, 1, HCA_EQ), cq = allocate(r, 1, HCA_CQ);
	uint32_t qp = allocate(r, 1, HCA_QP);
	unsigned i;

	for (i = 0; i < 256; i++)
		if (i < HCA_ALLOCATE || i > HCA_FREE)
			CHECK_INT(verb(r, 1, i, HCA_ISC, eq, 0), HCA_BAD_VERB);
	CHECK_INT(verb(r, 1, HCA_ALLOCATE, HCA_PART, 0, 0), HCA_BAD_ATTRIBUTE);
	CHECK_INT(verb(r, 1, HCA_ALLOCATE, HCA_KIND_N, 0, 0),
		  HCA_BAD_ATTRIBUTE);
	CHECK_INT(verb(r, 0, HCA_ALLOCATE, HCA_EQ, 0, 0), HCA_BAD_VERB);
	CHECK_INT(verb(r, 0, HCA_FREE, 0, eq, 0), HCA_BAD_VERB);
	for (i = 0; i < 256; i++) {
		if (i == 0 || i >= HCA_ATTRIBUTE_N) {
			CHECK_INT(store(r, 1, qp, i, 0), HCA_BAD_ATTRIBUTE);
			CHECK_INT(verb(r, 1, HCA_LOAD, i, cq, 0),
				  HCA_BAD_ATTRIBUTE);
		}
	}
	CHECK_INT(store(r, 1, cq, HCA_ISC, 0), HCA_BAD_ATTRIBUTE);
	CHECK_INT(store(r, 1, eq, HCA_TOKEN, 0), HCA_BAD_ATTRIBUTE);
	CHECK_INT(store(r, 1, eq, HCA_ISC, HCA_ISCS), HCA_BAD_VALUE);
	CHECK_INT(store(r, 1, eq, HCA_DELAY, HCA_DELAY_MAX + 1), HCA_BAD_VALUE);
	CHECK_INT(store(r, 1, eq, HCA_IMMEDIATE, 2), HCA_BAD_VALUE);
	CHECK_INT(store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	CHECK_INT(store(r, 1, eq, HCA_STATE, HCA_ERROR), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_ENTRIES, 3);
	CHECK_INT(store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_ENTRIES, 16);
	STORE(r, 1, eq, HCA_BASE, 16);
	CHECK_INT(store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_BASE, MEMORY - 32);
	CHECK_INT(store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_ADDRESS);
	CHECK_INT(store(r, 1, qp, HCA_STATE, HCA_RUNNING), HCA_BAD_HANDLE);
	CHECK_INT(store(r, 1, qp, HCA_BELL, HCA_BELL_COUNT), HCA_BAD_VALUE);
	CHECK_INT(store(r, 1, qp, HCA_SEND_CQ, 0), HCA_BAD_HANDLE);
	CHECK_INT(store(r, 1, qp, HCA_SEND_CQ, eq), HCA_BAD_HANDLE);
	/* Rings are fixed while they are in use. */
	end_make(&a, r, 2);
	CHECK_INT(store(r, 2, a.eq, HCA_BASE, 0), HCA_BUSY);
	CHECK_INT(store(r, 2, a.cq, HCA_ENTRIES, 2), HCA_BUSY);
	CHECK_INT(verb(r, 2, HCA_FREE, 0, a.cq, 0), HCA_BUSY);
	rig_free(r);
}

/* What is stored is loaded. */
static void test_load(void)
{
	struct rig *r = rig_new();
	uint32_t eq = allocate(r, 1, HCA_EQ), cq = allocate(r, 1, HCA_CQ);
	uint32_t qp = allocate(r, 1, HCA_QP);
	const struct {
		uint32_t handle;
		unsigned attribute;
		uint64_t value;
	} row[] = {
		{ eq, HCA_BASE, 0x40 },
		{ eq, HCA_ENTRIES, 4 },
		{ eq, HCA_ASB, 7 },
		{ eq, HCA_ISC, 3 },
		{ eq, HCA_IMMEDIATE, 1 },
		{ eq, HCA_DELAY, 77 },
		{ cq, HCA_BASE, 0x60 },
		{ cq, HCA_ENTRIES, 8 },
		{ cq, HCA_TOKEN, 1ull << 63 },
		{ cq, HCA_EVENT_QUEUE, eq },
		{ qp, HCA_TOKEN, 5 },
		{ qp, HCA_EVENT_QUEUE, eq },
		{ qp, HCA_SEND_BASE, 0x100 },
		{ qp, HCA_SEND_ENTRIES, 2 },
		{ qp, HCA_RECEIVE_BASE, 0x200 },
		{ qp, HCA_RECEIVE_ENTRIES, 4 },
		{ qp, HCA_SEND_CQ, cq },
		{ qp, HCA_RECEIVE_CQ, cq },
		{ qp, HCA_PEER, 12 },
		{ qp, HCA_BELL, 9 },
		{ qp, HCA_MEMORY_BASE, 1 },
		{ qp, HCA_MEMORY_SIZE, 2 },
		{ qp, HCA_WINDOW_BASE, 3 },
		{ qp, HCA_WINDOW_SIZE, 4 },
		{ 0, HCA_EVENT_QUEUE, eq },
	};
	unsigned i;

	CHECK_INT(load(r, 1, qp, HCA_MEMORY_SIZE), UINT64_MAX);
	CHECK_INT(load(r, 1, eq, HCA_ISC), HCA_ISC_NONE);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		STORE(r, 1, row[i].handle, row[i].attribute, row[i].value);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_INT(load(r, 1, row[i].handle, row[i].attribute),
			  row[i].value);
	rig_free(r);
}

/* The same by registers. */
static void test_registers(void)
{
	struct rig *r = rig_new();
	uint32_t eq;

	CHECK_INT(hca_read(&r->hca, 3, HCA_ID), HCA_ID_VALUE);
	CHECK_INT(hca_read(&r->hca, 3, HCA_PARTITION), 3);
	CHECK_INT(hca_read(&r->hca, 0, HCA_BELLS), 0);
	CHECK(hca_write(&r->hca, 3, HCA_VERB,
			hca_verb(HCA_ALLOCATE, HCA_EQ, 0)));
	CHECK_INT(hca_read(&r->hca, 3, HCA_STATUS), HCA_OK);
	eq = (uint32_t)hca_read(&r->hca, 3, HCA_RESULT);
	CHECK(hca_write(&r->hca, 3, HCA_VALUE, 2));
	CHECK(hca_write(&r->hca, 3, HCA_VERB,
			hca_verb(HCA_STORE, HCA_ISC, eq)));
	CHECK(hca_write(&r->hca, 3, HCA_VERB, hca_verb(HCA_LOAD, HCA_ISC, eq)));
	CHECK_INT(hca_read(&r->hca, 3, HCA_RESULT), 2);
	CHECK(hca_write(&r->hca, 2, HCA_VERB, hca_verb(HCA_LOAD, HCA_ISC, eq)));
	CHECK_INT(hca_read(&r->hca, 2, HCA_STATUS), HCA_BAD_HANDLE);
	CHECK_INT(hca_read(&r->hca, 3, HCA_STATUS), HCA_OK);
	CHECK(!hca_write(&r->hca, 3, HCA_ID, 0));
	CHECK(!hca_write(&r->hca, 3, HCA_STATUS, 0));
	CHECK(!hca_write(&r->hca, 3, HCA_BELL_AT(0) + 0x10, 0));
	CHECK(!hca_write(&r->hca, 0, HCA_BELL_AT(0), 0));
	rig_free(r);
}

/* A doorbell for a queue pair that is not one's own. */
static void test_bells(void)
{
	struct rig *r = rig_new();
	struct end a, b;
	uint64_t bell;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	STORE(r, 1, 0, HCA_EVENT_QUEUE, a.eq);
	bell = hca_bell(b.qp, 5);
	hca_write(&r->hca, 1, HCA_BELL_AT(4), bell);
	hca_write(&r->hca, 1, HCA_BELL_AT(5), hca_bell(0x12345678, 1));
	check_event(&a, HCA_EVENT_REFUSED, 4, (int64_t)bell);
	check_no_event(&a); /* one of a type is pending at a time */
	/* His own, but not his bell. */
	hca_write(&r->hca, 1, HCA_BELL_AT(7), hca_bell(a.qp, 1));
	check_event(&a, HCA_EVENT_REFUSED, 7, (int64_t)hca_bell(a.qp, 1));
	CHECK_INT(load(r, 1, a.qp, HCA_STATE), HCA_RUNNING);
	CHECK_INT(load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
	check_no_event(&b);
	rig_free(r);
}

/* Indexes come back late, with another generation, and run out. */
static void test_reuse(void)
{
	struct rig *r = rig_new();
	uint32_t first = allocate(r, 1, HCA_EQ), handle = 0;
	unsigned i;

	CHECK_INT(verb(r, 1, HCA_FREE, 0, first, 0), HCA_OK);
	for (i = 0; i < 1000; i++) {
		handle = allocate(r, 1, HCA_EQ);
		CHECK(handle != first);
		CHECK_INT(verb(r, 1, HCA_FREE, 0, handle, 0), HCA_OK);
	}
	CHECK(hca_index_of(handle) < 128);
	for (i = 0; i < HCA_EQ_MAX; i++)
		(void)allocate(r, 1 + i % 3, HCA_EQ);
	CHECK_INT(verb(r, 1, HCA_ALLOCATE, HCA_EQ, 0, 0), HCA_NO_ROOM);
	hca_reset(&r->hca, 2);
	for (i = 0; i < HCA_EQ_MAX / 3; i++)
		handle = allocate(r, 1, HCA_EQ);
	CHECK(hca_find(&r->hca, handle));
	rig_free(r);
}

/* A reset of one partition leaves the others what they have. */
static void test_reset(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	join(&a, &b);
	STORE(r, 2, 0, HCA_EVENT_QUEUE, b.eq);
	STORE(r, 2, b.eq, HCA_IMMEDIATE, 0);
	STORE(r, 2, b.eq, HCA_DELAY, 10);
	deliver(&a, &b);
	post(&a, HCA_SEND, 0x9000, 8, 0); /* waits */
	hca_reset(&r->hca, 2);
	r->now_ns += 1000 * US;
	hca_expire(&r->hca);
	run(r);
	CHECK_INT(interrupts(&b), 0);
	CHECK(!hca_find(&r->hca, b.eq));
	CHECK(!hca_find(&r->hca, b.qp));
	check_completion(&a, HCA_SEND, 101, HCA_REMOTE_GONE, 0);
	CHECK_INT(load(r, 1, a.cq, HCA_STATE), HCA_RUNNING);
	hca_reset(&r->hca, 0);
	CHECK(!hca_find(&r->hca, a.cq));
	rig_free(r);
}

static const struct unit_case cases[] = {
	{ "send", test_send },
	{ "waits", test_waits },
	{ "write", test_write },
	{ "bad_send", test_bad_send },
	{ "bad_receive", test_bad_receive },
	{ "domain", test_domain },
	{ "no_peer", test_no_peer },
	{ "turns", test_turns },
	{ "coalesce", test_coalesce },
	{ "shared_eq", test_shared_eq },
	{ "summary", test_summary },
	{ "cq_overflow", test_cq_overflow },
	{ "eq_overflow", test_eq_overflow },
	{ "hostile_ring", test_hostile_ring },
	{ "immediate", test_immediate },
	{ "delay_immediate", test_delay_immediate },
	{ "delay", test_delay },
	{ "host", test_host },
	{ "handles", test_handles },
	{ "bad_verbs", test_bad_verbs },
	{ "load", test_load },
	{ "registers", test_registers },
	{ "bells", test_bells },
	{ "reuse", test_reuse },
	{ "reset", test_reset },
	{ NULL, NULL },
};

const struct unit_suite hca_suite = { "hca", cases };
