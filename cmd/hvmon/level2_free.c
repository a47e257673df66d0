/* level2_free.c - all that a guest has is freed. */
#include <config.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"

struct free_all {
	struct procedure p;
	struct level2_guest *guest;
};

static int free_qps(struct procedure *p)
{
	struct level2_guest *guest = ((struct free_all *)p)->guest;
	static struct level2_answer ignored;
	struct level2 *l = guest->l;
	struct level2_qp *qp;
	uint32_t i;

	for (i = 0; i < l->tables.geqa_n; i++) {
		qp = &l->rows.qp[i];
		if (qp->use == LEVEL2_FREE || qp->guest != guest->index)
			continue;
		step_level2_verb(p, l, HCA_FREE, 0, qp->handle, 0, &ignored);
		level2_row_free(l, false, i);
	}
	return STEP_NEXT;
}

static int free_cqs(struct procedure *p)
{
	struct level2_guest *guest = ((struct free_all *)p)->guest;
	static struct level2_answer ignored;
	struct level2 *l = guest->l;
	struct level2_cq *cq;
	uint32_t i;

	for (i = 0; i < l->tables.geqa_n; i++) {
		cq = &l->rows.cq[i];
		if (cq->use == LEVEL2_FREE || cq->use == LEVEL2_RESTING ||
		    cq->guest != guest->index)
			continue;
		step_level2_verb(p, l, HCA_FREE, 0, cq->handle, 0, &ignored);
		level2_row_free(l, true, i);
	}
	return STEP_NEXT;
}

static int free_eqs(struct procedure *p)
{
	struct level2_guest *guest = ((struct free_all *)p)->guest;
	struct level2 *l = guest->l;
	uint32_t i;

	level2_name_eq(l, &guest->row->geqcb, 0);
	for (i = 0; i < l->tables.geqcb_n; i++)
		if (l->rows.eq[i].use != LEVEL2_FREE &&
		    l->rows.eq[i].use != LEVEL2_RESTING &&
		    l->rows.eq[i].guest == guest->index)
			level2_geqcb_free(l, i);
	return STEP_NEXT;
}

static const struct step free_all_steps[] = {
	{ POINT_NONE, free_qps },
	{ POINT_NONE, free_cqs },
	{ POINT_NONE, free_eqs },
	{ 0, NULL },
};

static const struct procedure_desc free_all_desc = {
	.name = "free all",
	.steps = free_all_steps,
};

void step_level2_free_all(struct procedure *p, struct level2_guest *guest)
{
	struct free_all *all =
		procedure_new(guest->l->hv, &free_all_desc, sizeof(*all));

	all->guest = guest;
	procedure_call(p, &all->p);
}
