/* stop_reasons.c - the set of reasons, and the table of what follows. */
#include <config.h>

#include "cmd/bmc/stop_reasons.h"

#include <errno.h>
#include <string.h>

struct step {
	enum stop_state next;
	enum stop_action action;
};

static const struct step steps[STOP_STATE_N][STOP_EVENT_N] = {
	[STOP_RUNNING] = {
		[STOP_WANT] = { STOP_STOPPING, STOP_SEND_STOP },
		[STOP_UNWANT] = { STOP_RUNNING, STOP_NOTHING },
		[STOP_THAW] = { STOP_RUNNING, STOP_NOTHING },
		[STOP_SAW_STOPPED] = { STOP_FOREIGN, STOP_WAS_FROZEN },
		[STOP_SAW_CONTINUED] = { STOP_RUNNING, STOP_NOTHING },
		[STOP_ASKED] = { STOP_BOTH, STOP_NOTHING },
	},
	/* A SIGCONT now could overtake the stop: it has to be seen first. */
	[STOP_STOPPING] = {
		[STOP_WANT] = { STOP_STOPPING, STOP_NOTHING },
		[STOP_UNWANT] = { STOP_STOPPING, STOP_NOTHING },
		[STOP_THAW] = { STOP_STOPPING, STOP_NOTHING },
		[STOP_SAW_STOPPED] = { STOP_STOPPED, STOP_NOTHING },
		[STOP_SAW_CONTINUED] = { STOP_STOPPING, STOP_SEND_STOP },
		[STOP_ASKED] = { STOP_BOTH, STOP_NOTHING },
	},
	[STOP_STOPPED] = {
		[STOP_WANT] = { STOP_STOPPED, STOP_NOTHING },
		[STOP_UNWANT] = { STOP_CONTINUING, STOP_SEND_CONT },
		[STOP_THAW] = { STOP_CONTINUING, STOP_SEND_CONT },
		[STOP_SAW_STOPPED] = { STOP_STOPPED, STOP_NOTHING },
		[STOP_SAW_CONTINUED] = { STOP_STOPPING, STOP_SEND_STOP },
		/* The kernel tells nobody of a second stop. */
		[STOP_ASKED] = { STOP_FOREIGN, STOP_WAS_FROZEN },
	},
	[STOP_CONTINUING] = {
		[STOP_WANT] = { STOP_CONTINUING, STOP_NOTHING },
		[STOP_UNWANT] = { STOP_CONTINUING, STOP_NOTHING },
		[STOP_THAW] = { STOP_CONTINUING, STOP_NOTHING },
		[STOP_SAW_STOPPED] = { STOP_FOREIGN, STOP_WAS_FROZEN },
		[STOP_SAW_CONTINUED] = { STOP_RUNNING, STOP_NOTHING },
		[STOP_ASKED] = { STOP_BOTH, STOP_NOTHING },
	},
	/* Ours or not, it is stopped: who wants that has it already. */
	[STOP_FOREIGN] = {
		[STOP_WANT] = { STOP_FOREIGN, STOP_NOTHING },
		[STOP_UNWANT] = { STOP_FOREIGN, STOP_NOTHING },
		[STOP_THAW] = { STOP_CONTINUING, STOP_SEND_CONT },
		[STOP_SAW_STOPPED] = { STOP_FOREIGN, STOP_NOTHING },
		[STOP_SAW_CONTINUED] = { STOP_RUNNING, STOP_WENT_ON },
		[STOP_ASKED] = { STOP_FOREIGN, STOP_NOTHING },
	},
	[STOP_BOTH] = {
		[STOP_WANT] = { STOP_BOTH, STOP_NOTHING },
		[STOP_UNWANT] = { STOP_BOTH, STOP_NOTHING },
		[STOP_THAW] = { STOP_BOTH, STOP_NOTHING },
		[STOP_SAW_STOPPED] = { STOP_FOREIGN, STOP_WAS_FROZEN },
		/* By us, before. */
		[STOP_SAW_CONTINUED] = { STOP_BOTH, STOP_SEND_STOP },
		[STOP_ASKED] = { STOP_BOTH, STOP_NOTHING },
	},
};

enum stop_action stop_step(struct stop_reasons *s, enum stop_event ev)
{
	const struct step *step = &steps[s->state][ev];

	s->state = step->next;
	return step->action;
}

enum stop_action stop_settle(struct stop_reasons *s)
{
	if (s->state == STOP_RUNNING && s->n)
		return stop_step(s, STOP_WANT);
	if (s->state == STOP_STOPPED && !s->n)
		return stop_step(s, STOP_UNWANT);
	return STOP_NOTHING;
}

static struct stop_reason *find(struct stop_reasons *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (!strcmp(s->reason[i].name, name))
			return &s->reason[i];
	return NULL;
}

int stop_add(struct stop_reasons *s, const char *name, pid_t holder)
{
	size_t size = strlen(name);

	if (!size || size >= STOP_REASON_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size ||
	    !strcmp(name, "other"))
		return -EINVAL;
	if (find(s, name))
		return 0;
	if (s->n == STOP_REASONS)
		return -ENOSPC;
	memcpy(s->reason[s->n].name, name, size + 1);
	s->reason[s->n++].holder = holder;
	return 0;
}

static void remove_at(struct stop_reasons *s, unsigned i)
{
	memmove(&s->reason[i], &s->reason[i + 1],
		(--s->n - i) * sizeof(s->reason[0]));
}

bool stop_remove(struct stop_reasons *s, const char *name)
{
	struct stop_reason *r = find(s, name);

	if (!r)
		return false;
	remove_at(s, (unsigned)(r - s->reason));
	return true;
}

bool stop_drop_holder(struct stop_reasons *s, pid_t holder)
{
	unsigned i = 0, before = s->n;

	while (i < s->n) {
		if (s->reason[i].holder == holder)
			remove_at(s, i);
		else
			i++;
	}
	return s->n != before;
}

void stop_clear(struct stop_reasons *s)
{
	memset(s, 0, sizeof(*s));
}

json_t *stop_to_json(const struct stop_reasons *s)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < s->n; i++)
		json_array_append_new(array, json_string(s->reason[i].name));
	if (s->state == STOP_FOREIGN)
		json_array_append_new(array, json_string("other"));
	return array;
}
