/* points_test.c - arming, counting, holding and releasing points; parts. */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/parts.h"
#include "libcore/points.h"
#include "t/unit/unit.h"

enum {
	ONE,
	TWO,
	QUIET
};

static const struct point_desc table[] = {
	[ONE] = { "proc.a1", "the first", false },
	[TWO] = { "proc.a2", "the second", false },
	[QUIET] = { "data.a3", "on the data path", true },
};

static struct points *new_points(void)
{
	struct points *points = NULL;

	CHECK_INT(points_new(&points, table, 3, NULL), 0);
	return points;
}

static enum point_verdict pass(struct points *points, unsigned index)
{
	return point(points, index, NULL, NULL, NULL, NULL);
}

static void refused(const char *text, const char *part)
{
	struct points *points = new_points();
	struct complaint c = { "" };

	CHECK_INT(points_arm(points, text, &c), -EINVAL);
	CHECK_HAS(c.text, part);
	points_free(points);
}

static void test_grammar(void)
{
	struct points *points = new_points();

	CHECK_INT(points_arm(points, "proc.a1=fail", NULL), 0);
	CHECK_INT(points_arm(points, "proc.a1=fail:3", NULL), 0);
	CHECK_INT(points_arm(points, "proc.a1=kill:1", NULL), 0);
	CHECK_INT(points_arm(points, "proc.a1=off", NULL), 0);
	CHECK_INT(points_arm(points, "data.a3=trace", NULL), 0);
	points_free(points);
	refused("proc.a1", "POINT=ACTION");
	refused("proc.a9=kill", "proc.a9");
	refused("proc.a1=explode", "explode");
	refused("proc.a1=", "no action ''");
	refused("proc.a1=fail:0", "0");
	refused("proc.a1=fail:-1", "-1");
	refused("proc.a1=fail:x", "'x'");
	refused("proc.a1=fail:", "fail:");
	refused("proc.a1=off:2", "no count");
	refused("proc.a1=trace:2", "no count");
	refused("data.a3=hold", "cannot be held");
	refused("", "POINT=ACTION");
}

static void test_nth(void)
{
	struct points *points = new_points();
	unsigned i;

	CHECK_INT(pass(points, ONE), POINT_GO);
	CHECK_INT(points_arm(points, "proc.a1=fail:3", NULL), 0);
	for (i = 1; i <= 6; i++)
		CHECK_INT(pass(points, ONE), i == 3 ? POINT_FAIL : POINT_GO);
	CHECK_INT(points_arm(points, "proc.a1=fail", NULL), 0);
	CHECK_INT(pass(points, TWO), POINT_GO);
	CHECK_INT(points_arm(points, "proc.a1=off", NULL), 0);
	CHECK_INT(pass(points, ONE), POINT_GO);
	points_free(points);
}

static void test_armed(void)
{
	struct points *points = new_points();

	CHECK(!point_armed(points, QUIET));
	CHECK(!points_any_armed(points));
	CHECK_INT(points_arm(points, "data.a3=fail:2", NULL), 0);
	CHECK(point_armed(points, QUIET));
	CHECK(points_any_armed(points));
	CHECK_INT(pass(points, QUIET), POINT_GO);
	CHECK_INT(pass(points, QUIET), POINT_FAIL);
	CHECK(!point_armed(points, QUIET));
	CHECK(!points_any_armed(points));
	CHECK_INT(points_arm(points, "data.a3=trace", NULL), 0);
	CHECK_INT(pass(points, QUIET), POINT_GO);
	CHECK(point_armed(points, QUIET));
	CHECK(points_any_armed(points));
	CHECK_INT(points_arm(points, "data.a3=off", NULL), 0);
	CHECK(!point_armed(points, QUIET));
	CHECK(!points_any_armed(points));
	points_free(points);
}

static void note(void *arg)
{
	*(unsigned *)arg += 1;
}

