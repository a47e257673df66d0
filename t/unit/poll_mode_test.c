/* poll_mode_test.c - how long an empty queue is looked at. */
#include <config.h>

#include "libcore/poll_mode.h"

#include <errno.h>
#include <stddef.h>

#include "t/unit/unit.h"

#define US 1000ull

static void test_parse(void)
{
	struct poll_mode m = POLL_MODE_DEFAULT;
	struct complaint c;

	CHECK_INT(poll_mode_parse("busy", &m, &c), 0);
	CHECK_INT(m.kind, POLL_BUSY);
	CHECK_INT(poll_mode_parse("sleep", &m, &c), 0);
	CHECK_INT(m.kind, POLL_SLEEP);
	CHECK_INT(poll_mode_parse("adaptive", &m, &c), 0);
	CHECK_INT(m.kind, POLL_ADAPTIVE);
	CHECK_INT(m.spin_ns, POLL_SPIN_NS);
	CHECK_INT(poll_mode_parse("adaptive:5us", &m, &c), 0);
	CHECK_INT(m.spin_ns, 5 * US);
	CHECK_INT(poll_mode_parse("adaptive:5", &m, &c), -EINVAL);
	CHECK_INT(poll_mode_parse("often", &m, &c), -EINVAL);
	CHECK_HAS(c.text, "'often'");
	CHECK_INT(m.spin_ns, 5 * US);
}

static void test_fixed(void)
{
	const struct poll_mode busy = { .kind = POLL_BUSY };
	const struct poll_mode sleep = { .kind = POLL_SLEEP };
	const struct poll_mode none = { .kind = POLL_ADAPTIVE };
	struct poll_spin spin = { 0 };

	CHECK(poll_spins(&spin, &busy, 1));
	CHECK(poll_spins(&spin, &busy, UINT64_MAX));
	CHECK(!poll_spins(&spin, &sleep, 1));
	CHECK(!poll_spins(&spin, &none, 1));
}

/* What came after `waited` of looking or sleeping. */
static void wait_for(struct poll_spin *spin, const struct poll_mode *m,
		     uint64_t *now, uint64_t waited)
{
	CHECK(poll_spins(spin, m, *now));
	*now += waited;
	CHECK_INT(poll_spins(spin, m, *now), waited < spin->spin_ns);
	poll_found(spin, m, *now);
	CHECK_INT(spin->idle_ns, 0);
}

static void test_adaptive(void)
{
	const struct poll_mode m = POLL_MODE_DEFAULT;
	struct poll_spin spin = { 0 };
	uint64_t now = 1000;
	unsigned i;

	/* In vain, again and again: less and less, but never nothing. */
	for (i = 0; i < 20; i++)
		wait_for(&spin, &m, &now, 2 * POLL_SPIN_NS);
	CHECK_INT(spin.spin_ns, 2 * US);
	/* What a little more would have seen is waited for from now on. */
	wait_for(&spin, &m, &now, 45 * US);
	CHECK_INT(spin.spin_ns, 90 * US);
	wait_for(&spin, &m, &now, 45 * US);
	CHECK_INT(spin.spin_ns, 90 * US);
	wait_for(&spin, &m, &now, 95 * US);
	CHECK_INT(spin.spin_ns, POLL_SPIN_NS);
}

static const struct unit_case cases[] = {
	{ "parse", test_parse },
	{ "fixed", test_fixed },
	{ "adaptive", test_adaptive },
	{ NULL, NULL },
};

const struct unit_suite poll_mode_suite = { "poll_mode", cases };
