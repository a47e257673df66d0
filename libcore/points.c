/* points.c - passing, arming, holding the numbered steps of procedures. */
#include <config.h>

#include "libcore/points.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/units.h"

enum action {
	ACTION_OFF,
	ACTION_KILL,
	ACTION_STOP,
	ACTION_HOLD,
	ACTION_FAIL,
	ACTION_TRACE,
	ACTION_N
};

static const char *const action_names[] = {
	"off", "kill", "stop", "hold", "fail", "trace",
};
_Static_assert(sizeof(action_names) / sizeof(*action_names) == ACTION_N,
	       "one name an action");

#define COUNT_MAX 1000000000000ull

struct point_state {
	enum action action;
	bool traced;
	uint64_t left;   /* passes until the action, which is the last one */
	uint64_t passed; /* quiet points: only while armed or traced */
	unsigned held;
};

LIST_HEAD(hold_list, point_hold);

struct points {
	const struct point_desc *table;
	unsigned n;
	struct event_log *log;
	struct hold_list holds; /* newest first */
	bool any;               /* one of them is armed or traced */
	struct point_state state[];
};

int points_new(struct points **points, const struct point_desc *table,
	       unsigned n, struct event_log *log)
{
	struct points *p;

	p = calloc(1, sizeof(*p) + n * sizeof(p->state[0]));
	if (!p)
		return -ENOMEM;
	p->table = table;
	p->n = n;
	p->log = log;
	LIST_INIT(&p->holds);
	*points = p;
	return 0;
}

void points_free(struct points *points)
{
	struct point_hold *hold;

	if (!points)
		return;
	while ((hold = LIST_FIRST(&points->holds)))
		point_hold_cancel(hold);
	free(points);
}

static int find_point(const struct points *points, const char *name,
		      size_t size)
{
	unsigned i;

	for (i = 0; i < points->n; i++)
		if (strlen(points->table[i].name) == size &&
		    !memcmp(points->table[i].name, name, size))
			return (int)i;
	return -ENOENT;
}

static int find_action(const char *name, size_t size)
{
	int i;

	for (i = 0; i < ACTION_N; i++)
		if (strlen(action_names[i]) == size &&
		    !memcmp(action_names[i], name, size))
			return i;
	return -ENOENT;
}

static void set_action(struct point_state *s, enum action action, uint64_t nth)
{
	if (action == ACTION_TRACE) {
		s->traced = true;
		return;
	}
	if (action == ACTION_OFF)
		s->traced = false;
	s->action = action;
	s->left = nth;
}

static bool is_busy(const struct point_state *s)
{
	return s->traced || s->action != ACTION_OFF;
}

/* What follows '=': ACTION[:NTH]. */
static int parse_action(const char *text, enum action *action, uint64_t *nth,
			struct complaint *c)
{
	size_t size = strcspn(text, ":");
	int i = find_action(text, size);
	int err;

	if (i < 0)
		return complain(c, EINVAL,
				"no action '%.*s' (kill, stop, hold, fail, "
				"trace or off)",
				(int)size, text);
	*action = (enum action)i;
	*nth = 1;
	if (!text[size])
		return 0;
	if (*action == ACTION_OFF || *action == ACTION_TRACE)
		return complain(c, EINVAL, "'%s' takes no count", text);
	err = units_number(text + size + 1, 1, COUNT_MAX, nth, c);
	if (err < 0)
		return complain_at(c, -EINVAL, "count of '%s'", text);
	return 0;
}

static void note_armed(struct points *points)
{
	unsigned i;

	points->any = false;
	for (i = 0; i < points->n; i++)
		points->any |= is_busy(&points->state[i]);
}

bool points_any_armed(const struct points *points)
{
	return points->any;
}

int points_arm(struct points *points, const char *text, struct complaint *c)
{
	size_t size = strcspn(text, "=");
	enum action action = ACTION_OFF;
	uint64_t nth = 0;
	int i, err;

	if (!text[size])
		return complain(c, EINVAL, "'%s' is not POINT=ACTION[:NTH]",
				text);
	i = find_point(points, text, size);
	if (i < 0)
		return complain(c, EINVAL,
				"no point '%.*s' (see --list-points)",
				(int)size, text);
	err = parse_action(text + size + 1, &action, &nth, c);
	if (err < 0)
		return complain_at(c, err, "%s", points->table[i].name);
	if (action == ACTION_HOLD && points->table[i].quiet)
		return complain(c, EINVAL, "%s cannot be held",
				points->table[i].name);
	set_action(&points->state[i], action, nth);
	note_armed(points);
	return 0;
}

