/* demux_forward_test.c - from the adapter's event to the guest's, rule by rule
 * (spec 04, fig. 17 and rulings). */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "t/unit/demux_rig.h"
#include "t/unit/unit.h"

#define BIT 2u /* of the guests' ISC 1 */

static uint64_t counter(const _Atomic uint64_t *c)
{
	return atomic_load(c);
}

static struct demux_counts *counts(struct demux_rig *r)
{
	return &r->t.record->counts;
}

/* Guest i has this event of its CQ, and none behind it. */
static void check_event(struct demux_rig *r, unsigned i, enum hca_event event)
{
	struct hca_eqe eqe = { 0 };

	CHECK(demux_rig_consume(r, i, &eqe));
	CHECK_INT(eqe.token, RIG_TOKEN + i);
	CHECK_INT(eqe.handle, RIG_HANDLE + i);
	CHECK_INT(eqe.event, event);
	CHECK(!demux_rig_consume(r, i, &eqe));
}

static void check_nothing(struct demux_rig *r, unsigned i)
{
	struct hca_eqe eqe;

	CHECK(!demux_rig_consume(r, i, &eqe));
}

/* 1700 to 1716: the guest's own token, ASB, interrupt. */
static void test_one_event(void)
{
	struct demux_rig r;

	demux_rig_init(&r);
	CHECK_INT(demux_forward(&r.f, 100), 0);
	demux_rig_complete(&r, 3);
	CHECK_INT(demux_forward(&r.f, 100), 1);
	CHECK_INT(atomic_load(demux_rig_asb(&r, 3)), 1);
	CHECK_INT(r.n_told, 1);
	CHECK_INT(r.told[0].signal, DEMUX_INTERRUPT);
	CHECK_INT(r.told[0].gisa, 3);
	CHECK_INT(r.told[0].isc, 1);
	CHECK_INT(atomic_load(&r.t.gisa[3].pending), 0);
	check_event(&r, 3, HCA_EVENT_COMPLETION);
	check_nothing(&r, 2);
	CHECK_INT(counter(&counts(&r)->forwarded), 1);
	CHECK_INT(counter(&counts(&r)->interrupted), 1);
	demux_rig_fini(&r);
}

static void test_error_event(void)
{
	struct demux_rig r;

	demux_rig_init(&r);
	demux_rig_complete(&r, 1);
	demux_rig_record(&r, r.geqa[2], RIG_HANDLE + 2, HCA_EVENT_CQ_ERROR);
	CHECK_INT(demux_forward(&r.f, 100), 2);
	check_event(&r, 1, HCA_EVENT_COMPLETION);
	check_event(&r, 2, HCA_EVENT_CQ_ERROR);
	demux_rig_fini(&r);
}

/* No more than asked for, and then the rest. */
static void test_budget(void)
{
	struct demux_rig r;
	unsigned i;

	demux_rig_init(&r);
	for (i = 0; i < 100; i++)
		demux_rig_record(&r, r.geqa[i % RIG_GUESTS], 0,
				 HCA_EVENT_COMPLETION);
	CHECK_INT(demux_forward(&r.f, 1), 1);
	CHECK_INT(demux_forward(&r.f, 40), 40);
	CHECK_INT(demux_forward(&r.f, 100), 59);
	CHECK_INT(counter(&counts(&r)->events), 100);
	CHECK_INT(counter(&counts(&r)->forwarded), RIG_GUESTS);
	CHECK_INT(counter(&counts(&r)->coalesced), 100 - RIG_GUESTS);
	demux_rig_fini(&r);
}

/* While the guest did not take the last one, none is added; then one is. */
static void test_coalesce(void)
{
	struct demux_rig r;
	unsigned i;

	demux_rig_init(&r);
	for (i = 0; i < 3 * RIG_ENTRIES; i++) {
		demux_rig_complete(&r, 0);
		demux_rig_complete(&r, 0);
		CHECK_INT(demux_forward(&r.f, 100), 2);
		check_event(&r, 0, HCA_EVENT_COMPLETION);
	}
	CHECK_INT(counter(&counts(&r)->coalesced), 3 * RIG_ENTRIES);
	CHECK_INT(counter(&counts(&r)->failed), 0);
	demux_rig_fini(&r);
}

