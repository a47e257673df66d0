/* failover_drain.c - 1701 to 1703: the other guests' queues come to rest.
 *
 * Theory of operation.  With their receive queues off the device stores no
 * frame any more, and their senders were stopped: what is left gets less until
 * both indexes of each queue are equal.  Then transmit goes off too.  What was
 * enqueued in between shows in one more look.  At the limit all that is not at
 * rest is stopped as it is.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/guestd/drain.h"
#include "cmd/guestd/failover_steps.h"
#include "libcore/pci_caps.h"

#define LOOK_NS (100 * NS_PER_US)

static const uint8_t *block_of(const struct sub_pf *pf, unsigned n)
{
	return pf->blocks + (size_t)(n - 1) * NIC_PF_VF_SIZE;
}

static void write_all(struct failover *f, uint32_t reg, uint32_t value)
{
	struct sub_pf *pf;
	unsigned n;

	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf))
			steps_write32(&f->steps, sub_pf_block(pf, n) + reg,
				      value);
}

void failover_issue_1701(void *arg)
{
	struct failover *f = arg;

	f->late = f->drained_once = false;
	f->drain_ns = clock_now_ns();
	write_all(f, NIC_PF_VF_RX_ENABLE, 0);
}

void failover_issue_1702(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;

	for (EACH_PF(pf, f->successor))
		sub_pf_read_blocks(pf, &f->steps);
}

static void tell_late(struct failover *f, struct sub_pf *pf, unsigned n,
		      enum drain what)
{
	struct function_name name = { .vf = n };
	char text[FUNCTION_NAME_MAX], vm[16];

	strlcpy(name.device, pf->name, sizeof(name.device));
	snprintf(vm, sizeof(vm), "vm%u", pf->vf[n].vm);
	pf->vf[n].late = true;
	f->late = true;
	event(f->successor->guest->program.log, "drain.limit", "s:s, s:s, s:s",
	      "function", function_name_format(text, sizeof(text), &name), "vm",
	      vm, "queue", what == DRAIN_TX ? "tx" : "rx");
}

static enum drain look(const struct sub_pf *pf, unsigned n)
{
	const struct sub_vf *vf = &pf->vf[n];

	return vf->late ? DRAIN_DONE
			: drain_look(block_of(pf, n), vf->sends, vf->takes);
}

/* Whether all is at rest; at the limit it is said to be. */
static bool at_rest(struct failover *f)
{
	uint64_t limit_ns = f->successor->guest->options.drain_limit_ns;
	bool late = clock_now_ns() - f->drain_ns >= limit_ns, rest = true;
	struct sub_pf *pf;
	enum drain what;
	unsigned n;

	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf)) {
			what = look(pf, n);
			if (what != DRAIN_DONE && late)
				tell_late(f, pf, n, what);
			else if (what != DRAIN_DONE)
				rest = false;
		}
	return rest;
}

static void look_again(void *arg)
{
	struct failover *f = arg;

	bus_steps_go(&f->steps);
}

int failover_check_1702(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;
	unsigned n;

	if (f->steps.err)
		return f->steps.err;
	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf))
			pf->vf[n].sends = drain_sends(block_of(pf, n));
	if (at_rest(f))
		return f->drained_once ? STEP_1703_AGAIN : STEP_1703;
	loop_timer_in(f->successor->guest->program.loop, &f->again, LOOK_NS,
		      look_again, f);
	return STEPS_WAIT;
}

void failover_issue_1703(void *arg)
{
	write_all(arg, NIC_PF_VF_TX_ENABLE, 0);
	/* 1701 was left out. */
	if (!part(&((struct failover *)arg)->successor->guest->program.parts,
		  PART_DRAIN))
		write_all(arg, NIC_PF_VF_RX_ENABLE, 0);
}

int failover_check_1703_again(void *arg)
{
	struct failover *f = arg;

	return f->steps.err ? f->steps.err : STEP_LOOK;
}

int failover_check_look(void *arg)
{
	struct failover *f = arg;
	struct guest *g = f->successor->guest;
	bool rest;

	if (f->steps.err)
		return f->steps.err;
	rest = !part(&g->program.parts, PART_DRAIN) || at_rest(f);
	if (!rest)
		return STEP_ON;
	f->drained_ns = clock_now_ns();
	if (g->options.check_memory)
		return STEP_WATCH;
	return failover_has_mirror(f) ? STEP_2001 : STEP_1704;
}

/* For all but those that the limit passed: one that is at rest now may still
 * enqueue, and what it enqueues has to go, too. */
void failover_issue_on(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;
	unsigned n;

	f->drained_once = true;
	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf))
			if (!pf->vf[n].late)
				steps_write32(&f->steps,
					      sub_pf_block(pf, n) +
						      NIC_PF_VF_TX_ENABLE,
					      1);
}

int failover_check_on(void *arg)
{
	struct failover *f = arg;

	return f->steps.err ? f->steps.err : STEP_1702_AGAIN;
}

/* --check-memory */

static uint64_t written_of(const struct sub_pf *pf, unsigned n)
{
	return sub_pf_block32(pf, n, NIC_PF_VF_WRITTEN) |
	       (uint64_t)sub_pf_block32(pf, n, NIC_PF_VF_WRITTEN + 4) << 32;
}

/* One is watched already when this is not the first try. */
void failover_issue_watch(void *arg)
{
	struct failover *f = arg;
	struct sup_watch watch = { 0 };
	struct sub_pf *pf;
	unsigned n;

	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf)) {
			pf->vf[n].written = written_of(pf, n);
			watch.bdf = pf->vf[n].bdf;
			steps_write(&f->steps, PLATFORM_REGION_SUPERVISOR,
				    SUP_OFFSET(SUP_WATCH), &watch,
				    sizeof(watch));
		}
}

int failover_check_watch(void *arg)
{
	struct failover *f = arg;

	if (f->steps.err && f->steps.err != -EEXIST)
		event(f->successor->guest->program.log, "takeover.unwatched",
		      "s:s", "why", strerror(-f->steps.err));
	return failover_has_mirror(f) ? STEP_2001 : STEP_1704;
}

int failover_check_memory(void *arg)
{
	struct failover *f = arg;
	uint64_t bytes = 0;
	struct sub_pf *pf;
	unsigned n;

	if (f->steps.err)
		return f->steps.err;
	for (EACH_PF(pf, f->successor))
		for (EACH_OTHER(n, pf))
			bytes += written_of(pf, n) - pf->vf[n].written;
	event(f->successor->guest->program.log, "takeover.checked", "s:I",
	      "written", (json_int_t)bytes);
	return STEP_1707;
}