bool point_armed(const struct points *points, unsigned index)
{
	return is_busy(&points->state[index]);
}

/* Count one pass; the action that is due now. */
static enum action take_action(struct point_state *s)
{
	enum action action = s->action;

	s->passed++;
	if (action == ACTION_OFF || --s->left)
		return ACTION_OFF;
	s->action = ACTION_OFF;
	return action;
}

static void hold_here(struct points *points, unsigned index,
		      struct point_hold *hold, loop_fn *resume, void *arg)
{
	hold->points = points;
	hold->resume = resume;
	hold->arg = arg;
	hold->index = index;
	LIST_INSERT_HEAD(&points->holds, hold, entry);
	points->state[index].held++;
}

static enum point_verdict act(struct points *points, unsigned index,
			      enum action action, struct point_hold *hold,
			      loop_fn *resume, void *arg)
{
	switch (action) {
	case ACTION_KILL:
		raise(SIGKILL);
		break;
	case ACTION_STOP:
		raise(SIGSTOP);
		break;
	case ACTION_HOLD:
		if (!hold)
			break;
		if (!hold->points)
			hold_here(points, index, hold, resume, arg);
		return POINT_HELD;
	case ACTION_FAIL:
		return POINT_FAIL;
	case ACTION_OFF:
	case ACTION_TRACE:
	case ACTION_N:
		break;
	}
	return POINT_GO;
}

enum point_verdict point(struct points *points, unsigned index,
			 struct point_hold *hold, loop_fn *resume, void *arg,
			 const char *fmt, ...)
{
	const struct point_desc *desc = &points->table[index];
	struct point_state *s = &points->state[index];
	enum action action;
	bool told;
	va_list ap;

	told = !desc->quiet || s->traced;
	action = take_action(s);
	if (action != ACTION_OFF)
		note_armed(points);
	if (told || action != ACTION_OFF) {
		va_start(ap, fmt);
		vevent(points->log, desc->name, fmt, ap);
		va_end(ap);
	}
	if (action == ACTION_OFF)
		return POINT_GO;
	/* Written before the action, which may be the end of us. */
	event(points->log, "point", "s:s, s:s, s:b", "point", desc->name,
	      "action", action_names[action], "possible",
	      action != ACTION_HOLD || hold);
	return act(points, index, action, hold, resume, arg);
}

void point_hold_cancel(struct point_hold *hold)
{
	if (!hold->points)
		return;
	LIST_REMOVE(hold, entry);
	hold->points->state[hold->index].held--;
	hold->points = NULL;
}

/* What is released may be held again at once, so the holds to release are
 * taken out of the way first; resuming one may cancel another. */
unsigned points_release(struct points *points, const char *name)
{
	struct hold_list released = LIST_HEAD_INITIALIZER(released);
	struct point_hold *hold, *next;
	unsigned n = 0;

	LIST_FOREACH_SAFE (hold, &points->holds, entry, next) {
		if (name && strcmp(points->table[hold->index].name, name))
			continue;
		LIST_REMOVE(hold, entry);
		LIST_INSERT_HEAD(&released, hold, entry);
	}
	while ((hold = LIST_FIRST(&released))) {
		point_hold_cancel(hold);
		n++;
		hold->resume(hold->arg);
	}
	return n;
}

static json_t *armed_to_json(const struct point_state *s)
{
	if (s->action != ACTION_OFF)
		return json_sprintf("%s:%llu", action_names[s->action],
				    (unsigned long long)s->left);
	return s->traced ? json_string("trace") : json_null();
}

json_t *points_to_json(const struct points *points)
{
	const struct point_state *s;
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < points->n; i++) {
		s = &points->state[i];
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:o, s:i, s:I}", "point",
					 points->table[i].name, "what",
					 points->table[i].what, "armed",
					 armed_to_json(s), "held", (int)s->held,
					 "passed", (json_int_t)s->passed));
	}
	return array;
}
