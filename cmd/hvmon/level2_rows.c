/* level2_rows.c - rows of level 2's record: taken, found, freed. */
#include <config.h>

#include "cmd/hvmon/level2.h"

#define INDEX_MASK      ((1u << HCA_INDEX_BITS) - 1)
#define GENERATION_MASK ((1u << HCA_GENERATION_BITS) - 1)

static uint32_t *use_of(struct level2 *l, enum level2_kind kind, uint32_t i,
			uint32_t **busy)
{
	switch (kind) {
	case LEVEL2_CQ:
		*busy = &l->rows.cq[i].busy;
		return &l->rows.cq[i].use;
	case LEVEL2_EQ:
		*busy = &l->rows.eq[i].busy;
		return &l->rows.eq[i].use;
	case LEVEL2_QP:
		break;
	}
	*busy = NULL;
	return &l->rows.qp[i].use;
}

int level2_row_take(struct level2 *l, enum level2_kind kind)
{
	uint32_t n = kind == LEVEL2_EQ ? l->tables.geqcb_n : l->tables.geqa_n;
	uint32_t *next = kind == LEVEL2_CQ   ? &l->next_cq
			 : kind == LEVEL2_EQ ? &l->next_eq
					     : &l->next_qp;
	uint32_t k, i, *use, *busy;

	for (k = 0; k < n; k++) {
		i = (*next + k) % n;
		use = use_of(l, kind, i, &busy);
		if (*use != LEVEL2_FREE && (*use != LEVEL2_RESTING ||
					    !demux_settled(&l->tables, *busy)))
			continue;
		*next = i + 1;
		return (int)i;
	}
	return -1;
}

/* By the adapter's index. */

static uint32_t *place_of(struct level2 *l, uint32_t handle)
{
	uint32_t index = handle & INDEX_MASK;

	return handle >> 30 == HCA_CQ ? &l->cq_row[index] : &l->qp_row[index];
}

void level2_index(struct level2 *l, enum level2_kind kind, uint32_t row)
{
	*place_of(l, kind == LEVEL2_CQ ? l->rows.cq[row].handle
				       : l->rows.qp[row].handle) = row + 1;
}

void level2_unindex(struct level2 *l, uint32_t handle)
{
	*place_of(l, handle) = 0;
}

int level2_cq_of(const struct level2_guest *guest, uint64_t handle)
{
	const struct level2 *l = guest->l;
	uint32_t row;

	if (handle >> 30 != HCA_CQ)
		return -1;
	row = l->cq_row[handle & INDEX_MASK];
	if (!row || l->rows.cq[row - 1].handle != handle ||
	    l->rows.cq[row - 1].use != LEVEL2_READY ||
	    l->rows.cq[row - 1].guest != guest->index)
		return -1;
	return (int)row - 1;
}

int level2_qp_of(const struct level2_guest *guest, uint64_t handle)
{
	const struct level2 *l = guest->l;
	uint32_t row;

	if (handle >> 30 != HCA_QP)
		return -1;
	row = l->qp_row[handle & INDEX_MASK];
	if (!row || l->rows.qp[row - 1].handle != handle ||
	    l->rows.qp[row - 1].use != LEVEL2_READY ||
	    l->rows.qp[row - 1].guest != guest->index)
		return -1;
	return (int)row - 1;
}

/* EQs. */

uint64_t level2_eq_handle(const struct level2 *l, uint32_t row)
{
	return demux_handle(
		row, atomic_load_explicit(&l->tables.geqcb[row].generation,
					  memory_order_relaxed));
}

uint32_t level2_eq_number(const struct level2 *l, uint32_t row)
{
	uint32_t generation = demux_generation(level2_eq_handle(l, row)) / 2 &
			      GENERATION_MASK;

	return (uint32_t)HCA_EQ << 30 | generation << HCA_INDEX_BITS |
	       (HCA_EQ_MAX + row);
}

uint32_t level2_eq_number_of(const struct level2 *l, uint64_t geqcb)
{
	return geqcb ? level2_eq_number(l, demux_index(geqcb)) : 0;
}

int level2_eq_of(const struct level2_guest *guest, uint64_t number)
{
	const struct level2 *l = guest->l;
	uint32_t row = (uint32_t)(number & INDEX_MASK) - HCA_EQ_MAX;

	if (number >> 30 != HCA_EQ || row >= l->tables.geqcb_n ||
	    l->rows.eq[row].use != LEVEL2_READY ||
	    l->rows.eq[row].guest != guest->index ||
	    level2_eq_number(l, row) != number)
		return -1;
	return (int)row;
}

void level2_name_eq(struct level2 *l, uint64_t *at, uint64_t geqcb)
{
	if (*at)
		l->rows.eq[demux_index(*at)].refs--;
	*at = geqcb;
	if (geqcb)
		l->rows.eq[demux_index(geqcb)].refs++;
}

/* Ends. */

void level2_geqa_free(struct level2 *l, uint32_t row)
{
	struct demux_geqa *geqa = &l->tables.geqa[row];
	struct level2_cq *cq = &l->rows.cq[row];
	uint64_t geqcb =
		atomic_load_explicit(&geqa->geqcb, memory_order_relaxed);

	cq->use = LEVEL2_ENDING;
	if (geqcb)
		l->rows.eq[demux_index(geqcb)].refs--;
	atomic_store_explicit(&geqa->geqcb, 0, memory_order_seq_cst);
	if (atomic_load_explicit(&geqa->generation, memory_order_relaxed) & 1)
		demux_turn(&geqa->generation);
	cq->busy = demux_busy(&l->tables);
	cq->use = LEVEL2_RESTING;
}

void level2_geqcb_free(struct level2 *l, uint32_t row)
{
	struct demux_geqcb *geqcb = &l->tables.geqcb[row];
	struct level2_eq *eq = &l->rows.eq[row];

	eq->use = LEVEL2_ENDING;
	atomic_store_explicit(&geqcb->state, HCA_STOPPED, memory_order_seq_cst);
	if (atomic_load_explicit(&geqcb->generation, memory_order_relaxed) & 1)
		demux_turn(&geqcb->generation);
	eq->busy = demux_busy(&l->tables);
	eq->use = LEVEL2_RESTING;
}

void level2_row_free(struct level2 *l, bool is_cq, uint32_t row)
{
	struct level2_qp *qp = &l->rows.qp[row];

	level2_unindex(l, is_cq ? l->rows.cq[row].handle : qp->handle);
	if (is_cq) {
		level2_geqa_free(l, row);
		return;
	}
	level2_name_eq(l, &qp->geqcb, 0);
	qp->use = LEVEL2_FREE;
}
