/* level2_plan.c - verbs of guests as they are checked: what a guest has, that
 * numbers and addresses are its own, and what of them the adapter gets. */
#include <config.h>

#include "cmd/hvmon/level2_verb.h"

#define ENTRY ((uint64_t)sizeof(struct hca_eqe))

static enum verb_kind at_once(struct verb *v, enum hca_status status,
			      uint64_t result)
{
	v->status = status;
	v->result = result;
	return VERB_DONE;
}

static enum verb_kind plan_allocate(struct verb *v)
{
	switch (v->attribute) {
	case HCA_EQ:
		return VERB_ALLOCATE_EQ;
	case HCA_CQ:
		return VERB_ALLOCATE_CQ;
	case HCA_QP:
		return VERB_ALLOCATE_QP;
	}
	return at_once(v, HCA_BAD_ATTRIBUTE, 0);
}

/* Value is one of the guest's EQs, or 0; false: neither. */
static bool find_eq(struct verb *v)
{
	int row = v->value ? level2_eq_of(v->guest, v->value) : -1;

	if (v->value && row < 0)
		return false;
	v->geqcb = row < 0 ? 0 : level2_eq_handle(v->guest->l, (uint32_t)row);
	return true;
}

static enum verb_kind plan_partition(struct verb *v, enum hca_opcode op)
{
	struct level2_guest_row *row = v->guest->row;

	if (op == HCA_FREE)
		return at_once(v, HCA_BAD_HANDLE, 0);
	if (v->attribute != HCA_EVENT_QUEUE)
		return at_once(v, HCA_BAD_ATTRIBUTE, 0);
	if (op == HCA_LOAD)
		return at_once(v, HCA_OK,
			       level2_eq_number_of(v->guest->l, row->geqcb));
	if (!find_eq(v))
		return at_once(v, HCA_BAD_HANDLE, 0);
	level2_name_eq(v->guest->l, &row->geqcb, v->geqcb);
	return at_once(v, HCA_OK, 0);
}

/* Its ring lies in the guest's memory. */
static enum hca_status check_ring(const struct verb *v, uint64_t base,
				  uint32_t entries)
{
	if (entries < HCA_RING_MIN || entries > HCA_RING_MAX ||
	    entries & (entries - 1) || base % ENTRY)
		return HCA_BAD_VALUE;
	return level2_guest_at(v->guest, base, entries * ENTRY)
		       ? HCA_OK
		       : HCA_BAD_ADDRESS;
}

static enum hca_state eq_state(const struct verb *v)
{
	const struct demux_geqcb *geqcb = &v->guest->l->tables.geqcb[v->row];

	return demux_state(
		atomic_load_explicit(&geqcb->state, memory_order_seq_cst));
}

static enum verb_kind plan_eq_state(struct verb *v, struct level2_eq *eq)
{
	struct level2 *l = v->guest->l;
	enum hca_state state = eq_state(v);
	enum hca_status status;

	if (v->value == HCA_STOPPED) {
		atomic_store_explicit(&l->tables.geqcb[v->row].state,
				      HCA_STOPPED, memory_order_seq_cst);
		eq->busy = demux_busy(&l->tables);
		return at_once(v, HCA_OK, 0);
	}
	if (v->value != HCA_RUNNING)
		return at_once(v, HCA_BAD_VALUE, 0);
	if (state != HCA_STOPPED)
		return at_once(v, state == HCA_RUNNING ? HCA_OK : HCA_BUSY, 0);
	status = check_ring(v, eq->base, eq->entries);
	if (status == HCA_OK && eq->asb &&
	    !level2_guest_at(v->guest, eq->asb, 1))
		status = HCA_BAD_ADDRESS;
	v->busy = eq->busy;
	return status == HCA_OK ? VERB_START_EQ : at_once(v, status, 0);
}

static enum verb_kind store_eq_number(struct verb *v, uint32_t *at,
				      uint64_t max)
{
	if (v->value > max)
		return at_once(v, HCA_BAD_VALUE, 0);
	*at = (uint32_t)v->value;
	return at_once(v, HCA_OK, 0);
}

static enum verb_kind plan_store_eq(struct verb *v)
{
	struct level2_eq *eq = &v->guest->l->rows.eq[v->row];
	bool stopped = eq_state(v) == HCA_STOPPED;

