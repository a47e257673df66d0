/* level2_verbs.c - verbs of guests, done for them (spec 04, figs. 10 to 15).
 *
 * Theory of operation.  A verb is a procedure; one runs at a time.  What is no
 * business of the adapter (a guest's EQs, tokens, which EQ a queue pair names)
 * is answered from the record; the rest is issued anew (1202) with addresses
 * of the partition for those of the guest.  Rows are in the record before what
 * they stand for is used, so a process that dies in the middle leaves what the
 * next one recognises: a row that is not READY, or a handle in the adapter's
 * window that is in no row.  The guest's access, which is not answered then,
 * comes again.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2_verb.h"
#include "cmd/hvmon/machine_access.h"

#define SETTLE_NS  (100 * NS_PER_US)
#define SETTLE_MAX 10000u /* rounds of it: then the firmware is dead */

static struct verb *verb_of(struct procedure *p)
{
	return (struct verb *)p;
}

static struct level2 *level2_of(struct procedure *p)
{
	return verb_of(p)->guest->l;
}

static int done(struct procedure *p, enum hca_status status, uint64_t result)
{
	verb_of(p)->status = status;
	verb_of(p)->result = result;
	return STEP_DONE;
}

/* The adapter's verbs of the last step; true: all were done. */
static bool is_done(struct verb *v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n && !v->answer[i].status; i++)
		;
	if (i < n)
		v->status = (enum hca_status)v->answer[i].status;
	return i == n;
}

static int failed(struct procedure *p)
{
	return done(p, verb_of(p)->status, 0);
}

static void verb_end(struct procedure *p)
{
	struct verb *v = verb_of(p);

	if (p->hv->stopping)
		return;
	level2_verb_done(v->guest, v->serial, p->err ? HCA_NO_ROOM : v->status,
			 p->err ? 0 : v->result);
}

/* Whether what was freed or untied is not read by the firmware any more; one
 * that is dead lets go when it comes again. */
static bool settles(struct procedure *p)
{
	struct verb *v = verb_of(p);

	if (demux_settled(&v->guest->l->tables, v->busy))
		return true;
	if (p->round >= SETTLE_MAX)
		return false;
	step_sleep(p, SETTLE_NS);
	return false;
}

/* ALLOCATE of an EQ: figs. 10 and 11. */

static int eq_take(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct level2_eq *eq;

	v->row = level2_row_take(l, LEVEL2_EQ);
	if (v->row < 0)
		return done(p, HCA_NO_ROOM, 0);
	eq = &l->rows.eq[v->row];
	*eq = (struct level2_eq){ .use = LEVEL2_MAKING,
				  .guest = v->guest->index,
				  .isc = HCA_ISC_NONE };
	return STEP_NEXT;
}

static int eq_control_block(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct demux_geqcb *geqcb = &l->tables.geqcb[v->row];

	geqcb->gisa = v->guest->row->gisa;
	geqcb->ring = 0;
	geqcb->entries = 0;
	atomic_store_explicit(&geqcb->asb, 0, memory_order_relaxed);
	atomic_store_explicit(&geqcb->isc, HCA_ISC_NONE, memory_order_relaxed);
	atomic_store_explicit(&geqcb->state, HCA_STOPPED, memory_order_relaxed);
	return STEP_NEXT;
}

static int eq_host_queues(struct procedure *p)
{
	if (!level2_of(p)->rows.record->host_made)
		step_level2_host(p, level2_of(p));
	return STEP_NEXT;
}

static int eq_number(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);

	demux_turn(&l->tables.geqcb[v->row].generation);
	l->rows.eq[v->row].use = LEVEL2_READY;
	return done(p, HCA_OK, level2_eq_number(l, (uint32_t)v->row));
}

static const struct step allocate_eq_steps[] = {
	{ POINT_LEVEL2_1000, eq_take },
	{ POINT_LEVEL2_1002, eq_control_block },
	{ POINT_LEVEL2_1006, eq_host_queues },
	{ POINT_LEVEL2_1106, eq_number },
	{ 0, NULL },
};

/* ALLOCATE of a CQ: fig. 12. */

static int cq_take(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);

	v->row = level2_row_take(l, LEVEL2_CQ);
	return v->row < 0 ? done(p, HCA_NO_ROOM, 0) : STEP_NEXT;
}

static int cq_anew(struct procedure *p)
{
	struct verb *v = verb_of(p);

	step_level2_verb(p, level2_of(p), HCA_ALLOCATE, HCA_CQ, 0, 0,
			 v->answer);
	return STEP_NEXT;
}

