/* hca_verbs_test.c - the adapter's verbs, handles, registers and doorbells,
 * and those who do it wrong. */
#include <config.h>

#include <stddef.h>
#include <string.h>

#include "libcore/fault.h"
#include "t/unit/hca_rig.h"
#include "t/unit/unit.h"

/* Verbs. */

static void test_handles(void)
{
	struct rig *r = rig_new();
	uint32_t other = rig_allocate(r, 1, HCA_EQ);
	uint32_t eq = rig_allocate(r, 1, HCA_EQ),
		 cq = rig_allocate(r, 1, HCA_CQ);
	uint32_t bad[] = {
		eq + 5,                    /* no such index */
		eq ^ 1u << HCA_INDEX_BITS, /* another generation */
		eq | HCA_EQ_MAX,           /* above all that there are */
		(uint32_t)HCA_QP << 30,    /* no such queue pair */
		UINT32_MAX,                /* nonsense */
		(eq & 0x3fffffffu),        /* of no kind */
	};
	uint32_t freed = rig_allocate(r, 1, HCA_EQ);
	unsigned i;

	CHECK(other != eq && other != freed);
	CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, freed, 0), HCA_OK);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(rig_store(r, 1, bad[i], HCA_ISC, 1), HCA_BAD_HANDLE);
		CHECK_INT(rig_verb(r, 1, HCA_LOAD, HCA_ISC, bad[i], 0),
			  HCA_BAD_HANDLE);
		CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, bad[i], 0),
			  HCA_BAD_HANDLE);
		CHECK_INT(rig_store(r, 1, cq, HCA_EVENT_QUEUE, bad[i]),
			  HCA_BAD_HANDLE);
	}
	CHECK_INT(rig_store(r, 1, freed, HCA_ISC, 1), HCA_BAD_HANDLE);
	CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, freed, 0), HCA_BAD_HANDLE);
	CHECK_INT(rig_store(r, 1, cq, HCA_EVENT_QUEUE, 1ull << 32 | eq),
		  HCA_BAD_HANDLE);
	/* Of another partition. */
	CHECK_INT(rig_store(r, 2, eq, HCA_ISC, 1), HCA_BAD_HANDLE);
	CHECK_INT(rig_verb(r, 2, HCA_LOAD, HCA_ISC, eq, 0), HCA_BAD_HANDLE);
	CHECK_INT(rig_verb(r, 2, HCA_FREE, 0, eq, 0), HCA_BAD_HANDLE);
	CHECK_INT(rig_store(r, 2, 0, HCA_EVENT_QUEUE, eq), HCA_BAD_HANDLE);
	CHECK_INT(rig_store(r, 1, 0, HCA_EVENT_QUEUE, eq), HCA_OK);
	CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, eq, 0), HCA_BUSY);
	CHECK_INT(rig_store(r, 1, 0, HCA_EVENT_QUEUE, 0), HCA_OK);
	CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, eq, 0), HCA_OK);
	CHECK(r->told > 0);
	rig_free(r);
}

