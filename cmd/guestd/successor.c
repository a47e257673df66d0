/* successor.c - a guest that takes the hypervisor's place (--successor).
 *
 * Theory of operation.  The monitor runs from the start; the PF is touched only
 * from 1604 on.  The hypervisor names its successors at the root bridge; until
 * then there is no region 9 for this VM.  After a failover this VM owns the PFs
 * until the next hypervisor asks for them (struct link_page); should that one
 * fail before it has them, the failover is run once more.
 */
#include <config.h>

#include "cmd/guestd/successor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"

#define LIST_PAUSE_NS    (50 * NS_PER_MS)
#define RESETS_MAX       5u
#define RESETS_WITHIN_NS (10 * NS_PER_S)
#define BEATS_OF_WORK    3u
#define SUPERVISOR       PLATFORM_REGION_SUPERVISOR

static void go_to(struct successor *s, enum successor_state state)
{
	s->state = state;
}

/* Whether and with whom: region 9, the shares. */

enum {
	STEP_ASK,
	STEP_MAP
};

static void issue_ask(void *arg)
{
	struct successor *s = arg;

	steps_read(&s->listing, SUPERVISOR, SUP_OFFSET(SUP_INFO),
		   sizeof(s->info), &s->info);
	steps_read(&s->listing, SUPERVISOR, SUP_OFFSET(SUP_SHARES),
		   sizeof(s->shares), s->shares);
}

static uint32_t other_of(const struct successor *s, const struct sup_share *sh)
{
	uint32_t own = s->guest->options.vm;

	if (sh->vm[0] == own)
		return sh->vm[1];
	return sh->vm[1] == own ? sh->vm[0] : PLATFORM_VM_NONE;
}

static void issue_map(void *arg)
{
	struct successor *s = arg;
	struct emergency_page **to = s->guest->emergency.to;
	uint32_t other;
	unsigned i;

	for (i = 0; i < SUCCESSOR_SHARES; i++) {
		if (!s->shares[i].vm[0] && !s->shares[i].vm[1])
			break;
		other = other_of(s, &s->shares[i]);
		if (other == PLATFORM_HYPERVISOR && !s->page)
			steps_map(&s->listing, other, (void **)&s->page);
		else if (other != PLATFORM_HYPERVISOR &&
			 other < PLATFORM_SHARED_VMS && !to[other])
			steps_map(&s->listing, other, (void **)&to[other]);
	}
	if (!s->wired)
		steps_set_irq(&s->listing, PLATFORM_IRQ_PF, &s->irq_fd);
	s->wired = true;
}

static int check_map(void *arg)
{
	struct successor *s = arg;

	return s->listing.err ? s->listing.err : STEPS_DONE;
}

static const struct bus_step listing_steps[] = {
	[STEP_ASK] = { BUS_STEP_NO_POINT, issue_ask, NULL },
	[STEP_MAP] = { BUS_STEP_NO_POINT, issue_map, check_map },
};

static void list(void *arg)
{
	struct successor *s = arg;

	if (!s->listing.running)
		bus_steps_start(&s->listing, STEP_ASK);
}

static unsigned count_links(const struct successor *s)
{
	unsigned i, n = 0;

	for (i = 0; i < PLATFORM_SHARED_VMS; i++)
		n += s->guest->emergency.to[i] != NULL;
	return n;
}

/* A former process of this VM may have left others stopped. */
static void listed(struct successor *s)
{
	struct guest *g = s->guest;

	if (s->state != SUCCESSOR_UNLISTED)
		return;
	go_to(s, SUCCESSOR_WATCHING);
	emergency_link_clear(&g->emergency);
	monitor_restart(&s->monitor);
	monitor_able(&s->monitor);
	event(g->program.log, "successor.watching", "s:i, s:i, s:b", "order",
	      (int)g->options.successor, "links", (int)count_links(s), "page",
	      s->page != NULL);
	if (g->probed)
		guest_vf_settled(g);
	successor_look(s);
}

/* Not named yet: it looks again.  Others that come later are found then, too.
 */
static void on_listed(void *arg, int err, unsigned at)
{
	struct successor *s = arg;
	struct guest *g = s->guest;

	(void)at;
	if (!err) {
		listed(s);
		return;
	}
	if (err != -EINVAL && err != -EPERM)
		event(g->program.log, "successor.unlisted", "s:s", "why",
		      strerror(-err));
	loop_timer_in(g->program.loop, &s->list_again, LIST_PAUSE_NS, list, s);
}

static const struct bus_steps_desc listing_desc = { listing_steps, on_listed };

/* The way back. */

