/* limit_trip.c - round trips between two CPUs: by polling shared memory, and
 * by two eventfds that both sides wait for with epoll.
 *
 * Each trip carries one cache line there and one back.  A trip that is timed by
 * itself contains a look at the clock, as a guest's does; several can be timed
 * as one.
 */
#include <config.h>

#include "share/bench/limit.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "libcore/status.h"
#include "share/bench/child.h"

#define MAX_TIMES (1u << 20)

/* What one side writes. */
struct line {
	alignas(128) _Atomic uint64_t seq;
	uint8_t payload[64 - sizeof(uint64_t)];
};

struct lines {
	struct line there, back;
};

struct doorbell {
	int fd, epfd;
};

struct trips {
	const struct limit_run *run;
	struct lines *lines; /* shared */
	struct doorbell there, back;
	/* Send one and wait for its answer. */
	void (*one)(struct trips *t, uint64_t seq);
};

/* Write a line whole, then say so. */
static void say(struct line *line, uint64_t seq)
{
	memset(line->payload, (int)seq, sizeof(line->payload));
	/* release: pairs with heard() */
	atomic_store_explicit(&line->seq, seq, memory_order_release);
}

static uint64_t heard(struct line *line)
{
	/* acquire: pairs with say() */
	return atomic_load_explicit(&line->seq, memory_order_acquire);
}

static void poll_one(struct trips *t, uint64_t seq)
{
	say(&t->lines->there, seq);
	while (heard(&t->lines->back) != seq)
		;
}

static void poll_answer(struct trips *t)
{
	uint64_t seq, last = 0;

	for (;;) {
		seq = heard(&t->lines->there);
		if (seq == last)
			continue;
		say(&t->lines->back, seq);
		last = seq;
	}
}

static void doorbell_init(struct doorbell *d)
{
	struct epoll_event ev = { .events = EPOLLIN };

	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (d->fd < 0 || d->epfd < 0 ||
	    epoll_ctl(d->epfd, EPOLL_CTL_ADD, d->fd, &ev))
		err(STATUS_INTERNAL, "eventfd");
}

static void ring(const struct doorbell *d)
{
	if (eventfd_write(d->fd, 1))
		err(STATUS_INTERNAL, "eventfd");
}

static void await(const struct doorbell *d)
{
	struct epoll_event ev;
	eventfd_t n;

	while (epoll_wait(d->epfd, &ev, 1, -1) < 1)
		;
	if (eventfd_read(d->fd, &n))
		err(STATUS_INTERNAL, "eventfd");
}

static void eventfd_one(struct trips *t, uint64_t seq)
{
	say(&t->lines->there, seq);
	ring(&t->there);
	await(&t->back);
}

static void eventfd_answer(struct trips *t)
{
	for (;;) {
		await(&t->there);
		say(&t->lines->back, heard(&t->lines->there));
		ring(&t->back);
	}
}

static int by_time(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Time so many trips as one, again and again. */
static struct limit_trip measure(struct trips *t)
{
	double *ns = calloc(MAX_TIMES, sizeof(*ns));
	uint64_t seq = 0, start = clock_now_ns(), last, now = start;
	struct limit_trip trip;
	unsigned n = 0, i;

	if (!ns)
		err(STATUS_INTERNAL, "trips");
	while (now - start < t->run->warm_up_ns) {
		t->one(t, ++seq);
		now = clock_now_ns();
	}
	start = last = now;
	while (n < MAX_TIMES && now - start < t->run->duration_ns) {
		for (i = 0; i < t->run->trips; i++)
			t->one(t, ++seq);
		now = clock_now_ns();
		ns[n++] = (double)(now - last);
		last = now;
	}
	qsort(ns, n, sizeof(*ns), by_time);
	trip.p50_ns = ns[n / 2];
	trip.p99_ns = ns[n * 99ull / 100];
	free(ns);
	return trip;
}

static struct limit_trip run_trips(struct trips *t,
				   void (*answer)(struct trips *t))
{
	struct limit_trip trip;
	pid_t child;

	t->lines = limit_map(sizeof(*t->lines));
	doorbell_init(&t->there);
	doorbell_init(&t->back);
	child_pin(t->run->guest_cpu);
	child = child_fork(t->run->device_cpu);
	if (!child)
		answer(t);
	trip = measure(t);
	kill(child, SIGKILL);
	child_wait(child);
	return trip;
}

struct limit_trip trip_poll(const struct limit_run *run)
{
	struct trips t = { .run = run, .one = poll_one };

	return run_trips(&t, poll_answer);
}

struct limit_trip trip_eventfd(const struct limit_run *run)
{
	struct trips t = { .run = run, .one = eventfd_one };

	return run_trips(&t, eventfd_answer);
}
