/* queue_test.c - both ends of a queue: wrap, full, empty, wild indexes, the
 * sleeping flags, and two threads that hammer it. */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcore/queue.h"
#include "t/unit/unit.h"

static struct queue_ring *ring_new(uint32_t n)
{
	struct queue_ring *ring =
		aligned_alloc(128, (queue_ring_size(n) + 127) & ~(size_t)127);

	queue_init(ring, n);
	return ring;
}

static void start_at(struct queue_ring *ring, uint32_t index)
{
	atomic_store(&ring->write.index, index);
	atomic_store(&ring->read.index, index);
}

static void test_full_empty(void)
{
	struct queue_ring *ring = ring_new(8);
	struct queue w, r;

	CHECK_INT(queue_attach_writer(&w, ring, 8), 0);
	CHECK_INT(queue_attach_reader(&r, ring, 8), 0);
	CHECK_INT(queue_available(&r, 1), 0);
	CHECK_INT(queue_space(&w, 1), 7);
	queue_entry(&w, 6)->size = 60;
	queue_advance(&w, 7);
	CHECK_INT(queue_available(&r, 1), 0);
	CHECK(!queue_publish_write(&w));
	CHECK_INT(queue_space(&w, 1), 0);
	CHECK_INT(queue_available(&r, 1), 7);
	CHECK_INT(queue_entry(&r, 6)->size, 60);
	queue_advance(&r, 2);
	CHECK_INT(queue_space(&w, 1), 0);
	CHECK(!queue_publish_read(&r));
	CHECK_INT(queue_space(&w, 1), 2);
	CHECK(!queue_enabled(&r));
	free(ring);
}

static void test_wrap(void)
{
	struct queue_ring *ring = ring_new(4);
	struct queue w, r;
	uint32_t i;

	start_at(ring, UINT32_MAX - 5);
	CHECK_INT(queue_attach_writer(&w, ring, 4), 0);
	CHECK_INT(queue_attach_reader(&r, ring, 4), 0);
	for (i = 0; i < 16; i++) {
		CHECK_INT(queue_space(&w, 3), 3);
		queue_entry(&w, 0)->addr = i;
		queue_advance(&w, 1);
		(void)queue_publish_write(&w);
		CHECK_INT(queue_available(&r, 1), 1);
		CHECK_INT(queue_entry(&r, 0)->addr, i);
		queue_advance(&r, 1);
		(void)queue_publish_read(&r);
	}
	CHECK_INT(ring->write.index, 10);
	free(ring);
}

static void test_goes_on(void)
{
	struct queue_ring *ring = ring_new(16);
	struct queue w, r;

	start_at(ring, 100);
	CHECK_INT(queue_attach_writer(&w, ring, 16), 0);
	queue_advance(&w, 5);
	(void)queue_publish_write(&w);
	CHECK_INT(queue_attach_reader(&r, ring, 16), 0);
	CHECK_INT(queue_available(&r, 1), 5);
	CHECK_INT(queue_attach_writer(&w, ring, 16), 0);
	CHECK_INT(queue_space(&w, 1), 10);
	free(ring);
}

static void test_wild(void)
{
	struct queue_ring *ring = ring_new(8);
	struct queue w, r;

	CHECK_INT(queue_attach_writer(&w, ring, 8), 0);
	CHECK_INT(queue_attach_reader(&r, ring, 8), 0);
	atomic_store(&ring->write.index, 8);
	CHECK_INT(queue_available(&r, 1), -EBADMSG);
	atomic_store(&ring->write.index, UINT32_MAX);
	CHECK_INT(queue_available(&r, 1), -EBADMSG);
	CHECK_INT(queue_attach_reader(&r, ring, 8), -EBADMSG);
	atomic_store(&ring->write.index, 7);
	CHECK_INT(queue_available(&r, 1), 7);
	atomic_store(&ring->write.index, 0);
	queue_advance(&w, 7);
	(void)queue_publish_write(&w);
	atomic_store(&ring->read.index, 8);
	CHECK_INT(queue_space(&w, 1), -EBADMSG);
	atomic_store(&ring->read.index, UINT32_MAX);
	CHECK_INT(queue_space(&w, 1), -EBADMSG);
	CHECK_INT(queue_attach_writer(&w, ring, 8), -EBADMSG);
	free(ring);
}

static void test_bad_ring(void)
{
	struct queue_ring *ring = ring_new(8);
	struct queue q;

	CHECK_INT(queue_attach_reader(&q, ring, 16), -EBADMSG);
	CHECK_INT(queue_attach_reader(&q, ring, 0), -EBADMSG);
	ring->n = 2;
	CHECK_INT(queue_attach_reader(&q, ring, 2), -EBADMSG);
	ring->n = 12;
	CHECK_INT(queue_attach_writer(&q, ring, 12), -EBADMSG);
	ring->n = 8;
	ring->version = 2;
	CHECK_INT(queue_attach_writer(&q, ring, 8), -EBADMSG);
	ring->version = QUEUE_VERSION;
	ring->magic = 0;
	CHECK_INT(queue_attach_reader(&q, ring, 8), -EBADMSG);
	free(ring);
}

