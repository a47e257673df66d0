/* demux_cost.c - what an event costs the firmware, in rounds: the others
 * record events of random queues, the firmware is timed with all of them, the
 * others check and consume what the guests got. */
#include <config.h>

#include "share/bench/demux.h"

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "libcore/status.h"
#include "share/bench/child.h"

#define EPOLL_EVENTS 64

struct kind {
	/* The others, before the firmware's turn and after it. */
	void (*before)(struct demux_bench *b);
	void (*after)(struct demux_bench *b);
	/* The firmware. */
	void (*timed)(struct demux_bench *b);
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What a look at the clock adds to a time. */
static double clock_ns(void)
{
	double least = 1e9, ns;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		ns = -now_ns();
		ns += now_ns();
		if (ns < least)
			least = ns;
	}
	return least;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct demux_cost cost_of(struct demux_bench *b, double each)
{
	double clock = clock_ns();
	struct demux_cost cost;

	qsort(b->times, b->rounds, sizeof(*b->times), compare);
	cost.p50_ns = (b->times[b->rounds / 2] - clock) / each;
	cost.p99_ns = (b->times[b->rounds * 99ull / 100] - clock) / each;
	return cost;
}

static void await_turn(struct demux_bench *b, uint32_t turn)
{
	unsigned looks = 0;

	while (atomic_load_explicit(&b->shared->turn, memory_order_acquire) !=
	       turn)
		if (++looks > 1000)
			sched_yield();
}

static void give_turn(struct demux_bench *b, uint32_t turn)
{
	atomic_store_explicit(&b->shared->turn, turn, memory_order_release);
}

static void be_others(struct demux_bench *b, const struct kind *kind)
{
	uint32_t i;

	for (i = 0; i < b->rounds; i++) {
		demux_bench_shuffle(b);
		kind->before(b);
		give_turn(b, 2 * i + 1);
		await_turn(b, 2 * i + 2);
		kind->after(b);
	}
}

static void check_ended(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		errx(STATUS_INTERNAL, "the others failed");
}

static struct demux_cost measure(struct demux_bench *b, const struct kind *kind)
{
	pid_t others = child_fork(b->others_cpu);
	uint32_t i;

	if (!others) {
		be_others(b, kind);
		_exit(0);
	}
	child_pin(b->firmware_cpu);
	for (i = 0; i < b->rounds; i++) {
		await_turn(b, 2 * i + 1);
		b->times[i] = -now_ns();
		kind->timed(b);
		b->times[i] += now_ns();
		give_turn(b, 2 * i + 2);
	}
	check_ended(others);
	return cost_of(b, b->round);
}

/* The forwarder. */

static void record_round(struct demux_bench *b)
{
	uint32_t i;

	for (i = 0; i < b->round; i++)
		demux_bench_record(b, b->order[i]);
}

static void forward_round(struct demux_bench *b)
{
	while (hca_summary_take(&b->shared->psb))
		while (demux_forward(&b->forwarder, b->round))
			;
}

/* One event each, and it is the guest's own. */
static void consume_round(struct demux_bench *b)
{
	struct hca_eqe eqe = { 0 };
	struct hca_reader *r;
	uint32_t i;

	for (i = 0; i < b->round; i++) {
		r = &b->reader[b->order[i]];
		if (!hca_take_event(r, &eqe) || eqe.handle != b->order[i])
			errx(STATUS_INTERNAL, "an event is lost");
		if (!hca_summary_take((_Atomic uint8_t *)r->entries +
				      r->n * sizeof(eqe)))
			errx(STATUS_INTERNAL, "a summary byte is not set");
	}
}

static void read_round(struct demux_bench *b)
{
	uint64_t value;
	uint32_t i;

	consume_round(b);
	for (i = 0; i < b->round; i++)
		if (read(b->eventfds[b->order[i]], &value, sizeof(value)) < 0)
			err(STATUS_INTERNAL, "a guest was not interrupted");
}

struct demux_cost demux_cost_forward(struct demux_bench *b, bool interrupt)
{
	static const struct kind quiet = { record_round, consume_round,
					   forward_round };
	static const struct kind loud = { record_round, read_round,
					  forward_round };

