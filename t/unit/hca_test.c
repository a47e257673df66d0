/* hca_test.c - the host channel adapter: queue pairs, recording, interrupts. */
#include <config.h>

#include <string.h>

#include "t/unit/hca_rig.h"
#include "t/unit/unit.h"

/* Transfers. */

static void test_send(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_join(&a, &b);
	end_post_receive(&b, DATA_AT, 64);
	end_write_text(&a, 0x9000, "a message");
	end_post(&a, HCA_SEND, 0x9000, 10, 0);
	CHECK_STR(end_text_at(&b, DATA_AT), "a message");
	end_check_completion(&a, HCA_SEND, 100, HCA_DONE, 10);
	end_check_completion(&b, HCA_RECEIVE, 0, HCA_DONE, 10);
	end_check_event(&a, HCA_EVENT_COMPLETION, 0x7001, 0);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_check_no_event(&a);
	end_check_no_event(&b);
	CHECK_INT(end_interrupts(&a), 1);
	CHECK_INT(end_interrupts(&b), 1);
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
	end_write_text(&a, 0x9000, "late");
	end_post(&a, HCA_SEND, 0x9000, 5, 0);
	end_check_no_completion(&a);
	STORE(r, 2, b.qp, HCA_PEER, a.qp);
	STORE(r, 2, b.qp, HCA_STATE, HCA_RUNNING);
	rig_run(r);
	end_check_no_completion(&a);
	r->fenced[2] = true;
	end_post_receive(&b, DATA_AT, 64);
	end_check_no_completion(&a);
	r->fenced[2] = false;
	hca_reaches(&r->hca, 2);
	rig_run(r);
	CHECK_STR(end_text_at(&b, DATA_AT), "late");
	end_check_completion(&a, HCA_SEND, 100, HCA_DONE, 5);
	/* The sender's own memory. */
	r->fenced[1] = true;
	end_post_receive(&b, DATA_AT, 64);
	end_post(&a, HCA_SEND, 0x9000, 5, 0);
	end_check_no_completion(&a);
	r->fenced[1] = false;
	hca_reaches(&r->hca, 1);
	rig_run(r);
	end_check_completion(&a, HCA_SEND, 101, HCA_DONE, 5);
	/* One that waits for who is then freed is told. */
	end_post(&a, HCA_SEND, 0x9000, 5, 0);
	end_check_no_completion(&a);
	CHECK_INT(rig_verb(r, 2, HCA_FREE, 0, b.qp, 0), HCA_OK);
	rig_run(r);
	end_check_completion(&a, HCA_SEND, 102, HCA_REMOTE_GONE, 0);
	CHECK_INT(rig_load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
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
	end_join(&a, &b);
	end_write_text(&a, 0x9000, "by RDMA");
	end_post(&a, HCA_WRITE, 0x9000, 8, 24);
	CHECK_STR(end_text_at(&b, DATA_AT + 24), "by RDMA");
	end_check_completion(&a, HCA_WRITE, 100, HCA_DONE, 8);
	end_check_no_completion(&b);
	end_check_no_event(&b);
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
		{ HCA_WRITE, 0x9000, 8, 25, HCA_REMOTE_WINDOW },
		{ HCA_WRITE, 0x9000, 8, UINT64_MAX, HCA_REMOTE_WINDOW },
		{ HCA_WRITE, 0x9000, 33, 0, HCA_REMOTE_WINDOW },
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
		end_join(&a, &b);
		end_post_receive(&b, DATA_AT, 64);
		end_post(&a, bad[i].work, bad[i].address, bad[i].length,
			 bad[i].remote);
		end_check_completion(&a, (uint16_t)bad[i].work, 100,
				     bad[i].status, 0);
		end_check_event(&a, HCA_EVENT_COMPLETION, 0x7001, 0);
		end_check_event(&a, HCA_EVENT_QP_ERROR, 0x9001, bad[i].status);
		end_check_no_event(&b);
		CHECK_INT(rig_load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
		CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
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
		end_join(&a, &b);
		end_post_receive(&b, bad[i].address, bad[i].length);
		end_post(&a, HCA_SEND, 0x9000, 8, 0);
		end_check_completion(&b, HCA_RECEIVE, 0, bad[i].status, 0);
		end_check_completion(&a, HCA_SEND, 100, HCA_REMOTE_FAILED, 0);
		CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
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
	end_join(&a, &b);
	end_write_text(&a, 0x90f8, "at last");
	end_post_receive(&b, 0x10, 64);
	end_post(&a, HCA_SEND, 0xf8, 8, 0);
	CHECK_STR(end_text_at(&b, 0xa010), "at last");
	end_check_completion(&a, HCA_SEND, 100, HCA_DONE, 8);
	end_post_receive(&b, 0x10, 64);
	end_post(&a, HCA_SEND, 0xf9, 8, 0);
	end_check_completion(&a, HCA_SEND, 101, HCA_LOCAL_ADDRESS, 0);
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
	end_join(&a, &b);
	STORE(r, 3, c.qp, HCA_PEER, b.qp);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	end_post_receive(&b, DATA_AT, 64);
	end_post(&c, HCA_SEND, 0x9000, 8, 0);
	end_check_completion(&c, HCA_SEND, 100, HCA_REMOTE_GONE, 0);
	/* Neither an event queue nor nothing is a peer. */
	STORE(r, 3, c.qp, HCA_STATE, HCA_STOPPED);
	STORE(r, 3, c.qp, HCA_PEER, b.eq);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	c.sent = 0;
	end_post(&c, HCA_SEND, 0x9000, 8, 0);
	end_check_completion(&c, HCA_SEND, 100, HCA_REMOTE_GONE, 0);
	end_check_no_completion(&b);
	end_write_text(&a, 0x9000, "still");
	end_post(&a, HCA_SEND, 0x9000, 6, 0);
	CHECK_STR(end_text_at(&b, DATA_AT), "still");
	rig_free(r);
}

/* Two that name each other before both are there; who comes later with the
 * same name is somebody else. */
static void test_names(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	STORE(r, 1, a.qp, HCA_SERVICE, 5);
	STORE(r, 1, a.qp, HCA_PEER, hca_address(2, 7));
	STORE(r, 1, a.qp, HCA_STATE, HCA_RUNNING);
	end_write_text(&a, 0x9000, "hello");
	end_post(&a, HCA_SEND, 0x9000, 6, 0);
	end_check_no_completion(&a);
	end_make(&b, r, 2);
	STORE(r, 2, b.qp, HCA_SERVICE, 7);
	STORE(r, 2, b.qp, HCA_PEER, hca_address(1, 5));
	CHECK_INT(rig_store(r, 2, rig_make_qp(r, 2, 0, 0, b.cq, b.cq, 0),
			    HCA_SERVICE, 7),
		  HCA_BUSY);
	STORE(r, 2, b.qp, HCA_STATE, HCA_RUNNING);
	rig_run(r);
	end_check_no_completion(&a);
	end_post_receive(&b, DATA_AT, 64);
	end_check_completion(&a, HCA_SEND, 100, HCA_DONE, 6);
	CHECK_STR(end_text_at(&b, DATA_AT), "hello");
	CHECK_INT(rig_load(r, 1, a.qp, HCA_PEER), b.qp);
	CHECK_INT(rig_load(r, 2, b.qp, HCA_PEER), a.qp);
	hca_reset(&r->hca, 2);
	end_make(&b, r, 2);
	STORE(r, 2, b.qp, HCA_SERVICE, 7);
	STORE(r, 2, b.qp, HCA_PEER, hca_address(1, 5));
	STORE(r, 2, b.qp, HCA_STATE, HCA_RUNNING);
	end_post_receive(&b, DATA_AT, 64);
	end_post(&a, HCA_SEND, 0x9000, 6, 0);
	end_check_completion(&a, HCA_SEND, 101, HCA_REMOTE_GONE, 0);
	/* Of a partition that cannot be. */
	STORE(r, 1, a.qp, HCA_STATE, HCA_STOPPED);
	STORE(r, 1, a.qp, HCA_PEER, hca_address(HCA_PARTITIONS + 1, 7));
	STORE(r, 1, a.qp, HCA_STATE, HCA_RUNNING);
	a.sent = 0;
	end_post(&a, HCA_SEND, 0x9000, 6, 0);
	end_check_completion(&a, HCA_SEND, 100, HCA_REMOTE_GONE, 0);
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
	end_join(&a, &b);
	for (i = 0; i < RING / 2; i++)
		*end_entry(&b, RECEIVE_AT, b.received++) = (struct hca_wqe){
			.address = DATA_AT + i * 8, .length = 8, .id = i
		};
	end_ring(&b, true);
	for (i = 0; i < RING / 2; i++)
		*end_entry(&a, SEND_AT, a.sent++) =
			(struct hca_wqe){ .address = 0x9000,
					  .length = 8,
					  .work = HCA_SEND,
					  .id = i };
	r->work = false;
	hca_ring(&r->hca, 1, 0, false, hca_bell(a.qp, a.sent));
	CHECK(r->work);
	CHECK(hca_work(&r->hca, 3));
	for (i = 0; i < 3; i++)
		end_check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	end_check_no_completion(&b);
	rig_run(r);
	for (; i < RING / 2; i++)
		end_check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	CHECK(!hca_work(&r->hca, 3));
	rig_free(r);
}

/* Long ones count as several. */
static void test_long_turns(void)
{
	struct rig *r = rig_new();
	struct end a, b;
	unsigned i;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_join(&a, &b);
	for (i = 0; i < 2; i++) {
		end_post_receive(&b, DATA_AT, 0x10000);
		*end_entry(&a, SEND_AT, a.sent++) =
			(struct hca_wqe){ .address = DATA_AT,
					  .length = 0x10000,
					  .work = HCA_SEND,
					  .id = i };
	}
	hca_ring(&r->hca, 1, 0, false, hca_bell(a.qp, a.sent));
	CHECK(hca_work(&r->hca, 10));
	end_check_completion(&b, HCA_RECEIVE, 0, HCA_DONE, 0x10000);
	end_check_no_completion(&b);
	CHECK(!hca_work(&r->hca, 10));
	end_check_completion(&b, HCA_RECEIVE, 1, HCA_DONE, 0x10000);
	rig_free(r);
}

/* Recording. */

/* 412: one event for all completions until it is taken. */
static void test_coalesce(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_join(&a, &b);
	r->memory[2][ASB_AT] = 0;
	STORE(r, 2, b.eq, HCA_ASB, ASB_AT);
	end_deliver(&a, &b);
	CHECK(hca_summary_take((_Atomic uint8_t *)&r->memory[2][ASB_AT]));
	end_deliver(&a, &b);
	end_deliver(&a, &b);
	/* No entry, no summary byte, no interrupt. */
	CHECK_INT(r->memory[2][ASB_AT], 0);
	CHECK_INT(end_interrupts(&b), 1);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_check_no_event(&b);
	end_deliver(&a, &b);
	CHECK_INT(r->memory[2][ASB_AT], 1);
	CHECK_INT(end_interrupts(&b), 2);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_check_no_event(&b);
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
	cq = rig_make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = rig_make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, b.cq, cq,
			 b.eq);
	end_join(&a, &b);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	end_deliver(&a, &b);
	*(struct hca_wqe *)(r->memory[2] + RECEIVE_AT + 0x800) =
		(struct hca_wqe){ .address = DATA_AT, .length = 64 };
	hca_ring(&r->hca, 2, 0, true, hca_bell(qp, 1));
	end_post(&c, HCA_SEND, 0x9000, 8, 0);
	end_deliver(&a, &b);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7777, 0);
	end_check_no_event(&b);
	/* The second found one queued: 602, 608, 612. */
	CHECK_INT(end_interrupts(&b), 1);
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
	end_join(&a, &b);
	CHECK_INT(rig_store(r, 2, b.eq, HCA_ASB, MEMORY), HCA_BAD_ADDRESS);
	CHECK_INT(rig_store(r, 2, b.eq, HCA_ASB, UINT64_MAX), HCA_BAD_ADDRESS);
	CHECK_INT(rig_store(r, 2, b.eq, HCA_PSB, ASB_AT), HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_store(r, 2, b.eq, HCA_HOST, 1), HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_store(r, 0, b.eq, HCA_ASB, ASB_AT), HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_store(r, 0, b.eq, HCA_PSB, MEMORY), HCA_BAD_ADDRESS);
	STORE(r, 0, b.eq, HCA_PSB, ASB_AT + 1);
	CHECK_INT(rig_load(r, 2, b.eq, HCA_PSB), ASB_AT + 1);
	end_deliver(&a, &b);
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
	end_join(&a, &b);
	for (i = 0; i < RING; i++)
		end_deliver(&a, &b);
	CHECK_INT(rig_load(r, 2, b.cq, HCA_STATE), HCA_RUNNING);
	end_deliver(&a, &b); /* never consumes: its queue, its error */
	CHECK_INT(rig_load(r, 2, b.cq, HCA_STATE), HCA_ERROR);
	CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_check_event(&b, HCA_EVENT_CQ_ERROR, 0x7002, HCA_FAULT_OVERFLOW);
	end_check_event(&b, HCA_EVENT_QP_ERROR, 0x9002, HCA_CQ_FAILED);
	end_check_no_event(&b);
	for (i = 0; i < RING; i++)
		end_check_completion(&b, HCA_RECEIVE, i, HCA_DONE, 8);
	end_check_no_completion(&b);
	rig_free(r);
}

