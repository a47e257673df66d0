/* ownership.c - who owns a PF: CLAIM with the epoch that the caller expects.
 *
 * Theory of operation.  The owner is the process that is connected as a VM:
 * when it hangs up, the PF is nobody's.  A successor takes the PF from
 * anybody, the hypervisor only from nobody, so that it gets it back when it is
 * handed over.  An epoch belongs to a connection, not to a message: the former
 * holder's connection loses every function of the device, whatever it sends,
 * and the hypervisor's every command of region 9 as well.
 *
 * What bypasses the bridge goes with it: the claim is answered when the device
 * has given back the former holder's interrupts and DMA maps.
 */
#include <config.h>

#include <errno.h>

#include "cmd/rootbridge/bridge.h"

static bool is_in_force(const struct bridge *b)
{
	return part(&b->program.parts, PART_OWNERSHIP);
}

/* No interrupts and no DMA of the PF, nor of what the VM only drives. */
static void withdraw(struct device *d, struct vm *vm, struct change *change)
{
	bool drives = vm->number == PLATFORM_HYPERVISOR;
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f))) {
		if (f->device != d)
			continue;
		if (!f->vf || f->vm != vm->number)
			interrupts_withdraw(f, vm, change);
		if (f->vm == vm->number && (!f->vf || drives))
			dma_assign(f, PLATFORM_VM_NONE, change);
	}
}

static void fence(struct device *d, struct vm *vm)
{
	struct bridge *b = vm->bridge;
	struct function *f = NULL;

	vm->fenced[d->bus / 8] |= (uint8_t)(1u << d->bus % 8);
	vm->any_fenced = true;
	while ((f = bridge_next_function(b, f)))
		if (f->device == d)
			relay_fence(f, vm);
	if (vm->number != PLATFORM_HYPERVISOR)
		return;
	/* Nor does it decide about anything any more. */
	exceptions_close(vm->decides);
	parking_supervisor_gone(b);
}

/* Nothing is left to the former holder. */
static void fence_done(struct change *change)
{
	struct bridge *b = change->vm->bridge;
	struct device *d;

	LIST_FOREACH (d, &b->devices, entry) {
		if (d->claim != change)
			continue;
		d->claim = NULL;
		event(b->log, "fence.done", "s:s, s:i, s:I", "device", d->name,
		      "epoch", (int)d->epoch, "took_ns",
		      (json_int_t)(clock_now_ns() - d->claim_ns));
	}
}

static void take(struct device *d, struct vm *vm, struct change *change)
{
	struct vm *hypervisor = &vm->bridge->vms[PLATFORM_HYPERVISOR];
	struct vm *former = d->owner;

	d->owner = vm;
	d->epoch++;
	event(vm->bridge->log, "claimed", "s:s, s:s, s:i, s:s*", "device",
	      d->name, "by", vm->name, "epoch", (int)d->epoch, "from",
	      former && former != vm ? former->name : NULL);
	if (vm == hypervisor || !is_in_force(vm->bridge))
		return;
	d->claim = change;
	d->claim_ns = clock_now_ns();
	change->done = fence_done;
	if (former && former != vm) {
		fence(d, former);
		withdraw(d, former, change);
	}
	/* Also one that is dead: the next is not to get them either. */
	if (former != hypervisor)
		withdraw(d, hypervisor, change);
}

static void release(struct device *d, const char *why, struct change *change)
{
	struct vm *vm = d->owner;
	struct bridge *b = vm->bridge;

	d->owner = NULL;
	event(b->log, "released", "s:s, s:s, s:i, s:s", "device", d->name, "by",
	      vm->name, "epoch", (int)d->epoch, "why", why);
	/* The next hypervisor finds the routes of one that died. */
	if (vm->number != PLATFORM_HYPERVISOR)
		withdraw(d, vm, change);
	exceptions_notify(b, SUP_EX_RELEASED, vm->number, d->pf->bdf);
}

static int claim_check(struct vm *vm, const struct sup_claim *claim)
{
	struct function *f = device_function_at(vm->bridge, claim->bdf);
	bool drives = vm->number == PLATFORM_HYPERVISOR;
	struct device *d;

	if (!f || f->vf)
		return -ENOENT;
	if (claim->action > SUP_CLAIM_RELEASE)
		return -EINVAL;
	d = f->device;
	if (ownership_fenced(vm, f) ||
	    (!drives && !successors_has(vm, claim->bdf)))
		return -EPERM;
	if (d->epoch != claim->expected_epoch)
		return -ESTALE;
	if (claim->action == SUP_CLAIM_RELEASE)
		return d->owner == vm ? 0 : -EPERM;
	return drives && d->owner && d->owner != vm ? -EBUSY : 0;
}

int ownership_claim(struct vm *vm, const struct sup_claim *claims, size_t n,
		    struct change *change)
{
	struct device *d;
	size_t i, k;
	int err;

	for (i = 0; i < n; i++) {
		err = claim_check(vm, &claims[i]);
		if (err)
			return err;
		for (k = 0; k < i; k++)
			if (claims[k].bdf == claims[i].bdf)
				return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		d = device_function_at(vm->bridge, claims[i].bdf)->device;
		if (claims[i].action == SUP_CLAIM_RELEASE)
			release(d, "handed over", change);
		else
			take(d, vm, change);
	}
	return 0;
}

void ownership_detached(struct vm *vm)
{
	struct device *d;

	LIST_FOREACH (d, &vm->bridge->devices, entry)
		if (d->owner == vm)
			release(d, "hung up", NULL);
}

bool ownership_any(const struct vm *vm)
{
	const struct device *d;

	LIST_FOREACH (d, &vm->bridge->devices, entry)
		if (d->owner == vm)
			return true;
	return false;
}

bool ownership_row(const struct vm *vm, const struct function *f)
{
	if (!is_in_force(vm->bridge))
		return true;
	return f ? f->device->owner == vm : ownership_any(vm);
}

void ownership_refused(struct vm *vm, const struct function *f)
{
	uint64_t suppressed;

	if (limiter_pass(&vm->complaints, loop_now_ns(vm->bridge->loop),
			 &suppressed))
		event(vm->bridge->log, "fenced", "s:s*, s:s, s:i, s:I",
		      "function", f ? f->name : NULL, "vm", vm->name, "epoch",
		      f ? (int)f->device->epoch : 0, "suppressed",
		      (json_int_t)suppressed);
}

bool ownership_fenced(struct vm *vm, const struct function *f)
{
	unsigned bus = f->device->bus;

	if (!vm->any_fenced || !(vm->fenced[bus / 8] & (1u << bus % 8)))
		return false;
	ownership_refused(vm, f);
	return true;
}

bool ownership_bars(struct vm *vm, const struct function *f)
{
	const struct vm *owner = f->device->owner;

	if (vm->number != PLATFORM_HYPERVISOR || f->vf || !owner ||
	    owner == vm || !is_in_force(vm->bridge))
		return false;
	ownership_refused(vm, f);
	return true;
}
