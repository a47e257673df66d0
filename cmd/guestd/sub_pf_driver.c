/* sub_pf_driver.c - the sub PF driver.
 *
 * Theory of operation.  It does what hvmon's PF driver does, with the same
 * tables (libcore/link_state), on a PF that this guest claimed.  All changes
 * are stored; only this guest's VFs are notified and answered: the others are
 * being reset, and what they asked waits in the register for the next hvmon.
 */
#include <config.h>

#include "cmd/guestd/sub_pf_driver.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/successor.h"
#include "libcore/pci_caps.h"

uint64_t sub_pf_block(const struct sub_pf *pf, unsigned vf)
{
	return pf->bar0 + NIC_PF_VF(vf);
}

void sub_pf_read_blocks(struct sub_pf *pf, struct bus_steps *steps)
{
	if (pf->num_vfs)
		steps_read(steps, PLATFORM_REGION_IO, sub_pf_block(pf, 1),
			   pf->num_vfs * NIC_PF_VF_SIZE, pf->blocks);
}

static const uint8_t *block_at(const struct sub_pf *pf, unsigned vf,
			       uint32_t reg)
{
	return pf->blocks + (size_t)(vf - 1) * NIC_PF_VF_SIZE + reg;
}

uint32_t sub_pf_block32(const struct sub_pf *pf, unsigned vf, uint32_t reg)
{
	return pci_get32(block_at(pf, vf, reg), 0);
}

static bool is_ours(const struct sub_vf *vf)
{
	return vf->bdf && !vf->other && vf->vm != PLATFORM_VM_NONE;
}

/* 130A from the registers, and hvmon's page. */

static bool take_block(struct sub_pf *pf, unsigned n)
{
	struct link_values values;

	if (!link_values_take(&values, block_at(pf, n, LINK_VF_AT)))
		return false;
	link_state_store(&pf->vf[n].link, &values);
	return true;
}

bool sub_pf_take_blocks(struct sub_pf *pf)
{
	unsigned n;

	if (!link_causes_take(&pf->causes, pf->regs))
		return false;
	pf->link = pf->causes.pf;
	for (n = 1; n <= pf->num_vfs; n++)
		if (pf->vf[n].bdf && !take_block(pf, n))
			return false;
	return true;
}

static const struct link_device *find_device(const struct link_page *page,
					     const char *name)
{
	unsigned i;

	for (i = 0; i < LINK_DEVICES && page->device[i].name[0]; i++)
		if (!strncmp(page->device[i].name, name,
			     sizeof(page->device[i].name)))
			return &page->device[i];
	return NULL;
}

static uint32_t epoch_of(const struct link_device *device)
{
	return atomic_load_explicit(&device->epoch, memory_order_acquire);
}

int sub_pf_take_mirror(struct sub_pf *pf, const struct link_page *page)
{
	const struct link_device *device;
	struct link_state state;
	unsigned n;
	int err;

	if (!page || atomic_load(&page->magic) != LINK_PAGE_MAGIC ||
	    page->version != LINK_PAGE_VERSION)
		return -ENOENT;
	device = find_device(page, pf->name);
	if (!device || !epoch_of(device) || epoch_of(device) + 1 != pf->epoch)
		return -ESTALE;
	for (n = 0; n <= pf->num_vfs; n++) {
		err = link_entry_load(device, n, &state);
		if (err < 0)
			return err;
		if (!n)
			pf->link = state.physical;
		pf->vf[n].link.physical = state.physical;
		pf->vf[n].link.notified = state.notified;
	}
	return 0;
}

void sub_pf_give_mirror(const struct sub_pf *pf, struct link_page *page)
{
	struct link_state state = { .physical = pf->link,
				    .vm = PLATFORM_VM_NONE };
	struct link_device *device;
	unsigned n;

	device = (struct link_device *)find_device(page, pf->name);
	if (!device)
		return;
	atomic_store(&device->epoch, 0);
	link_entry_store(device, 0, &state);
	for (n = 1; n <= pf->num_vfs; n++) {
		state = pf->vf[n].link;
		state.vm = pf->vf[n].vm;
		link_entry_store(device, n, &state);
	}
	atomic_store_explicit(&device->epoch, pf->epoch, memory_order_release);
}

/* Serving: why it interrupted, 1001 to 1004, 1101 to 1103. */

enum {
	STEP_WHY,
	STEP_1001,
	STEP_1002,
	STEP_1003,
	STEP_1004,
	STEP_MAILBOX,
	STEP_1101,
	STEP_1102,
	STEP_1103,
};

static void issue_why(void *arg)
{
	struct sub_pf *pf = arg;

	pf->again = false;
	pf->n_events++;
	steps_read(&pf->steps, PLATFORM_REGION_IO, pf->bar0, LINK_PF_SIZE,
		   pf->regs);
}

static int check_why(void *arg)
{
	struct sub_pf *pf = arg;

	if (pf->steps.err)
		return pf->steps.err;
	if (!link_causes_take(&pf->causes, pf->regs))
		return -ENODEV;
	return pf->causes.changed || pf->causes.pf_changed ? STEP_1001
							   : STEP_MAILBOX;
}

