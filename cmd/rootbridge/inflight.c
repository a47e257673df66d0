/* inflight.c - the in-flight operation list (spec 01, figs. 18 and 19). */
#include <config.h>

#include "cmd/rootbridge/inflight.h"

static const char *const state_names[] = {
	[OPERATION_NEW] = "new",       [OPERATION_TRAPPED] = "trapped",
	[OPERATION_PARKED] = "parked", [OPERATION_WAITING] = "waiting",
	[OPERATION_HELD] = "held",     [OPERATION_SENT] = "sent",
	[OPERATION_LOST] = "lost",     [OPERATION_DROPPED] = "dropped",
	[OPERATION_ORPHAN] = "orphan", [OPERATION_ENDING] = "ending",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) ==
		       OPERATION_STATE_N,
	       "a name for each state");

void inflight_init(struct inflight *list)
{
	TAILQ_INIT(&list->rows);
	list->n = 0;
}

void inflight_add(struct inflight *list, struct operation *op)
{
	TAILQ_INSERT_TAIL(&list->rows, op, inflight);
	list->n++;
}

void inflight_del(struct inflight *list, struct operation *op)
{
	TAILQ_REMOVE(&list->rows, op, inflight);
	list->n--;
}

struct operation *inflight_find(struct inflight *list, uint16_t id)
{
	struct operation *op;

	TAILQ_FOREACH (op, &list->rows, inflight)
		if (op->id == id)
			return op;
	return NULL;
}

struct operation *inflight_oldest(struct inflight *list, bool skip_held)
{
	struct operation *op;

	TAILQ_FOREACH (op, &list->rows, inflight)
		if (!skip_held || op->state != OPERATION_HELD)
			return op;
	return NULL;
}

const char *operation_state_name(const struct operation *op)
{
	return state_names[op->state];
}
