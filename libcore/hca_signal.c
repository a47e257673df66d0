/* hca_signal.c - when an event queue interrupts (spec 04, fig. 6).
 *
 * Theory of operation.  The first event of an empty queue has the initiative:
 * it interrupts at once, or starts the delay timer, by the queue's control.
 * Those that follow while the consumer has not come are quiet, unless the
 * timer ran out meanwhile.  The timer runs from the event that started it, or
 * from the last interrupt.  When it runs out it interrupts itself if no
 * interrupt began it and the consumer did not take all.  A host queue interrupts for each entry; firmware
 * merges that (1610, 1624).
 */
#include <config.h>

#include <stdatomic.h>

#include "libcore/hca_private.h"

/* Ask for the earliest of all. */
static void ask(struct hca *hca)
{
	uint64_t at_ns = UINT64_MAX;
	struct hca_eq *eq;

	LIST_FOREACH (eq, &hca->timing, timing)
		if (eq->due_ns < at_ns)
			at_ns = eq->due_ns;
	if (at_ns != UINT64_MAX)
		hca->ops->wake_at(hca->arg, at_ns);
}

void hca_timer_stop(struct hca_eq *eq)
{
	if (eq->due_ns)
		LIST_REMOVE(eq, timing);
	eq->due_ns = 0;
	eq->ran_out = false;
}

static void start(struct hca_eq *eq)
{
	struct hca *hca = eq->object.hca;

	hca_timer_stop(eq);
	if (!eq->delay_us)
		return;
	eq->due_ns = hca->ops->now_ns(hca->arg) + (uint64_t)eq->delay_us * 1000;
	LIST_INSERT_HEAD(&hca->timing, eq, timing);
	ask(hca);
}

/* 610: pending on the queue's interrupt zone and subclass. */
static void interrupt(struct hca_eq *eq)
{
	struct hca *hca = eq->object.hca;

	if (eq->isc == HCA_ISC_NONE)
		return;
	eq->interrupts++;
	hca->ops->interrupt(hca->arg, eq->object.partition, eq->isc);
}

void hca_signal(struct hca_eq *eq, bool queued)
{
	if (eq->host) { /* 1610, 1612; 1624 */
		interrupt(eq);
		return;
	}
	if (queued ? eq->ran_out      /* 602, 608 */
		   : eq->immediate) { /* 604 */
		interrupt(eq);        /* 610 */
		start(eq);
	} else if (!queued && !eq->due_ns) { /* 604: by the timer */
		start(eq);
	}
	/* else 612: none */
}

/* Whether the consumer may not have taken all; it takes in order. */
static bool holds_events(const struct hca_eq *eq)
{
	const struct hca_eqe *eqe;

	if (!hca_may_dma(&eq->object))
		return true; /* the interrupt waits for that too */
	eqe = hca_slot(&eq->object, &eq->ring, eq->ring.written - 1);
	return eqe && hca_eqe_is_valid(eqe);
}

void hca_expire(struct hca *hca)
{
	uint64_t now_ns = hca->ops->now_ns(hca->arg);
	struct hca_eq *eq, *next;

	for (eq = LIST_FIRST(&hca->timing); eq; eq = next) {
		next = LIST_NEXT(eq, timing);
		if (eq->due_ns > now_ns)
			continue;
		hca_timer_stop(eq);
		eq->ran_out = true;
		if (!eq->immediate && holds_events(eq))
			interrupt(eq);
	}
	ask(hca);
}
