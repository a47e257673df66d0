/* loop_watch_test.c - descriptors: events, interest, removal in callbacks. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/loop_rig.h"
#include "t/unit/unit.h"

#define N_WATCHES 200

struct rival {
	struct loop_watch watch;
	struct rival **other; /* freed by whoever comes first */
	struct loop_trace *trace;
	struct loop_deferred *end;
};

static void on_rival(void *arg, uint32_t events)
{
	struct rival *r = arg, *other = *r->other;

	(void)events;
	loop_trace_note(r->trace, 'x');
	loop_defer(r->trace->loop, r->end, loop_rig_stop, r->trace->loop);
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
	struct loop_trace t = { .loop = loop_rig_new() };
	struct loop_deferred end = { 0 };
	struct rival *r[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		r[i] = calloc(1, sizeof(*r[i]));
		r[i]->trace = &t;
		r[i]->end = &end;
		CHECK_INT(loop_watch_add(t.loop, &r[i]->watch,
					 loop_rig_ready_fd(), EPOLLIN, on_rival,
					 r[i]),
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
	loop_defer(c->loop, &c->end, loop_rig_stop, c->loop);
}

static void test_delete_all(void)
{
	struct crowd c = { .loop = loop_rig_new() };
	struct crowd_member members[N_WATCHES];
	int fd[N_WATCHES];
	unsigned i;

	for (i = 0; i < N_WATCHES; i++) {
		members[i] = (struct crowd_member){ &c, i };
		fd[i] = loop_rig_ready_fd();
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
	loop_defer(r->loop, &r->end, loop_rig_stop, r->loop);
}

static void test_reuse_watch(void)
{
	struct reuse r = { .loop = loop_rig_new() };
	int fd[2] = { loop_rig_ready_fd(), loop_rig_ready_fd() };

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
	struct loop_trace *t = arg;

	loop_trace_note(t, events & EPOLLIN ? 'i' : '-');
	loop_trace_note(t, events & EPOLLOUT ? 'o' : '-');
	loop_trace_note(t, events & EPOLLHUP ? 'h' : '-');
	loop_stop(t->loop, 0);
}

static void test_watch_events(void)
{
	struct loop_trace t = { .loop = loop_rig_new() };
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
	loop_timer_in(t.loop, &end, NS_PER_MS, loop_rig_stop, t.loop);
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
	loop_defer(h->loop, &h->end, loop_rig_stop, h->loop);
}

/* Interest lost in a pending event counts at once. */
static void test_hush_other(void)
{
	struct hushing h = { .loop = loop_rig_new() };
	int fd[2] = { loop_rig_ready_fd(), loop_rig_ready_fd() };
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

static const struct unit_case cases[] = {
	{ "delete_other", test_delete_other },
	{ "delete_all", test_delete_all },
	{ "reuse_watch", test_reuse_watch },
	{ "watch_events", test_watch_events },
	{ "hush_other", test_hush_other },
	{ NULL },
};

const struct unit_suite loop_watch_suite = { "loop_watch", cases };