static void issue_return(void *arg)
{
	struct successor *s = arg;
	struct sup_claim claims[LINK_DEVICES];
	struct sub_pf *pf;
	uint32_t n = 0;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		if (!pf->owned)
			continue;
		if (pf->works)
			sub_pf_give_mirror(pf, s->page);
		claims[n++] = (struct sup_claim){
			.bdf = pf->bdf,
			.action = SUP_CLAIM_RELEASE,
			.expected_epoch = pf->epoch,
		};
	}
	if (n)
		steps_write(&s->returning, SUPERVISOR, SUP_OFFSET(SUP_CLAIM),
			    claims, n * (uint32_t)sizeof(*claims));
}

static int check_return(void *arg)
{
	struct successor *s = arg;

	return s->returning.err ? s->returning.err : STEPS_DONE;
}

static const struct bus_step return_steps[] = {
	{ POINT_FAILOVER_RETURN, issue_return, check_return },
};

static void on_returned(void *arg, int err, unsigned at)
{
	struct successor *s = arg;
	struct guest *g = s->guest;
	struct sub_pf *pf;

	(void)at;
	if (err == -EPERM || err == -ESTALE) {
		successor_fenced(s, NULL);
		return;
	}
	if (err) {
		event(g->program.log, "takeover.not-returned", "s:s", "why",
		      strerror(-err));
		go_to(s, SUCCESSOR_OWNER);
		return;
	}
	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		pf->owned = false;
	s->failover.serves = false;
	atomic_store(&s->page->returned, s->wanted);
	s->beats_at_return = monitor_beats(&s->monitor);
	emergency_link_clear(&g->emergency);
	go_to(s, SUCCESSOR_WATCHING);
	monitor_restart(&s->monitor);
	event(g->program.log, "takeover.returned", "s:i", "hypervisor",
	      (int)s->wanted);
	/* Whoever was started anew may have come since. */
	list(s);
}

static const struct bus_steps_desc return_desc = { return_steps, on_returned };

bool successor_is_idle(const struct successor *s)
{
	const struct sub_pf *pf;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		if (!sub_pf_is_idle(pf))
			return false;
	return true;
}

static void look_for_request(struct successor *s)
{
	uint32_t wanted = s->page ? atomic_load(&s->page->wanted) : 0;

	if (!wanted || wanted == atomic_load(&s->page->returned) ||
	    wanted == (uint32_t)s->failed_pid || !successor_is_idle(s))
		return;
	s->wanted = wanted;
	go_to(s, SUCCESSOR_RETURN);
	bus_steps_start(&s->returning, 0);
}

/* What there is to do. */

/* Too many in a short time help nobody. */
bool successor_may_reset(struct successor *s)
{
	uint64_t now_ns = clock_now_ns();

	if (now_ns - s->resets_since_ns >= RESETS_WITHIN_NS) {
		s->resets_since_ns = now_ns;
		s->resets = 0;
	}
	return s->resets++ < RESETS_MAX;
}

/* A hypervisor that worked before it failed: the last reset went well, and is no
 * reason to do it no more. */
static void forgive(struct successor *s)
{
	if (s->beats_at_return &&
	    monitor_beats(&s->monitor) - s->beats_at_return >= BEATS_OF_WORK)
		s->resets = 0;
	s->beats_at_return = 0;
}

static void take_over(struct successor *s, const char *why)
{
	forgive(s);
	s->failed_pid = s->monitor.hypervisor.pid;
	s->stood_down = false;
	s->yielded_to = 0;
	s->takeovers++;
	/* What a former hypervisor asked for is answered; one that lives asks
	 * again. */
	if (s->page)
		atomic_store(&s->page->wanted, 0);
	go_to(s, SUCCESSOR_TAKEOVER);
	failover_start(&s->failover, why);
}

/* The hypervisor is dead, and so was this VM: nobody lets it onto the bus. */
static void look_without_bus(struct successor *s)
{
	if (!s->monitor.hypervisor.gone || failover_runs(&s->failover) ||
	    s->monitor.hypervisor.pid == s->failed_pid ||
	    !monitor_is_alone(&s->monitor))
		return;
	s->failed_pid = s->monitor.hypervisor.pid;
	failover_reset_only(&s->failover, "nothing to keep");
}

/* Who was faster may fail before there is a new hypervisor. */
static void watch_faster_one(struct successor *s)
{
	if (!s->stood_down || !monitor_is_first(&s->monitor) ||
	    (s->yielded_to && monitor_vm_lives(&s->monitor, s->yielded_to)))
		return;
	s->stood_down = false;
	s->failed_pid = 0;
}

