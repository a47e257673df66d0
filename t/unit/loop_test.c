/* loop_test.c - deferred calls, pollers, stopping, signals. */
#include <config.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/loop_rig.h"
#include "t/unit/unit.h"

/* Deferred calls and pollers */

struct deferring {
	struct loop_trace *trace;
	struct loop_deferred a, b, c;
};

static void on_c(void *arg)
{
	struct deferring *d = arg;

	loop_trace_note(d->trace, 'c');
}

static void on_b(void *arg)
{
	struct deferring *d = arg;

	loop_trace_note(d->trace, 'b');
	loop_stop(d->trace->loop, 0);
}

static void on_a(void *arg)
{
	struct deferring *d = arg;

	loop_trace_note(d->trace, 'a');
	loop_defer_cancel(&d->c);
	if (d->trace->len < 3)
		loop_defer(d->trace->loop, &d->a, on_a, d);
	else
		loop_defer(d->trace->loop, &d->b, on_b, d);
}

static enum loop_poll poll_note(void *arg)
{
	loop_trace_note(arg, '.');
	return LOOP_IDLE;
}

/* Again while queued: once.  By itself: in the next iteration.  Cancelled by
 * one before: not at all. */
static void test_deferred(void)
{
	struct loop_trace t = { .loop = loop_rig_new() };
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
	struct working w = { .loop = loop_rig_new(), .found = found };
	int fd = loop_rig_ready_fd();

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
	loop_timer_in(w->loop, &w->timer, 0, loop_rig_stop, w->loop);
	return LOOP_IDLE;
}

static void test_poller_removes_itself(void)
{
	struct working w = { .loop = loop_rig_new() };

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
	struct loop_trace t = { .loop = loop_rig_new() };
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
	loop_trace_note(arg, '1');
}

static void on_usr2(void *arg)
{
	struct loop_trace *t = arg;

	loop_trace_note(t, '2');
	loop_stop(t->loop, 0);
}

static void test_signals(void)
{
	struct loop_trace t = { .loop = loop_rig_new() };
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
	loop = loop_rig_new();
	loop_timer_in(loop, &t, 1500 * NS_PER_US, loop_rig_stop, loop);
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
	{ "deferred", test_deferred },
	{ "poller_busy", test_poller_busy },
	{ "poller_removes_itself", test_poller_removes_itself },
	{ "stop", test_stop },
	{ "signals", test_signals },
	{ "old_kernel", test_old_kernel },
	{ NULL },
};

const struct unit_suite loop_suite = { "loop", cases };
