/* loop_test.c - order, removal in callbacks, pollers, signals. */
#include <config.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "t/unit/unit.h"

#define N_WATCHES 200

/* What happened, in letters. */
struct trace {
	struct loop *loop;
	char text[64];
	size_t len;
};

static void note(struct trace *t, char ch)
{
	if (t->len < sizeof(t->text) - 1)
		t->text[t->len++] = ch;
}

static struct loop *new_loop(void)
{
	struct loop *loop = NULL;

	if (loop_new(&loop))
		abort();
	return loop;
}

static int ready_eventfd(void)
{
	return eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void stop_loop(void *arg)
{
	loop_stop(arg, 0);
}

/* Timers */

struct lettered {
	struct loop_timer timer;
	struct trace *trace;
	char letter;
};

static void on_letter(void *arg)
{
	struct lettered *l = arg;

	note(l->trace, l->letter);
	if (l->letter == 'z')
		loop_stop(l->trace->loop, 3);
}

static void test_timer_order(void)
{
	static const int at_ms[] = { 5, 1, 3, 3, 0, 4, 2, 3 };
	struct trace t = { .loop = new_loop() };
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
	h.loop = new_loop();
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
	loop_timer_at(h.loop, &end, now + 2 * NS_PER_MS, stop_loop, h.loop);
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
	struct renewing r = { .loop = new_loop() };

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
	struct loop *loop = new_loop();
	struct loop_timer t = { 0 };
	uint64_t before;
	unsigned i;

	for (i = 0; i < 20; i++) {
		before = clock_now_ns();
		loop_timer_in(loop, &t, 300 * NS_PER_US, stop_loop, loop);
		loop_run(loop);
		CHECK(clock_now_ns() - before >= 300 * NS_PER_US);
	}
	/* Never is not now. */
	loop_timer_in(loop, &t, UINT64_MAX, stop_loop, loop);
	CHECK(t.due_ns == UINT64_MAX);
	loop_timer_cancel(&t);
	loop_free(loop);
}

/* Descriptors */

struct rival {
	struct loop_watch watch;
	struct rival **other; /* freed by whoever comes first */
	struct trace *trace;
	struct loop_deferred *end;
};

static void on_rival(void *arg, uint32_t events)
{
	struct rival *r = arg, *other = *r->other;

	(void)events;
	note(r->trace, 'x');
	loop_defer(r->trace->loop, r->end, stop_loop, r->trace->loop);
	if (!other)
		return;
	loop_watch_del(&other->watch);
	close(other->watch.fd);
	*r->other = NULL;
	free(other);
}

/* Two are ready in one batch and each removes and frees the other. */
static void test_delete_other(void)
{
	struct trace t = { .loop = new_loop() };
	struct loop_deferred end = { 0 };
	struct rival *r[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		r[i] = calloc(1, sizeof(*r[i]));
		r[i]->trace = &t;
		r[i]->end = &end;
		CHECK_INT(loop_watch_add(t.loop, &r[i]->watch, ready_eventfd(),
					 EPOLLIN, on_rival, r[i]),
			  0);
	}
	r[0]->other = &r[1];
	r[1]->other = &r[0];
	loop_run(t.loop);
	CHECK_STR(t.text, "x");
	CHECK(!r[0] != !r[1]);
	for (i = 0; i < 2; i++) {
		if (!r[i])
			continue;
		loop_watch_del(&r[i]->watch);
		close(r[i]->watch.fd);
		free(r[i]);
	}
	loop_free(t.loop);
}

struct crowd {
	struct loop *loop;
	struct loop_watch watches[N_WATCHES];
	struct loop_deferred end;
	unsigned came, wrong;
	bool removed[N_WATCHES];
};

struct crowd_member {
	struct crowd *crowd;
	unsigned index;
};

/* The first to come removes all, itself included. */
static void on_crowd(void *arg, uint32_t events)
{
	struct crowd_member *m = arg;
	struct crowd *c = m->crowd;
	unsigned i;

	(void)events;
	c->came++;
	c->wrong += c->removed[m->index];
	for (i = 0; i < N_WATCHES; i++) {
		loop_watch_del(&c->watches[i]);
		c->removed[i] = true;
	}
	loop_defer(c->loop, &c->end, stop_loop, c->loop);
}

static void test_delete_all(void)
{
	struct crowd c = { .loop = new_loop() };
	struct crowd_member members[N_WATCHES];
	int fd[N_WATCHES];
	unsigned i;

	for (i = 0; i < N_WATCHES; i++) {
		members[i] = (struct crowd_member){ &c, i };
		fd[i] = ready_eventfd();
		CHECK_INT(loop_watch_add(c.loop, &c.watches[i], fd[i], EPOLLIN,
					 on_crowd, &members[i]),
			  0);
	}
	loop_run(c.loop);
	CHECK_INT(c.came, 1);
	CHECK_INT(c.wrong, 0);
	for (i = 0; i < N_WATCHES; i++)
		close(fd[i]);
	loop_free(c.loop);
}

struct reuse {
	struct loop *loop;
	struct loop_watch a, b;
	int quiet_fd;
	unsigned came, wrong;
	struct loop_deferred end;
};

static void on_wrong(void *arg, uint32_t events)
{
	struct reuse *r = arg;

	(void)events;
	r->wrong++;
}

/* The other watch now watches another descriptor, which is not ready: the
 * old one's pending event is not its. */
static void on_reuse(void *arg, uint32_t events)
{
	struct reuse *r = arg;

	(void)events;
	r->came++;
	loop_watch_del(&r->a);
	loop_watch_del(&r->b);
	CHECK_INT(loop_watch_add(r->loop, &r->a, r->quiet_fd, EPOLLIN, on_wrong,
				 r),
		  0);
	loop_defer(r->loop, &r->end, stop_loop, r->loop);
}

static void test_reuse_watch(void)
{
	struct reuse r = { .loop = new_loop() };
	int fd[2] = { ready_eventfd(), ready_eventfd() };

	r.quiet_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK_INT(loop_watch_add(r.loop, &r.a, fd[0], EPOLLIN, on_reuse, &r),
		  0);
	CHECK_INT(loop_watch_add(r.loop, &r.b, fd[1], EPOLLIN, on_reuse, &r),
		  0);
	loop_run(r.loop);
	CHECK_INT(r.came, 1);
	CHECK_INT(r.wrong, 0);
	loop_watch_del(&r.a);
	loop_watch_del(&r.b);
	close(fd[0]);
	close(fd[1]);
	close(r.quiet_fd);
	loop_free(r.loop);
}

static void on_any(void *arg, uint32_t events)
{
	struct trace *t = arg;

	note(t, events & EPOLLIN ? 'i' : '-');
	note(t, events & EPOLLOUT ? 'o' : '-');
	note(t, events & EPOLLHUP ? 'h' : '-');
	loop_stop(t->loop, 0);
}

static void test_watch_events(void)
{
	struct trace t = { .loop = new_loop() };
	struct loop_watch w = { 0 };
	struct loop_timer end = { 0 };
	int s[2];

	loop_watch_del(&w);
	CHECK_INT(loop_watch_add(t.loop, &w, -1, EPOLLIN, on_any, &t), -EBADF);
	CHECK(!w.loop);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_INT(loop_watch_add(t.loop, &w, s[0], EPOLLIN | EPOLLOUT, on_any,
				 &t),
		  0);
	loop_run(t.loop);
	loop_watch_events(&w, 0);
	CHECK_INT(write(s[1], "x", 1), 1);
	loop_timer_in(t.loop, &end, NS_PER_MS, stop_loop, t.loop);
	loop_run(t.loop);
	loop_watch_events(&w, EPOLLIN);
	loop_run(t.loop);
	loop_watch_events(&w, 0);
	close(s[1]);
	loop_run(t.loop);
	CHECK_STR(t.text, "-o-i----h");
	loop_watch_del(&w);
	loop_watch_events(&w, EPOLLIN);
	close(s[0]);
	loop_free(t.loop);
}

struct hushing {
	struct loop *loop;
	struct loop_watch watches[2];
	struct loop_deferred end;
	unsigned came;
};

/* Both watches want nothing more. */
static void on_hush(void *arg, uint32_t events)
{
	struct hushing *h = arg;

	(void)events;
	h->came++;
	loop_watch_events(&h->watches[0], 0);
	loop_watch_events(&h->watches[1], 0);
	loop_defer(h->loop, &h->end, stop_loop, h->loop);
}

/* Interest lost in a pending event counts at once. */
static void test_hush_other(void)
{
	struct hushing h = { .loop = new_loop() };
	int fd[2] = { ready_eventfd(), ready_eventfd() };
	unsigned i;

	for (i = 0; i < 2; i++)
		CHECK_INT(loop_watch_add(h.loop, &h.watches[i], fd[i], EPOLLIN,
					 on_hush, &h),
			  0);
	loop_run(h.loop);
	CHECK_INT(h.came, 1);
	for (i = 0; i < 2; i++) {
		loop_watch_del(&h.watches[i]);
		close(fd[i]);
	}
	loop_free(h.loop);
}

/* Deferred calls and pollers */

struct deferring {
	struct trace *trace;
	struct loop_deferred a, b, c;
};

static void on_c(void *arg)
{
	struct deferring *d = arg;

	note(d->trace, 'c');
}

static void on_b(void *arg)
{
	struct deferring *d = arg;

	note(d->trace, 'b');
	loop_stop(d->trace->loop, 0);
}

static void on_a(void *arg)
{
	struct deferring *d = arg;

	note(d->trace, 'a');
	loop_defer_cancel(&d->c);
	if (d->trace->len < 3)
		loop_defer(d->trace->loop, &d->a, on_a, d);
	else
		loop_defer(d->trace->loop, &d->b, on_b, d);
}

static enum loop_poll poll_note(void *arg)
{
	note(arg, '.');
	return LOOP_IDLE;
}

/* Again while queued: once.  By itself: in the next iteration.  Cancelled by
 * one before: not at all. */
static void test_deferred(void)
{
	struct trace t = { .loop = new_loop() };
	struct deferring d = { .trace = &t };
	struct loop_poller p = { 0 };

	loop_poller_add(t.loop, &p, poll_note, &t);
	loop_defer(t.loop, &d.a, on_a, &d);
	loop_defer(t.loop, &d.a, on_a, &d);
	loop_defer(t.loop, &d.c, on_c, &d);
	loop_run(t.loop);
	CHECK_STR(t.text, ".a.a.b");
	CHECK(!d.a.loop && !d.b.loop && !d.c.loop);
	loop_poller_del(&p);
	loop_poller_del(&p);
	loop_free(t.loop);
}

struct working {
	struct loop *loop;
	struct loop_poller p, next;
	struct loop_watch watch;
	struct loop_timer timer;
	unsigned rounds, next_rounds, timers;
	enum loop_poll found;
};

static enum loop_poll poll_next(void *arg)
{
	struct working *w = arg;

	w->next_rounds++;
	return LOOP_IDLE;
}

/* Always busy; removes its neighbour in the tenth round. */
static enum loop_poll poll_work(void *arg)
{
	struct working *w = arg;

	if (++w->rounds == 10)
		loop_poller_del(&w->next);
	return w->found;
}

static void on_work_timer(void *arg)
{
	struct working *w = arg;

	w->timers++;
}

static void on_work_fd(void *arg, uint32_t events)
{
	struct working *w = arg;

	(void)events;
	if (w->timers)
		loop_stop(w->loop, 0);
}

/* Pollers with work keep neither timers nor descriptors waiting for long. */
static void check_busy(enum loop_poll found)
{
	struct working w = { .loop = new_loop(), .found = found };
	int fd = ready_eventfd();

	loop_poller_add(w.loop, &w.p, poll_work, &w);
	loop_poller_add(w.loop, &w.next, poll_next, &w);
	loop_timer_in(w.loop, &w.timer, NS_PER_MS, on_work_timer, &w);
	CHECK_INT(loop_watch_add(w.loop, &w.watch, fd, EPOLLIN, on_work_fd, &w),
		  0);
	loop_run(w.loop);
	CHECK_INT(w.timers, 1);
	if (found == LOOP_WORKED) { /* else others may have the CPU */
		CHECK_INT(w.next_rounds, 9);
		CHECK(w.rounds > 20);
	}
	loop_watch_del(&w.watch);
	loop_poller_del(&w.p);
	close(fd);
	loop_free(w.loop);
}

static void test_poller_busy(void)
{
	check_busy(LOOP_WORKED);
	check_busy(LOOP_SPINS);
}

static enum loop_poll poll_removes_itself(void *arg)
{
	struct working *w = arg;

	w->rounds++;
	loop_poller_del(&w->p);
	loop_poller_add(w->loop, &w->next, poll_next, w);
	loop_timer_in(w->loop, &w->timer, 0, stop_loop, w->loop);
	return LOOP_IDLE;
}

static void test_poller_removes_itself(void)
{
	struct working w = { .loop = new_loop() };

	loop_poller_add(w.loop, &w.p, poll_removes_itself, &w);
	loop_run(w.loop);
	CHECK_INT(w.rounds, 1);
	CHECK(!w.p.loop);
	loop_poller_del(&w.next);
	loop_free(w.loop);
}

/* Stopping */

static void test_stop(void)
{
	struct trace t = { .loop = new_loop() };
	struct deferring d = { .trace = &t };

	/* Before it runs; the first status counts; what is deferred runs. */
	loop_stop(t.loop, 71);
	loop_stop(t.loop, 0);
	CHECK_INT(loop_run(t.loop), 71);
	loop_defer(t.loop, &d.b, on_b, &d);
	CHECK_INT(loop_run(t.loop), 0);
	CHECK_STR(t.text, "b");
	loop_free(t.loop);
	loop_free(NULL);
}

/* Signals */

static void on_usr1(void *arg)
{
	note(arg, '1');
}

static void on_usr2(void *arg)
{
	struct trace *t = arg;

	note(t, '2');
	loop_stop(t->loop, 0);
}

static void test_signals(void)
{
	struct trace t = { .loop = new_loop() };
	sigset_t blocked;

	CHECK_INT(loop_signal(t.loop, 0, on_usr1, &t), -EINVAL);
	CHECK_INT(loop_signal(t.loop, 1000, on_usr1, &t), -EINVAL);
	CHECK_INT(loop_signal(t.loop, SIGUSR1, on_usr1, &t), 0);
	CHECK_INT(loop_signal(t.loop, SIGUSR2, on_usr2, &t), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	loop_run(t.loop);
	CHECK_STR(t.text, "12");
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	CHECK(sigismember(&blocked, SIGUSR1));
	loop_unblock_signals(t.loop);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	CHECK(!sigismember(&blocked, SIGUSR1));
	CHECK(!sigismember(&blocked, SIGUSR2));
	loop_free(t.loop);
}

/* A kernel without epoll_pwait2() */

static int forbid_pwait2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -errno : 0;
}

static int run_on_old_kernel(void)
{
	uint64_t before = clock_now_ns();
	struct loop_timer t = { 0 };
	struct loop *loop;

	if (forbid_pwait2())
		return 77;
	loop = new_loop();
	loop_timer_in(loop, &t, 1500 * NS_PER_US, stop_loop, loop);
	loop_run(loop);
	loop_free(loop);
	return clock_now_ns() - before < 1500 * NS_PER_US;
}

static void test_old_kernel(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(run_on_old_kernel());
	CHECK_INT(waitpid(pid, &status, 0), pid);
	/* 77: no seccomp here, so nothing was learnt. */
	CHECK(WIFEXITED(status) && (WEXITSTATUS(status) % 77) == 0);
}

static const struct unit_case cases[] = {
	{ "timer_order", test_timer_order },
	{ "timer_heap", test_timer_heap },
	{ "timer_renews", test_timer_renews },
	{ "timer_not_early", test_timer_not_early },
	{ "delete_other", test_delete_other },
	{ "delete_all", test_delete_all },
	{ "reuse_watch", test_reuse_watch },
	{ "watch_events", test_watch_events },
	{ "hush_other", test_hush_other },
	{ "deferred", test_deferred },
	{ "poller_busy", test_poller_busy },
	{ "poller_removes_itself", test_poller_removes_itself },
	{ "stop", test_stop },
	{ "signals", test_signals },
	{ "old_kernel", test_old_kernel },
	{ NULL, NULL },
};

const struct unit_suite loop_suite = { "loop", cases };
