/* loop.c - the event loop: one callback per watch, on epoll.
 *
 * Theory of operation
 *
 * epoll hands out up to 64 events at once, each with the address of its
 * watch.  A callback may remove any watch, so removal also strikes the watch
 * from the rest of the batch; a watch that was removed never gets a callback,
 * and its memory is not touched again.
 *
 * Timers lie in a binary heap, each knowing its place; arming is a matter of
 * memory only, and the sleep ends when the first is due.  Timers armed and
 * calls deferred by a callback wait for the next iteration, so that one that
 * renews itself cannot keep the others from running.
 *
 * Pollers that run on a CPU on which somebody else waits keep away just what
 * they wait for, or who takes what they send.  So a loop that does not sleep
 * gives the CPU up now and then, and by the time that takes it notices who
 * took it.  Who gives it back soon is a partner: while there is one, the loop
 * gives the CPU up each time that it found nothing, and after a short while
 * of work.  Who keeps it has work of his own, and gets it from the scheduler:
 * giving up more often would only give away this loop's share.
 */
#include <config.h>

#include "libcore/loop.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
/* How long pollers with work may keep descriptors waiting. */
#define BUSY_NS (50 * NS_PER_US)
/* For how long a loop spins, or works, between two tries to give the CPU up. */
#define YIELD_SPIN_NS (5 * NS_PER_US)
#define YIELD_WORK_NS (100 * NS_PER_US)
/* Two tries in a row that take this long show a partner, and a longer one a
 * stranger.  A single one does not: a tick may have come between, as one does
 * in a millisecond of tries, and all of them would be for nothing. */
#define TAKEN_NS (1 * NS_PER_US)
#define KEPT_NS  (500 * NS_PER_US)
/* For how long a partner counts as there, and for how long a loop works before
 * it is the partner's turn: a few hundred frames, which fit a ring. */
#define SHARED_NS     (1 * NS_PER_MS)
#define SHARE_WORK_NS (10 * NS_PER_US)
/* The next try comes after so many times what a stranger took. */
#define KEPT_TIMES 16u
/* Spinning, the clock is read this often only. */
#define SPINS_PER_CLOCK 4u

struct signal_handler {
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epfd;
	bool has_pwait2;
	bool stopped;
	int status;
	uint64_t now_ns;
	uint64_t waited_ns;  /* when epoll was asked last */
	uint64_t worked_ns;  /* when something was found last */
	uint64_t yielded_ns; /* when the CPU was given up last */
	uint64_t shared_ns;  /* until when a partner counts as there */
	bool taken;          /* by somebody, when it was given up last */
	uint64_t kept_ns;    /* until when the CPU is not given up */
	unsigned spins;      /* in a row */

	struct epoll_event batch[BATCH];
	unsigned batch_next, batch_n; /* not served yet: [next, n) */

	struct loop_timer **heap;
	size_t n_timers, heap_size;
	uint64_t timer_order;

	TAILQ_HEAD(, loop_deferred) deferred;
	TAILQ_HEAD(, loop_poller) pollers;
	struct loop_poller *next_poller; /* while they run */

	int sigfd;
	sigset_t sigmask;
	struct loop_watch sigwatch;
	struct signal_handler signals[_NSIG];
};

uint64_t clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int loop_new(struct loop **loop)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		err = -errno;
		free(l);
		return err;
	}
	l->has_pwait2 = true;
	l->sigfd = -1;
	sigemptyset(&l->sigmask);
	TAILQ_INIT(&l->deferred);
	TAILQ_INIT(&l->pollers);
	l->now_ns = clock_now_ns();
	*loop = l;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	/* The signals stay blocked: one that comes now must not kill us. */
	if (loop->sigfd >= 0)
		close(loop->sigfd);
	close(loop->epfd);
	free(loop->heap);
	free(loop);
}

void loop_stop(struct loop *loop, int status)
{
	if (loop->stopped)
		return;
	loop->stopped = true;
	loop->status = status;
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

/* Descriptors */

int loop_watch_add(struct loop *loop, struct loop_watch *w, int fd,
		   uint32_t events, loop_fd_fn *fn, void *arg)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev))
		return -errno;
	*w = (struct loop_watch){
		.loop = loop,
		.fn = fn,
		.arg = arg,
		.fd = fd,
		.events = events,
	};
	return 0;
}

void loop_watch_events(struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	int failed;

	if (!w->loop || w->events == events)
		return;
	w->events = events;
	failed = epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev);
	assert(!failed);
	(void)failed;
}

void loop_watch_del(struct loop_watch *w)
{
	struct loop *loop = w->loop;
	unsigned i;

	if (!loop)
		return;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	for (i = loop->batch_next; i < loop->batch_n; i++)
		if (loop->batch[i].data.ptr == w)
			loop->batch[i].data.ptr = NULL;
	w->loop = NULL;
}