static void test_bad_verbs(void)
{
	struct rig *r = rig_new();
	struct end a;
	uint32_t eq = rig_allocate(r, 1, HCA_EQ),
		 cq = rig_allocate(r, 1, HCA_CQ);
	uint32_t qp = rig_allocate(r, 1, HCA_QP);
	unsigned i;

	for (i = 0; i < 256; i++)
		if (i < HCA_ALLOCATE || i > HCA_FREE)
			CHECK_INT(rig_verb(r, 1, i, HCA_ISC, eq, 0),
				  HCA_BAD_VERB);
	CHECK_INT(rig_verb(r, 1, HCA_ALLOCATE, HCA_PART, 0, 0),
		  HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_verb(r, 1, HCA_ALLOCATE, HCA_KIND_N, 0, 0),
		  HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_verb(r, 0, HCA_ALLOCATE, HCA_EQ, 0, 0), HCA_BAD_VERB);
	CHECK_INT(rig_verb(r, 0, HCA_FREE, 0, eq, 0), HCA_BAD_VERB);
	for (i = 0; i < 256; i++) {
		if (i == 0 || i >= HCA_ATTRIBUTE_N) {
			CHECK_INT(rig_store(r, 1, qp, i, 0), HCA_BAD_ATTRIBUTE);
			CHECK_INT(rig_verb(r, 1, HCA_LOAD, i, cq, 0),
				  HCA_BAD_ATTRIBUTE);
		}
	}
	CHECK_INT(rig_store(r, 1, cq, HCA_ISC, 0), HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_store(r, 1, eq, HCA_TOKEN, 0), HCA_BAD_ATTRIBUTE);
	CHECK_INT(rig_store(r, 1, eq, HCA_ISC, HCA_ISCS), HCA_BAD_VALUE);
	CHECK_INT(rig_store(r, 1, eq, HCA_DELAY, HCA_DELAY_MAX + 1),
		  HCA_BAD_VALUE);
	CHECK_INT(rig_store(r, 1, eq, HCA_IMMEDIATE, 2), HCA_BAD_VALUE);
	CHECK_INT(rig_store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	CHECK_INT(rig_store(r, 1, eq, HCA_STATE, HCA_ERROR), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_ENTRIES, 3);
	CHECK_INT(rig_store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_ENTRIES, 16);
	STORE(r, 1, eq, HCA_BASE, 16);
	CHECK_INT(rig_store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_VALUE);
	STORE(r, 1, eq, HCA_BASE, MEMORY - 32);
	CHECK_INT(rig_store(r, 1, eq, HCA_STATE, HCA_RUNNING), HCA_BAD_ADDRESS);
	CHECK_INT(rig_store(r, 1, qp, HCA_STATE, HCA_RUNNING), HCA_BAD_HANDLE);
	CHECK_INT(rig_store(r, 1, qp, HCA_BELL, HCA_BELL_COUNT), HCA_BAD_VALUE);
	CHECK_INT(rig_store(r, 1, qp, HCA_SEND_CQ, 0), HCA_BAD_HANDLE);
	CHECK_INT(rig_store(r, 1, qp, HCA_SEND_CQ, eq), HCA_BAD_HANDLE);
	/* Rings are fixed while they are in use. */
	end_make(&a, r, 2);
	CHECK_INT(rig_store(r, 2, a.eq, HCA_BASE, 0), HCA_BUSY);
	CHECK_INT(rig_store(r, 2, a.cq, HCA_ENTRIES, 2), HCA_BUSY);
	CHECK_INT(rig_verb(r, 2, HCA_FREE, 0, a.cq, 0), HCA_BUSY);
	rig_free(r);
}

/* What is stored is loaded. */
static void test_load(void)
{
	struct rig *r = rig_new();
	uint32_t eq = rig_allocate(r, 1, HCA_EQ),
		 cq = rig_allocate(r, 1, HCA_CQ);
	uint32_t qp = rig_allocate(r, 1, HCA_QP);
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
		{ qp, HCA_SERVICE, 6 },
		{ 0, HCA_EVENT_QUEUE, eq },
	};
	unsigned i;

	CHECK_INT(rig_load(r, 1, qp, HCA_MEMORY_SIZE), UINT64_MAX);
	CHECK_INT(rig_load(r, 1, eq, HCA_ISC), HCA_ISC_NONE);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		STORE(r, 1, row[i].handle, row[i].attribute, row[i].value);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_INT(rig_load(r, 1, row[i].handle, row[i].attribute),
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
	end_join(&a, &b);
	STORE(r, 1, 0, HCA_EVENT_QUEUE, a.eq);
	bell = hca_bell(b.qp, 5);
	hca_write(&r->hca, 1, HCA_BELL_AT(4), bell);
	hca_write(&r->hca, 1, HCA_BELL_AT(5), hca_bell(0x12345678, 1));
	end_check_event(&a, HCA_EVENT_REFUSED, 4, (int64_t)bell);
	end_check_no_event(&a); /* one of a type is pending at a time */
	/* His own, but not his bell. */
	hca_write(&r->hca, 1, HCA_BELL_AT(7), hca_bell(a.qp, 1));
	end_check_event(&a, HCA_EVENT_REFUSED, 7, (int64_t)hca_bell(a.qp, 1));
	CHECK_INT(rig_load(r, 1, a.qp, HCA_STATE), HCA_RUNNING);
	CHECK_INT(rig_load(r, 2, b.qp, HCA_STATE), HCA_RUNNING);
	end_check_no_event(&b);
	rig_free(r);
}

/* Indexes come back late, with another generation, and run out. */
static void test_reuse(void)
{
	struct rig *r = rig_new();
	uint32_t first = rig_allocate(r, 1, HCA_EQ), handle = 0;
	unsigned i;

	CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, first, 0), HCA_OK);
	for (i = 0; i < 1000; i++) {
		handle = rig_allocate(r, 1, HCA_EQ);
		CHECK(handle != first);
		CHECK_INT(rig_verb(r, 1, HCA_FREE, 0, handle, 0), HCA_OK);
	}
	CHECK(hca_index_of(handle) < 128);
	for (i = 0; i < HCA_EQ_MAX; i++)
		(void)rig_allocate(r, 1 + i % 3, HCA_EQ);
	CHECK_INT(rig_verb(r, 1, HCA_ALLOCATE, HCA_EQ, 0, 0), HCA_NO_ROOM);
	hca_reset(&r->hca, 2);
	for (i = 0; i < HCA_EQ_MAX / 3; i++)
		handle = rig_allocate(r, 1, HCA_EQ);
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
	end_join(&a, &b);
	STORE(r, 2, 0, HCA_EVENT_QUEUE, b.eq);
	STORE(r, 2, b.eq, HCA_IMMEDIATE, 0);
	STORE(r, 2, b.eq, HCA_DELAY, 10);
	end_deliver(&a, &b);
	end_post(&a, HCA_SEND, 0x9000, 8, 0); /* waits */
	hca_reset(&r->hca, 2);
	r->now_ns += 1000 * US;
	hca_expire(&r->hca);
	rig_run(r);
	CHECK_INT(end_interrupts(&b), 0);
	CHECK(!hca_find(&r->hca, b.eq));
	CHECK(!hca_find(&r->hca, b.qp));
	end_check_completion(&a, HCA_SEND, 101, HCA_REMOTE_GONE, 0);
	CHECK_INT(rig_load(r, 1, a.cq, HCA_STATE), HCA_RUNNING);
	hca_reset(&r->hca, 0);
	CHECK(!hca_find(&r->hca, a.cq));
	rig_free(r);
}

