/* failover_claim.c - 1604: who owns the PFs, and taking them. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/failover_steps.h"
#include "libcore/pci_caps.h"

#define SUPERVISOR PLATFORM_REGION_SUPERVISOR

void failover_issue_who(void *arg)
{
	struct failover *f = arg;
	struct bus_steps *steps = &f->steps;

	steps_read(steps, SUPERVISOR, SUP_OFFSET(SUP_INFO), sizeof(f->info),
		   &f->info);
	steps_read(steps, SUPERVISOR, SUP_OFFSET(SUP_FUNCTIONS),
		   f->n_functions * (uint32_t)sizeof(*f->functions),
		   f->functions);
	steps_read(steps, SUPERVISOR, SUP_OFFSET(SUP_VMS),
		   f->n_vms * (uint32_t)sizeof(*f->vms), f->vms);
	steps_read(steps, SUPERVISOR, SUP_OFFSET(SUP_SUCCESSORS),
		   (uint32_t)sizeof(f->successors), f->successors);
}

static const struct sup_vm *vm_of(const struct failover *f, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < f->n_vms && f->vms[i].state; i++)
		if (f->vms[i].vm == vm)
			return &f->vms[i];
	return NULL;
}

/* 0: that VM may not claim it. */
static unsigned order_of(const struct failover *f, uint16_t bdf, uint32_t vm)
{
	const struct sup_successor *s = f->successors;
	const struct sup_successor *end =
		s + sizeof(f->successors) / sizeof(*f->successors);

	for (; s < end && s->order; s++)
		if (s->bdf == bdf && s->vm == vm)
			return s->order;
	return 0;
}

/* Who comes later took it while we could not run, and resets us too. */
static bool is_taken(const struct failover *f, const struct sub_pf *pf)
{
	uint32_t own = f->successor->guest->options.vm;

	return pf->listed && pf->owner != own &&
	       order_of(f, pf->bdf, pf->owner) > order_of(f, pf->bdf, own);
}

/* Whether another successor does it.  Those who come first had failed, or we
 * would not be here, but one may have come back since. */
static bool is_late(const struct failover *f)
{
	struct successor *s = f->successor;
	const struct sub_pf *pf;
	bool owned = false;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		owned = owned || pf->owned;
		if (is_taken(f, pf)) {
			s->yielded_to = pf->owner;
			return true;
		}
	}
	return !owned && !monitor_is_first(&s->monitor);
}

/* Whether this VM may claim any PF, there or not. */
static bool is_successor(const struct failover *f)
{
	const struct sup_successor *s = f->successors;
	const struct sup_successor *end =
		s + sizeof(f->successors) / sizeof(*f->successors);

	for (; s < end && s->order; s++)
		if (s->vm == f->successor->guest->options.vm)
			return true;
	return false;
}

static struct sub_pf *pf_of(struct successor *s, const char *device)
{
	struct sub_pf *pf;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		if (!strcmp(pf->name, device))
			return pf;
	if (s->n_pfs == LINK_DEVICES)
		return NULL;
	sub_pf_init(pf, s);
	strlcpy(pf->name, device, sizeof(pf->name));
	s->n_pfs++;
	return pf;
}

static void take_vf(struct failover *f, struct sub_pf *pf, unsigned n,
		    const struct sup_function *row)
{
	uint32_t own = f->successor->guest->options.vm;
	const struct sup_vm *vm = vm_of(f, row->vm);
	struct sub_vf *vf = &pf->vf[n];

	vf->bdf = row->bdf;
	vf->vm = vf->link.vm = row->vm;
	vf->other = row->vm != PLATFORM_VM_NONE && row->vm != own;
	vf->takes = vm && vm->state == SUP_VM_RUNNING;
	vf->late = false;
	if (n > pf->num_vfs)
		pf->num_vfs = n;
}

static void take_pf(struct failover *f, struct sub_pf *pf,
		    const struct sup_function *row)
{
	pf->bdf = row->bdf;
	pf->owner = row->owner;
	pf->owned = row->owner == f->successor->guest->options.vm;
	pf->epoch = row->epoch;
	pf->listed = order_of(f, row->bdf, f->successor->guest->options.vm) > 0;
	pf->config = platform_owner_config((uint8_t)(row->bdf >> 8));
}

static void take_functions(struct failover *f)
{
	const struct sup_function *row = f->functions;
	const struct sup_function *end = row + f->n_functions;
	struct successor *s = f->successor;
	struct function_name name;
	struct sub_pf *pf;
	struct complaint c;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		pf->listed = pf->owned = false;
		pf->num_vfs = 0;
		memset(pf->vf, 0, sizeof(pf->vf));
	}
	for (; row < end && row->name[0]; row++) {
		if (!(row->flags & SUP_FUNCTION_PRESENT) ||
		    strnlen(row->name, sizeof(row->name)) ==
			    sizeof(row->name) ||
		    function_name_parse(row->name, &name, &c) < 0)
			continue;
		pf = pf_of(s, name.device);
		if (pf && name.vf && name.vf <= LINK_VFS)
			take_vf(f, pf, name.vf, row);
		else if (pf && !name.vf)
			take_pf(f, pf, row);
	}
}

