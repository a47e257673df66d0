/* procedure_test.c - unit tests of hvmon's step runner. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/procedure.h"
#include "t/unit/unit.h"

/* Each step writes its letter here. */
struct test {
	struct procedure p;
	char *trace;
	const char *mark; /* in front of the letters */
	struct loop_timer timer;
	const struct procedure_desc *inner;
};

static struct hvmon hv;
static struct program program;

static void write_trace(struct procedure *p, const char *letter)
{
	struct test *t = (struct test *)p;

	strcat(t->trace, t->mark);
	strcat(t->trace, letter);
}

static void timer_put(void *arg)
{
	step_put(arg);
}

/* Something that takes a millisecond. */
static void wait_a_bit(struct procedure *p)
{
	struct test *t = (struct test *)p;

	step_get(p);
	loop_timer_in(program.loop, &t->timer, NS_PER_MS, timer_put, p);
}

static int step_a(struct procedure *p)
{
	write_trace(p, "a");
	wait_a_bit(p);
	return STEP_NEXT;
}

static int step_b(struct procedure *p)
{
	write_trace(p, "b");
	return p->round < 2 ? STEP_AGAIN : STEP_NEXT;
}

static int step_c(struct procedure *p)
{
	write_trace(p, "c");
	return STEP_NEXT;
}

static int step_failing(struct procedure *p)
{
	write_trace(p, "f");
	return step_fail(p, -EIO, "broken %d", 1);
}

static int step_done(struct procedure *p)
{
	write_trace(p, "d");
	return STEP_DONE;
}

static int step_inner(struct procedure *p)
{
	struct test *t = (struct test *)p, *inner;

	write_trace(p, "(");
	inner = procedure_new(&hv, t->inner, sizeof(*inner));
	inner->trace = t->trace;
	inner->mark = t->mark;
	procedure_call(p, &inner->p);
	return STEP_NEXT;
}

static void end(struct procedure *p)
{
	write_trace(p, p->err ? p->why : ".");
}

static const struct step plain_steps[] = {
	{ POINT_RESET_A100, step_a },
	{ POINT_RESET_A115, step_b },
	{ POINT_NONE, step_c },
	{ 0, NULL },
};
static const struct procedure_desc plain = { .name = "plain",
					     .steps = plain_steps,
					     .end = end };

static const struct step failing_steps[] = {
	{ POINT_NONE, step_a },
	{ POINT_NONE, step_failing },
	{ POINT_NONE, step_b },
	{ POINT_NONE, step_c },
	{ 0, NULL },
};
static const struct procedure_desc failing = {
	.name = "failing", .steps = failing_steps, .cleanup = 3, .end = end
};

static const struct step done_steps[] = {
	{ POINT_NONE, step_done },
	{ POINT_NONE, step_c },
	{ 0, NULL },
};
static const struct procedure_desc done = { .name = "done",
					    .steps = done_steps,
					    .end = end };

static const struct step outer_steps[] = {
	{ POINT_NONE, step_inner },
	{ POINT_NONE, step_c },
	{ 0, NULL },
};
static const struct procedure_desc outer = { .name = "outer",
					     .steps = outer_steps,
					     .end = end };

static struct test *make(const struct procedure_desc *desc, const char *mark,
			 char *trace)
{
	struct test *t = procedure_new(&hv, desc, sizeof(*t));

	t->trace = trace;
	t->mark = mark;
	return t;
}

static void stop(void *arg)
{
	loop_stop(arg, 0);
}

static void run_for(uint64_t ns)
{
	struct loop_timer timer = { 0 };

	loop_timer_in(program.loop, &timer, ns, stop, program.loop);
	loop_run(program.loop);
}

/* A long time, on a computer that has nothing else to do. */
#define PATIENCE_MS 30000u

/* Until the trace is this, and nothing is added to it. */
static void await(const char *trace, const char *wanted)
{
	unsigned ms;

	for (ms = 0; strcmp(trace, wanted) != 0 && ms < PATIENCE_MS; ms++)
		run_for(NS_PER_MS);
	run_for(2 * NS_PER_MS);
	CHECK_STR(trace, wanted);
}