static int cq_token(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct demux_geqa *geqa = &l->tables.geqa[v->row];
	struct level2_cq *cq = &l->rows.cq[v->row];

	if (!is_done(v, 1))
		return failed(p);
	*cq = (struct level2_cq){ .use = LEVEL2_MAKING,
				  .guest = v->guest->index,
				  .handle = (uint32_t)v->answer[0].result };
	atomic_store_explicit(&geqa->geqcb, 0, memory_order_relaxed);
	atomic_store_explicit(&geqa->token, 0, memory_order_relaxed);
	atomic_store_explicit(&geqa->last, 0, memory_order_relaxed);
	step_level2_verb(
		p, l, HCA_STORE, HCA_TOKEN, cq->handle,
		demux_handle((uint32_t)v->row, demux_turn(&geqa->generation)),
		v->answer);
	return STEP_NEXT;
}

static int cq_ready(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct level2_cq *cq = &l->rows.cq[v->row];

	if (!is_done(v, 1))
		return failed(p); /* the adapter was reset */
	level2_index(l, LEVEL2_CQ, (uint32_t)v->row);
	cq->use = LEVEL2_READY;
	return done(p, HCA_OK, cq->handle);
}

static const struct step allocate_cq_steps[] = {
	{ POINT_LEVEL2_1200, cq_take },
	{ POINT_LEVEL2_1202, cq_anew },
	{ POINT_LEVEL2_1204, cq_token },
	{ POINT_LEVEL2_1206, cq_ready },
	{ 0, NULL },
};

/* ALLOCATE of a QP: fig. 14. */

static int qp_take(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);

	v->row = level2_row_take(l, LEVEL2_QP);
	if (v->row < 0)
		return done(p, HCA_NO_ROOM, 0);
	step_level2_verb(p, l, HCA_ALLOCATE, HCA_QP, 0, 0, v->answer);
	return STEP_NEXT;
}

static uint64_t qp_token(const struct level2 *l, uint32_t row)
{
	return demux_handle(row, l->rows.qp[row].generation);
}

/* It reaches its guest's memory only, and is rung by its guest only. */
static int qp_confine(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct level2_qp *qp = &l->rows.qp[v->row];
	struct level2_guest *guest = v->guest;
	uint32_t handle = (uint32_t)v->answer[0].result;

	if (!is_done(v, 1))
		return failed(p);
	*qp = (struct level2_qp){ .use = LEVEL2_MAKING,
				  .guest = guest->index,
				  .handle = handle,
				  .generation = (qp->generation | 1) + 2 };
	step_level2_verb(p, l, HCA_STORE, HCA_TOKEN, handle,
			 qp_token(l, (uint32_t)v->row), &v->answer[0]);
	step_level2_verb(p, l, HCA_STORE, HCA_MEMORY_BASE, handle, guest->iova,
			 &v->answer[1]);
	step_level2_verb(p, l, HCA_STORE, HCA_MEMORY_SIZE, handle,
			 guest->memory_size, &v->answer[2]);
	step_level2_verb(p, l, HCA_STORE, HCA_BELL, handle, guest->index,
			 &v->answer[3]);
	return STEP_NEXT;
}

static int qp_ready(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);

	if (!is_done(v, 4))
		return failed(p);
	level2_index(l, LEVEL2_QP, (uint32_t)v->row);
	l->rows.qp[v->row].use = LEVEL2_READY;
	return done(p, HCA_OK, l->rows.qp[v->row].handle);
}

static const struct step allocate_qp_steps[] = {
	{ POINT_LEVEL2_1400, qp_take },
	{ POINT_LEVEL2_1402, qp_confine },
	{ POINT_NONE, qp_ready },
	{ 0, NULL },
};

/* STORE that the adapter does, checked and translated here. */

static int store_anew(struct procedure *p)
{
	struct verb *v = verb_of(p);

	step_level2_verb(p, level2_of(p), HCA_STORE, v->attribute, v->handle,
			 v->value, v->answer);
	return STEP_NEXT;
}

static int store_answered(struct procedure *p)
{
	struct verb *v = verb_of(p);

	return is_done(v, 1) ? done(p, HCA_OK, 0) : failed(p);
}

static const struct step store_steps[] = {
	{ POINT_NONE, store_anew },
	{ POINT_NONE, store_answered },
	{ 0, NULL },
};

/* A CQ is tied to an EQ. */

