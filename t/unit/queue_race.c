/* queue_race.c - guest and device as two threads of one process, under
 * ThreadSanitizer: every byte that goes through a queue is ordered by the
 * queue's indexes alone.
 *
 *	queue_race [spin|sleep|relaxed]
 *
 * One thread writes frames into buffers and enqueues them, the other takes
 * them and gives the entries back, across the end of the indexes.  `spin`
 * never sleeps, so nothing but the indexes orders the two; `sleep` adds the
 * flags and descriptors.  `relaxed` is a planted mistake, a write index that
 * is published without release: ThreadSanitizer must say so.
 *
 * Built with -fsanitize=thread whatever the rest is built with, hence without
 * libcore.a: it has libcore/queue.c in it.
 */
#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcore/queue.h"
#include "t/unit/race.h"

#define ENTRIES 64u
#define FRAMES  100000u
#define BYTES   64u
#define BURST   7
#define WAIT_MS 20000

struct race {
	struct queue_ring *ring;
	uint8_t buffer[ENTRIES][BYTES];
	bool sleeps, relaxed;
	int doorbell, interrupt;
};

static void ring_bell(int fd)
{
	if (write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)) != sizeof(uint64_t))
		race_fail("bell");
}

static void wait_bell(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, WAIT_MS) != 1 ||
	    read(fd, &count, sizeof(count)) != sizeof(count))
		race_fail("a wake-up was lost");
}

static void wait_for_room(struct race *r, struct queue *q)
{
	if (!r->sleeps) {
		sched_yield();
		return;
	}
	if (queue_writer_sleep(q))
		wait_bell(r->interrupt);
	queue_writer_awake(q);
}

static void wait_for_frames(struct race *r, struct queue *q)
{
	if (!r->sleeps) {
		sched_yield();
		return;
	}
	if (queue_reader_sleep(q))
		wait_bell(r->doorbell);
	queue_reader_awake(q);
}

static void publish(struct race *r, struct queue *q)
{
	if (r->relaxed)
		atomic_store_explicit(&q->ring->write.index, q->own,
				      memory_order_relaxed);
	else if (queue_publish_write(q))
		ring_bell(r->doorbell);
}

/* The guest (fig. 15). */
static void *guest(void *arg)
{
	struct race *r = arg;
	struct queue_entry *e;
	struct queue q;
	uint32_t n = 0;
	int space, i;

	if (queue_attach_writer(&q, r->ring, ENTRIES))
		race_fail("attach");
	while (n < FRAMES) {
		space = queue_space(&q, 1);
		if (space < 0)
			race_fail("the reader's index is wild");
		if (!space)
			wait_for_room(r, &q);
		for (i = 0; i < space && i < BURST && n < FRAMES; i++, n++) {
			e = queue_entry(&q, 0);
			memset(r->buffer[q.own & q.mask], (int)n & 0xff, BYTES);
			e->addr = q.own & q.mask;
			e->size = BYTES;
			e->status = n;
			queue_advance(&q, 1);
		}
		publish(r, &q);
	}
	return NULL;
}

/* The device (fig. 9). */
static void take(struct race *r, struct queue *q, uint32_t n)
{
	struct queue_entry *e = queue_entry(q, 0);
	uint8_t copy[BYTES];

	memcpy(copy, r->buffer[e->addr], BYTES);
	if (e->size != BYTES || e->status != n || copy[0] != (n & 0xff) ||
	    memcmp(copy, copy + 1, BYTES - 1) != 0)
		race_fail("a frame came torn");
	e->status = QUEUE_OK;
	queue_advance(q, 1);
}

static void device(struct race *r)
{
	struct queue q;
	uint32_t n = 0;
	int got, i;

	if (queue_attach_reader(&q, r->ring, ENTRIES))
		race_fail("attach");
	while (n < FRAMES) {
		got = queue_available(&q, 1);
		if (got < 0)
			race_fail("the writer's index is wild");
		if (!got)
			wait_for_frames(r, &q);
		for (i = 0; i < got; i++)
			take(r, &q, n++);
		if (got && queue_publish_read(&q))
			ring_bell(r->interrupt);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "spin";
	static struct race r;
	pthread_t thread;

	r.ring = aligned_alloc(128, (queue_ring_size(ENTRIES) + 127) & ~127ul);
	if (!r.ring)
		race_fail("no memory");
	queue_init(r.ring, ENTRIES);
	atomic_store(&r.ring->write.index, UINT32_MAX - 1000);
	atomic_store(&r.ring->read.index, UINT32_MAX - 1000);
	r.sleeps = !strcmp(how, "sleep");
	r.relaxed = !strcmp(how, "relaxed");
	r.doorbell = eventfd(0, EFD_CLOEXEC);
	r.interrupt = eventfd(0, EFD_CLOEXEC);
	if (pthread_create(&thread, NULL, guest, &r))
		race_fail("no thread");
	device(&r);
	pthread_join(thread, NULL);
	printf("queue_race: %s: %u frames\n", how, FRAMES);
	free(r.ring);
	return 0;
}
