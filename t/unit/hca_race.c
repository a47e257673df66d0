/* hca_race.c - adapter and consumer as two threads of one process, under
 * ThreadSanitizer: what goes through completion and event queues is ordered by
 * the valid marks alone, and no event is left behind.
 *
 *	hca_race [at-once|delay|relaxed]
 *
 * One thread records completions in two queues that share an event queue with
 * a summary byte, the other sleeps until the interrupt, and takes what there
 * is.  `delay` interrupts by the timer.  `relaxed` is a planted mistake, a
 * consumer that looks at marks without acquire: ThreadSanitizer must say so.
 *
 * Built with -fsanitize=thread whatever the rest is built with, hence without
 * libcore.a: it has libcore/hca_*.c in it.
 */
#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "libcore/hca_consumer.h"
#include "libcore/hca_private.h"
#include "t/unit/race.h"

#define QUEUES      2u
#define COMPLETIONS 100000u /* of each queue */
#define ENTRIES     64u
#define DELAY_US    20u
#define WAIT_MS     20000
#define MEMORY      0x4000u
#define EQ_AT       0x0000u
#define CQ_AT(i)    (0x1000u * (1 + (i)))
#define ASB_AT      0x3800u

struct race {
	struct hca hca;
	_Alignas(64) uint8_t memory[MEMORY];
	uint32_t eq, cq[QUEUES];
	_Atomic uint32_t taken[QUEUES];
	uint64_t wake_ns; /* 0: no timer */
	bool relaxed;
	int interrupt;
};

/* The adapter's surroundings. */

static void *on_memory(void *arg, unsigned partition, uint64_t address,
		       uint64_t size, bool write)
{
	struct race *r = arg;

	(void)partition, (void)write;
	return address < MEMORY && size <= MEMORY - address
		       ? r->memory + address
		       : NULL;
}

static void on_interrupt(void *arg, unsigned partition, unsigned isc)
{
	struct race *r = arg;

	(void)partition, (void)isc;
	if (write(r->interrupt, &(uint64_t){ 1 }, sizeof(uint64_t)) !=
	    sizeof(uint64_t))
		race_fail("interrupt");
}