static int tie_untie(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct demux_geqa *geqa = &l->tables.geqa[v->row];
	uint64_t before =
		atomic_load_explicit(&geqa->geqcb, memory_order_relaxed);

	/* Nobody reads an entry that was tied to none. */
	level2_name_eq(l, &before, 0);
	if (atomic_exchange_explicit(&geqa->geqcb, 0, memory_order_seq_cst))
		v->busy = demux_busy(&l->tables);
	return STEP_NEXT;
}

static int tie(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	struct demux_geqa *geqa = &l->tables.geqa[v->row];
	uint64_t at = 0;

	if (!settles(p))
		return p->round >= SETTLE_MAX ? done(p, HCA_BUSY, 0)
					      : STEP_AGAIN;
	atomic_store_explicit(&geqa->last, 0, memory_order_relaxed);
	level2_name_eq(l, &at, v->geqcb);
	atomic_store_explicit(&geqa->geqcb, v->geqcb, memory_order_seq_cst);
	return STEP_NEXT;
}

static int tie_adapter(struct procedure *p)
{
	struct verb *v = verb_of(p);
	const struct level2 *l = level2_of(p);

	step_level2_verb(p, level2_of(p), HCA_STORE, HCA_EVENT_QUEUE, v->handle,
			 v->geqcb ? l->tables.record->host[DEMUX_TYPE1].eq : 0,
			 v->answer);
	return STEP_NEXT;
}

static const struct step tie_steps[] = {
	{ POINT_LEVEL2_1210, tie_untie },
	{ POINT_NONE, tie },
	{ POINT_LEVEL2_1212, tie_adapter },
	{ POINT_NONE, store_answered },
	{ 0, NULL },
};

/* A QP names an EQ: fig. 15.  Its events come by the type 2 queue. */

static int name_adapter(struct procedure *p)
{
	struct verb *v = verb_of(p);
	const struct level2 *l = level2_of(p);

	step_level2_verb(p, level2_of(p), HCA_STORE, HCA_EVENT_QUEUE, v->handle,
			 v->geqcb ? l->tables.record->host[DEMUX_TYPE2].eq : 0,
			 v->answer);
	return STEP_NEXT;
}

static int name_eq(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);

	if (!is_done(v, 1))
		return failed(p);
	level2_name_eq(l, &l->rows.qp[v->row].geqcb, v->geqcb);
	return done(p, HCA_OK, 0);
}

static const struct step name_steps[] = {
	{ POINT_LEVEL2_1500, name_adapter },
	{ POINT_LEVEL2_1502, name_eq },
	{ 0, NULL },
};

/* An EQ begins to run. */

static int eq_wait(struct procedure *p)
{
	if (settles(p))
		return STEP_NEXT;
	return p->round >= SETTLE_MAX ? done(p, HCA_BUSY, 0) : STEP_AGAIN;
}

void verb_set_asb(struct level2_guest *guest, uint32_t row)
{
	const struct level2_eq *eq = &guest->l->rows.eq[row];
	struct demux_geqcb *geqcb = &guest->l->tables.geqcb[row];

	atomic_store_explicit(&geqcb->asb, eq->asb ? guest->iova + eq->asb : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&geqcb->isc, eq->isc, memory_order_relaxed);
	atomic_fetch_add_explicit(&geqcb->version, 1, memory_order_release);
}

static int eq_start(struct procedure *p)
{
	struct verb *v = verb_of(p);
	struct level2 *l = level2_of(p);
	const struct level2_eq *eq = &l->rows.eq[v->row];
	struct demux_geqcb *geqcb = &l->tables.geqcb[v->row];

	geqcb->gisa = v->guest->row->gisa;
	geqcb->ring = v->guest->iova + eq->base;
	geqcb->entries = eq->entries;
	geqcb->first =
		atomic_load_explicit(&geqcb->next, memory_order_relaxed) >>
		DEMUX_NUMBER_SHIFT;
	verb_set_asb(v->guest, (uint32_t)v->row);
	atomic_store_explicit(&geqcb->state, HCA_RUNNING, memory_order_seq_cst);
	return done(p, HCA_OK, 0);
}

static const struct step start_eq_steps[] = {
	{ POINT_NONE, eq_wait },
	{ POINT_NONE, eq_start },
	{ 0, NULL },
};

/* An ASB is given: fig. 13. */

static int asb_pin(struct procedure *p)
{
	struct verb *v = verb_of(p);

	if (v->value && !level2_guest_at(v->guest, v->value, 1))
		return done(p, HCA_BAD_ADDRESS, 0);
	return STEP_NEXT;
}