static void test_eq_overflow(void)
{
	struct rig *r = rig_new();
	struct hca_eqe *slot;
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_join(&a, &b);
	slot = (struct hca_eqe *)(r->memory[2] + EQ_AT);
	end_deliver(&a, &b);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	slot[1].mark = HCA_EQE_VALID; /* as one that is not consumed */
	slot[1].token = 0x1234;
	end_deliver(&a, &b);
	CHECK_INT(rig_load(r, 2, b.eq, HCA_STATE), HCA_ERROR);
	CHECK_INT(slot[1].token, 0x1234); /* the event is dropped */
	/* Messages go on, and nobody else has a part in it. */
	end_deliver(&a, &b);
	CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
	CHECK_INT(rig_load(r, 1, a.eq, HCA_STATE), HCA_RUNNING);
	CHECK_INT(rig_store(r, 2, b.eq, HCA_STATE, HCA_RUNNING), HCA_BUSY);
	STORE(r, 2, b.eq, HCA_STATE, HCA_STOPPED);
	memset(slot, 0, RING * sizeof(*slot));
	b.events.next = 0;
	STORE(r, 2, b.eq, HCA_STATE, HCA_RUNNING);
	end_deliver(&a, &b); /* what was recorded before does not count */
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
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
	end_join(&a, &b);
	end_deliver(&a, &b);
	memset(r->memory[2] + EQ_AT, 0xff, RING * sizeof(struct hca_eqe));
	for (i = 0; i < 4; i++)
		end_deliver(&a, &b);
	memset(r->memory[2] + EQ_AT, 0, RING * sizeof(struct hca_eqe));
	for (i = 0; i < 4; i++)
		end_deliver(&a, &b);
	memset(r->memory[2] + SEND_AT, 0xff, RING * sizeof(struct hca_wqe));
	b.sent = RING / 2;
	end_ring(&b, false);
	CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_ERROR);
	CHECK_INT(rig_load(r, 1, a.qp, HCA_STATE), HCA_RUNNING);
	/* A doorbell too far. */
	a.sent += RING + 1;
	end_ring(&a, false);
	CHECK_INT(rig_load(r, 1, a.qp, HCA_STATE), HCA_ERROR);
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
	end_join(&a, &b);
	end_deliver(&a, &b);
	CHECK_INT(end_interrupts(&b), 1);
	CHECK_INT(r->interrupts[2][0] + r->interrupts[2][2], 0);
	CHECK_INT(r->wake_ns, 0);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_deliver(&a, &b);
	CHECK_INT(end_interrupts(&b), 2);
	STORE(r, 2, b.eq, HCA_ISC, HCA_ISC_NONE);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_deliver(&a, &b);
	CHECK_INT(end_interrupts(&b), 2);
	rig_free(r);
}

