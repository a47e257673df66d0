/* loop.h - the event loop: one callback per watch, on epoll.
 *
 * One thread.  Order within an iteration: pollers, ready descriptors, due
 * timers, deferred calls; then sleep until the next descriptor or timer.
 * While pollers have work or spin, descriptors are looked at every 50 us only.
 * Watches, timers and deferrals are embedded in the caller's structures and
 * may be removed (and freed) inside any callback, their own included.
 */
#ifndef IOVKIT_LOOP_H
#define IOVKIT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/types.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct loop;

typedef void loop_fd_fn(void *arg, uint32_t events);
typedef void loop_fn(void *arg);

/* What a poller found. */
enum loop_poll {
	LOOP_IDLE,   /* nothing: for its part the loop may sleep */
	LOOP_SPINS,  /* nothing, and it wants to look again at once */
	LOOP_WORKED, /* something */
};
typedef enum loop_poll loop_poll_fn(void *arg);

struct loop_watch {
	struct loop *loop; /* NULL while not added */
	loop_fd_fn *fn;
	void *arg;
	int fd;
	uint32_t events;
};

struct loop_timer {
	struct loop *loop; /* NULL while not armed */
	loop_fn *fn;
	void *arg;
	uint64_t due_ns;
	uint64_t order; /* of two due at the same time the older runs first */
	size_t heap_index;
};

struct loop_deferred {
	struct loop *loop; /* NULL while not queued */
	loop_fn *fn;
	void *arg;
	TAILQ_ENTRY(loop_deferred) entry;
};

struct loop_poller {
	struct loop *loop; /* NULL while not added */
	loop_poll_fn *fn;
	void *arg;
	TAILQ_ENTRY(loop_poller) entry;
};

/* CLOCK_MONOTONIC in nanoseconds, read now. */
uint64_t clock_now_ns(void);

/* 0 or -errno (-EMFILE, -ENOMEM). */
int loop_new(struct loop **loop) __attribute__((warn_unused_result));
void loop_free(struct loop *loop);

/* Run until loop_stop(); returns the status of its first call.  After it no
 * more descriptors and timers are served, only what is deferred. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int status);
/* The time at which this iteration woke up (no system call). */
uint64_t loop_now_ns(const struct loop *loop);

/* Watch fd (not owned) for EPOLLIN, EPOLLOUT...; 0 or -errno.  EPOLLERR and
 * EPOLLHUP come unasked, with no events wanted too. */
int loop_watch_add(struct loop *loop, struct loop_watch *w, int fd,
		   uint32_t events, loop_fd_fn *fn, void *arg)
	__attribute__((warn_unused_result));
/* Change the events; nothing happens when they are the same already. */
void loop_watch_events(struct loop_watch *w, uint32_t events);
/* Safe on a zeroed or removed watch. Remove before closing the fd. */
void loop_watch_del(struct loop_watch *w);

/* Arm or re-arm; `fn` runs once, not before due (_in: counted from the call,
 * not from loop_now_ns()).  The heap grows on arming: it aborts when memory is
 * out. */
void loop_timer_at(struct loop *loop, struct loop_timer *t, uint64_t due_ns,
		   loop_fn *fn, void *arg);
void loop_timer_in(struct loop *loop, struct loop_timer *t, uint64_t ns,
		   loop_fn *fn, void *arg);
void loop_timer_cancel(struct loop_timer *t);

/* Run fn once at the end of this iteration (again while queued: no-op). */
void loop_defer(struct loop *loop, struct loop_deferred *d, loop_fn *fn,
		void *arg);
void loop_defer_cancel(struct loop_deferred *d);

/* Call fn in every iteration; the loop sleeps when all of them are idle.  When
 * none worked and one spins, a thread that waits for this CPU gets it. */
void loop_poller_add(struct loop *loop, struct loop_poller *p, loop_poll_fn *fn,
		     void *arg);
void loop_poller_del(struct loop_poller *p);

/* Block signo and call fn when it arrives (signalfd); 0 or -errno.  One
 * callback a signal. */
int loop_signal(struct loop *loop, int signo, loop_fn *fn, void *arg)
	__attribute__((warn_unused_result));
/* The signals that loop_signal blocked; a child unblocks them before exec. */
void loop_unblock_signals(const struct loop *loop);

#endif