static void test_sleep(void)
{
	struct queue_ring *ring = ring_new(4);
	struct queue w, r;

	CHECK_INT(queue_attach_writer(&w, ring, 4), 0);
	CHECK_INT(queue_attach_reader(&r, ring, 4), 0);
	CHECK(queue_reader_sleep(&r));
	queue_advance(&w, 3);
	CHECK(queue_publish_write(&w));
	CHECK(!queue_reader_sleep(&r)); /* there is work: awake at once */
	CHECK(!ring->read.sleeping);
	CHECK_INT(queue_space(&w, 1), 0);
	CHECK(queue_writer_sleep(&w));
	CHECK_INT(queue_available(&r, 3), 3);
	queue_advance(&r, 3);
	CHECK(queue_publish_read(&r));
	queue_writer_awake(&w);
	CHECK(!ring->write.sleeping);
	CHECK(queue_reader_sleep(&r));
	queue_reader_awake(&r);
	CHECK(!queue_publish_write(&w));
	free(ring);
}

/* Two threads, each of which sleeps on an eventfd when it has nothing to do:
 * a lost wake-up shows as a timeout, a lost or torn entry as a bad stamp. */
#define STRESS_ENTRIES 300000u

struct stress {
	struct queue_ring *ring;
	int doorbell, interrupt;
	unsigned bad, timeouts;
};

static void ring_bell(int fd)
{
	if (write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)) != sizeof(uint64_t))
		abort();
}

static bool wait_bell(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, 5000) == 1 &&
	       read(fd, &count, sizeof(count)) == sizeof(count);
}

static void *stress_writer(void *arg)
{
	struct stress *s = arg;
	struct queue w;
	uint32_t sent = 0;
	int space, i;

	if (queue_attach_writer(&w, s->ring, 64))
		abort();
	while (sent < STRESS_ENTRIES) {
		space = queue_space(&w, 1);
		if (!space) {
			if (queue_writer_sleep(&w) && !wait_bell(s->interrupt))
				s->timeouts++;
			queue_writer_awake(&w);
			continue;
		}
		if (space > 7)
			space = 7;
		for (i = 0; i < space && sent < STRESS_ENTRIES; i++, sent++) {
			queue_entry(&w, 0)->addr = sent;
			queue_entry(&w, 0)->size = ~sent;
			queue_advance(&w, 1);
		}
		if (queue_publish_write(&w))
			ring_bell(s->doorbell);
	}
	return NULL;
}

static void stress_read(struct stress *s, struct queue *r, uint32_t *got, int n)
{
	int i;

	for (i = 0; i < n; i++, (*got)++) {
		if (queue_entry(r, 0)->addr != *got ||
		    queue_entry(r, 0)->size != ~*got)
			s->bad++;
		queue_advance(r, 1);
	}
	if (queue_publish_read(r))
		ring_bell(s->interrupt);
}

static void test_stress(void)
{
	struct stress s = { .ring = ring_new(64) };
	struct queue r;
	pthread_t writer;
	uint32_t got = 0;
	int n;

	s.doorbell = eventfd(0, EFD_CLOEXEC);
	s.interrupt = eventfd(0, EFD_CLOEXEC);
	start_at(s.ring, UINT32_MAX - 1000);
	CHECK_INT(queue_attach_reader(&r, s.ring, 64), 0);
	CHECK_INT(pthread_create(&writer, NULL, stress_writer, &s), 0);
	while (got < STRESS_ENTRIES && !s.timeouts && !s.bad) {
		n = queue_available(&r, 1);
		if (n > 0) {
			stress_read(&s, &r, &got, n);
			continue;
		}
		if (queue_reader_sleep(&r) && !wait_bell(s.doorbell))
			s.timeouts++;
		queue_reader_awake(&r);
	}
	pthread_join(writer, NULL);
	CHECK_INT(got, STRESS_ENTRIES);
	CHECK_INT(s.bad, 0);
	CHECK_INT(s.timeouts, 0);
	close(s.doorbell);
	close(s.interrupt);
	free(s.ring);
}

static const struct unit_case cases[] = {
	{ "full_empty", test_full_empty }, { "wrap", test_wrap },
	{ "goes_on", test_goes_on },       { "wild", test_wild },
	{ "bad_ring", test_bad_ring },     { "sleep", test_sleep },
	{ "stress", test_stress },         { NULL, NULL },
};

const struct unit_suite queue_suite = { "queue", cases };