	switch (v->attribute) {
	case HCA_STATE:
		return plan_eq_state(v, eq);
	case HCA_BASE:
		if (!stopped)
			return at_once(v, HCA_BUSY, 0);
		eq->base = v->value;
		return at_once(v, HCA_OK, 0);
	case HCA_ENTRIES:
		return stopped ? store_eq_number(v, &eq->entries, HCA_RING_MAX)
			       : at_once(v, HCA_BUSY, 0);
	case HCA_ASB:
		return VERB_STORE_ASB;
	case HCA_ISC:
		if (v->value >= HCA_ISCS && v->value != HCA_ISC_NONE)
			return at_once(v, HCA_BAD_VALUE, 0);
		eq->isc = (uint32_t)v->value;
		verb_set_asb(v->guest, (uint32_t)v->row);
		return at_once(v, HCA_OK, 0);
	case HCA_IMMEDIATE:
		return store_eq_number(v, &eq->immediate, 1);
	case HCA_DELAY:
		return store_eq_number(v, &eq->delay, HCA_DELAY_MAX);
	}
	return at_once(v, HCA_BAD_ATTRIBUTE, 0);
}

static enum verb_kind plan_load_eq(struct verb *v)
{
	const struct level2_eq *eq = &v->guest->l->rows.eq[v->row];

	switch (v->attribute) {
	case HCA_STATE:
		return at_once(v, HCA_OK, eq_state(v));
	case HCA_BASE:
		return at_once(v, HCA_OK, eq->base);
	case HCA_ENTRIES:
		return at_once(v, HCA_OK, eq->entries);
	case HCA_ASB:
		return at_once(v, HCA_OK, eq->asb);
	case HCA_ISC:
		return at_once(v, HCA_OK, eq->isc);
	case HCA_IMMEDIATE:
		return at_once(v, HCA_OK, eq->immediate);
	case HCA_DELAY:
		return at_once(v, HCA_OK, eq->delay);
	}
	return at_once(v, HCA_BAD_ATTRIBUTE, 0);
}

static enum verb_kind plan_free_eq(struct verb *v)
{
	struct level2 *l = v->guest->l;

	if (l->rows.eq[v->row].refs)
		return at_once(v, HCA_BUSY, 0);
	level2_geqcb_free(l, (uint32_t)v->row);
	return at_once(v, HCA_OK, 0);
}

static enum verb_kind plan_eq(struct verb *v, enum hca_opcode op)
{
	v->row = level2_eq_of(v->guest, v->handle);
	if (v->row < 0)
		return at_once(v, HCA_BAD_HANDLE, 0);
	switch (op) {
	case HCA_STORE:
		return plan_store_eq(v);
	case HCA_LOAD:
		return plan_load_eq(v);
	case HCA_FREE:
		return plan_free_eq(v);
	case HCA_ALLOCATE:
		break;
	}
	return at_once(v, HCA_BAD_VERB, 0);
}

/* The adapter gets the partition's address. */
static enum verb_kind store_base(struct verb *v, uint64_t *base)
{
	if (v->value >= v->guest->memory_size)
		return at_once(v, HCA_BAD_ADDRESS, 0);
	*base = v->value;
	v->value += v->guest->iova;
	return VERB_STORE;
}

static enum verb_kind store_entries(struct verb *v, uint32_t *entries)
{
	if (v->value > HCA_RING_MAX)
		return at_once(v, HCA_BAD_VALUE, 0);
	*entries = (uint32_t)v->value;
	return VERB_STORE;
}

static enum verb_kind plan_store_cq(struct verb *v)
{
	struct level2 *l = v->guest->l;
	struct level2_cq *cq = &l->rows.cq[v->row];
	enum hca_status status;

	switch (v->attribute) {
	case HCA_STATE:
		status = v->value == HCA_RUNNING
				 ? check_ring(v, cq->base, cq->entries)
				 : HCA_OK;
		return status == HCA_OK ? VERB_STORE : at_once(v, status, 0);
	case HCA_BASE:
		return store_base(v, &cq->base);
	case HCA_ENTRIES:
		return store_entries(v, &cq->entries);
	case HCA_TOKEN: /* 1208 */
		atomic_store_explicit(&l->tables.geqa[v->row].token, v->value,
				      memory_order_seq_cst);
		return at_once(v, HCA_OK, 0);
	case HCA_EVENT_QUEUE:
		return find_eq(v) ? VERB_TIE : at_once(v, HCA_BAD_HANDLE, 0);
	}
	return at_once(v, HCA_BAD_ATTRIBUTE, 0);
}

static enum verb_kind plan_load_cq(struct verb *v)
{
	const struct level2 *l = v->guest->l;
	const struct demux_geqa *geqa = &l->tables.geqa[v->row];

	switch (v->attribute) {
	case HCA_TOKEN:
		return at_once(v, HCA_OK,
			       atomic_load_explicit(&geqa->token,
						    memory_order_relaxed));
	case HCA_EVENT_QUEUE:
		return at_once(
			v, HCA_OK,
			level2_eq_number_of(
				l, atomic_load_explicit(&geqa->geqcb,
							memory_order_relaxed)));
	}
	return VERB_LOAD;
}