/* A second completion queue with events of its own. */
static void other_event(struct end *a, struct end *b, uint32_t qp, uint32_t n)
{
	*((struct hca_wqe *)(a->r->memory[b->p] + RECEIVE_AT + 0x800) +
	  n % RING) = (struct hca_wqe){ .address = DATA_AT, .length = 64 };
	hca_ring(&a->r->hca, b->p, 0, true, hca_bell(qp, n + 1));
	end_post(a, HCA_SEND, 0x9000, 8, 0);
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
	cq = rig_make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = rig_make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, cq, cq,
			 b.eq);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 2, b.eq, HCA_DELAY, 100);
	end_join(&a, &b);
	end_deliver(&a, &b); /* interrupts, and the timer starts */
	CHECK_INT(end_interrupts(&b), 1);
	CHECK_INT(r->wake_ns, r->now_ns + 100 * US);
	r->now_ns += 99 * US;
	hca_expire(&r->hca);
	other_event(&c, &d, qp, 0); /* 612 */
	CHECK_INT(end_interrupts(&b), 1);
	r->now_ns += US;
	hca_expire(&r->hca); /* it ran out: the first was told */
	CHECK_INT(end_interrupts(&b), 1);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_deliver(&a, &b); /* 0x7777 is queued: 608, 610 */
	CHECK_INT(end_interrupts(&b), 2);
	CHECK_INT(r->wake_ns, r->now_ns + 100 * US);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7777, 0);
	other_event(&c, &d, qp, 1); /* 0x7002 is, and it runs: 612 */
	CHECK_INT(end_interrupts(&b), 2);
	rig_free(r);
}

