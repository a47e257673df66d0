/* failover_link.c - 1704 to 1706, or 2001: 130A is filled. */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "cmd/guestd/failover_steps.h"
#include "cmd/guestd/vf_driver.h"

void failover_issue_1704(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;

	for (EACH_PF(pf, f->successor)) {
		steps_read(&f->steps, PLATFORM_REGION_IO, pf->bar0,
			   LINK_PF_SIZE, pf->regs);
		sub_pf_read_blocks(pf, &f->steps);
	}
}

/* Physical; and what was stored is cleared at the device. */
void failover_issue_1705(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;
	uint64_t changed;

	for (EACH_PF(pf, f->successor)) {
		pf->works = sub_pf_take_blocks(pf);
		if (!pf->works) {
			event(f->successor->guest->program.log, "takeover.deaf",
			      "s:s", "device", pf->name);
			continue;
		}
		changed = htole64(pf->causes.changed);
		if (changed)
			steps_write(&f->steps, PLATFORM_REGION_IO,
				    pf->bar0 + NIC_PF_LINK_CHANGED, &changed,
				    sizeof(changed));
		if (pf->causes.pf_changed)
			steps_write32(&f->steps, pf->bar0 + NIC_PF_CHANGED, 1);
	}
}

static const struct vf *own_vf(const struct guest *g, const struct sub_pf *pf,
			       unsigned n)
{
	struct function_name name = { .vf = n };
	char text[FUNCTION_NAME_MAX];
	unsigned i;

	strlcpy(name.device, pf->name, sizeof(name.device));
	function_name_format(text, sizeof(text), &name);
	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i] && !strcmp(g->vf[i]->name, text))
			return g->vf[i];
	return NULL;
}

/* For this guest from its own virtual link state. */
static void take_own(const struct guest *g, struct sub_pf *pf, unsigned n)
{
	struct link_state *link = &pf->vf[n].link;
	const struct vf *vf = own_vf(g, pf, n);

	if (vf && vf->link_known)
		link->notified = (struct link_values){
			.up = vf->link_up,
			.max = vf->bandwidth_max,
			.allocated = vf->bandwidth,
		};
	else
		link_state_forget(link);
}

static void forget_others(struct sub_pf *pf)
{
	unsigned n;

	for (n = 1; n <= pf->num_vfs; n++)
		if (pf->vf[n].other || pf->vf[n].vm == PLATFORM_VM_NONE)
			link_state_forget(&pf->vf[n].link);
}

/* After it 1004, for this guest. */
void failover_issue_1706(void *arg)
{
	struct failover *f = arg;
	struct guest *g = f->successor->guest;
	struct sub_pf *pf;
	unsigned n;

	for (EACH_PF(pf, f->successor)) {
		forget_others(pf);
		for (n = 1; n <= pf->num_vfs; n++) {
			if (pf->vf[n].vm != g->options.vm)
				continue;
			take_own(g, pf, n);
			if (link_state_differs(&pf->vf[n].link))
				steps_write32(&f->steps,
					      sub_pf_block(pf, n) +
						      NIC_PF_VF_NOTIFY,
					      1);
		}
	}
}

int failover_check_1706(void *arg)
{
	struct failover *f = arg;

	return f->steps.err ? f->steps.err : STEP_SERVE;
}

int failover_check_2001(void *arg)
{
	struct failover *f = arg;
	struct sub_pf *pf;

	for (EACH_PF(pf, f->successor))
		forget_others(pf);
	return STEP_SERVE;
}

bool failover_has_mirror(struct failover *f)
{
	struct successor *s = f->successor;
	struct sub_pf *pf;
	int err;

	if (s->guest->options.link_sync != LINK_SYNC_MIRROR)
		return false;
	for (EACH_PF(pf, s)) {
		err = sub_pf_take_mirror(pf, s->page);
		if (!err)
			continue;
		event(s->guest->program.log, "takeover.rebuild", "s:s, s:s",
		      "device", pf->name, "why", strerror(-err));
		return false;
	}
	return true;
}