static enum hca_status check_qp(const struct verb *v,
				const struct level2_qp *qp)
{
	enum hca_status status = check_ring(v, qp->send_base, qp->send_entries);

	return status == HCA_OK
		       ? check_ring(v, qp->receive_base, qp->receive_entries)
		       : status;
}

static enum verb_kind plan_store_qp(struct verb *v)
{
	struct level2_qp *qp = &v->guest->l->rows.qp[v->row];
	enum hca_status status;

	switch (v->attribute) {
	case HCA_STATE:
		status = v->value == HCA_RUNNING ? check_qp(v, qp) : HCA_OK;
		return status == HCA_OK ? VERB_STORE : at_once(v, status, 0);
	case HCA_SEND_BASE:
		return store_base(v, &qp->send_base);
	case HCA_RECEIVE_BASE:
		return store_base(v, &qp->receive_base);
	case HCA_SEND_ENTRIES:
		return store_entries(v, &qp->send_entries);
	case HCA_RECEIVE_ENTRIES:
		return store_entries(v, &qp->receive_entries);
	case HCA_TOKEN:
		qp->token = v->value;
		return at_once(v, HCA_OK, 0);
	case HCA_EVENT_QUEUE:
		return find_eq(v) ? VERB_NAME : at_once(v, HCA_BAD_HANDLE, 0);
	case HCA_SEND_CQ:
	case HCA_RECEIVE_CQ:
		return level2_cq_of(v->guest, v->value) >= 0
			       ? VERB_STORE
			       : at_once(v, HCA_BAD_HANDLE, 0);
	case HCA_BELL: /* it has one */
		return at_once(v, v->value ? HCA_BAD_VALUE : HCA_OK, 0);
	case HCA_MEMORY_BASE: /* its own, as a whole */
		return at_once(v, v->value ? HCA_BAD_VALUE : HCA_OK, 0);
	case HCA_MEMORY_SIZE:
		return at_once(v,
			       v->value < v->guest->memory_size ? HCA_BAD_VALUE
								: HCA_OK,
			       0);
	case HCA_WINDOW_BASE:
	case HCA_WINDOW_SIZE:
	case HCA_PEER:
	case HCA_SERVICE:
		return VERB_STORE;
	}
	return at_once(v, HCA_BAD_ATTRIBUTE, 0);
}

static enum verb_kind plan_load_qp(struct verb *v)
{
	const struct level2 *l = v->guest->l;
	const struct level2_qp *qp = &l->rows.qp[v->row];

	switch (v->attribute) {
	case HCA_TOKEN:
		return at_once(v, HCA_OK, qp->token);
	case HCA_EVENT_QUEUE:
		return at_once(v, HCA_OK, level2_eq_number_of(l, qp->geqcb));
	case HCA_BELL:
	case HCA_MEMORY_BASE:
		return at_once(v, HCA_OK, 0);
	}
	return VERB_LOAD;
}

static enum verb_kind plan_own(struct verb *v, enum hca_opcode op)
{
	bool is_cq = v->handle >> 30 == HCA_CQ;

	v->row = is_cq ? level2_cq_of(v->guest, v->handle)
		       : level2_qp_of(v->guest, v->handle);
	if (v->row < 0)
		return at_once(v, HCA_BAD_HANDLE, 0);
	switch (op) {
	case HCA_STORE:
		return is_cq ? plan_store_cq(v) : plan_store_qp(v);
	case HCA_LOAD:
		return is_cq ? plan_load_cq(v) : plan_load_qp(v);
	case HCA_FREE:
		return VERB_FREE;
	case HCA_ALLOCATE:
		break;
	}
	return at_once(v, HCA_BAD_VERB, 0);
}

enum verb_kind verb_plan(struct verb *v, uint64_t verb)
{
	enum hca_opcode op = (enum hca_opcode)(verb & 0xff);

	v->attribute = verb >> 8 & 0xff;
	v->handle = (uint32_t)(verb >> 32);
	v->value = v->guest->row->value;
	if (verb >> 16 & 0xffff || op < HCA_ALLOCATE || op > HCA_FREE)
		return at_once(v, HCA_BAD_VERB, 0);
	if (op == HCA_ALLOCATE)
		return plan_allocate(v);
	switch (v->handle >> 30) {
	case HCA_EQ:
		return plan_eq(v, op);
	case HCA_CQ:
	case HCA_QP:
		return plan_own(v, op);
	}
	return v->handle ? at_once(v, HCA_BAD_HANDLE, 0)
			 : plan_partition(v, op);
}