/* An event behind one that the guest has not taken yet signals nothing. */
static void test_initiative(void)
{
	struct demux_rig r;
	struct hca_eqe eqe;

	demux_rig_init(&r);
	/* A second CQ on guest 0's EQ. */
	atomic_store(&r.t.geqa[8].geqcb, r.geqcb[0]);
	r.geqa[1] = demux_handle(8, demux_turn(&r.t.geqa[8].generation));
	demux_rig_complete(&r, 0);
	demux_rig_complete(&r, 1);
	CHECK_INT(demux_forward(&r.f, 100), 2);
	CHECK_INT(counter(&counts(&r)->forwarded), 2);
	CHECK_INT(r.n_told, 1);
	CHECK(demux_rig_consume(&r, 0, &eqe));
	CHECK(demux_rig_consume(&r, 0, &eqe));
	demux_rig_complete(&r, 1);
	CHECK_INT(demux_forward(&r.f, 100), 1);
	CHECK_INT(r.n_told, 2);
	demux_rig_fini(&r);
}

/* 1714, 1716: not enabled; the alert clears the mask. */
static void test_alert(void)
{
	struct demux_rig r;

	demux_rig_init(&r);
	atomic_store(&r.t.gisa[5].enabled, 0);
	atomic_store(&r.t.gisa[5].alert, BIT | 8);
	demux_rig_complete(&r, 5);
	demux_forward(&r.f, 100);
	CHECK_INT(r.n_told, 1);
	CHECK_INT(r.told[0].signal, DEMUX_ALERT);
	CHECK_INT(atomic_load(&r.t.gisa[5].alert), 8);
	CHECK_INT(atomic_load(&r.t.gisa[5].pending), BIT);
	CHECK_INT(atomic_load(r.t.alerted), 1u << 5);
	check_event(&r, 5, HCA_EVENT_COMPLETION);
	demux_rig_complete(&r, 5);
	demux_forward(&r.f, 100);
	CHECK_INT(r.n_told, 1);
	CHECK_INT(counter(&counts(&r)->alerts), 1);
	demux_rig_fini(&r);
}

/* A slot that is still marked: that guest's EQ alone is in error. */
static void test_overflow(void)
{
	struct demux_rig r;
	unsigned i;

	demux_rig_init(&r);
	for (i = 0; i <= RIG_ENTRIES; i++)
		demux_rig_record(&r, r.geqa[0], RIG_HANDLE, HCA_EVENT_CQ_ERROR);
	demux_rig_complete(&r, 1);
	demux_forward(&r.f, 100);
	CHECK_INT(demux_state(atomic_load(&r.t.geqcb[0].state)), HCA_ERROR);
	CHECK_INT(demux_error(atomic_load(&r.t.geqcb[0].state)),
		  DEMUX_OVERFLOW);
	CHECK_INT(r.told[1].err, -EIO);
	CHECK_INT(r.told[1].signal, DEMUX_INTERRUPT);
	CHECK_INT(r.told[1].gisa, 0);
	CHECK_INT(counter(&counts(&r)->failed), 1);
	check_event(&r, 1, HCA_EVENT_COMPLETION);
	demux_rig_complete(&r, 0); /* comes to nothing */
	demux_forward(&r.f, 100);
	CHECK_INT(counter(&counts(&r)->dropped), 1);
	demux_rig_run(&r, 0); /* until level 2 lets it run again */
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	check_event(&r, 0, HCA_EVENT_COMPLETION);
	demux_rig_fini(&r);
}

