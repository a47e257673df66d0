/* points.h - every numbered step of a procedure is a point.
 *
 * A program has one table of points.  Passing a point writes its event (quiet
 * points, those on the data path, only when traced) and then does what was
 * asked for it with --at or `iovctl at`:
 *
 *	POINT=ACTION[:NTH]	ACTION: kill | stop | hold | fail | trace
 *
 * The action happens the NTH time (default 1) from now, once; trace stays.
 */
#ifndef IOVKIT_POINTS_H
#define IOVKIT_POINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/event_log.h"
#include "libcore/loop.h"

struct point_desc {
	const char *name; /* "reset.a105" */
	const char *what; /* one line for --list-points */
	bool quiet;       /* on the data path: no event unless traced */
};

struct points;

/* `table` of n entries must outlive the points; index = enum of the
 * program. */
int points_new(struct points **points, const struct point_desc *table,
	       unsigned n, struct event_log *log)
	__attribute__((warn_unused_result));
void points_free(struct points *points);

/* Arm from text "reset.a105=kill:3"; "=off" disarms.  -EINVAL with *c: no
 * such point, no such action, bad count. */
int points_arm(struct points *points, const char *text, struct complaint *c)
	__attribute__((warn_unused_result));

enum point_verdict {
	POINT_GO,   /* carry on */
	POINT_HELD, /* stop here; resume(arg) is called on release */
	POINT_FAIL, /* behave as if this step had failed */
};

/* A procedure that can be held at a point; one per running procedure. */
struct point_hold {
	struct points *points; /* NULL while not held */
	loop_fn *resume;
	void *arg;
	unsigned index;
	LIST_ENTRY(point_hold) entry;
};

/* Pass point `index`.  `hold` may be NULL: the point cannot be held, and
 * "hold" on it is refused when armed if `table[index].quiet`, else passes
 * with an event.  fmt: further event members (see event()). */
enum point_verdict point(struct points *points, unsigned index,
			 struct point_hold *hold, loop_fn *resume, void *arg,
			 const char *fmt, ...)
	__attribute__((warn_unused_result));
/* A procedure that ends while held forgets the hold. */
void point_hold_cancel(struct point_hold *hold);
/* Whether the quiet point needs a call of point() (armed or traced); lets
 * the data path skip it for the price of one load. */
bool point_armed(const struct points *points, unsigned index);

/* Whether any point is armed or traced. */
bool points_any_armed(const struct points *points);

/* Let everything held at `name` (NULL: anywhere) go on; returns how many. */
unsigned points_release(struct points *points, const char *name);
/* [{"point":..,"what":..,"armed":..|null,"held":N,"passed":N}] */
json_t *points_to_json(const struct points *points);

#endif