static unsigned refs_to(const struct hca_object *from,
			const struct hca_object *o)
{
	const struct hca_qp *qp = (const struct hca_qp *)from;
	unsigned refs = from->eq == (const void *)o;

	if (hca_kind_of(from->handle) == HCA_QP)
		refs += (qp->send_cq == (const void *)o) +
			(qp->receive_cq == (const void *)o);
	return refs;
}

/* Every reference is counted, and nothing refers to what is gone. */
static void check_refs(struct rig *r)
{
	struct hca_object *o, *other;
	unsigned p, q, refs;

	for (p = 0; p <= HCA_PARTITIONS; p++)
		LIST_FOREACH (o, &r->hca.partition[p].objects, entry) {
			refs = r->hca.partition[p].eq == (void *)o;
			for (q = 0; q <= HCA_PARTITIONS; q++)
				LIST_FOREACH (other,
					      &r->hca.partition[q].objects,
					      entry)
					refs += refs_to(other, o);
			CHECK_INT(o->refs, refs);
			CHECK(hca_find(&r->hca, o->handle) == o);
		}
}

/* A handle that was given out once, or nearly one. */
static uint64_t some_handle(uint64_t *rng, const uint64_t *known, unsigned n)
{
	uint64_t handle = known[rng_next(rng) % n];

	switch (rng_next(rng) % 8) {
	case 0:
		return handle ^ 1ull << rng_next(rng) % 32;
	case 1:
		return rng_next(rng) % 4;
	}
	return handle;
}