static void issue_1001(void *arg)
{
	struct sub_pf *pf = arg;

	sub_pf_read_blocks(pf, &pf->steps);
}

/* Stored, and only then cleared. */
static void issue_1002(void *arg)
{
	struct sub_pf *pf = arg;
	uint64_t set = 0;
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++)
		if (link_vf_in(pf->causes.changed, n) && take_block(pf, n))
			set |= 1ull << (n - 1);
	set = htole64(set);
	if (set)
		steps_write(&pf->steps, PLATFORM_REGION_IO,
			    pf->bar0 + NIC_PF_LINK_CHANGED, &set, sizeof(set));
	if (!pf->causes.pf_changed)
		return;
	pf->link = pf->causes.pf;
	steps_write32(&pf->steps, pf->bar0 + NIC_PF_CHANGED, 1);
}

static int check_1003(void *arg)
{
	struct sub_pf *pf = arg;
	bool any = false;
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++) {
		pf->vf[n].notify = is_ours(&pf->vf[n]) &&
				   link_state_differs(&pf->vf[n].link);
		any = any || pf->vf[n].notify;
	}
	return any ? STEP_1004 : STEP_MAILBOX;
}

static void issue_1004(void *arg)
{
	struct sub_pf *pf = arg;
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++) {
		if (!pf->vf[n].notify)
			continue;
		pf->n_notices++;
		steps_write32(&pf->steps,
			      sub_pf_block(pf, n) + NIC_PF_VF_NOTIFY, 1);
	}
}

static int check_mailbox(void *arg)
{
	struct sub_pf *pf = arg;
	unsigned n;

	pf->answers = 0;
	for (n = 1; n <= pf->num_vfs; n++)
		if (link_vf_in(pf->causes.asked, n) && is_ours(&pf->vf[n]))
			pf->answers |= 1ull << (n - 1);
	return pf->answers ? STEP_1101 : STEPS_DONE;
}

static void issue_1102(void *arg)
{
	struct sub_pf *pf = arg;
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++) {
		if (!link_vf_in(pf->answers, n))
			continue;
		if (sub_pf_block32(pf, n, NIC_PF_VF_MBX) == UINT32_MAX)
			pf->answers &= ~(1ull << (n - 1)); /* refused */
		else
			link_state_notified(&pf->vf[n].link);
	}
}

static void issue_1103(void *arg)
{
	struct sub_pf *pf = arg;
	uint8_t regs[LINK_ANSWER_SIZE];
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++) {
		if (!link_vf_in(pf->answers, n))
			continue;
		pf->n_answers++;
		link_answer_put(&pf->vf[n].link,
				sub_pf_block32(pf, n, NIC_PF_VF_MBX), regs);
		steps_write(&pf->steps, PLATFORM_REGION_IO,
			    sub_pf_block(pf, n) + LINK_ANSWER_AT, regs,
			    sizeof(regs));
	}
}

static int check_1103(void *arg)
{
	struct sub_pf *pf = arg;

	return pf->steps.err ? pf->steps.err : STEPS_DONE;
}

static const struct bus_step event_steps[] = {
	[STEP_WHY] = { POINT_DRIVER_EVENT, issue_why, check_why },
	[STEP_1001] = { POINT_DRIVER_1001, issue_1001, NULL },
	[STEP_1002] = { POINT_DRIVER_1002, issue_1002, NULL },
	[STEP_1003] = { POINT_DRIVER_1003, NULL, check_1003 },
	[STEP_1004] = { POINT_DRIVER_1004, issue_1004, NULL },
	[STEP_MAILBOX] = { BUS_STEP_NO_POINT, NULL, check_mailbox },
	[STEP_1101] = { POINT_DRIVER_1101, issue_1001, NULL },
	[STEP_1102] = { POINT_DRIVER_1102, issue_1102, NULL },
	[STEP_1103] = { POINT_DRIVER_1103, issue_1103, check_1103 },
};

static void on_event_over(void *arg, int err, unsigned at)
{
	struct sub_pf *pf = arg;

	(void)at;
	if (err == -EPERM) {
		successor_fenced(pf->successor, pf);
		return;
	}
	if (err)
		event(pf->successor->guest->program.log, "takeover.unanswered",
		      "s:s, s:s", "device", pf->name, "why", strerror(-err));
	if (pf->again)
		sub_pf_event(pf);
	else
		successor_look(pf->successor);
}

static const struct bus_steps_desc event_desc = { event_steps, on_event_over };

void sub_pf_init(struct sub_pf *pf, struct successor *s)
{
	memset(pf, 0, sizeof(*pf));
	pf->successor = s;
	bus_steps_init(&pf->steps, &s->guest->bus, s->guest->program.points,
		       &event_desc, pf);
}

void sub_pf_fini(struct sub_pf *pf)
{
	bus_steps_fini(&pf->steps);
}

bool sub_pf_is_idle(const struct sub_pf *pf)
{
	return !pf->steps.running;
}

void sub_pf_event(struct sub_pf *pf)
{
	if (!pf->owned || !pf->works)
		return;
	if (pf->steps.running)
		pf->again = true;
	else
		bus_steps_start(&pf->steps, STEP_WHY);
}