static int asb_store(struct procedure *p)
{
	struct verb *v = verb_of(p);

	level2_of(p)->rows.eq[v->row].asb = v->value;
	verb_set_asb(v->guest, (uint32_t)v->row);
	return done(p, HCA_OK, 0);
}

static const struct step asb_steps[] = {
	{ POINT_LEVEL2_1300, asb_pin },
	{ POINT_LEVEL2_1302, asb_store },
	{ 0, NULL },
};

/* LOAD from the adapter: addresses become the guest's again. */

static int load_anew(struct procedure *p)
{
	struct verb *v = verb_of(p);

	step_level2_verb(p, level2_of(p), HCA_LOAD, v->attribute, v->handle, 0,
			 v->answer);
	return STEP_NEXT;
}

static bool is_address(unsigned attribute)
{
	return attribute == HCA_BASE || attribute == HCA_SEND_BASE ||
	       attribute == HCA_RECEIVE_BASE;
}

static int load_answered(struct procedure *p)
{
	struct verb *v = verb_of(p);
	uint64_t value = v->answer[0].result;

	if (!is_done(v, 1))
		return failed(p);
	return done(p, HCA_OK,
		    is_address(v->attribute) && value ? value - v->guest->iova
						      : value);
}

static const struct step load_steps[] = {
	{ POINT_NONE, load_anew },
	{ POINT_NONE, load_answered },
	{ 0, NULL },
};

/* FREE. */

static int free_anew(struct procedure *p)
{
	struct verb *v = verb_of(p);

	step_level2_verb(p, level2_of(p), HCA_FREE, 0, v->handle, 0, v->answer);
	return STEP_NEXT;
}

static int free_answered(struct procedure *p)
{
	struct verb *v = verb_of(p);

	if (!is_done(v, 1))
		return failed(p);
	level2_row_free(level2_of(p), v->handle >> 30 == HCA_CQ,
			(uint32_t)v->row);
	return done(p, HCA_OK, 0);
}

static const struct step free_steps[] = {
	{ POINT_LEVEL2_FREE, free_anew },
	{ POINT_LEVEL2_FREED, free_answered },
	{ 0, NULL },
};

/* A verb that is done at once. */

static const struct step no_steps[] = {
	{ 0, NULL },
};

#define DESC(n, s)                                     \
	{                                              \
		.name = n, .steps = s, .end = verb_end \
	}
static const struct procedure_desc descs[VERB_KIND_N] = {
	[VERB_DONE] = DESC("verb", no_steps),
	[VERB_ALLOCATE_EQ] = DESC("allocate EQ", allocate_eq_steps),
	[VERB_ALLOCATE_CQ] = DESC("allocate CQ", allocate_cq_steps),
	[VERB_ALLOCATE_QP] = DESC("allocate QP", allocate_qp_steps),
	[VERB_STORE] = DESC("store", store_steps),
	[VERB_TIE] = DESC("tie", tie_steps),
	[VERB_NAME] = DESC("name", name_steps),
	[VERB_START_EQ] = DESC("start EQ", start_eq_steps),
	[VERB_STORE_ASB] = DESC("store ASB", asb_steps),
	[VERB_LOAD] = DESC("load", load_steps),
	[VERB_FREE] = DESC("free", free_steps),
};

static void tell_bad_handle(struct level2_guest *guest, uint64_t verb)
{
	uint64_t suppressed;

	if (level2_tells(guest, &suppressed))
		event(guest->l->hv->program->log, "level2.refused",
		      "s:s, s:i, s:I, s:I", "what",
		      "verb for what it does not have", "vm", (int)guest->vm,
		      "handle", (json_int_t)(verb >> 32), "suppressed",
		      (json_int_t)suppressed);
}

void level2_verb(struct level2_guest *guest, uint64_t serial, uint64_t verb)
{
	struct verb planned = { .guest = guest, .serial = serial, .row = -1 };
	enum verb_kind kind = verb_plan(&planned, verb);
	struct verb *v;

	if (kind == VERB_DONE) {
		if (planned.status == HCA_BAD_HANDLE)
			tell_bad_handle(guest, verb);
		level2_verb_done(guest, serial, planned.status, planned.result);
		return;
	}
	v = procedure_new(guest->l->hv, &descs[kind], sizeof(*v));
	planned.p = v->p;
	*v = planned;
	v->p.vm = guest->vm;
	procedure_start(&v->p, 0);
}