/* Values that are right now and then. */
static uint64_t some_value(uint64_t *rng, const uint64_t *known, unsigned n)
{
	switch (rng_next(rng) % 8) {
	case 0:
		return rng_next(rng);
	case 1:
		return some_handle(rng, known, n);
	case 2:
		return hca_address((unsigned)(rng_next(rng) % 5),
				   (uint32_t)(rng_next(rng) % 4));
	case 3:
		return 1ull << rng_next(rng) % 20;
	case 4:
		return rng_next(rng) % MEMORY & ~31ull;
	}
	return rng_next(rng) % 4;
}

#define KNOWN 64u

/* An entry of a work queue, which may even be good. */
static void fuzz_entry(struct rig *r, uint64_t *rng, unsigned partition,
		       const uint64_t *known)
{
	uint32_t at = rng_next(rng) & 1 ? SEND_AT : RECEIVE_AT;
	struct hca_wqe *wqe = (struct hca_wqe *)(r->memory[partition] + at) +
			      rng_next(rng) % RING;

	*wqe = (struct hca_wqe){
		.address = DATA_AT + rng_next(rng) % 64,
		.length = 1 + (uint32_t)(rng_next(rng) % 64),
		.work = 1 + (uint32_t)(rng_next(rng) % 2),
		.remote = rng_next(rng) % 8,
	};
	if (rng_next(rng) % 16 == 0)
		wqe->address = some_value(rng, known, KNOWN);
	if (rng_next(rng) % 16 == 0)
		wqe->length = (uint32_t)some_value(rng, known, KNOWN);
}

/* Partitions that work, to begin with. */
static void fuzz_begin(struct rig *r, uint64_t *known)
{
	struct end e[4];
	unsigned i;

	hca_reset(&r->hca, 0);
	memset(r->memory, 0, sizeof(r->memory));
	memset(r->fenced, 0, sizeof(r->fenced));
	for (i = 1; i < 4; i++)
		end_make(&e[i], r, i);
	for (i = 1; i < 4; i++)
		STORE(r, i, e[i].qp, HCA_WINDOW_SIZE, 64);
	end_join(&e[1], &e[2]);
	end_join(&e[3], &e[3]);
	for (i = 0; i < KNOWN; i++)
		known[i] = i % 3 == 0   ? e[1 + i % 4 % 3].qp
			   : i % 3 == 1 ? e[1 + i % 4 % 3].cq
					: e[1 + i % 4 % 3].eq;
}

static void fuzz_verb(struct rig *r, uint64_t *rng, unsigned partition,
		      uint64_t *known)
{
	static const enum hca_opcode ops[] = {
		HCA_ALLOCATE, HCA_STORE, HCA_STORE, HCA_STORE,
		HCA_STORE,    HCA_STORE, HCA_LOAD,  HCA_FREE,
	};
	uint64_t handle = some_handle(rng, known, KNOWN), result;
	enum hca_opcode op = ops[rng_next(rng) % 8];
	unsigned attribute = (unsigned)(rng_next(rng) % (HCA_ATTRIBUTE_N + 1));

	if (op == HCA_ALLOCATE)
		attribute = 1 + attribute % 3;
	if (hca_do(&r->hca, partition,
		   hca_verb(op, attribute, (uint32_t)handle),
		   some_value(rng, known, KNOWN), &result))
		return;
	if (op == HCA_ALLOCATE)
		known[rng_next(rng) % KNOWN] = result;
}