static void serve_batch(struct loop *loop)
{
	struct loop_watch *w;
	uint32_t events;

	while (!loop->stopped && loop->batch_next < loop->batch_n) {
		w = loop->batch[loop->batch_next].data.ptr;
		events = loop->batch[loop->batch_next].events;
		loop->batch_next++;
		if (!w)
			continue;
		/* A callback before may have lost interest in some. */
		events &= w->events | EPOLLERR | EPOLLHUP;
		if (events)
			w->fn(w->arg, events);
	}
	loop->batch_next = loop->batch_n = 0;
}

/* Timers */

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->order < b->order;
}

static void heap_put(struct loop *loop, size_t i, struct loop_timer *t)
{
	loop->heap[i] = t;
	t->heap_index = i;
}

static void heap_up(struct loop *loop, size_t i, struct loop_timer *t)
{
	size_t parent;

	for (; i; i = parent) {
		parent = (i - 1) / 2;
		if (!earlier(t, loop->heap[parent]))
			break;
		heap_put(loop, i, loop->heap[parent]);
	}
	heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, size_t i, struct loop_timer *t)
{
	size_t child;

	for (; (child = 2 * i + 1) < loop->n_timers; i = child) {
		if (child + 1 < loop->n_timers &&
		    earlier(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!earlier(loop->heap[child], t))
			break;
		heap_put(loop, i, loop->heap[child]);
	}
	heap_put(loop, i, t);
}

static void heap_grow(struct loop *loop)
{
	size_t size = loop->heap_size ? 2 * loop->heap_size : 64;
	void *heap = reallocarray(loop->heap, size, sizeof(*loop->heap));

	if (!heap)
		abort();
	loop->heap = heap;
	loop->heap_size = size;
}

void loop_timer_cancel(struct loop_timer *t)
{
	struct loop *loop = t->loop;
	struct loop_timer *last;
	size_t i;

	if (!loop)
		return;
	t->loop = NULL;
	i = t->heap_index;
	last = loop->heap[--loop->n_timers];
	if (last == t)
		return;
	/* The last one fills the gap, and may belong above or below it. */
	if (i && earlier(last, loop->heap[(i - 1) / 2]))
		heap_up(loop, i, last);
	else
		heap_down(loop, i, last);
}

void loop_timer_at(struct loop *loop, struct loop_timer *t, uint64_t due_ns,
		   loop_fn *fn, void *arg)
{
	loop_timer_cancel(t);
	if (loop->n_timers == loop->heap_size)
		heap_grow(loop);
	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	t->due_ns = due_ns;
	t->order = loop->timer_order++;
	heap_up(loop, loop->n_timers++, t);
}

void loop_timer_in(struct loop *loop, struct loop_timer *t, uint64_t ns,
		   loop_fn *fn, void *arg)
{
	uint64_t now = clock_now_ns();

	loop_timer_at(loop, t, ns < UINT64_MAX - now ? now + ns : UINT64_MAX,
		      fn, arg);
}

static void run_timers(struct loop *loop)
{
	uint64_t armed = loop->timer_order;
	struct loop_timer *t;

	while (!loop->stopped && loop->n_timers) {
		t = loop->heap[0];
		if (t->due_ns > loop->now_ns || t->order >= armed)
			break;
		loop_timer_cancel(t);
		t->fn(t->arg);
	}
}

/* Deferred calls */

void loop_defer(struct loop *loop, struct loop_deferred *d, loop_fn *fn,
		void *arg)
{
	if (d->loop)
		return;
	d->loop = loop;
	d->fn = fn;
	d->arg = arg;
	TAILQ_INSERT_TAIL(&loop->deferred, d, entry);
}

void loop_defer_cancel(struct loop_deferred *d)
{
	if (!d->loop)
		return;
	TAILQ_REMOVE(&d->loop->deferred, d, entry);
	d->loop = NULL;
}

/* What these calls defer comes behind the mark, for the next iteration. */
static void run_deferred(struct loop *loop)
{
	struct loop_deferred mark, *d;

	if (TAILQ_EMPTY(&loop->deferred))
		return;
	TAILQ_INSERT_TAIL(&loop->deferred, &mark, entry);
	while ((d = TAILQ_FIRST(&loop->deferred)) != &mark) {
		loop_defer_cancel(d);
		d->fn(d->arg);
	}
	TAILQ_REMOVE(&loop->deferred, &mark, entry);
}

/* Pollers */

void loop_poller_add(struct loop *loop, struct loop_poller *p, loop_poll_fn *fn,
		     void *arg)
{
	if (p->loop)
		return;
	p->loop = loop;
	p->fn = fn;
	p->arg = arg;
	TAILQ_INSERT_TAIL(&loop->pollers, p, entry);
}

void loop_poller_del(struct loop_poller *p)
{
	if (!p->loop)
		return;
	if (p->loop->next_poller == p)
		p->loop->next_poller = TAILQ_NEXT(p, entry);
	TAILQ_REMOVE(&p->loop->pollers, p, entry);
	p->loop = NULL;
}

/* The most that one of them found. */
static enum loop_poll run_pollers(struct loop *loop)
{
	enum loop_poll most = LOOP_IDLE, found;
	struct loop_poller *p;

	for (p = TAILQ_FIRST(&loop->pollers); p; p = loop->next_poller) {
		loop->next_poller = TAILQ_NEXT(p, entry);
		found = p->fn(p->arg);
		if (found > most)
			most = found;
	}
	return most;
}

/* Whoever waits for this CPU may be a partner. */
static void yield(struct loop *loop)
{
	uint64_t before = loop->now_ns, took;
	bool was_taken = loop->taken;

	sched_yield();
	loop->now_ns = clock_now_ns();
	loop->yielded_ns = loop->now_ns;
	took = loop->now_ns - before;
	loop->taken = took >= TAKEN_NS;
	if (took >= KEPT_NS)
		loop->kept_ns = loop->now_ns + KEPT_TIMES * took;
	else if (loop->taken && was_taken)
		loop->shared_ns = loop->now_ns + SHARED_NS;
}

static bool shall_yield(const struct loop *loop, enum loop_poll found)
{
	uint64_t now = loop->now_ns, ran = now - loop->yielded_ns;
	bool shared = now < loop->shared_ns;

	if (found == LOOP_WORKED)
		return now >= loop->kept_ns &&
		       ran >= (shared ? SHARE_WORK_NS : YIELD_WORK_NS);
	if (now - loop->worked_ns < ran)
		ran = now - loop->worked_ns;
	return shared || ran >= YIELD_SPIN_NS;
}

/* The time of an iteration that does not sleep. */
static void take_time(struct loop *loop, enum loop_poll found)
{
	if (found != LOOP_WORKED && ++loop->spins % SPINS_PER_CLOCK != 0)
		return;
	loop->now_ns = clock_now_ns();
	if (found == LOOP_WORKED) {
		loop->worked_ns = loop->now_ns;
		loop->spins = 0;
	}
	if (shall_yield(loop, found))
		yield(loop);
}

/* Signals */

static void on_signals(void *arg, uint32_t events)
{
	struct signalfd_siginfo info[8];
	struct loop *loop = arg;
	ssize_t n;
	size_t i;

	(void)events;
	n = read(loop->sigfd, info, sizeof(info));
	for (i = 0; n > 0 && i < (size_t)n / sizeof(info[0]); i++) {
		if (info[i].ssi_signo >= _NSIG)
			continue;
		if (loop->signals[info[i].ssi_signo].fn)
			loop->signals[info[i].ssi_signo].fn(
				loop->signals[info[i].ssi_signo].arg);
	}
}

int loop_signal(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
	sigset_t mask = loop->sigmask;
	int fd, err;

	if (signo <= 0 || signo >= _NSIG || sigaddset(&mask, signo))
		return -EINVAL;
	fd = signalfd(loop->sigfd, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (loop->sigfd < 0) {
		err = loop_watch_add(loop, &loop->sigwatch, fd, EPOLLIN,
				     on_signals, loop);
		if (err) {
			close(fd);
			return err;
		}
		loop->sigfd = fd;
	}
	loop->signals[signo] = (struct signal_handler){ fn, arg };
	loop->sigmask = mask;
	return sigprocmask(SIG_BLOCK, &mask, NULL) ? -errno : 0;
}

void loop_unblock_signals(const struct loop *loop)
{
	sigprocmask(SIG_UNBLOCK, &loop->sigmask, NULL);
}

/* The loop */

/* How long to sleep, UINT64_MAX for ever. */
static uint64_t time_to_sleep(const struct loop *loop)
{
	uint64_t due, now;

	if (!TAILQ_EMPTY(&loop->deferred))
		return 0;
	if (!loop->n_timers || loop->heap[0]->due_ns == UINT64_MAX)
		return UINT64_MAX;
	due = loop->heap[0]->due_ns;
	now = clock_now_ns();
	return due > now ? due - now : 0;
}

/* As epoll_wait(), to the nanosecond where the kernel can (5.11). */
static int wait_ns(struct loop *loop, uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};
	uint64_t ms;
	int n;

	if (loop->has_pwait2) {
		n = epoll_pwait2(loop->epfd, loop->batch, BATCH,
				 ns == UINT64_MAX ? NULL : &ts, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		loop->has_pwait2 = false;
	}
	if (ns == UINT64_MAX)
		return epoll_wait(loop->epfd, loop->batch, BATCH, -1);
	ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
	return epoll_wait(loop->epfd, loop->batch, BATCH,
			  ms < INT32_MAX ? (int)ms : INT32_MAX);
}

static void wait_for_events(struct loop *loop, enum loop_poll found)
{
	int n;

	if (found != LOOP_IDLE) {
		/* Between busy queues: no system call. */
		take_time(loop, found);
		if (loop->now_ns - loop->waited_ns < BUSY_NS)
			return;
	}
	n = wait_ns(loop, found != LOOP_IDLE ? 0 : time_to_sleep(loop));
	loop->now_ns = clock_now_ns();
	loop->waited_ns = loop->now_ns;
	loop->batch_next = 0;
	loop->batch_n = n > 0 ? (unsigned)n : 0;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		enum loop_poll found = run_pollers(loop);

		if (!loop->stopped)
			wait_for_events(loop, found);
		serve_batch(loop);
		run_timers(loop);
		run_deferred(loop);
	}
	loop->stopped = false;
	return loop->status;
}
