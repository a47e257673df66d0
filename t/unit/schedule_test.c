/* schedule_test.c - whose turn it is (spec 01, figs. 16 and 17). */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/schedule_table.h"
#include "t/unit/unit.h"

/* The reference schedule of spec 01. */
static void reference(struct schedule_table *t)
{
	unsigned i;

	schedule_table_init(t);
	CHECK_INT(schedule_parse(t, "vm1=10ms,vm2=10ms,vm3=5ms,vm4=10ms", NULL),
		  0);
	CHECK_INT(t->n, 4);
	for (i = 0; i < t->n; i++)
		t->row[i].present = true;
	schedule_find(t, 4)->executable = false;
}

/* As the scheduler does it: a2025, a2030 to a2040. */
static uint32_t turn(struct schedule_table *t)
{
	struct schedule_row *row = schedule_executing(t);

	if (row)
		row->executing = false;
	row = schedule_next(t);
	if (!row)
		return 0;
	schedule_turn(t, row);
	CHECK(schedule_executing(t) == row);
	return row->vm;
}

static void test_reference(void)
{
	static const uint32_t order[] = { 1, 2, 3, 1, 2, 3 };
	struct schedule_table t;
	unsigned i;

	reference(&t);
	CHECK(schedule_is_on(&t));
	CHECK_INT(schedule_find(&t, 1)->time_ns, 10 * NS_PER_MS);
	CHECK_INT(schedule_find(&t, 3)->time_ns, 5 * NS_PER_MS);
	for (i = 0; i < 6; i++)
		CHECK_INT(turn(&t), order[i]);
	for (i = 0; i < 300; i++)
		CHECK(turn(&t) != 4);
	CHECK_INT(schedule_find(&t, 1)->slices, 102);
	CHECK_INT(schedule_find(&t, 4)->slices, 0);
	schedule_table_fini(&t);
}

/* Executability changes while it runs, to none and back (a2030: it idles). */
static void test_executable(void)
{
	struct schedule_table t;
	unsigned i;

	reference(&t);
	CHECK_INT(turn(&t), 1);
	schedule_find(&t, 2)->executable = false;
	CHECK_INT(turn(&t), 3);
	CHECK_INT(turn(&t), 1);
	schedule_find(&t, 4)->executable = true;
	CHECK_INT(turn(&t), 3);
	CHECK_INT(turn(&t), 4);
	schedule_find(&t, 1)->resets = 1; /* a510 */
	schedule_find(&t, 3)->present = false;
	CHECK_INT(turn(&t), 4);
	CHECK_INT(turn(&t), 4);
	for (i = 0; i < 4; i++)
		t.row[i].executable = false;
	CHECK_INT(turn(&t), 0);
	CHECK(!schedule_executing(&t));
	schedule_find(&t, 2)->executable = true;
	CHECK_INT(turn(&t), 2);
	schedule_find(&t, 2)->time_ns = 0; /* off the schedule */
	CHECK_INT(turn(&t), 0);
	schedule_table_fini(&t);
}

static void test_free(void)
{
	struct schedule_table t;

	schedule_table_init(&t);
	CHECK(!schedule_next(&t));
	schedule_get(&t, 7)->present = true;
	schedule_get(&t, 5)->present = true;
	CHECK(!schedule_is_on(&t));
	CHECK_INT(turn(&t), 0);
	schedule_get(&t, 5)->time_ns = NS_PER_MS;
	CHECK_INT(turn(&t), 5);
	CHECK_INT(turn(&t), 5);
	schedule_table_fini(&t);
}

static void refused(const char *text, int err, const char *why)
{
	struct schedule_table t;
	struct complaint c;

	reference(&t);
	CHECK_INT(schedule_parse(&t, text, &c), err);
	CHECK_HAS(c.text, why);
	CHECK_INT(t.n, 4); /* nothing was taken over */
	schedule_table_fini(&t);
}

static void test_parse(void)
{
	refused("vm5=10ms,vm6", -EINVAL, "'vm6' is not VM=TIME");
	refused("vm5=10ms,vm5=1ms", -EINVAL, "vm5 is named twice");
	refused("vm5=10ms,vm1=1ms", -EINVAL, "vm1 is named twice");
	refused("vm5=10", -EINVAL, "10");
	refused("vm5=99us", -ERANGE, "not from 100us to 10s");
	refused("vm5=11s", -ERANGE, "not from 100us to 10s");
	refused("vm0=10ms", -ERANGE, "vm0");
	refused("", -EINVAL, "VM=TIME");
}

static const struct unit_case cases[] = {
	{ "reference", test_reference },
	{ "executable", test_executable },
	{ "free", test_free },
	{ "parse", test_parse },
	{ NULL, NULL },
};

const struct unit_suite schedule_suite = { "schedule", cases };
