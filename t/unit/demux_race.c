/* demux_race.c - adapter, firmware, level 2 and guests as threads of one
 * process, under ThreadSanitizer: what goes through host queue, tables and
 * guests' queues is ordered by marks alone, and no event is left behind.
 *
 *	demux_race [threads|killed]
 *
 * One thread records completions of a queue for each guest, one forwards, one
 * is level 2: it puts type 2 events into the same queues, and stops guests
 * until it is alerted.  Each guest sleeps until it is interrupted.  `killed`:
 * the forwarder is a process that is killed again and again.
 *
 * Built with -fsanitize=thread whatever the rest is built with, hence without
 * libcore.a: it has libcore/hca_*.c and demux_*.c in it.
 */
#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcore/demux_forward.h"
#include "libcore/hca_consumer.h"
#include "libcore/hca_private.h"
#include "t/unit/race.h"

#define GUESTS      3u
#define COMPLETIONS 30000u /* of each guest */
#define TYPE2       3000u  /* events of each guest */
#define OPEN        4u     /* type 2 events that a guest has not taken */
#define ENTRIES     16u    /* of a guest's EQ: those, a completion, spare */
#define CQ_ENTRIES  64u
#define HOST        128u
#define GROUP       64u /* events that are asked for at a time */
#define WAIT_MS     20000
#define KILLS       100u
#define MEMORY      0x40000u
#define HOST_AT     0x10000u
#define CQ_AT(i)    (0x20000u + 0x1000u * (i))
#define EQ_AT(i)    (0x30000u + 0x1000u * (i))
#define ASB_AT(i)   (EQ_AT(i) + 0x800u)
#define PSB_AT      64u /* in the machine's memory */
#define MACHINES    128u
#define BIT         1u /* of the guests' ISC 0 */
#define TOKEN       100u

/* What a forwarder of another process sees too. */
struct shared {
	_Alignas(4096) uint8_t memory[MEMORY];
	_Alignas(64) uint8_t machine[MACHINES];
	_Atomic uint32_t taken[GUESTS], taken2[GUESTS];
	_Atomic uint32_t done; /* guests that have all */
};

struct race {
	struct shared *s;
	struct hca hca;
	struct demux_tables t;
	struct demux_memory view;
	uint32_t host, cq[GUESTS];
	uint64_t geqcb[GUESTS];
	int host_irq, alert, irq[GUESTS];
};

struct guest {
	struct race *r;
	unsigned i;
};

static void raise_fd(int fd)
{
	if (write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)) != sizeof(uint64_t))
		race_fail("eventfd");
}

static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, WAIT_MS) != 1 ||
	    read(fd, &count, sizeof(count)) != sizeof(count))
		race_fail("an event was left behind");
}

/* The adapter's surroundings. */

static void *on_memory(void *arg, unsigned partition, uint64_t address,
		       uint64_t size, bool write)
{
	struct shared *s = ((struct race *)arg)->s;

	(void)write;
	if (!partition)
		return address < MACHINES ? s->machine + address : NULL;
	return address < MEMORY && size <= MEMORY - address
		       ? s->memory + address
		       : NULL;
}

static void on_interrupt(void *arg, unsigned partition, unsigned isc)
{
	(void)partition, (void)isc;
	raise_fd(((struct race *)arg)->host_irq);
}

static uint64_t on_now_ns(void *arg)
{
	(void)arg;
	return 0;
}

static void on_wake_at(void *arg, uint64_t at_ns)
{
	(void)arg, (void)at_ns;
}

static const struct hca_ops ops = {
	.memory = on_memory,
	.may_dma = race_may_dma,
	.interrupt = on_interrupt,
	.now_ns = on_now_ns,
	.wake_at = on_wake_at,
	.work = race_work,
	.told = race_told,
};

static uint32_t verb(struct race *r, unsigned partition, enum hca_opcode op,
		     unsigned attribute, uint32_t handle, uint64_t value)
{
	uint64_t result;

	if (hca_do(&r->hca, partition, hca_verb(op, attribute, handle), value,
		   &result))
		race_fail("verb");
	return (uint32_t)result;
}

static void make_host(struct race *r)
{
	uint32_t eq = verb(r, 1, HCA_ALLOCATE, HCA_EQ, 0, 0);

	verb(r, 1, HCA_STORE, HCA_BASE, eq, HOST_AT);
	verb(r, 1, HCA_STORE, HCA_ENTRIES, eq, HOST);
	verb(r, 1, HCA_STORE, HCA_ISC, eq, 0);
	verb(r, 0, HCA_STORE, HCA_PSB, eq, PSB_AT);
	verb(r, 0, HCA_STORE, HCA_HOST, eq, 1);
	verb(r, 1, HCA_STORE, HCA_STATE, eq, HCA_RUNNING);
	r->host = eq;
	r->t.record->host[DEMUX_TYPE1] = (struct demux_host_queue){
		.eq = eq, .entries = HOST, .ring = HOST_AT
	};
}