static void await_hold(const struct test *t)
{
	unsigned ms;

	for (ms = 0; !t->p.hold.points && ms < PATIENCE_MS; ms++)
		run_for(NS_PER_MS);
	CHECK(t->p.hold.points);
}

static void setup(void)
{
	memset(&program, 0, sizeof(program));
	CHECK_INT(loop_new(&program.loop), 0);
	CHECK_INT(points_new(&program.points, hvmon_points, POINT_N, NULL), 0);
	memset(&hv, 0, sizeof(hv));
	hv.program = &program;
	procedure_queue_init(&hv.queue);
}

static void teardown(void)
{
	procedure_queue_fini(&hv.queue);
	points_free(program.points);
	loop_free(program.loop);
}

static void test_order(void)
{
	char trace[64] = "";

	setup();
	procedure_start(&make(&plain, "", trace)->p, 0);
	CHECK_STR(trace, "a"); /* b waits for what a began */
	await(trace, "abbbc.");
	teardown();
}

static void test_failure(void)
{
	char trace[64] = "";

	setup();
	procedure_start(&make(&failing, "", trace)->p, 0);
	procedure_start(&make(&done, "", trace)->p, 0);
	await(trace, "ad.fcbroken 1");
	teardown();
}

static void test_inner(void)
{
	char trace[64] = "", broken[64] = "";
	struct test *t;

	setup();
	t = make(&outer, "", trace);
	t->inner = &plain;
	procedure_start(&t->p, 0);
	await(trace, "(abbbc.c.");
	t = make(&outer, "", broken);
	t->inner = &failing;
	procedure_start(&t->p, 0);
	await(broken, "(afcbroken 1broken 1");
	teardown();
}

/* The first two want lane 0, the third lanes 0 and 1, the fourth lane 1. */
static void test_lanes(void)
{
	char trace[128] = "";

	setup();
	procedure_start(&make(&plain, "1", trace)->p, 1);
	procedure_start(&make(&plain, "2", trace)->p, 1);
	procedure_start(&make(&plain, "3", trace)->p, 3);
	procedure_start(&make(&done, "4", trace)->p, 2);
	procedure_start(&make(&done, "5", trace)->p, 4);
	await(trace, "1a5d5.1b1b1b1c1.2a2b2b2b2c2."
		     "3a3b3b3b3c3.4d4.");
	teardown();
}

static void test_points(void)
{
	char held[64] = "", failed[64] = "";
	struct complaint c;
	struct test *t;

	setup();
	CHECK_INT(points_arm(program.points, "reset.a115=hold", &c), 0);
	t = make(&plain, "", held);
	procedure_start(&t->p, 1);
	procedure_start(&make(&done, "2", held)->p, 1);
	await_hold(t);
	await(held, "a");
	CHECK_INT(points_release(program.points, "reset.a115"), 1);
	await(held, "abbbc.2d2.");
	CHECK_INT(points_arm(program.points, "reset.a115=fail", &c), 0);
	procedure_start(&make(&plain, "", failed)->p, 0);
	await(failed, "amade to fail at reset.a115");
	teardown();
}

/* A device that goes away ends what is about it, held or not. */
static void test_device(void)
{
	static struct device device = { .name = "nic0" };
	char trace[64] = "";
	struct complaint c;
	struct test *t;

	setup();
	CHECK_INT(points_arm(program.points, "reset.a115=hold", &c), 0);
	t = make(&plain, "", trace);
	procedure_about(&t->p, &device);
	CHECK_STR(t->p.function, "nic0/pf0");
	procedure_start(&t->p, 1);
	await_hold(t);
	device.generation++;
	CHECK_INT(points_release(program.points, NULL), 1);
	await(trace, "anic0 went away");
	teardown();
}

static const struct unit_case cases[] = {
	{ "order", test_order },
	{ "failure", test_failure },
	{ "inner", test_inner },
	{ "lanes", test_lanes },
	{ "points", test_points },
	{ "device", test_device },
	{ NULL },
};

const struct unit_suite procedure_suite = { "procedure", cases };