void successor_look(struct successor *s)
{
	const char *why;

	switch (s->state) {
	case SUCCESSOR_UNLISTED:
		if (!s->on_bus)
			look_without_bus(s);
		return;
	case SUCCESSOR_WATCHING:
		watch_faster_one(s);
		why = monitor_verdict(&s->monitor);
		if (why && monitor_is_first(&s->monitor) &&
		    !s->listing.running && !failover_runs(&s->failover) &&
		    s->monitor.hypervisor.pid != s->failed_pid)
			take_over(s, why);
		return;
	case SUCCESSOR_OWNER:
		look_for_request(s);
		why = monitor_verdict(&s->monitor);
		if (s->state == SUCCESSOR_OWNER && why &&
		    successor_is_idle(s) &&
		    s->monitor.hypervisor.pid != s->failed_pid)
			take_over(s, why);
		return;
	default:
		return;
	}
}

static bool any_owned(const struct successor *s)
{
	const struct sub_pf *pf;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		if (pf->owned)
			return true;
	return false;
}

static void took_over(struct successor *s)
{
	const struct failover *f = &s->failover;

	event(s->guest->program.log, "takeover.done",
	      "s:I, s:I, s:I, s:I, s:b, s:b", "takeover_ns",
	      (json_int_t)(f->serving_ns - f->detected_ns), "drain_ns",
	      (json_int_t)(f->drained_ns - f->drain_ns), "claim_ns",
	      (json_int_t)(f->claimed_ns - f->detected_ns), "total_ns",
	      (json_int_t)(clock_now_ns() - f->detected_ns), "late", f->late,
	      "reset", f->reset_err == 0);
}

/* Somebody was faster: that one is to be watched.  Should it fail as well, the
 * same hypervisor is taken over from once more. */
static void stand_down(struct successor *s, int err)
{
	if (s->yielded_to || !monitor_is_first(&s->monitor))
		s->stood_down = true;
	emergency_link_clear(&s->guest->emergency);
	event(s->guest->program.log, "takeover.stood-down", "s:s", "why",
	      strerror(-err));
	go_to(s, SUCCESSOR_WATCHING);
	monitor_restart(&s->monitor);
}

void successor_took_over(struct successor *s, int err)
{
	if (s->failover.reset_only)
		return;
	/* Given up before the claim, or no device: only the reset was done. */
	if (!any_owned(s)) {
		if (!err)
			err = s->failover.gave_up ? -ECANCELED : -ENODEV;
		stand_down(s, err);
		return;
	}
	if (err == -EPERM) {
		successor_fenced(s, NULL);
		return;
	}
	go_to(s, SUCCESSOR_OWNER);
	if (!err)
		took_over(s);
	successor_look(s);
}

void successor_fenced(struct successor *s, struct sub_pf *pf)
{
	struct guest *g = s->guest;

	event(g->program.log, "takeover.fenced", "s:s*", "device",
	      pf ? pf->name : NULL);
	program_stop(&g->program, STATUS_FENCED,
		     "fenced: another successor owns the PF");
}

static void on_irq(void *arg, uint32_t events)
{
	struct successor *s = arg;
	struct sub_pf *pf;
	eventfd_t count;

	(void)events;
	if (eventfd_read(s->irq_fd, &count) < 0)
		return;
	/* Before 130A is filled the device keeps it. */
	if (s->failover.serves && s->state != SUCCESSOR_RETURN)
		for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
			sub_pf_event(pf);
	successor_look(s);
}

void successor_bus_up(struct successor *s)
{
	s->on_bus = true;
	list(s);
}

bool successor_is_ready(const struct successor *s)
{
	return s && s->state != SUCCESSOR_UNLISTED;
}

int successor_start(struct guest *g)
{
	struct successor *s;
	int err;

	if (!g->program.state)
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->guest = g;
	s->irq_fd = -1;
	g->successor = s;
	s->pf = calloc(LINK_DEVICES, sizeof(*s->pf));
	if (!s->pf)
		return -ENOMEM;
	failover_init(&s->failover, s);
	monitor_init(&s->monitor, g);
	bus_steps_init(&s->listing, &g->bus, g->program.points, &listing_desc,
		       s);
	bus_steps_init(&s->returning, &g->bus, g->program.points, &return_desc,
		       s);
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->irq_fd < 0)
		return -errno;
	err = loop_watch_add(g->program.loop, &s->irq, s->irq_fd, EPOLLIN,
			     on_irq, s);
	if (err < 0)
		return err;
	monitor_start(&s->monitor);
	return 0;
}

void successor_free(struct successor *s)
{
	unsigned i;

	if (!s)
		return;
	monitor_fini(&s->monitor);
	failover_fini(&s->failover);
	loop_timer_cancel(&s->list_again);
	bus_steps_fini(&s->listing);
	bus_steps_fini(&s->returning);
	for (i = 0; i < s->n_pfs; i++)
		sub_pf_fini(&s->pf[i]);
	loop_watch_del(&s->irq);
	if (s->irq_fd >= 0)
		close(s->irq_fd);
	if (s->page)
		munmap(s->page, PLATFORM_SHARED_SIZE);
	free(s->pf);
	free(s);
}