/* Tokens freed, forged, of entries that are not there. */
static void test_bad_tokens(void)
{
	struct demux_rig r;
	const uint64_t forged[] = { 0,
				    1,
				    UINT64_MAX,
				    demux_handle(0, 3),
				    demux_handle(2 * RIG_GUESTS, 1),
				    demux_handle(9, 1),
				    demux_handle(0, 0) };
	unsigned i;

	demux_rig_init(&r);
	for (i = 0; i < sizeof(forged) / sizeof(*forged); i++)
		demux_rig_record(&r, forged[i], 0, HCA_EVENT_COMPLETION);
	demux_rig_complete(&r, 2);
	demux_rig_complete(&r, 1);
	demux_turn(&r.t.geqa[2].generation);   /* freed */
	demux_turn(&r.t.geqcb[3].generation);  /* its EQ is */
	atomic_store(&r.t.geqa[4].geqcb, 0);   /* it has none */
	atomic_store(&r.t.geqa[5].geqcb, ~0u); /* nonsense */
	for (i = 3; i < 6; i++)
		demux_rig_complete(&r, i);
	CHECK_INT(demux_forward(&r.f, 100), 12);
	CHECK_INT(counter(&counts(&r)->dropped), 11);
	CHECK_INT(counter(&counts(&r)->forwarded), 1);
	check_event(&r, 1, HCA_EVENT_COMPLETION);
	CHECK_INT(r.n_told, 1);
	demux_rig_fini(&r);
}

/* What level 2 may write into a GEQCB. */
static void test_bad_geqcb(void)
{
	static const enum demux_error errors[RIG_GUESTS] = {
		DEMUX_BAD_ADDRESS, DEMUX_BAD_ADDRESS, DEMUX_BAD_ENTRY,
		DEMUX_BAD_ENTRY,   DEMUX_BAD_ENTRY,   DEMUX_BAD_GISA,
		DEMUX_BAD_ENTRY,   DEMUX_NO_ERROR
	};
	struct demux_rig r;
	unsigned i;

	demux_rig_init(&r);
	r.t.geqcb[0].ring = RIG_MEMORY - 32;
	atomic_store(&r.t.geqcb[1].asb, RIG_MEMORY);
	r.t.geqcb[2].entries = 12;
	r.t.geqcb[3].entries = 2 * HCA_RING_MAX;
	r.t.geqcb[4].ring += 8;
	r.t.geqcb[5].gisa = r.gisa[5] + RIG_GUESTS;
	atomic_store(&r.t.geqcb[6].isc, HCA_ISCS);
	for (i = 0; i < RIG_GUESTS; i++)
		demux_rig_complete(&r, i);
	demux_forward(&r.f, 100);
	for (i = 0; i < RIG_GUESTS; i++)
		CHECK_INT(demux_error(atomic_load(&r.t.geqcb[i].state)),
			  errors[i]);
	CHECK_INT(counter(&counts(&r)->failed), RIG_GUESTS - 1);
	check_event(&r, RIG_GUESTS - 1, HCA_EVENT_COMPLETION);
	demux_rig_fini(&r);
}

/* A new ASB, ISC, a new run, memory elsewhere: the forwarder looks again. */
static void test_changes(void)
{
	struct demux_rig r;

	demux_rig_init(&r);
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	check_event(&r, 0, HCA_EVENT_COMPLETION);
	atomic_store(demux_rig_asb(&r, 0), 0);
	atomic_store(&r.t.geqcb[0].asb, 0);
	atomic_store(&r.t.geqcb[0].isc, HCA_ISC_NONE);
	atomic_fetch_add(&r.t.geqcb[0].version, 1);
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	check_event(&r, 0, HCA_EVENT_COMPLETION);
	CHECK_INT(atomic_load(demux_rig_asb(&r, 0)), 0);
	CHECK_INT(r.n_told, 1);
	demux_rig_run(&r, 0); /* its reader begins at the front */
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	check_event(&r, 0, HCA_EVENT_COMPLETION);
	r.t.geqcb[0].ring = RIG_MEMORY;
	r.f.memory.changes++;
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	CHECK_INT(demux_error(atomic_load(&r.t.geqcb[0].state)),
		  DEMUX_BAD_ADDRESS);
	demux_rig_fini(&r);
}