static void make_guest(struct race *r, unsigned i)
{
	struct demux_geqcb *g = &r->t.geqcb[i];
	uint64_t geqa;

	atomic_store(&r->t.gisa[i].enabled, BIT);
	g->gisa = demux_handle(i, demux_turn(&r->t.gisa[i].generation));
	g->ring = EQ_AT(i);
	g->entries = ENTRIES;
	atomic_store(&g->asb, ASB_AT(i));
	atomic_store(&g->state, HCA_RUNNING);
	r->geqcb[i] = demux_handle(i, demux_turn(&g->generation));
	atomic_store(&r->t.geqa[i].token, TOKEN + i);
	atomic_store(&r->t.geqa[i].geqcb, r->geqcb[i]);
	geqa = demux_handle(i, demux_turn(&r->t.geqa[i].generation));
	r->cq[i] = verb(r, 1, HCA_ALLOCATE, HCA_CQ, 0, 0);
	verb(r, 1, HCA_STORE, HCA_BASE, r->cq[i], CQ_AT(i));
	verb(r, 1, HCA_STORE, HCA_ENTRIES, r->cq[i], CQ_ENTRIES);
	verb(r, 1, HCA_STORE, HCA_TOKEN, r->cq[i], geqa);
	verb(r, 1, HCA_STORE, HCA_EVENT_QUEUE, r->cq[i], r->host);
	verb(r, 1, HCA_STORE, HCA_STATE, r->cq[i], HCA_RUNNING);
}

/* The adapter: the next completion of a guest, unless its queue is full. */
static bool record(struct race *r, unsigned i, uint32_t *made)
{
	struct hca_object *cq = hca_find(&r->hca, r->cq[i]);
	const struct hca_cqe cqe = { .id = *made, .qp = i, .length = ~*made };

	if (*made == COMPLETIONS ||
	    *made - atomic_load_explicit(&r->s->taken[i],
					 memory_order_relaxed) >=
		    CQ_ENTRIES)
		return false;
	if (!hca_complete(hca_cq_of(cq), &cqe))
		race_fail("a completion was lost");
	(*made)++;
	return true;
}

static void *adapter(void *arg)
{
	struct race *r = arg;
	uint32_t made[GUESTS] = { 0 };
	unsigned i, left;
	bool moved;

	do {
		moved = false;
		left = 0;
		for (i = 0; i < GUESTS; i++) {
			moved |= record(r, i, &made[i]);
			left += COMPLETIONS - made[i];
		}
		if (!moved)
			sched_yield();
	} while (left);
	return NULL;
}

/* The firmware. */

static void told(void *arg, const struct demux_result *result)
{
	struct race *r = arg;

	if (result->err)
		race_fail("a guest's queue is in error");
	raise_fd(result->signal == DEMUX_ALERT ? r->alert
					       : r->irq[result->gisa]);
}

static void forward(struct race *r, bool whole)
{
	struct demux_forwarder f;

	if (demux_forwarder_init(&f, &r->t, &r->view, told, r))
		race_fail("forwarder");
	demux_forward_again(&f);
	/* Who was killed may have cleared the byte. */
	while (demux_forward(&f, GROUP) == GROUP)
		;
	while (whole || atomic_load(&r->s->done) < GUESTS) {
		wait_for(r->host_irq);
		while (hca_summary_take(
			(_Atomic uint8_t *)(r->s->machine + PSB_AT)))
			while (demux_forward(&f, GROUP) == GROUP)
				;
	}
	demux_forwarder_fini(&f);
}

static void *firmware(void *arg)
{
	forward(arg, false);
	return NULL;
}