static void fuzz_bell(struct rig *r, uint64_t *rng, unsigned partition,
		      const uint64_t *known)
{
	struct hca_object *o =
		hca_find(&r->hca, (uint32_t)known[rng_next(rng) % KNOWN]);
	uint64_t handle = some_handle(rng, known, KNOWN);
	bool receive = rng_next(rng) & 1;
	uint32_t index = (uint32_t)(rng_next(rng) % 20);
	const struct hca_qp *qp = (const struct hca_qp *)o;

	/* Mostly the owner, and some entries more. */
	if (o && hca_kind_of(o->handle) == HCA_QP && rng_next(rng) % 8) {
		handle = o->handle;
		partition = o->partition;
		index = (receive ? qp->receive.head : qp->send.head) +
			index % RING;
	}
	hca_ring(&r->hca, partition ? partition : 1, rng_next(rng) % 16 == 0,
		 receive, hca_bell((uint32_t)handle, index));
	(void)hca_work(&r->hca, 1 + (unsigned)(rng_next(rng) % 40));
}

static void fuzz_step(struct rig *r, uint64_t *rng, uint64_t *known)
{
	unsigned partition = (unsigned)(rng_next(rng) % 4);

	switch (rng_next(rng) % 16) {
	case 0:
		r->now_ns += rng_next(rng) % 1000000;
		hca_expire(&r->hca);
		break;
	case 1:
		r->fenced[partition] = rng_next(rng) % 4 == 0;
		hca_reaches(&r->hca, partition);
		break;
	case 2:
		r->memory[partition][rng_next(rng) % MEMORY] =
			(uint8_t)rng_next(rng);
		break;
	case 3:
		if (rng_next(rng) % 64 == 0)
			hca_reset(&r->hca, partition);
		break;
	case 4: /* a consumer */
		memset(r->memory[partition] + CQ_AT, 0, 0x1000);
		if (rng_next(rng) & 1)
			memset(r->memory[partition] + EQ_AT, 0, 0x1000);
		break;
	case 5:
		fuzz_verb(r, rng, partition, known);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		fuzz_entry(r, rng, partition, known);
		break;
	default:
		fuzz_bell(r, rng, partition, known);
	}
}

/* Verbs, doorbells and memory by chance: whatever partitions do, objects and
 * references agree. */
static void test_fuzz(void)
{
	uint64_t known[KNOWN] = { 0 };
	struct rig *r = rig_new();
	uint64_t rng, seed, done = 0;
	struct hca_object *o;
	unsigned i;

	for (seed = 1; seed <= 200; seed++) {
		rng = seed;
		fuzz_begin(r, known);
		for (i = 0; i < 500; i++)
			fuzz_step(r, &rng, known);
		check_refs(r);
		for (i = 1; i < 4; i++)
			LIST_FOREACH (o, &r->hca.partition[i].objects, entry)
				if (hca_kind_of(o->handle) == HCA_CQ)
					done += ((struct hca_cq *)o)
							->completions;
	}
	CHECK(done > 0); /* it was not all nonsense */
	hca_reset(&r->hca, 0);
	check_refs(r);
	for (i = 0; i <= HCA_PARTITIONS; i++)
		CHECK(LIST_EMPTY(&r->hca.partition[i].objects));
	CHECK(TAILQ_EMPTY(&r->hca.runnable));
	CHECK(LIST_EMPTY(&r->hca.timing));
	rig_free(r);
}

static const struct unit_case cases[] = {
	{ "handles", test_handles },
	{ "bad_verbs", test_bad_verbs },
	{ "load", test_load },
	{ "registers", test_registers },
	{ "bells", test_bells },
	{ "reuse", test_reuse },
	{ "reset", test_reset },
	{ "fuzz", test_fuzz },
	{ NULL, NULL },
};

const struct unit_suite hca_verbs_suite = { "hca_verbs", cases };