/* Level 2 takes entries of the same EQ for type 2 events. */
static void test_type2(void)
{
	const struct hca_eqe event = { .token = 77,
				       .handle = 9,
				       .event = HCA_EVENT_QP_ERROR,
				       .detail = 5 };
	struct demux_result result;
	struct demux_rig r;
	struct hca_eqe eqe;

	demux_rig_init(&r);
	demux_rig_complete(&r, 0);
	demux_forward(&r.f, 100);
	result = demux_put(&r.t, DEMUX_LEVEL2, &r.view, r.geqcb[0], &event);
	CHECK_INT(result.err, 0);
	CHECK_INT(result.signal, DEMUX_QUIET); /* one is there */
	CHECK(demux_rig_consume(&r, 0, &eqe));
	CHECK(demux_rig_consume(&r, 0, &eqe));
	CHECK_INT(eqe.token, 77);
	CHECK_INT(eqe.event, HCA_EVENT_QP_ERROR);
	CHECK_INT(eqe.detail, 5);
	result = demux_put(&r.t, DEMUX_LEVEL2, &r.view, r.geqcb[0], &event);
	CHECK_INT(result.signal, DEMUX_INTERRUPT);
	CHECK_INT(atomic_load(&r.t.geqcb[0].next) & DEMUX_LEVEL2_MASK, 2);
	result = demux_put(&r.t, DEMUX_LEVEL2, &r.view, ~0ull, &event);
	CHECK_INT(result.err, -ENOENT);
	demux_rig_fini(&r);
}

static void test_settled(void)
{
	struct demux_rig r;
	uint32_t busy;

	demux_rig_init(&r);
	CHECK(demux_settled(&r.t, demux_busy(&r.t)));
	atomic_fetch_add(&r.t.record->taker[DEMUX_FIRMWARE].busy, 1);
	busy = demux_busy(&r.t);
	CHECK(!demux_settled(&r.t, busy));
	demux_rig_forwarder(&r); /* it died so; the next one lets go */
	CHECK(demux_settled(&r.t, busy));
	demux_rig_fini(&r);
}

/* The one that takes dies after step `at` of an event for guest 0. */
enum death {
	NOTED,    /* wrote down what it will take */
	TAKEN,    /* D1 */
	MARKED,   /* D2 */
	CONSUMED, /* and the guest took it */
	DEATH_N
};

static void die_at(struct demux_rig *r, enum demux_who who, enum death at)
{
	struct demux_taker *taker = &r->t.record->taker[who];
	struct demux_geqcb *g = &r->t.geqcb[0];
	uint64_t next = atomic_load(&g->next);
	struct hca_eqe *eqe =
		(struct hca_eqe *)(r->memory + RIG_EQ(0)) +
		((next >> DEMUX_NUMBER_SHIFT) - g->first) % RIG_ENTRIES;
	struct hca_eqe got;

	atomic_store(&taker->event[0], RIG_TOKEN);
	atomic_store(&taker->event[1],
		     demux_handle(RIG_HANDLE, HCA_EVENT_COMPLETION));
	atomic_store(&taker->event[2], 0);
	atomic_store(&taker->next, next);
	atomic_store(&taker->geqcb, r->geqcb[0]);
	if (at == NOTED)
		return;
	atomic_store(&g->next, next + DEMUX_NUMBER_ONE + who);
	if (at == TAKEN)
		return;
	*eqe = (struct hca_eqe){ .token = RIG_TOKEN,
				 .handle = RIG_HANDLE,
				 .event = HCA_EVENT_COMPLETION,
				 .mark = HCA_EQE_VALID |
					 ((next >> DEMUX_NUMBER_SHIFT) + 1) };
	if (at == CONSUMED)
		CHECK(demux_rig_consume(r, 0, &got));
}

/* Whatever it had in hand, the guest gets what comes after it, in order, many
 * times around, and is told of each. */
static void check_goes_on(struct demux_rig *r, enum demux_who who,
			  enum death at)
{
	unsigned i, got = 0, told;
	struct hca_eqe eqe;

