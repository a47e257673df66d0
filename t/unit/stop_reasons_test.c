/* stop_reasons_test.c - a process runs when nobody wants it stopped, and 5
 * restarts in 10 s are too many. */
#include <config.h>

#include <errno.h>

#include "cmd/bmc/restart_limit.h"
#include "cmd/bmc/stop_reasons.h"
#include "t/unit/unit.h"

static void set(void)
{
	struct stop_reasons s = { 0 };
	json_t *json;
	char name[] = "a";

	CHECK_INT(stop_add(&s, "operator", 0), 0);
	CHECK_INT(stop_add(&s, "a105", 7), 0);
	CHECK_INT(stop_add(&s, "a105", 7), 0);
	CHECK_INT(stop_add(&s, "schedule", 7), 0);
	CHECK_INT(s.n, 3);
	CHECK(stop_remove(&s, "operator"));
	CHECK(!stop_remove(&s, "operator"));
	json = stop_to_json(&s);
	CHECK_INT(json_array_size(json), 2);
	CHECK_STR(json_string_value(json_array_get(json, 0)), "a105");
	json_decref(json);
	CHECK(!stop_drop_holder(&s, 8));
	CHECK(stop_drop_holder(&s, 7));
	CHECK_INT(s.n, 0);

	CHECK_INT(stop_add(&s, "", 0), -EINVAL);
	CHECK_INT(stop_add(&s, "a b", 0), -EINVAL);
	CHECK_INT(stop_add(&s, "other", 0), -EINVAL);
	CHECK_INT(stop_add(&s, "abcdefghijklmnopqrstuvwx", 0), -EINVAL);
	for (; s.n < STOP_REASONS; name[0]++)
		CHECK_INT(stop_add(&s, name, 0), 0);
	CHECK_INT(stop_add(&s, "more", 0), -ENOSPC);
}

static void freeze_and_thaw(void)
{
	struct stop_reasons s = { 0 };

	CHECK_INT(stop_add(&s, "operator", 0), 0);
	CHECK_INT(stop_step(&s, STOP_WANT), STOP_SEND_STOP);
	CHECK_INT(stop_settle(&s), STOP_NOTHING);
	CHECK(!stop_is_settled(&s));
	CHECK_INT(stop_step(&s, STOP_SAW_STOPPED), STOP_NOTHING);
	CHECK(stop_is_settled(&s));
	CHECK_INT(stop_settle(&s), STOP_NOTHING);
	CHECK(stop_is_frozen(&s));
	CHECK(stop_remove(&s, "operator"));
	CHECK_INT(stop_step(&s, STOP_UNWANT), STOP_SEND_CONT);
	CHECK_INT(stop_step(&s, STOP_SAW_CONTINUED), STOP_NOTHING);
	CHECK_INT(stop_settle(&s), STOP_NOTHING);
	CHECK_INT(s.state, STOP_RUNNING);
}

/* A thaw that comes before the stop was seen waits for it. */
static void no_overtaking(void)
{
	struct stop_reasons s = { 0 };

	CHECK_INT(stop_add(&s, "a", 0), 0);
	CHECK_INT(stop_step(&s, STOP_WANT), STOP_SEND_STOP);
	CHECK(stop_remove(&s, "a"));
	CHECK_INT(stop_step(&s, STOP_UNWANT), STOP_NOTHING);
	CHECK_INT(stop_step(&s, STOP_SAW_STOPPED), STOP_NOTHING);
	CHECK_INT(stop_settle(&s), STOP_SEND_CONT);
	/* And the other way round. */
	CHECK_INT(stop_add(&s, "a", 0), 0);
	CHECK_INT(stop_step(&s, STOP_WANT), STOP_NOTHING);
	CHECK_INT(stop_step(&s, STOP_SAW_CONTINUED), STOP_NOTHING);
	CHECK_INT(stop_settle(&s), STOP_SEND_STOP);
}

/* A SIGCONT from elsewhere does not undo a reason. */
static void stays_frozen(void)
{
	struct stop_reasons s = { 0 };

	CHECK_INT(stop_add(&s, "a", 0), 0);
	stop_step(&s, STOP_WANT);
	stop_step(&s, STOP_SAW_STOPPED);
	CHECK_INT(stop_step(&s, STOP_SAW_CONTINUED), STOP_SEND_STOP);
	CHECK_INT(stop_step(&s, STOP_SAW_STOPPED), STOP_NOTHING);
}

