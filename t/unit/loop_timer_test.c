/* loop_timer_test.c - timers of the event loop. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "t/unit/loop_rig.h"
#include "t/unit/unit.h"

struct lettered {
	struct loop_timer timer;
	struct loop_trace *trace;
	char letter;
};

static void on_letter(void *arg)
{
	struct lettered *l = arg;

	loop_trace_note(l->trace, l->letter);
	if (l->letter == 'z')
		loop_stop(l->trace->loop, 3);
}

static void test_timer_order(void)
{
	static const int at_ms[] = { 5, 1, 3, 3, 0, 4, 2, 3 };
	struct loop_trace t = { .loop = loop_rig_new() };
	struct lettered l[8] = { 0 }, last = { .trace = &t, .letter = 'z' };
	uint64_t now = clock_now_ns();
	unsigned i;

	for (i = 0; i < 8; i++) {
		l[i].trace = &t;
		l[i].letter = (char)('a' + i);
		loop_timer_at(t.loop, &l[i].timer, now + at_ms[i] * NS_PER_MS,
			      on_letter, &l[i]);
	}
	loop_timer_at(t.loop, &last.timer, now + 10 * NS_PER_MS, on_letter,
		      &last);
	loop_timer_cancel(&l[5].timer);
	CHECK(!l[5].timer.loop);
	loop_timer_cancel(&l[5].timer);
	/* Armed anew: moved, and behind those of the same time. */
	loop_timer_at(t.loop, &l[2].timer, now + 3 * NS_PER_MS, on_letter,
		      &l[2]);
	CHECK_INT(loop_run(t.loop), 3);
	CHECK_STR(t.text, "ebgdhcaz");
	CHECK(clock_now_ns() >= now + 10 * NS_PER_MS);
	CHECK(loop_now_ns(t.loop) >= now + 10 * NS_PER_MS);
	loop_free(t.loop);
}

struct heap_check {
	struct loop *loop;
	struct loop_timer timers[1000];
	uint64_t last_due;
	unsigned ran, wrong;
};

struct heap_entry {
	struct heap_check *check;
	unsigned index;
};

static void on_heap_timer(void *arg)
{
	struct heap_entry *e = arg;
	uint64_t due = e->check->timers[e->index].due_ns;

	e->check->ran++;
	if (due < e->check->last_due)
		e->check->wrong++;
	e->check->last_due = due;
}

/* Arm, move and cancel at random: what is left runs in order. */
static void test_timer_heap(void)
{
	static struct heap_check h;
	static struct heap_entry entries[1000];
	struct loop_timer end = { 0 };
	unsigned i, armed = 0, seed = 42;
	uint64_t now = clock_now_ns();

	memset(&h, 0, sizeof(h));
	h.loop = loop_rig_new();
	for (i = 0; i < 5000; i++) {
		unsigned at = (unsigned)rand_r(&seed) % 1000;

		entries[at] = (struct heap_entry){ &h, at };
		if (rand_r(&seed) % 3)
			loop_timer_at(h.loop, &h.timers[at],
				      now + (unsigned)rand_r(&seed) % NS_PER_MS,
				      on_heap_timer, &entries[at]);
		else
			loop_timer_cancel(&h.timers[at]);
	}
	for (i = 0; i < 1000; i++)
		armed += h.timers[i].loop != NULL;
	loop_timer_at(h.loop, &end, now + 2 * NS_PER_MS, loop_rig_stop, h.loop);
	loop_run(h.loop);
	CHECK(armed > 300);
	CHECK_INT(h.ran, armed);
	CHECK_INT(h.wrong, 0);
	loop_free(h.loop);
}

struct renewing {
	struct loop *loop;
	struct loop_timer timer, end;
	struct loop_watch watch;
	unsigned ran;
	int fd;
	bool fd_came;
};

static void on_renew(void *arg)
{
	struct renewing *r = arg;

	loop_timer_at(r->loop, &r->timer, 0, on_renew, r);
	if (++r->ran == 3)
		CHECK_INT(eventfd_write(r->fd, 1), 0);
}

static void on_renew_fd(void *arg, uint32_t events)
{
	struct renewing *r = arg;

	(void)events;
	r->fd_came = true;
	loop_stop(r->loop, 0);
}

/* A timer that is always due does not starve descriptors. */
static void test_timer_renews(void)
{
	struct renewing r = { .loop = loop_rig_new() };

	r.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop_timer_at(r.loop, &r.timer, 0, on_renew, &r);
	CHECK_INT(loop_watch_add(r.loop, &r.watch, r.fd, EPOLLIN, on_renew_fd,
				 &r),
		  0);
	loop_run(r.loop);
	CHECK(r.fd_came);
	loop_watch_del(&r.watch);
	loop_timer_cancel(&r.timer);
	close(r.fd);
	loop_free(r.loop);
}

static void test_timer_not_early(void)
{
	struct loop *loop = loop_rig_new();
	struct loop_timer t = { 0 };
	uint64_t before;
	unsigned i;

	for (i = 0; i < 20; i++) {
		before = clock_now_ns();
		loop_timer_in(loop, &t, 300 * NS_PER_US, loop_rig_stop, loop);
		loop_run(loop);
		CHECK(clock_now_ns() - before >= 300 * NS_PER_US);
	}
	/* Never is not now. */
	loop_timer_in(loop, &t, UINT64_MAX, loop_rig_stop, loop);
	CHECK(t.due_ns == UINT64_MAX);
	loop_timer_cancel(&t);
	loop_free(loop);
}

static const struct unit_case cases[] = {
	{ "timer_order", test_timer_order },
	{ "timer_heap", test_timer_heap },
	{ "timer_renews", test_timer_renews },
	{ "timer_not_early", test_timer_not_early },
	{ NULL },
};

const struct unit_suite loop_timer_suite = { "loop_timer", cases };
