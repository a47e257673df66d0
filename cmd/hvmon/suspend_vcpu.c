/* suspend_vcpu.c - a105 by stopping the VMs (spec 01, fig. 7), for machines
 * without a protection mechanism.
 *
 * a500 lists the VMs, a505 and a510 are the scheduler's.  What a VM had sent
 * before it stood may still be in its socket: the root bridge says when it
 * was looked up, so that the confirmation comes behind it.
 */
#include <config.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_procedure.h"

static void list_vms(struct procedure *p)
{
	struct vm_list *vms = &reset_of(p)->vms;
	const struct vf_allocation *row;
	unsigned i, k;

	vms->n = 0;
	for (i = 0; i < p->vfs.n; i++) {
		row = reset_row(p, i);
		for (k = 0; row && k < vms->n && vms->vm[k] != row->vm; k++)
			;
		if (row && k == vms->n)
			vms->vm[vms->n++] = row->vm;
	}
}

void suspend_vcpu(struct procedure *p)
{
	list_vms(p);
	reset_point(p, POINT_RESET_A500);
	reset_of(p)->stopped = true;
	schedule_stop_vms(p, &reset_of(p)->vms);
}

int suspend_vcpu_settle(struct procedure *p)
{
	const struct vm_list *vms = &reset_of(p)->vms;
	struct sup_settle settle = { 0 };

	/* Rows are changed before what is asked behind them arrives. */
	if (!reset_of(p)->stopped)
		return STEP_FLOW;
	if (p->round == vms->n) {
		/* Exceptions are in the ring before the answer. */
		bridge_link_listen(&p->hv->bridge);
		return STEP_NEXT;
	}
	settle.vm = vms->vm[p->round];
	step_sup_write(p, SUP_SETTLE, &settle, sizeof(settle), 0);
	return STEP_AGAIN;
}

void suspend_vcpu_back(struct procedure *p)
{
	if (reset_of(p)->stopped)
		schedule_resume_vms(p, &reset_of(p)->vms);
	reset_of(p)->stopped = false;
}