/* What somebody else stopped stays so, whatever reasons come and go. */
static void foreign(void)
{
	struct stop_reasons s = { 0 };
	json_t *json;

	CHECK_INT(stop_step(&s, STOP_SAW_STOPPED), STOP_WAS_FROZEN);
	CHECK(stop_is_frozen(&s));
	json = stop_to_json(&s);
	CHECK_STR(json_string_value(json_array_get(json, 0)), "other");
	json_decref(json);
	CHECK_INT(stop_add(&s, "a", 0), 0);
	CHECK_INT(stop_step(&s, STOP_WANT), STOP_NOTHING);
	CHECK(stop_remove(&s, "a"));
	CHECK_INT(stop_step(&s, STOP_UNWANT), STOP_NOTHING);
	CHECK_INT(s.state, STOP_FOREIGN);
	CHECK_INT(stop_step(&s, STOP_THAW), STOP_SEND_CONT);
	CHECK_INT(stop_step(&s, STOP_SAW_CONTINUED), STOP_NOTHING);
	/* Or the other continues it, with a reason of ours left. */
	stop_step(&s, STOP_SAW_STOPPED);
	CHECK_INT(stop_add(&s, "a", 0), 0);
	stop_step(&s, STOP_WANT);
	CHECK_INT(stop_step(&s, STOP_SAW_CONTINUED), STOP_WENT_ON);
	CHECK_INT(stop_settle(&s), STOP_SEND_STOP);
}

/* A SIGSTOP for somebody else counts for one that we stopped, too. */
static void asked_twice(void)
{
	struct stop_reasons s = { 0 };
	unsigned i;

	/* Before we want to stop it, too. */
	stop_step(&s, STOP_ASKED);
	CHECK_INT(stop_add(&s, "a", 0), 0);
	CHECK_INT(stop_step(&s, STOP_WANT), STOP_NOTHING);
	CHECK_INT(stop_step(&s, STOP_SAW_STOPPED), STOP_WAS_FROZEN);
	CHECK(stop_remove(&s, "a"));
	CHECK_INT(stop_step(&s, STOP_UNWANT), STOP_NOTHING);
	for (i = 0; i < 2; i++) {
		stop_clear(&s);
		CHECK_INT(stop_add(&s, "a", 0), 0);
		CHECK_INT(stop_step(&s, STOP_WANT), STOP_SEND_STOP);
		if (i)
			CHECK_INT(stop_step(&s, STOP_SAW_STOPPED),
				  STOP_NOTHING);
		stop_step(&s, STOP_ASKED);
		CHECK_INT(stop_is_settled(&s), i);
		stop_step(&s, STOP_SAW_STOPPED);
		CHECK(stop_remove(&s, "a"));
		CHECK_INT(stop_step(&s, STOP_UNWANT), STOP_NOTHING);
		CHECK_INT(stop_settle(&s), STOP_NOTHING);
		CHECK_INT(s.state, STOP_FOREIGN);
	}
}

static void restart_limit(void)
{
	struct restart_limit l = { 0 };
	uint64_t now = 100 * NS_PER_S;
	unsigned i;

	for (i = 0; i < RESTART_LIMIT; i++)
		CHECK(restart_limit_take(&l, now + i * NS_PER_S));
	CHECK(!restart_limit_take(&l, now + 5 * NS_PER_S));
	CHECK(!restart_limit_take(&l, now + RESTART_WINDOW_NS - 1));
	/* The first one no longer counts, the second still does. */
	CHECK(restart_limit_take(&l, now + RESTART_WINDOW_NS));
	CHECK(!restart_limit_take(&l, now + RESTART_WINDOW_NS));
	CHECK(restart_limit_take(&l, now + RESTART_WINDOW_NS + NS_PER_S));
}

static const struct unit_case cases[] = {
	{ "set", set },
	{ "freeze_and_thaw", freeze_and_thaw },
	{ "no_overtaking", no_overtaking },
	{ "stays_frozen", stays_frozen },
	{ "foreign", foreign },
	{ "asked_twice", asked_twice },
	{ "restart_limit", restart_limit },
	{ NULL, NULL },
};

const struct unit_suite stop_reasons_suite = { "stop_reasons", cases };
