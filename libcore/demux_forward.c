/* demux_forward.c - the firmware's forwarder (spec 04, fig. 17).
 *
 * Theory of operation.  Events are taken from the host queue in groups:
 *
 *   F1 look at what is marked; write down how many are taken
 *   F2 clear their marks
 *   F3 token -> GEQA -> GEQCB (1700 to 1704), then for each: has the guest one
 *      of this CQ that it did not take yet?  then it is coalesced
 *   F4 else it goes into the guest's EQ (demux_put.c)
 *   F5 write down how many are forwarded
 *
 * With thousands of guests each table costs a cache miss for each event, so
 * each step is done for the whole group, and fetches what the next one reads.
 *
 * F2 and F3 are sequentially consistent, as K2 and K3 of hca_consumer.h: what
 * the adapter did not tell because the host event was marked is seen by the
 * guest, whose event, if it is still marked at F3, was not taken yet.
 *
 * A forwarder may be killed anywhere.  Events between "forwarded" and "taken"
 * are in the ring still, since it is larger than all events that can be
 * pending and a group: they are forwarded again, and their guests are signalled
 * in any case, which at the worst tells a guest once too often.
 */
#include <config.h>

#include "libcore/demux_forward.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* An event on its way. */
struct passage {
	struct hca_eqe event; /* in host order */
	struct demux_geqa *geqa;
	uint64_t geqcb; /* handle; 0: of nobody */
	struct demux_eq *eq;
	bool signalled;
};