	/* The other one takes an entry meanwhile. */
	if (at != CONSUMED)
		CHECK_INT(demux_put(&r->t, !who, &r->view, r->geqcb[0],
				    &(struct hca_eqe){ .token = 5 })
				  .err,
			  0);
	if (who == DEMUX_FIRMWARE)
		demux_rig_forwarder(r);
	else
		(void)demux_take_over(&r->t, who, &r->view);
	while (demux_rig_consume(r, 0, &eqe)) {
		CHECK_INT(eqe.token, got || at == NOTED ? 5 : RIG_TOKEN);
		got++;
	}
	CHECK_INT(got, at == NOTED ? 1 : at == CONSUMED ? 0 : 2);
	for (i = 0; i < 4 * RIG_ENTRIES; i++) {
		told = r->n_told = 0;
		demux_rig_complete(r, 0);
		demux_forward(&r->f, 100);
		CHECK_INT(r->n_told, told + 1);
		check_event(r, 0, HCA_EVENT_COMPLETION);
	}
	CHECK_INT(demux_state(atomic_load(&r->t.geqcb[0].state)), HCA_RUNNING);
}

static void test_death(void)
{
	struct demux_rig r;
	unsigned who, at;

	for (who = 0; who < DEMUX_WHO_N; who++)
		for (at = 0; at < DEATH_N; at++) {
			demux_rig_init(&r);
			die_at(&r, who, at);
			check_goes_on(&r, who, at);
			demux_rig_fini(&r);
		}
}

/* It died after it took events from the host queue. */
static void test_death_of_group(void)
{
	struct demux_rig r;

	demux_rig_init(&r);
	demux_rig_complete(&r, 1);
	demux_forward(&r.f, 100);
	check_event(&r, 1, HCA_EVENT_COMPLETION);
	demux_rig_complete(&r, 2);
	demux_rig_complete(&r, 3);
	atomic_store(&r.t.record->taker[DEMUX_FIRMWARE].taken, 3);
	((struct hca_eqe *)(r.memory + RIG_RING))[1].mark = 0;
	r.n_told = 0;
	demux_rig_forwarder(&r);
	CHECK_INT(r.n_told, 2);
	check_event(&r, 2, HCA_EVENT_COMPLETION);
	check_event(&r, 3, HCA_EVENT_COMPLETION);
	check_nothing(&r, 1);
	demux_rig_complete(&r, 4);
	CHECK_INT(demux_forward(&r.f, 100), 1);
	check_event(&r, 4, HCA_EVENT_COMPLETION);
	demux_rig_fini(&r);
}

static void test_no_queue(void)
{
	struct demux_host_queue *host;
	struct demux_forwarder f;
	struct demux_rig r;

	demux_rig_init(&r);
	host = &r.t.record->host[DEMUX_TYPE1];
	host->entries = 3;
	CHECK_INT(demux_forwarder_init(&f, &r.t, &r.view, NULL, NULL), -ENOENT);
	host->entries = RIG_HOST;
	host->ring = RIG_MEMORY;
	CHECK_INT(demux_forwarder_init(&f, &r.t, &r.view, NULL, NULL), -EFAULT);
	host->eq = 0;
	CHECK_INT(demux_forwarder_init(&f, &r.t, &r.view, NULL, NULL), -ENOENT);
	demux_rig_fini(&r);
}

static const struct unit_case cases[] = {
	{ "one_event", test_one_event },
	{ "error_event", test_error_event },
	{ "budget", test_budget },
	{ "coalesce", test_coalesce },
	{ "initiative", test_initiative },
	{ "alert", test_alert },
	{ "overflow", test_overflow },
	{ "bad_tokens", test_bad_tokens },
	{ "bad_geqcb", test_bad_geqcb },
	{ "changes", test_changes },
	{ "type2", test_type2 },
	{ "settled", test_settled },
	{ "death", test_death },
	{ "death_of_group", test_death_of_group },
	{ "no_queue", test_no_queue },
	{ NULL, NULL },
};

const struct unit_suite demux_forward_suite = { "demux_forward", cases };