static void test_hold(void)
{
	struct points *points = new_points();
	struct point_hold hold[2] = { { 0 } };
	unsigned resumed = 0;
	json_t *json;

	CHECK_INT(points_arm(points, "proc.a1=hold", NULL), 0);
	CHECK_INT(point(points, ONE, &hold[0], note, &resumed, NULL),
		  POINT_HELD);
	CHECK_INT(point(points, ONE, &hold[1], note, &resumed, NULL), POINT_GO);
	CHECK_INT(points_arm(points, "proc.a2=hold", NULL), 0);
	CHECK_INT(point(points, TWO, &hold[1], note, &resumed, NULL),
		  POINT_HELD);
	json = points_to_json(points);
	CHECK_INT(json_integer_value(
			  json_object_get(json_array_get(json, ONE), "held")),
		  1);
	CHECK_INT(json_integer_value(
			  json_object_get(json_array_get(json, ONE), "passed")),
		  2);
	json_decref(json);
	CHECK_INT(points_release(points, "proc.a1"), 1);
	CHECK_INT(resumed, 1);
	CHECK(!hold[0].points);
	CHECK_INT(points_release(points, NULL), 1);
	CHECK_INT(resumed, 2);
	CHECK_INT(points_release(points, NULL), 0);
	points_free(points);
}

struct again {
	struct points *points;
	struct point_hold hold;
	struct point_hold *other;
	unsigned resumed;
};

/* Runs into the same point again, and ends another procedure. */
static void resume_again(void *arg)
{
	struct again *a = arg;

	a->resumed++;
	point_hold_cancel(a->other);
	CHECK_INT(points_arm(a->points, "proc.a1=hold", NULL), 0);
	CHECK_INT(point(a->points, ONE, &a->hold, resume_again, a, NULL),
		  POINT_HELD);
}

static void test_hold_again(void)
{
	struct points *points = new_points();
	struct point_hold other = { 0 };
	struct again a = { .points = points, .other = &other };

	CHECK_INT(points_arm(points, "proc.a1=hold", NULL), 0);
	CHECK_INT(point(points, ONE, &a.hold, resume_again, &a, NULL),
		  POINT_HELD);
	CHECK_INT(points_arm(points, "proc.a2=hold", NULL), 0);
	CHECK_INT(point(points, TWO, &other, note, &a.resumed, NULL),
		  POINT_HELD);
	CHECK_INT(points_release(points, NULL), 1);
	CHECK_INT(a.resumed, 1);
	CHECK(a.hold.points == points);
	CHECK(!other.points);
	points_free(points);
	CHECK(!a.hold.points);
}

/* A point without a procedure to hold goes on. */
static void test_no_hold(void)
{
	struct points *points = new_points();

	CHECK_INT(points_arm(points, "proc.a1=hold", NULL), 0);
	CHECK_INT(pass(points, ONE), POINT_GO);
	points_free(points);
}

static void test_signals(void)
{
	struct points *points = new_points();
	int status = 0;
	pid_t pid;

	fflush(stdout);
	CHECK_INT(points_arm(points, "proc.a1=stop", NULL), 0);
	CHECK_INT(points_arm(points, "proc.a2=kill:2", NULL), 0);
	pid = fork();
	if (!pid) {
		(void)!pass(points, ONE);
		(void)!pass(points, TWO);
		(void)!pass(points, TWO);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	points_free(points);
}

static void test_parts(void)
{
	static const struct part_desc descs[] = {
		{ "fence", "VFs are not fenced" },
		{ "barrier", "nobody waits" },
	};
	struct parts parts = { .table = descs, .n = 2 };
	struct complaint c = { "" };

	CHECK(part(&parts, 0) && part(&parts, 1));
	CHECK_INT(parts_leave_out(&parts, "barrier", &c), 0);
	CHECK(part(&parts, 0) && !part(&parts, 1));
	CHECK_INT(parts_leave_out(&parts, "brakes", &c), -EINVAL);
	CHECK_HAS(c.text, "'brakes'");
}

static const struct unit_case cases[] = {
	{ "grammar", test_grammar },
	{ "nth", test_nth },
	{ "armed", test_armed },
	{ "hold", test_hold },
	{ "hold_again", test_hold_again },
	{ "no_hold", test_no_hold },
	{ "signals", test_signals },
	{ "parts", test_parts },
	{ NULL },
};

const struct unit_suite points_suite = { "points", cases };