/* A process that starts forwarders and kills them, but for the last. */
static pid_t nursery(struct race *r)
{
	pid_t pid = fork(), child;
	unsigned kills;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (kills = 0;; kills++) {
		child = fork();
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			forward(r, true);
		}
		if (kills == KILLS)
			break;
		nanosleep(&(struct timespec){ 0, rand() % 3000000 }, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	pause();
	exit(0);
}

/* Level 2. */

static void interrupt(struct race *r, unsigned i)
{
	struct demux_gisa *gisa = &r->t.gisa[i];

	atomic_store(&gisa->enabled, BIT);
	atomic_store(&gisa->alert, 0);
	if (atomic_exchange(&gisa->pending, 0))
		raise_fd(r->irq[i]);
}

static void stop(struct race *r, unsigned i)
{
	struct demux_gisa *gisa = &r->t.gisa[i];

	atomic_store(&gisa->enabled, 0);
	atomic_store(&gisa->alert, BIT);
	if (atomic_load(&gisa->pending))
		interrupt(r, i);
}

static void take_alerts(struct race *r)
{
	uint64_t alerted = atomic_exchange(r->t.alerted, 0);
	unsigned i;

	for (i = 0; i < GUESTS; i++)
		if (alerted & 1u << i)
			interrupt(r, i);
}

static bool put(struct race *r, unsigned i, uint32_t *made)
{
	const struct hca_eqe event = { .token = *made,
				       .event = HCA_EVENT_QP_ERROR };
	struct demux_result result;

	if (*made == TYPE2 ||
	    *made - atomic_load_explicit(&r->s->taken2[i],
					 memory_order_relaxed) >=
		    OPEN)
		return false;
	(*made)++;
	result = demux_put(&r->t, DEMUX_LEVEL2, &r->view, r->geqcb[i], &event);
	if (result.err)
		race_fail("a type 2 event was lost");
	if (result.signal != DEMUX_QUIET)
		told(r, &result);
	return true;
}

static void *level2(void *arg)
{
	struct race *r = arg;
	uint32_t made[GUESTS] = { 0 };
	struct pollfd p = { .fd = r->alert, .events = POLLIN };
	unsigned i = 0;
	uint64_t count;

	while (atomic_load(&r->s->done) < GUESTS) {
		i = (i + 1) % GUESTS;
		if (!put(r, i, &made[i]))
			stop(r, i);
		if (poll(&p, 1, 0) == 1 &&
		    read(r->alert, &count, sizeof(count)) > 0)
			take_alerts(r);
		sched_yield();
	}
	return NULL;
}

/* Guests. */

static void take_all(const struct guest *g, struct hca_reader *cq)
{
	struct hca_cqe cqe = { 0 };
	uint32_t n = cq->next;

	while (hca_take_completion(cq, &cqe)) {
		if (cqe.id != n || cqe.qp != g->i || cqe.length != ~n)
			race_fail("a completion came torn, twice or late");
		atomic_store_explicit(&g->r->s->taken[g->i], ++n,
				      memory_order_relaxed);
	}
}

static void take_event(const struct guest *g, const struct hca_eqe *eqe,
		       struct hca_reader *cq, uint32_t *n2)
{
	if (eqe->event == HCA_EVENT_QP_ERROR) {
		if (eqe->token != *n2)
			race_fail("a type 2 event came twice or late");
		atomic_store_explicit(&g->r->s->taken2[g->i], ++*n2,
				      memory_order_relaxed);
		return;
	}
	if (eqe->token != TOKEN + g->i || eqe->handle != g->r->cq[g->i])
		race_fail("an event with another's token");
	take_all(g, cq);
}

static void *guest(void *arg)
{
	const struct guest *g = arg;
	uint8_t *memory = g->r->s->memory;
	struct hca_reader events = { memory + EQ_AT(g->i), ENTRIES, 0 };
	struct hca_reader cq = { memory + CQ_AT(g->i), CQ_ENTRIES, 0 };
	struct hca_eqe eqe = { 0 };
	uint32_t n2 = 0;

	while (cq.next < COMPLETIONS || n2 < TYPE2) {
		wait_for(g->r->irq[g->i]);
		if (!hca_summary_take(
			    (_Atomic uint8_t *)(memory + ASB_AT(g->i))))
			continue;
		while (hca_take_event(&events, &eqe))
			take_event(g, &eqe, &cq, &n2);
	}
	atomic_fetch_add(&g->r->s->done, 1);
	raise_fd(g->r->host_irq);
	return NULL;
}

/* The whole. */

static void *view_at(void *arg, uint64_t address, uint64_t size)
{
	return on_memory(arg, 1, address, size, true);
}

static struct race *race_new(void)
{
	struct race *r = calloc(1, sizeof(*r));
	unsigned i;

	if (!r)
		race_fail("no memory");
	r->s = mmap(NULL, sizeof(*r->s), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->s == MAP_FAILED)
		race_fail("mmap");
	r->view = (struct demux_memory){ .at = view_at, .arg = r };
	r->host_irq = eventfd(0, EFD_CLOEXEC);
	r->alert = eventfd(0, EFD_CLOEXEC);
	hca_init(&r->hca, &ops, r);
	if (demux_create(&r->t, r->s->memory, HOST_AT, GUESTS, GUESTS, GUESTS))
		race_fail("tables");
	make_host(r);
	for (i = 0; i < GUESTS; i++) {
		r->irq[i] = eventfd(0, EFD_CLOEXEC);
		make_guest(r, i);
	}
	return r;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		race_fail("thread");
}

int main(int argc, char **argv)
{
	bool killed = argc > 1 && !strcmp(argv[1], "killed");
	struct race *r = race_new();
	pthread_t threads[3 + GUESTS];
	struct guest guests[GUESTS];
	unsigned n = 0, i;
	pid_t pid = killed ? nursery(r) : 0;

	for (i = 0; i < GUESTS; i++) {
		guests[i] = (struct guest){ r, i };
		start(&threads[n++], guest, &guests[i]);
	}
	if (!killed)
		start(&threads[n++], firmware, r);
	start(&threads[n++], level2, r);
	start(&threads[n++], adapter, r);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (killed) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	printf("demux_race: %s: %u completions\n",
	       killed ? "killed" : "threads", GUESTS * COMPLETIONS);
	hca_fini(&r->hca);
	munmap(r->s, sizeof(*r->s));
	free(r);
	return 0;
}
