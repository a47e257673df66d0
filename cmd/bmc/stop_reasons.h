/* stop_reasons.h - why a process is stopped, and what to do about it.
 *
 * Theory of operation.  A process has a set of reasons {operator, schedule,
 * a105, ...}, each put there by somebody; it runs when the set is empty.  The
 * kernel tells of a stop or a continuation some time after it was asked for,
 * and a SIGCONT that overtakes the stop would leave nothing to wait for, so
 * only one of the two is under way at any time: stop_step() says for each
 * state and event what comes next, and stop_settle() what is still owed.
 * Somebody else (a shell, a debugger, the program itself at a point) may stop
 * a process too; that is shown, and left so until an operator thaws it.
 */
#ifndef BMC_STOP_REASONS_H
#define BMC_STOP_REASONS_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#define STOP_REASON_MAX 24 /* with the NUL */
#define STOP_REASONS    8

enum stop_state {
	STOP_RUNNING,
	STOP_STOPPING,   /* SIGSTOP sent, not yet seen to be stopped */
	STOP_STOPPED,    /* by us */
	STOP_CONTINUING, /* SIGCONT sent, not yet seen to go on */
	STOP_FOREIGN,    /* somebody else stopped it */
	STOP_BOTH,       /* as STOP_STOPPING, for somebody else as well */
	STOP_STATE_N
};

enum stop_event {
	STOP_WANT,          /* there is a reason */
	STOP_UNWANT,        /* there is none */
	STOP_THAW,          /* an operator thaws it, and there is none */
	STOP_SAW_STOPPED,   /* waitid says so */
	STOP_SAW_CONTINUED, /* likewise */
	STOP_ASKED,         /* SIGSTOP was sent for somebody else */
	STOP_EVENT_N
};

enum stop_action {
	STOP_NOTHING,
	STOP_SEND_STOP,
	STOP_SEND_CONT,
	STOP_WAS_FROZEN, /* by somebody else */
	STOP_WENT_ON,    /* somebody else continued it */
};

struct stop_reason {
	char name[STOP_REASON_MAX];
	pid_t holder; /* who asked; 0: nobody whose end matters */
};

struct stop_reasons {
	enum stop_state state;
	struct stop_reason reason[STOP_REASONS];
	unsigned n;
};

/* Add a reason; again is no error.  -EINVAL: no word, -ENOSPC: too many. */
int stop_add(struct stop_reasons *s, const char *name, pid_t holder)
	__attribute__((warn_unused_result));
/* Take a reason away; false when it was not there. */
bool stop_remove(struct stop_reasons *s, const char *name);
/* Take away what `holder` put there; whether anything was. */
bool stop_drop_holder(struct stop_reasons *s, pid_t holder);
/* The process is gone: no reasons, running. */
void stop_clear(struct stop_reasons *s);

/* Take an event and say what to do. */
enum stop_action stop_step(struct stop_reasons *s, enum stop_event ev);
/* What is still owed in the new state, given the reasons: call it after
 * stop_step(). */
enum stop_action stop_settle(struct stop_reasons *s);

/* Whether nothing is under way: requests are answered then, also those that
 * others have overtaken in the meantime. */
static inline bool stop_is_settled(const struct stop_reasons *s)
{
	return s->state != STOP_STOPPING && s->state != STOP_CONTINUING &&
	       s->state != STOP_BOTH;
}

static inline bool stop_is_frozen(const struct stop_reasons *s)
{
	return s->state == STOP_STOPPED || s->state == STOP_FOREIGN;
}

/* A new array of the reasons' names; one stopped by somebody else has
 * "other" among them. */
json_t *stop_to_json(const struct stop_reasons *s);

#endif
