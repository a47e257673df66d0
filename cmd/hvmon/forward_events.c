/* forward_events.c - type 1 interrupts: the queues are found by their summary
 * bytes (1700), and their events forwarded (demux_forward.c).
 *
 * Guests that are to be interrupted are told to the root bridge in arrays,
 * which leave before the next turn of the loop.  A hypervisor that is killed
 * before is followed by one that signals all guests once.
 */
#include <config.h>

#include "cmd/hvmon/level1.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset.h"
#include "libcore/hca_consumer.h"
#include "libcore/platform.h"

#define BUDGET 256u /* events of a partition in one turn of the loop */

/* The procedure "interrupt guests". */

struct signal_guests {
	struct procedure p;
	unsigned n;
	struct sup_inject guests[LEVEL1_SIGNALS + 1];
};

static int signal_inject(struct procedure *p)
{
	const struct signal_guests *s = (struct signal_guests *)p;

	step_sup_write(p, SUP_INJECT, s->guests,
		       s->n * (uint32_t)sizeof(s->guests[0]), STEP_MAY_FAIL);
	return STEP_NEXT;
}

static const struct step signal_steps[] = {
	{ POINT_NONE, signal_inject },
	{ 0, NULL },
};

static const struct procedure_desc signal_desc = {
	.name = "interrupt guests",
	.steps = signal_steps,
};

static void send_signals(struct partition *p)
{
	struct signal_guests *s;
	unsigned i;

	if (!p->n_signals && !p->alert)
		return;
	s = procedure_new(p->hv, &signal_desc, sizeof(*s));
	for (i = 0; i < p->n_signals; i++)
		s->guests[s->n++] = p->signals[i];
	if (p->alert)
		s->guests[s->n++] =
			(struct sup_inject){ p->vm, PLATFORM_IRQ_ALERT };
	p->n_signals = 0;
	p->alert = false;
	procedure_start(&s->p, 0);
}

static void tell_failed(const struct partition *p,
			const struct demux_result *result, uint32_t vm)
{
	char name[FUNCTION_NAME_MAX], guest[VM_NAME_MAX];

	event(p->hv->program->log, "queue.failed", "s:s, s:s", "function",
	      vf_format(name, p->vf), "vm", vm_format(guest, vm));
	(void)result;
}

void forward_told(void *arg, const struct demux_result *result)
{
	struct partition *p = arg;
	const struct demux_gisa *gisa;
	uint32_t vm, slot;

	if (result->gisa >= p->forwarder.tables.gisa_n)
		return;
	gisa = &p->forwarder.tables.gisa[result->gisa];
	vm = gisa->vm;
	slot = gisa->slot;
	/* Level 2 may interrupt its own guests, and nobody else. */
	if (!partition_memory_has(&p->memory, vm) || slot >= PLATFORM_SLOTS)
		return;
	if (result->err == -EIO)
		tell_failed(p, result, vm);
	if (result->signal == DEMUX_ALERT)
		p->alert = true;
	if (result->signal != DEMUX_INTERRUPT)
		return;
	if (p->n_signals == LEVEL1_SIGNALS)
		send_signals(p);
	p->signals[p->n_signals++] =
		(struct sup_inject){ vm, platform_irq(slot, result->isc) };
}

/* The queue's summary byte; NULL: vm0 has no memory for it. */
static _Atomic uint8_t *psb(const struct partition *p)
{
	uint8_t *room = device_room(p->vf->device);

	return room ? (_Atomic uint8_t *)(room + LEVEL1_PSB_AT + p->vf->number)
		    : NULL;
}

/* Whether there is more. */
static bool forward(struct partition *p)
{
	bool more = demux_forward(&p->forwarder, BUDGET) == BUDGET;

	send_signals(p);
	return more;
}

static void count_interrupt(const struct partition *p)
{
	atomic_fetch_add_explicit(
		&p->forwarder.tables.record->counts.interrupts, 1,
		memory_order_relaxed);
}

static void look(void *arg)
{
	struct hvmon *hv = arg;
	struct partition *p;
	_Atomic uint8_t *byte;
	bool more = false;
	unsigned i;

	for (i = 1; i <= HCA_PARTITIONS; i++) {
		p = hv->level1.partition[i];
		byte = p ? psb(p) : NULL;
		if (!byte || !hca_summary_take(byte))
			continue;
		count_interrupt(p);
		if (!forward(p))
			continue;
		/* Come back to it after others had their turn. */
		atomic_store_explicit(byte, 1, memory_order_seq_cst);
		more = true;
	}
	if (more)
		loop_defer(hv->program->loop, &hv->level1.more, look, hv);
}

static void on_interrupt(void *arg, uint32_t events)
{
	struct hvmon *hv = arg;
	eventfd_t n;

	(void)events;
	if (eventfd_read(hv->level1.irq_fd, &n) < 0)
		return;
	hv->level1.interrupts += n;
	look(hv);
}

/* Of all EQs that it has: the former one may have been killed before it
 * interrupted their guests. */
static void signal_all(struct partition *p)
{
	const struct demux_tables *t = &p->forwarder.tables;
	struct demux_result result = { 0 };
	const struct demux_geqcb *g;
	uint32_t i;

	for (i = 0; i < t->geqcb_n; i++) {
		g = &t->geqcb[i];
		result.gisa = demux_index(g->gisa);
		result.isc =
			atomic_load_explicit(&g->isc, memory_order_relaxed);
		if (!(atomic_load_explicit(&g->generation,
					   memory_order_acquire) &
		      1) ||
		    result.isc >= HCA_ISCS)
			continue;
		result.signal = demux_signal_guest(t, g->gisa, result.isc);
		forward_told(p, &result);
	}
}

void forward_begin(struct partition *p)
{
	_Atomic uint8_t *byte = psb(p);

	demux_forward_again(&p->forwarder);
	signal_all(p);
	send_signals(p);
	if (!byte)
		return;
	/* Whatever came before is looked at. */
	atomic_store_explicit(byte, 1, memory_order_seq_cst);
	loop_defer(p->hv->program->loop, &p->hv->level1.more, look, p->hv);
}

int forward_open(struct hvmon *hv)
{
	struct level1 *l = &hv->level1;

	if (l->irq_fd >= 0)
		return 0;
	l->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->irq_fd < 0)
		return -errno;
	return loop_watch_add(hv->program->loop, &l->irq, l->irq_fd, EPOLLIN,
			      on_interrupt, hv);
}

void forward_close(struct hvmon *hv)
{
	struct level1 *l = &hv->level1;

	loop_defer_cancel(&l->more);
	loop_watch_del(&l->irq);
	if (l->irq_fd >= 0)
		close(l->irq_fd);
	l->irq_fd = -1;
}