	return measure(b, interrupt ? &loud : &quiet);
}

/* epoll. */

static int epoll_fd;

static void write_round(struct demux_bench *b)
{
	uint32_t i;

	for (i = 0; i < b->round; i++)
		if (write(b->eventfds[b->order[i]], &(uint64_t){ 1 },
			  sizeof(uint64_t)) < 0)
			err(STATUS_INTERNAL, "eventfd");
}

static void epoll_round(struct demux_bench *b)
{
	struct epoll_event events[EPOLL_EVENTS];
	uint32_t left = b->round;
	uint64_t value;
	int n, i;

	while (left) {
		n = epoll_wait(epoll_fd, events, EPOLL_EVENTS, -1);
		for (i = 0; i < n; i++)
			if (read(b->eventfds[events[i].data.u32], &value,
				 sizeof(value)) == sizeof(value))
				left--;
	}
}

static void nothing(struct demux_bench *b)
{
	(void)b;
}

struct demux_cost demux_cost_epoll(struct demux_bench *b)
{
	static const struct kind kind = { write_round, nothing, epoll_round };
	struct epoll_event event = { .events = EPOLLIN };
	struct demux_cost cost;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (event.data.u32 = 0; event.data.u32 < b->queues; event.data.u32++)
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD,
			      b->eventfds[event.data.u32], &event))
			err(STATUS_INTERNAL, "epoll");
	cost = measure(b, &kind);
	close(epoll_fd);
	return cost;
}

/* A lone event. */

/* From the adapter's side: until the guest's next entry is marked. */
static double send_lone(struct demux_bench *b, bool scan, uint32_t queue)
{
	struct hca_eqe eqe, *slot = demux_bench_slot(b, queue);
	double ns = -now_ns();

	if (scan)
		atomic_store_explicit(&slot->mark, htole64(HCA_EQE_VALID),
				      memory_order_seq_cst);
	else
		demux_bench_record(b, queue);
	if (scan)
		await_turn(b, queue + 1);
	else
		while (!hca_eqe_is_valid(slot))
			;
	ns += now_ns();
	if (scan)
		give_turn(b, 0);
	if (!hca_take_event(&b->reader[queue], &eqe))
		errx(STATUS_INTERNAL, "an event is lost");
	return ns;
}

/* Without a grouped queue: each queue's next entry. */
static void scan_all(struct demux_bench *b)
{
	uint32_t i;

	for (i = 0; i < b->queues; i++)
		if (hca_eqe_is_valid(demux_bench_slot(b, i))) {
			give_turn(b, i + 1);
			await_turn(b, 0);
			b->reader[i].next++;
		}
}

static void be_firmware(struct demux_bench *b, bool scan)
{
	for (;;) {
		if (scan)
			scan_all(b);
		else if (hca_summary_take(&b->shared->psb))
			demux_forward(&b->forwarder, b->queues);
	}
}

struct demux_cost demux_cost_lone(struct demux_bench *b, bool scan)
{
	pid_t firmware = child_fork(b->firmware_cpu);
	uint32_t i;

	if (!firmware)
		be_firmware(b, scan);
	child_pin(b->others_cpu);
	/* The firmware's pages are its own only when it touched them. */
	for (i = 0; i < b->queues; i++)
		(void)send_lone(b, scan, i);
	b->round = 1;
	for (i = 0; i < b->rounds; i++) {
		demux_bench_shuffle(b);
		b->times[i] = send_lone(b, scan, b->order[0]);
	}
	kill(firmware, SIGKILL);
	child_wait(firmware);
	return cost_of(b, 1);
}
