/* emergency_link.c - the emergency link.
 *
 * Theory of operation.  A page belongs to two VMs, and both may be successors:
 * what lies in `stop` is the number of who stops the other.  A guest looks at
 * each send; once it is stopped a timer tells it when that is over.  The stop
 * of a successor whose process is dead is none: nobody would take it back.
 */
#include <config.h>

#include "cmd/guestd/emergency_link.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_driver.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/pid_state.h"

#define LOOK_NS (5 * NS_PER_MS)

enum {
	STEP_MAP
};

static void issue_map(void *arg)
{
	struct emergency_link *link = arg;
	unsigned i;

	for (i = 0; i < link->n_from; i++)
		if (!link->from[i])
			steps_map(&link->steps, link->from_vm[i],
				  (void **)&link->from[i]);
}

static int check_map(void *arg)
{
	(void)arg;
	return STEPS_DONE;
}

static void on_mapped(void *arg, int err, unsigned at)
{
	struct emergency_link *link = arg;
	unsigned i;

	(void)err;
	(void)at;
	for (i = 0; i < link->n_from; i++)
		if (link->from[i])
			atomic_store(&link->from[i]->magic, EMERGENCY_MAGIC);
	if (link->look_again)
		emergency_link_look(link);
}

static const struct bus_step steps[] = {
	[STEP_MAP] = { BUS_STEP_NO_POINT, issue_map, check_map },
};
static const struct bus_steps_desc map_desc = { steps, on_mapped };

void emergency_link_init(struct emergency_link *link, struct guest *g)
{
	memset(link, 0, sizeof(*link));
	link->guest = g;
	bus_steps_init(&link->steps, &g->bus, g->program.points, &map_desc,
		       link);
}

static void unmap(struct emergency_page **page)
{
	if (*page)
		munmap(*page, PLATFORM_SHARED_SIZE);
	*page = NULL;
}

void emergency_link_fini(struct emergency_link *link)
{
	unsigned i;

	if (!link->guest)
		return;
	loop_timer_cancel(&link->look);
	bus_steps_fini(&link->steps);
	for (i = 0; i < STATE_SUCCESSORS; i++)
		unmap(&link->from[i]);
	for (i = 0; i < PLATFORM_SHARED_VMS; i++)
		unmap(&link->to[i]);
}

static bool has(const struct emergency_link *link, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < link->n_from; i++)
		if (link->from_vm[i] == vm)
			return true;
	return false;
}

void emergency_link_look(struct emergency_link *link)
{
	const struct guest *g = link->guest;
	struct state_area *area = g->program.state;
	unsigned i;
	uint32_t vm;

	link->look_again = link->steps.running;
	if (!area || link->look_again)
		return;
	for (i = 0; i < STATE_SUCCESSORS; i++) {
		vm = atomic_load(&area->successor[i].vm);
		/* The first guest skips 1403. */
		if (i + 1 == g->options.successor)
			break;
		if (!vm || vm == g->options.vm || vm >= PLATFORM_SHARED_VMS ||
		    has(link, vm) || link->n_from == STATE_SUCCESSORS)
			continue;
		link->from_vm[link->n_from++] = vm;
	}
	for (i = 0; i < link->n_from; i++)
		if (!link->from[i])
			break;
	if (i < link->n_from)
		bus_steps_start(&link->steps, STEP_MAP);
}

static bool lives(const struct emergency_link *link, uint32_t vm)
{
	struct state_area *area = link->guest->program.state;
	pid_t pid;
	unsigned i;

	for (i = 0; i < STATE_SUCCESSORS; i++) {
		pid = (pid_t)atomic_load(&area->successor[i].pid);
		if (atomic_load(&area->successor[i].vm) == vm &&
		    pid_exists(pid))
			return true;
	}
	return false;
}

static bool stops(const struct emergency_link *link,
		  struct emergency_page *page)
{
	uint32_t stop = atomic_load_explicit(&page->stop, memory_order_acquire);

	if (!stop || stop == link->guest->options.vm)
		return false;
	if (lives(link, stop)) {
		atomic_store_explicit(&page->seen, stop, memory_order_release);
		return true;
	}
	atomic_compare_exchange_strong(&page->stop, &stop, 0);
	return false;
}

static bool any_stop(struct emergency_link *link)
{
	unsigned i;

	for (i = 0; i < link->n_from; i++)
		if (link->from[i] && stops(link, link->from[i]))
			return true;
	return false;
}

static void go_on(struct emergency_link *link)
{
	struct guest *g = link->guest;
	unsigned i;

	link->stopped = false;
	for (i = 0; i < link->n_from; i++)
		if (link->from[i])
			atomic_store(&link->from[i]->seen, 0);
	event(g->program.log, "forced-stop.over", NULL);
	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i])
			vf_send_kick(g->vf[i]);
}

static void on_look(void *arg)
{
	struct emergency_link *link = arg;

	if (any_stop(link))
		loop_timer_in(link->guest->program.loop, &link->look, LOOK_NS,
			      on_look, link);
	else
		go_on(link);
}

bool emergency_link_is_stopped(struct emergency_link *link)
{
	struct guest *g = link->guest;

	if (link->stopped)
		return true;
	if (!link->n_from || !any_stop(link))
		return false;
	link->stopped = true;
	event(g->program.log, "forced-stop", NULL);
	loop_timer_in(g->program.loop, &link->look, LOOK_NS, on_look, link);
	return true;
}

unsigned emergency_link_stop(struct emergency_link *link)
{
	uint32_t vm = link->guest->options.vm;
	unsigned i, n = 0;

	for (i = 0; i < PLATFORM_SHARED_VMS; i++) {
		if (!link->to[i])
			continue;
		atomic_store_explicit(&link->to[i]->stop, vm,
				      memory_order_release);
		n++;
	}
	return n;
}

unsigned emergency_link_clear(struct emergency_link *link)
{
	unsigned i, n = 0;
	uint32_t vm;

	for (i = 0; i < PLATFORM_SHARED_VMS; i++) {
		vm = link->guest->options.vm;
		if (link->to[i] &&
		    atomic_compare_exchange_strong(&link->to[i]->stop, &vm, 0))
			n++;
	}
	return n;
}
