/* level2_adopt.c - what a former level 2 left: its record is checked row by row,
 * and what it was in the middle of is taken down.
 *
 * The guests' accesses that it did not answer come again, so nothing is ended
 * here that was half done, but for a handle that the adapter gave and that is
 * in no row: it would never be freed.  Only the window tells it, until the next
 * verb.
 */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"

struct adopt {
	struct procedure p;
	struct level2 *l;
	struct level2_answer ignored;
	unsigned kept, ended;
};

static struct level2 *level2_of(struct procedure *p)
{
	return ((struct adopt *)p)->l;
}

/* Rows are kept or taken down, with their handles. */
static bool is_in_row(const struct level2 *l, uint64_t handle)
{
	uint32_t i;

	for (i = 0; i < l->tables.geqa_n; i++)
		if ((l->rows.cq[i].use != LEVEL2_FREE &&
		     l->rows.cq[i].use != LEVEL2_RESTING &&
		     l->rows.cq[i].handle == handle) ||
		    (l->rows.qp[i].use != LEVEL2_FREE &&
		     l->rows.qp[i].handle == handle))
			return true;
	for (i = 0; i < DEMUX_HOST_N; i++)
		if (l->tables.record->host[i].eq == handle)
			return true;
	return false;
}

bool step_level2_free_unknown(struct procedure *p, struct level2 *l,
			      struct level2_last *last)
{
	uint64_t handle = last->answer.result;

	if ((last->verb & 0xff) != HCA_ALLOCATE || last->answer.status ||
	    !handle || is_in_row(l, handle))
		return false;
	step_level2_verb(p, l, HCA_FREE, 0, (uint32_t)handle, 0, &last->answer);
	return true;
}

static bool is_kept(const struct level2 *l, uint32_t guest, uint32_t use)
{
	return use == LEVEL2_READY && guest < l->n_guests;
}

static void free_handle(struct adopt *a, uint64_t handle)
{
	a->ended++;
	step_level2_verb(&a->p, a->l, HCA_FREE, 0, (uint32_t)handle, 0,
			 &a->ignored);
}

static void adopt_eqs(struct adopt *a)
{
	struct level2 *l = a->l;
	struct level2_eq *eq;
	uint32_t i;

	for (i = 0; i < l->tables.geqcb_n; i++) {
		eq = &l->rows.eq[i];
		eq->refs = 0;
		if (eq->use == LEVEL2_FREE)
			continue;
		if (is_kept(l, eq->guest, eq->use) &&
		    (atomic_load(&l->tables.geqcb[i].generation) & 1))
			a->kept++;
		else
			level2_geqcb_free(l, i);
	}
}

/* A handle of a GEQCB as it stands there, or 0. */
static uint64_t check_eq(struct level2 *l, uint64_t geqcb)
{
	return demux_geqcb(&l->tables, geqcb) ? geqcb : 0;
}

static void adopt_cqs(struct adopt *a)
{
	struct level2 *l = a->l;
	struct demux_geqa *geqa;
	struct level2_cq *cq;
	uint64_t eq;
	uint32_t i;

	for (i = 0; i < l->tables.geqa_n; i++) {
		cq = &l->rows.cq[i];
		geqa = &l->tables.geqa[i];
		if (cq->use == LEVEL2_FREE)
			continue;
		if (is_kept(l, cq->guest, cq->use) &&
		    (atomic_load(&geqa->generation) & 1)) {
			a->kept++;
			level2_index(l, LEVEL2_CQ, i);
			eq = check_eq(l, atomic_load(&geqa->geqcb));
			if (eq)
				l->rows.eq[demux_index(eq)].refs++;
			else
				atomic_store(&geqa->geqcb, 0);
			continue;
		}
		if (cq->use != LEVEL2_RESTING)
			free_handle(a, cq->handle);
		atomic_store(&geqa->geqcb, 0); /* refs are counted anew */
		level2_geqa_free(l, i);
	}
}

static void adopt_qps(struct adopt *a)
{
	struct level2 *l = a->l;
	struct level2_qp *qp;
	uint64_t eq;
	uint32_t i;

	for (i = 0; i < l->tables.geqa_n; i++) {
		qp = &l->rows.qp[i];
		if (qp->use == LEVEL2_FREE)
			continue;
		if (!is_kept(l, qp->guest, qp->use)) {
			free_handle(a, qp->handle);
			qp->use = LEVEL2_FREE;
			continue;
		}
		a->kept++;
		level2_index(l, LEVEL2_QP, i);
		eq = check_eq(l, qp->geqcb);
		qp->geqcb = 0;
		level2_name_eq(l, &qp->geqcb, eq);
	}
}

static void adopt_guests(struct level2 *l)
{
	struct level2_guest_row *row;
	uint64_t eq;
	unsigned i;

	for (i = 0; i < l->n_guests; i++) {
		row = &l->rows.guest[i];
		eq = check_eq(l, row->geqcb);
		row->geqcb = 0;
		level2_name_eq(l, &row->geqcb, eq);
	}
}

static int adopt_rows(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;

	adopt_eqs(a);
	adopt_qps(a);
	adopt_cqs(a);
	adopt_guests(a->l);
	return STEP_NEXT;
}

/* Host queues that were not finished are made anew; those of them that run
 * already would be the partition's EVENT_QUEUE, so that is let go first. */
static int adopt_rest(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;
	struct level2 *l = level2_of(p);
	unsigned i;

	if (!l->rows.record->host_made) {
		step_level2_verb(p, l, HCA_STORE, HCA_EVENT_QUEUE, 0, 0,
				 &a->ignored);
		for (i = 0; i < DEMUX_HOST_N; i++)
			if (l->tables.record->host[i].eq)
				free_handle(a, l->tables.record->host[i].eq);
		memset(l->tables.record->host, 0,
		       sizeof(l->tables.record->host));
	}
	if (l->rows.record->host_made)
		level2_events_start(l);
	return STEP_NEXT;
}

static void adopt_end(struct procedure *p)
{
	struct adopt *a = (struct adopt *)p;

	event(p->hv->program->log, "level2.adopted", "s:i, s:i, s:s*", "kept",
	      (int)a->kept, "ended", (int)a->ended, "why",
	      p->err ? p->why : NULL);
}

static const struct step adopt_steps[] = {
	{ POINT_LEVEL2_ADOPT, adopt_rows },
	{ POINT_NONE, adopt_rest },
	{ 0, NULL },
};

static const struct procedure_desc adopt_desc = {
	.name = "adopt guests",
	.steps = adopt_steps,
	.end = adopt_end,
};

void step_level2_adopt(struct procedure *p, struct level2 *l, unsigned ended)
{
	struct adopt *a = procedure_new(l->hv, &adopt_desc, sizeof(*a));

	a->l = l;
	a->ended = ended;
	procedure_call(p, &a->p);
}