/* 604 off: by the timer, if the queue is not empty then. */
static void test_delay(void)
{
	struct rig *r = rig_new();
	struct end a, b;

	end_make(&a, r, 1);
	end_make(&b, r, 2);
	end_join(&a, &b);
	STORE(r, 2, b.eq, HCA_IMMEDIATE, 0);
	STORE(r, 2, b.eq, HCA_DELAY, 50);
	CHECK_INT(rig_load(r, 2, b.eq, HCA_DELAY), 50);
	end_deliver(&a, &b);
	CHECK_INT(end_interrupts(&b), 0);
	CHECK_INT(r->wake_ns, r->now_ns + 50 * US);
	r->now_ns += 50 * US;
	hca_expire(&r->hca);
	CHECK_INT(end_interrupts(&b), 1);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	/* Who polled meanwhile is left alone. */
	end_deliver(&a, &b);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	r->now_ns += 50 * US;
	hca_expire(&r->hca);
	CHECK_INT(end_interrupts(&b), 1);
	/* The timer runs from the first; memory that it may not look at holds
	 * something. */
	end_deliver(&a, &b);
	r->now_ns += 30 * US;
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_deliver(&a, &b);
	r->now_ns += 20 * US;
	r->fenced[2] = true;
	hca_expire(&r->hca);
	CHECK_INT(end_interrupts(&b), 2);
	/* No timer, no immediate control: it never interrupts. */
	r->fenced[2] = false;
	STORE(r, 2, b.eq, HCA_DELAY, 0);
	end_check_event(&b, HCA_EVENT_COMPLETION, 0x7002, 0);
	end_deliver(&a, &b);
	r->now_ns += 1000000 * US;
	hca_expire(&r->hca);
	CHECK_INT(end_interrupts(&b), 2);
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
	cq = rig_make_cq(r, 2, CQ_AT + 0x800, b.eq, 0x7777);
	qp = rig_make_qp(r, 2, SEND_AT + 0x800, RECEIVE_AT + 0x800, cq, cq,
			 b.eq);
	STORE(r, 2, qp, HCA_PEER, c.qp);
	STORE(r, 3, c.qp, HCA_PEER, qp);
	STORE(r, 2, qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 3, c.qp, HCA_STATE, HCA_RUNNING);
	STORE(r, 0, b.eq, HCA_HOST, 1);
	end_join(&a, &b);
	end_deliver(&a, &b);
	other_event(&c, &d, qp, 0);
	CHECK_INT(end_interrupts(&b), 2);
	end_deliver(&a, &b); /* 1604: no entry */
	CHECK_INT(end_interrupts(&b), 2);
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
	{ "names", test_names },
	{ "turns", test_turns },
	{ "long_turns", test_long_turns },
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
	{ NULL, NULL },
};

const struct unit_suite hca_suite = { "hca", cases };