/* Counters have one writer. */
static void count(_Atomic uint64_t *counter, unsigned n)
{
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static struct demux_taker *taker(const struct demux_forwarder *f)
{
	return &f->tables.record->taker[DEMUX_FIRMWARE];
}

static struct hca_eqe *host_slot(const struct demux_forwarder *f,
				 uint64_t number)
{
	return &f->ring[number & (f->entries - 1)];
}

/* 1700 */
static void read_event(const struct demux_forwarder *f, struct passage *p,
		       const struct hca_eqe *eqe)
{
	uint32_t geqa;

	p->event.token = le64toh(eqe->token);
	p->event.handle = le32toh(eqe->handle);
	p->event.event = le32toh(eqe->event);
	p->event.detail = le64toh(eqe->detail);
	geqa = demux_index(p->event.token);
	if (geqa < f->tables.geqa_n)
		__builtin_prefetch(&f->tables.geqa[geqa], 1);
}

/* 1702 */
static void find_geqcb(const struct demux_forwarder *f, struct passage *p)
{
	uint32_t index;

	p->geqcb = 0;
	p->geqa = demux_geqa(&f->tables, p->event.token);
	if (!p->geqa)
		return;
	p->event.token =
		atomic_load_explicit(&p->geqa->token, memory_order_relaxed);
	p->geqcb = atomic_load_explicit(&p->geqa->geqcb, memory_order_seq_cst);
	index = demux_index(p->geqcb);
	if (index >= f->tables.geqcb_n) {
		p->geqcb = 0;
		return;
	}
	p->eq = &f->eq[index];
	__builtin_prefetch(&f->tables.geqcb[index], 1);
	__builtin_prefetch(p->eq);
}

/* What 1706 to 1716 will touch; nothing is believed of it. */
static void fetch_guest(const struct demux_forwarder *f,
			const struct passage *p)
{
	const struct demux_geqcb *g = &f->tables.geqcb[demux_index(p->geqcb)];
	uint64_t before;

	if (p->eq->handle != p->geqcb)
		return;
	before = atomic_load_explicit(&g->next, memory_order_relaxed) >>
		 DEMUX_NUMBER_SHIFT;
	__builtin_prefetch(demux_eq_slot(p->eq, before), 1);
	__builtin_prefetch(demux_eq_slot(p->eq, before - 1));
	if (p->eq->asb)
		__builtin_prefetch(p->eq->asb, 1);
	if (demux_index(p->eq->gisa) < f->tables.gisa_n)
		__builtin_prefetch(&f->tables.gisa[demux_index(p->eq->gisa)],
				   1);
}

/* F3: whether the guest did not take its last event of this CQ yet. */
static bool is_pending(const struct passage *p)
{
	uint64_t last =
		atomic_load_explicit(&p->geqa->last, memory_order_relaxed);

	return p->event.event == HCA_EVENT_COMPLETION && last > p->eq->first &&
	       demux_eq_holds(p->eq, last);
}

static struct demux_result dropped(void)
{
	return (struct demux_result){ .err = -ENOENT };
}

/* 1704: the EQ, looked at; else what came of that. */
static struct demux_geqcb *reach(const struct demux_forwarder *f,
				 const struct passage *p,
				 struct demux_result *result)
{
	struct demux_geqcb *g = demux_geqcb(&f->tables, p->geqcb);
	enum demux_error error;

	*result = dropped();
	if (!g || demux_state(atomic_load_explicit(
			  &g->state, memory_order_seq_cst)) != HCA_RUNNING)
		return NULL;
	if (demux_eq_is_current(p->eq, g, &f->memory, p->geqcb))
		return g;
	error = demux_eq_look(p->eq, &f->tables, &f->memory, p->geqcb);
	if (!error)
		return g;
	*result = demux_fail(&f->tables, g, error);
	return NULL;
}

/* How events of a group ended. */
struct tally {
	unsigned events, forwarded, coalesced, dropped, failed, interrupted,
		alerts;
};

static void tell_signal(const struct demux_forwarder *f, struct tally *tally,
			const struct demux_result *result)
{
	tally->interrupted += result->signal == DEMUX_INTERRUPT;
	tally->alerts += result->signal == DEMUX_ALERT;
	if (result->signal != DEMUX_QUIET || result->err == -EIO)
		f->told(f->arg, result);
}

static void tell(const struct demux_forwarder *f, struct tally *tally,
		 const struct demux_result *result)
{
	if (result->err == -ENOENT)
		tally->dropped++;
	else if (result->err)
		tally->failed++;
	else
		tally->forwarded++;
	tell_signal(f, tally, result);
}

static void forward(const struct demux_forwarder *f, struct passage *p,
		    struct tally *tally)
{
	struct demux_result result = dropped();
	struct demux_geqcb *g = p->geqcb ? reach(f, p, &result) : NULL;

	p->signalled = false;
	if (g && is_pending(p)) {
		tally->coalesced++;
		return;
	}
	if (g)
		result = demux_eq_put(p->eq, &f->tables, DEMUX_FIRMWARE,
				      &p->event);
	if (!result.err && p->event.event == HCA_EVENT_COMPLETION)
		atomic_store_explicit(&p->geqa->last, result.number,
				      memory_order_relaxed);
	tell(f, tally, &result);
	p->signalled = result.signal != DEMUX_QUIET;
}

/* F3 and F4. */
static void forward_group(const struct demux_forwarder *f,
			  struct passage *group, unsigned n,
			  struct tally *tally)
{
	unsigned i;

	tally->events += n;
	for (i = 0; i < n; i++)
		find_geqcb(f, &group[i]);
	for (i = 0; i < n; i++)
		if (group[i].geqcb)
			fetch_guest(f, &group[i]);
	for (i = 0; i < n; i++)
		forward(f, &group[i], tally);
}

static void count_all(const struct demux_forwarder *f,
		      const struct tally *tally)
{
	struct demux_counts *counts = &f->tables.record->counts;

	count(&counts->events, tally->events);
	count(&counts->forwarded, tally->forwarded);
	count(&counts->coalesced, tally->coalesced);
	count(&counts->dropped, tally->dropped);
	count(&counts->failed, tally->failed);
	count(&counts->interrupted, tally->interrupted);
	count(&counts->alerts, tally->alerts);
}

static void be_busy(const struct demux_forwarder *f, uint32_t busy)
{
	/* T2: seq_cst, pairs with T1 in demux_turn() */
	atomic_store_explicit(&taker(f)->busy, busy, memory_order_seq_cst);
}

/* F1 to F5 of up to `most` events. */
static unsigned take_group(const struct demux_forwarder *f, uint64_t first,
			   unsigned most)
{
	struct passage group[DEMUX_GROUP];
	struct tally tally = { 0 };
	struct hca_eqe *eqe;
	unsigned n, i;

	for (n = 0; n < most; n++) {
		eqe = host_slot(f, first + n);
		if (!hca_eqe_is_valid(eqe))
			break;
		read_event(f, &group[n], eqe);
	}
	if (!n)
		return 0;
	atomic_store_explicit(&taker(f)->taken, first + n,
			      memory_order_release);
	for (i = 0; i < n; i++)
		/* F2: seq_cst, pairs with R2 in hca_record.c */
		atomic_store_explicit(&host_slot(f, first + i)->mark, 0,
				      memory_order_seq_cst);
	forward_group(f, group, n, &tally);
	count_all(f, &tally);
	atomic_store_explicit(&taker(f)->forwarded, first + n,
			      memory_order_release);
	return n;
}

unsigned demux_forward(struct demux_forwarder *f, unsigned budget)
{
	uint64_t first =
		atomic_load_explicit(&taker(f)->taken, memory_order_relaxed);
	uint32_t busy = demux_busy(&f->tables);
	unsigned done = 0, most, n;

	be_busy(f, busy | 1);
	do {
		most = budget - done < DEMUX_GROUP ? budget - done
						   : DEMUX_GROUP;
		n = take_group(f, first + done, most);
		done += n;
	} while (n == most && done < budget);
	be_busy(f, (busy | 1) + 1);
	return done;
}

/* The guest of an event that was forwarded again, or that put its EQ in error
 * before, may not have been signalled. */
static void signal_again(const struct demux_forwarder *f,
			 const struct passage *p, struct tally *tally)
{
	const struct demux_geqcb *g =
		p->geqcb ? demux_geqcb(&f->tables, p->geqcb) : NULL;
	struct demux_result result = { 0 };

	if (!g)
		return;
	result.gisa = demux_index(g->gisa);
	result.isc = atomic_load_explicit(&g->isc, memory_order_relaxed);
	if (result.isc >= HCA_ISCS)
		return;
	result.signal = demux_signal_guest(&f->tables, g->gisa, result.isc);
	tell_signal(f, tally, &result);
}

/* Level 2, of those that it was to be alerted for. */
static void alert_again(const struct demux_forwarder *f, struct tally *tally)
{
	struct demux_result result = { .signal = DEMUX_ALERT };
	uint32_t i;

	for (i = 0; i < f->tables.gisa_n; i += 64)
		if (atomic_load_explicit(&f->tables.alerted[i / 64],
					 memory_order_seq_cst)) {
			result.gisa = i;
			tell_signal(f, tally, &result);
			return;
		}
}

/* Events that were taken and not forwarded; as they lie in the ring. */
static unsigned read_again(const struct demux_forwarder *f,
			   struct passage *group)
{
	uint64_t first = atomic_load_explicit(&taker(f)->forwarded,
					      memory_order_relaxed);
	uint64_t taken =
		atomic_load_explicit(&taker(f)->taken, memory_order_acquire);
	struct hca_eqe *eqe;
	unsigned n = 0;

	if (taken - first > DEMUX_GROUP)
		return 0;
	for (; first != taken; first++) {
		eqe = host_slot(f, first);
		read_event(f, &group[n++], eqe);
		/* F2, if it did not come to that */
		atomic_store_explicit(&eqe->mark, 0, memory_order_seq_cst);
	}
	return n;
}

void demux_forward_again(struct demux_forwarder *f)
{
	uint64_t taken =
		atomic_load_explicit(&taker(f)->taken, memory_order_acquire);
	uint32_t busy = demux_busy(&f->tables);
	struct passage group[DEMUX_GROUP];
	struct demux_result result;
	struct tally tally = { 0 };
	unsigned n, i;

	be_busy(f, busy | 1);
	result = demux_take_over(&f->tables, DEMUX_FIRMWARE, &f->memory);
	tell_signal(f, &tally, &result);
	n = read_again(f, group);
	forward_group(f, group, n, &tally);
	for (i = 0; i < n; i++)
		if (!group[i].signalled)
			signal_again(f, &group[i], &tally);
	alert_again(f, &tally);
	count_all(f, &tally);
	atomic_store_explicit(&taker(f)->forwarded, taken,
			      memory_order_release);
	be_busy(f, (busy | 1) + 1);
}

int demux_forwarder_init(struct demux_forwarder *f,
			 const struct demux_tables *tables,
			 const struct demux_memory *memory, demux_told *told,
			 void *arg)
{
	const struct demux_host_queue *host =
		&tables->record->host[DEMUX_TYPE1];
	uint32_t entries = host->entries;
	uint64_t ring = host->ring;

	if (!host->eq || entries < HCA_RING_MIN || entries > HCA_RING_MAX ||
	    entries & (entries - 1) || ring % sizeof(struct hca_eqe))
		return -ENOENT;
	*f = (struct demux_forwarder){
		.tables = *tables,
		.memory = *memory,
		.entries = entries,
		.told = told,
		.arg = arg,
	};
	f->ring = memory->at(memory->arg, ring,
			     (uint64_t)entries * sizeof(struct hca_eqe));
	if (!f->ring)
		return -EFAULT;
	f->eq = calloc(tables->geqcb_n, sizeof(*f->eq));
	return f->eq ? 0 : -ENOMEM;
}

void demux_forwarder_fini(struct demux_forwarder *f)
{
	free(f->eq);
	f->eq = NULL;
}
