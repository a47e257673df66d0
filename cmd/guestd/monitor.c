/* monitor.c - the monitor (spec 02, fig. 17).
 *
 * Theory of operation.  Each period it reads the counter in the state area
 * (1601) and compares (1602); it also holds a pidfd of the hypervisor, which
 * tells of its death at once.  A successor of higher order watches those before
 * it by the same means.  What follows (1603, 1604) is the failover's.
 *
 * A busy computer looks much like a hypervisor that hangs.  So looks are planned
 * a period apart and count for one each, however late they come; and what the
 * other waited for a CPU is taken off (run_delay.c).
 */
#include <config.h>

#include "cmd/guestd/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/successor.h"
#include "libcore/pid_state.h"
#include "libcore/units.h"

#define LIMIT_LOW_NS  (30 * NS_PER_MS)
#define LIMIT_PERIODS 5u

/* So many limits it may wait for a CPU. */
#define WAIT_TURNS 8u

void heartbeat_restart(struct heartbeat *h, uint64_t value, uint64_t now_ns)
{
	*h = (struct heartbeat){ .value = value, .looked_ns = now_ns };
}

uint64_t heartbeat_look(struct heartbeat *h, uint64_t value, uint64_t now_ns,
			uint64_t period_ns)
{
	/* It may have been planned before counting began. */
	uint64_t since = now_ns > h->looked_ns ? now_ns - h->looked_ns : 0;

	h->looked_ns = now_ns;
	if (value != h->value) {
		h->value = value;
		h->stale_ns = 0;
	} else {
		h->stale_ns += since < period_ns ? since : period_ns;
	}
	return h->stale_ns;
}

bool heartbeat_has_failed(uint64_t stale_ns, uint64_t limit_ns,
			  uint64_t delayed_ns, bool waits)
{
	if (stale_ns <= limit_ns)
		return false;
	if (stale_ns > (1 + WAIT_TURNS) * limit_ns)
		return true;
	return !waits && stale_ns > limit_ns + delayed_ns;
}

uint64_t heartbeat_limit(uint64_t limit_ns, uint64_t beat_ns)
{
	return limit_ns > 2 * beat_ns ? limit_ns : 2 * beat_ns;
}

bool heartbeat_limit_is_low(uint64_t limit_ns, uint64_t beat_ns)
{
	return limit_ns < LIMIT_LOW_NS || limit_ns < LIMIT_PERIODS * beat_ns;
}

static const struct guest_options *options_of(const struct monitor *m)
{
	return &m->guest->options;
}

static struct state_area *area_of(const struct monitor *m)
{
	return m->guest->program.state;
}

static struct state_successor *own_part(const struct monitor *m)
{
	return &area_of(m)->successor[options_of(m)->successor - 1];
}

static uint64_t beat_period_ns(const struct monitor *m)
{
	return atomic_load(&area_of(m)->heartbeat_us) * NS_PER_US;
}

static void unwatch(struct watched *w)
{
	loop_watch_del(&w->watch);
	if (w->pidfd >= 0)
		close(w->pidfd);
	w->pidfd = -1;
}

static void on_exit_seen(void *arg, uint32_t events)
{
	struct watched *w = arg;

	(void)events;
	w->gone = true;
	unwatch(w);
	successor_look(w->monitor->guest->successor);
}

static void restart(struct watched *w, uint64_t beat)
{
	uint64_t now_ns = clock_now_ns();

	heartbeat_restart(&w->beat, beat, now_ns);
	run_delay_restart(&w->delay, now_ns);
}

static void look(struct watched *w, uint64_t beat)
{
	const struct monitor *m = w->monitor;

	if (heartbeat_look(&w->beat, beat, m->look_ns,
			   options_of(m)->monitor_ns))
		run_delay_look(&w->delay, m->look_ns);
	else
		run_delay_restart(&w->delay, m->look_ns);
}

/* Another process is it now. */
static void follow(struct watched *w, uint32_t pid, uint64_t beat)
{
	struct loop *loop = w->monitor->guest->program.loop;

	if (w->pid == (pid_t)pid)
		return;
	unwatch(w);
	w->pid = (pid_t)pid;
	w->gone = false;
	run_delay_open(&w->delay, w->pid);
	restart(w, beat);
	if (!pid)
		return;
	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	/* Without a pidfd only its heartbeat tells. */
	w->gone = w->pidfd < 0 && errno == ESRCH;
	if (w->pidfd >= 0 && loop_watch_add(loop, &w->watch, w->pidfd, EPOLLIN,
					    on_exit_seen, w) < 0)
		unwatch(w);
}

static void follow_all(struct monitor *m)
{
	struct state_area *area = area_of(m);
	struct state_successor *s;
	unsigned i;

	follow(&m->hypervisor, atomic_load(&area->hypervisor),
	       atomic_load(&area->heartbeat));
	for (i = 0; i + 1 < options_of(m)->successor; i++) {
		s = &area->successor[i];
		follow(&m->lower[i], atomic_load(&s->pid),
		       atomic_load(&s->heartbeat));
	}
}

static void look_at_all(struct monitor *m)
{
	struct state_area *area = area_of(m);
	unsigned i;

	if (!guest_point_fails(m->guest, POINT_FAILOVER_1601))
		look(&m->hypervisor, atomic_load(&area->heartbeat));
	for (i = 0; i + 1 < options_of(m)->successor; i++)
		look(&m->lower[i], atomic_load(&area->successor[i].heartbeat));
}

/* On time, or, when that is over, from now on. */
static void plan_next_look(struct monitor *m, loop_fn *fn)
{
	uint64_t period_ns = options_of(m)->monitor_ns;
	uint64_t now_ns = clock_now_ns();

	m->look_ns += period_ns;
	if (m->look_ns + period_ns < now_ns)
		m->look_ns = now_ns;
	loop_timer_at(m->guest->program.loop, &m->timer, m->look_ns + period_ns,
		      fn, m);
}