static uint64_t on_now_ns(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_wake_at(void *arg, uint64_t at_ns)
{
	((struct race *)arg)->wake_ns = at_ns;
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

static void verb(struct race *r, enum hca_opcode op, unsigned attribute,
		 uint32_t handle, uint64_t value, uint32_t *made)
{
	uint64_t result;

	if (hca_do(&r->hca, 1, hca_verb(op, attribute, handle), value, &result))
		race_fail("verb");
	if (made)
		*made = (uint32_t)result;
}

static void store(struct race *r, uint32_t handle, unsigned attribute,
		  uint64_t value)
{
	verb(r, HCA_STORE, attribute, handle, value, NULL);
}

static void make_queues(struct race *r, bool delay)
{
	unsigned i;

	verb(r, HCA_ALLOCATE, HCA_EQ, 0, 0, &r->eq);
	store(r, r->eq, HCA_BASE, EQ_AT);
	store(r, r->eq, HCA_ENTRIES, 2 * QUEUES);
	store(r, r->eq, HCA_ASB, ASB_AT);
	store(r, r->eq, HCA_ISC, 0);
	store(r, r->eq, HCA_IMMEDIATE, !delay);
	store(r, r->eq, HCA_DELAY, delay ? DELAY_US : 0);
	store(r, r->eq, HCA_STATE, HCA_RUNNING);
	for (i = 0; i < QUEUES; i++) {
		verb(r, HCA_ALLOCATE, HCA_CQ, 0, 0, &r->cq[i]);
		store(r, r->cq[i], HCA_BASE, CQ_AT(i));
		store(r, r->cq[i], HCA_ENTRIES, ENTRIES);
		store(r, r->cq[i], HCA_TOKEN, i);
		store(r, r->cq[i], HCA_EVENT_QUEUE, r->eq);
		store(r, r->cq[i], HCA_STATE, HCA_RUNNING);
	}
}

static void look_at_timer(struct race *r)
{
	if (!r->wake_ns || on_now_ns(r) < r->wake_ns)
		return;
	r->wake_ns = 0;
	hca_expire(&r->hca);
}

/* The next completion of a queue, unless it is full. */
static bool record(struct race *r, unsigned i, uint32_t *made)
{
	struct hca_object *cq = hca_find(&r->hca, r->cq[i]);
	const struct hca_cqe cqe = { .id = *made, .qp = i, .length = ~*made };

	if (*made == COMPLETIONS ||
	    *made - atomic_load_explicit(&r->taken[i], memory_order_relaxed) >=
		    ENTRIES)
		return false;
	if (!hca_complete(hca_cq_of(cq), &cqe))
		race_fail("a completion was lost");
	(*made)++;
	return true;
}

static void adapter(struct race *r)
{
	uint32_t made[QUEUES] = { 0 };
	bool moved;

	do {
		moved = record(r, 0, &made[0]);
		moved |= record(r, 1, &made[1]);
		look_at_timer(r);
		if (!moved)
			sched_yield();
	} while (made[0] < COMPLETIONS || made[1] < COMPLETIONS || r->wake_ns);
}

/* The consumer. */

static void wait_for_interrupt(struct race *r)
{
	struct pollfd p = { .fd = r->interrupt, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, WAIT_MS) != 1 ||
	    read(r->interrupt, &count, sizeof(count)) != sizeof(count))
		race_fail("an event was left behind");
}

static bool is_there(const struct race *r, const struct hca_reader *reader)
{
	const struct hca_cqe *at = (const struct hca_cqe *)reader->entries +
				   (reader->next & (reader->n - 1));

	return !r->relaxed ||
	       atomic_load_explicit(&at->valid, memory_order_relaxed);
}

/* What the planted mistake does instead of hca_take_completion(). */
static bool take_relaxed(struct hca_reader *reader, struct hca_cqe *cqe)
{
	struct hca_cqe *at = (struct hca_cqe *)reader->entries +
			     (reader->next & (reader->n - 1));

	cqe->id = at->id;
	cqe->qp = at->qp;
	cqe->length = at->length;
	atomic_store_explicit(&at->valid, 0, memory_order_relaxed);
	reader->next++;
	return true;
}

static void take_all(struct race *r, struct hca_reader *reader, uint32_t i)
{
	struct hca_cqe cqe = { 0 };
	uint32_t n = reader->next;

	while (is_there(r, reader) &&
	       (r->relaxed ? take_relaxed(reader, &cqe)
			   : hca_take_completion(reader, &cqe))) {
		if (cqe.id != n || cqe.qp != i || cqe.length != ~n)
			race_fail("a completion came torn, twice or late");
		atomic_store_explicit(&r->taken[i], ++n, memory_order_relaxed);
	}
}

static void *consumer(void *arg)
{
	struct race *r = arg;
	struct hca_reader events = { r->memory + EQ_AT, 2 * QUEUES, 0 };
	struct hca_reader cq[QUEUES] = {
		{ r->memory + CQ_AT(0), ENTRIES, 0 },
		{ r->memory + CQ_AT(1), ENTRIES, 0 },
	};
	struct hca_eqe eqe = { 0 };

	while (cq[0].next < COMPLETIONS || cq[1].next < COMPLETIONS) {
		wait_for_interrupt(r);
		if (!hca_summary_take((_Atomic uint8_t *)r->memory + ASB_AT))
			continue;
		while (hca_take_event(&events, &eqe)) {
			if (eqe.token >= QUEUES ||
			    eqe.handle != r->cq[eqe.token])
				race_fail("an event with another's token");
			take_all(r, &cq[eqe.token], (uint32_t)eqe.token);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "at-once";
	struct race *r = calloc(1, sizeof(*r));
	pthread_t thread;

	if (!r)
		race_fail("no memory");
	r->relaxed = !strcmp(how, "relaxed");
	r->interrupt = eventfd(0, EFD_CLOEXEC);
	hca_init(&r->hca, &ops, r);
	make_queues(r, !strcmp(how, "delay"));
	if (pthread_create(&thread, NULL, consumer, r))
		race_fail("thread");
	adapter(r);
	pthread_join(thread, NULL);
	printf("hca_race: %s: %u completions\n", how, QUEUES * COMPLETIONS);
	hca_fini(&r->hca);
	close(r->interrupt);
	free(r);
	return 0;
}