static bool any_listed(const struct successor *s)
{
	const struct sub_pf *pf;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		if (pf->listed)
			return true;
	return false;
}

/* Room for what the root bridge has of both, and one row that ends it. */
int failover_make_room(struct failover *f, const struct sup_info *info)
{
	struct sup_function *functions;
	struct sup_vm *vms;

	functions = reallocarray(f->functions, info->n_functions + 1u,
				 sizeof(*functions));
	if (!functions)
		return -ENOMEM;
	f->functions = functions;
	f->n_functions = info->n_functions + 1u;
	vms = reallocarray(f->vms, info->n_vms + 1u, sizeof(*vms));
	if (!vms)
		return -ENOMEM;
	f->vms = vms;
	f->n_vms = info->n_vms + 1u;
	return 0;
}

int failover_check_1604(void *arg)
{
	(void)arg;
	return STEP_WHO;
}

int failover_check_who(void *arg)
{
	struct failover *f = arg;
	struct successor *s = f->successor;
	const struct sup_vm *hypervisor;
	int err = f->steps.err;

	if (err)
		return err;
	/* More came than there was room for. */
	if (f->info.n_functions >= f->n_functions ||
	    f->info.n_vms >= f->n_vms) {
		err = failover_make_room(f, &f->info);
		return err ? err : STEP_WHO;
	}
	take_functions(f);
	if (!is_successor(f))
		return -EPERM;
	if (is_late(f))
		return -EBUSY;
	/* The next hypervisor was faster. */
	hypervisor = vm_of(f, PLATFORM_HYPERVISOR);
	if (hypervisor && hypervisor->state == SUP_VM_RUNNING &&
	    hypervisor->pid != (uint32_t)s->monitor.hypervisor.pid)
		return -EALREADY;
	/* The device is gone: there is nothing to take, only to start anew. */
	return any_listed(s) ? STEP_CLAIM : STEP_1707;
}

void failover_issue_claim(void *arg)
{
	struct failover *f = arg;
	struct sup_claim claims[LINK_DEVICES];
	struct successor *s = f->successor;
	struct sub_pf *pf;
	uint32_t n = 0;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		if (pf->listed && !pf->owned)
			claims[n++] = (struct sup_claim){
				.bdf = pf->bdf,
				.action = SUP_CLAIM_TAKE,
				.expected_epoch = pf->epoch,
			};
	if (n)
		steps_write(&f->steps, SUPERVISOR, SUP_OFFSET(SUP_CLAIM),
			    claims, n * (uint32_t)sizeof(*claims));
}

int failover_check_claim(void *arg)
{
	struct failover *f = arg;
	struct successor *s = f->successor;
	struct sub_pf *pf;

	if (f->steps.err)
		return f->steps.err;
	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		if (!pf->listed)
			continue;
		pf->epoch += !pf->owned;
		pf->owned = true;
		pf->works = false;
	}
	f->claimed_ns = f->drain_ns = clock_now_ns();
	f->late = false;
	/* Of one that is gone bmc has dropped them. */
	if (!s->monitor.hypervisor.gone)
		failover_fence_stops(f, s->monitor.hypervisor.pid);
	return STEP_ROUTE;
}

void failover_issue_route(void *arg)
{
	struct failover *f = arg;
	struct sup_route routes[LINK_DEVICES];
	struct successor *s = f->successor;
	struct sub_pf *pf;
	uint32_t n = 0;

	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		if (!pf->owned)
			continue;
		memset(pf->header, 0xff, sizeof(pf->header));
		steps_read(&f->steps, PLATFORM_REGION_IO, pf->config,
			   sizeof(pf->header), pf->header);
		routes[n++] = (struct sup_route){
			.bdf = pf->bdf,
			.vector = NIC_VECTOR_EVENT,
			.vm = s->guest->options.vm,
			.irq = PLATFORM_IRQ_PF,
			.in_use = 1,
		};
	}
	steps_write(&f->steps, SUPERVISOR, SUP_OFFSET(SUP_ROUTES), routes,
		    n * (uint32_t)sizeof(*routes));
}

/* Where BAR 0 of the PF is; false: it decodes nothing. */
static bool take_header(struct sub_pf *pf)
{
	pf->bar0 = platform_owner_bar((uint8_t)(pf->bdf >> 8));
	return pci_get16(pf->header, PCI_VENDOR_ID) == NIC_VENDOR_ID &&
	       (pci_get16(pf->header, PCI_COMMAND) & PCI_COMMAND_MEMORY);
}

/* One that does not answer, in the midst of a reset for instance, is left to
 * the next hypervisor; nobody's I/O goes on there. */
int failover_check_route(void *arg)
{
	struct failover *f = arg;
	struct successor *s = f->successor;
	struct sub_pf *pf;

	if (f->steps.err == -EPERM)
		return -EPERM;
	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++) {
		if (!pf->owned)
			continue;
		pf->works = !f->steps.err && take_header(pf);
		if (!pf->works)
			event(s->guest->program.log, "takeover.deaf", "s:s",
			      "device", pf->name);
	}
	return part(&s->guest->program.parts, PART_DRAIN) ? STEP_1701
							  : STEP_1703;
}