static void warn_of_limit(struct monitor *m)
{
	uint64_t limit_ns = options_of(m)->heartbeat_limit_ns;
	uint64_t beat_ns = beat_period_ns(m);
	char limit[32], beat[32], text[200];

	if (m->warned || !(options_of(m)->detect & DETECT_HEARTBEAT) ||
	    !heartbeat_limit_is_low(limit_ns, beat_ns))
		return;
	m->warned = true;
	event(m->guest->program.log, "monitor.limit-low", "s:I, s:I, s:I",
	      "limit_ns", (json_int_t)limit_ns, "period_ns",
	      (json_int_t)beat_ns, "in_force_ns",
	      (json_int_t)heartbeat_limit(limit_ns, beat_ns));
	snprintf(text, sizeof(text),
		 "--heartbeat-limit %s with a heartbeat each %s: a busy "
		 "computer may take a living hypervisor for dead (use 30ms "
		 "and 5 periods, or more)",
		 units_format_duration(limit, sizeof(limit), limit_ns),
		 units_format_duration(beat, sizeof(beat), beat_ns));
	if (m->guest->notice)
		m->guest->notice(m->guest, text);
}

static void on_tick(void *arg)
{
	struct monitor *m = arg;
	struct guest *g = m->guest;

	plan_next_look(m, on_tick);
	atomic_fetch_add(&own_part(m)->heartbeat, 1);
	follow_all(m);
	look_at_all(m);
	if (!m->hypervisor.beat.stale_ns)
		m->beat_ns = clock_now_ns();
	if (beat_period_ns(m))
		warn_of_limit(m);
	if (!guest_point_fails(g, POINT_FAILOVER_1602))
		successor_look(g->successor);
}

void monitor_init(struct monitor *m, struct guest *g)
{
	unsigned i;

	memset(m, 0, sizeof(*m));
	m->guest = g;
	m->hypervisor.monitor = m;
	m->hypervisor.pidfd = -1;
	run_delay_init(&m->hypervisor.delay);
	for (i = 0; i < STATE_SUCCESSORS; i++) {
		m->lower[i].monitor = m;
		m->lower[i].pidfd = -1;
		run_delay_init(&m->lower[i].delay);
	}
}

void monitor_start(struct monitor *m)
{
	struct state_successor *s = own_part(m);

	atomic_store(&s->able, 0);
	atomic_store(&s->vm, options_of(m)->vm);
	atomic_store(&s->pid, (uint32_t)getpid());
	on_tick(m);
}

void monitor_able(struct monitor *m)
{
	atomic_store(&own_part(m)->able, 1);
}

void monitor_fini(struct monitor *m)
{
	uint32_t own = (uint32_t)getpid();
	unsigned i;

	if (!m->guest)
		return;
	loop_timer_cancel(&m->timer);
	/* Whoever has that pid next is no successor. */
	atomic_compare_exchange_strong(&own_part(m)->pid, &own, 0);
	unwatch(&m->hypervisor);
	run_delay_close(&m->hypervisor.delay);
	for (i = 0; i < STATE_SUCCESSORS; i++) {
		unwatch(&m->lower[i]);
		run_delay_close(&m->lower[i].delay);
	}
}

void monitor_restart(struct monitor *m)
{
	follow_all(m);
	restart(&m->hypervisor, atomic_load(&area_of(m)->heartbeat));
}

uint64_t monitor_beats(const struct monitor *m)
{
	return atomic_load(&area_of(m)->heartbeat);
}

static const char *failed(const struct monitor *m, const struct watched *w,
			  uint64_t beat_ns)
{
	const struct guest_options *o = options_of(m);
	uint64_t limit_ns = heartbeat_limit(o->heartbeat_limit_ns, beat_ns);

	if ((o->detect & DETECT_EXIT) && w->gone)
		return "exit";
	if ((o->detect & DETECT_HEARTBEAT) && beat_ns && w->pid &&
	    w->beat.stale_ns > limit_ns &&
	    heartbeat_has_failed(w->beat.stale_ns, limit_ns,
				 w->delay.delayed_ns,
				 run_delay_waits(&w->delay, m->look_ns)))
		return "heartbeat";
	return NULL;
}

const char *monitor_verdict(const struct monitor *m)
{
	return failed(m, &m->hypervisor, beat_period_ns(m));
}

static bool is_able(const struct monitor *m, unsigned order)
{
	return atomic_load(&area_of(m)->successor[order - 1].able);
}

bool monitor_is_first(const struct monitor *m)
{
	const struct guest_options *o = options_of(m);
	const struct watched *w;
	unsigned i;

	for (i = 0; i + 1 < o->successor; i++) {
		w = &m->lower[i];
		if (w->pid && !w->gone && is_able(m, i + 1) &&
		    !failed(m, w, o->monitor_ns))
			return false;
	}
	return true;
}

static bool lives(const struct monitor *m, unsigned order)
{
	pid_t pid = (pid_t)atomic_load(&area_of(m)->successor[order - 1].pid);

	return pid_exists(pid);
}

bool monitor_is_alone(const struct monitor *m)
{
	unsigned own = options_of(m)->successor, order;

	for (order = 1; order <= STATE_SUCCESSORS; order++)
		if (order != own && (is_able(m, order) || order < own) &&
		    lives(m, order))
			return false;
	return true;
}

bool monitor_vm_lives(const struct monitor *m, uint32_t vm)
{
	unsigned order;

	for (order = 1; order <= STATE_SUCCESSORS; order++)
		if (atomic_load(&area_of(m)->successor[order - 1].vm) == vm)
			return lives(m, order);
	return false;
}
