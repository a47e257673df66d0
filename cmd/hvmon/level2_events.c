/* level2_events.c - type 2 events (spec 04): what is no event of a guest's CQ.
 * The adapter interrupts this VM, which finds the queue by its ASB and forwards
 * by itself.
 *
 * Theory of operation.  The ASB is cleared first, then events are taken until
 * there is none.  The record says how many were taken and how many of those
 * were forwarded: what a former process took and did not forward is forwarded
 * again.  An event's mark is cleared before it is forwarded: what happens to
 * its resource from then on gets an event of its own.
 */
#include <config.h>

#include <endian.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/platform.h"

static struct demux_taker *taker(struct level2 *l)
{
	return &l->tables.record->taker[DEMUX_LEVEL2];
}

/* An interrupt of a guest. */
struct interrupt {
	struct procedure p;
	uint32_t irq;
};

static int interrupt_guest(struct procedure *p)
{
	step_inject(p, p->vm, ((struct interrupt *)p)->irq);
	return STEP_NEXT;
}

static const struct step interrupt_steps[] = {
	{ POINT_NONE, interrupt_guest },
	{ 0, NULL },
};

static const struct procedure_desc interrupt_desc = {
	.name = "interrupt",
	.steps = interrupt_steps,
};

void level2_interrupt(struct level2 *l, uint32_t vm, uint32_t irq)
{
	struct interrupt *i = procedure_new(l->hv, &interrupt_desc, sizeof(*i));

	i->p.vm = vm;
	i->irq = irq;
	procedure_start(&i->p, 0);
}

static void tell(struct level2 *l, const struct demux_result *result)
{
	if (result->signal == DEMUX_QUIET || result->gisa >= l->n_guests)
		return;
	level2_interrupt(l, l->guest[result->gisa].vm,
			 platform_irq(LEVEL2_SLOT, result->isc));
}

/* Whose it is, with the token that the guest gave; 0: nobody's. */
static uint64_t owner(struct level2 *l, struct hca_eqe *eqe)
{
	uint32_t row = demux_index(eqe->token);
	const struct level2_qp *qp;

	if (eqe->event == HCA_EVENT_REFUSED) {
		if (eqe->token >= l->n_guests)
			return 0;
		row = (uint32_t)eqe->token;
		l->guest[row].bad_bells++;
		eqe->token = 0; /* its doorbell's number, to itself */
		return l->guest[row].row->geqcb;
	}
	if (row >= l->tables.geqa_n)
		return 0;
	qp = &l->rows.qp[row];
	if (qp->use != LEVEL2_READY || qp->handle != eqe->handle ||
	    qp->generation != demux_generation(eqe->token))
		return 0;
	eqe->token = qp->token;
	return qp->geqcb;
}

static void forward(struct level2 *l, struct hca_eqe *eqe)
{
	uint64_t geqcb = owner(l, eqe);
	struct demux_result result;

	l->events++;
	if (!geqcb) {
		l->dropped++;
		return;
	}
	result = demux_put(&l->tables, DEMUX_LEVEL2, &l->reach, geqcb, eqe);
	if (result.err)
		l->dropped++;
	else
		l->forwarded++;
	tell(l, &result);
}

static const struct hca_eqe *next_entry(const struct level2 *l)
{
	return (const struct hca_eqe *)l->type2.entries +
	       (l->type2.next & (l->type2.n - 1));
}

static bool is_marked(const struct level2 *l)
{
	return hca_eqe_is_valid(next_entry(l));
}

void level2_events(struct level2 *l)
{
	struct demux_taker *t = taker(l);
	struct hca_eqe eqe;

	if (!l->type2.n)
		return;
	(void)hca_summary_take((_Atomic uint8_t *)(l->memory + l->rows.asb));
	while (is_marked(l)) {
		/* In the record before the mark is cleared. */
		atomic_store_explicit(&t->taken, l->type2.next + 1u,
				      memory_order_release);
		if (hca_take_event(&l->type2, &eqe))
			forward(l, &eqe);
		atomic_store_explicit(&t->forwarded, l->type2.next,
				      memory_order_release);
	}
}

/* What a former process took and did not forward. */
static void forward_again(struct level2 *l)
{
	struct demux_taker *t = taker(l);
	uint32_t number = (uint32_t)atomic_load(&t->forwarded);
	const struct hca_eqe *at;
	struct demux_result result;
	struct hca_eqe eqe;

	result = demux_take_over(&l->tables, DEMUX_LEVEL2, &l->reach);
	if (!result.err)
		tell(l, &result);
	l->type2.next = number;
	/* One that is still marked is taken as any other. */
	if ((uint32_t)atomic_load(&t->taken) == number || is_marked(l))
		return;
	at = next_entry(l);
	eqe = (struct hca_eqe){ .token = le64toh(at->token),
				.handle = le32toh(at->handle),
				.event = le32toh(at->event),
				.detail = le64toh(at->detail) };
	l->type2.next = number + 1;
	forward(l, &eqe);
	atomic_store(&t->forwarded, l->type2.next);
}

void level2_events_start(struct level2 *l)
{
	l->type2 = (struct hca_reader){
		.entries = l->memory + l->rows.ring[DEMUX_TYPE2],
		.n = l->rows.entries,
	};
	forward_again(l);
	level2_events(l);
}
