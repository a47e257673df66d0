/* ownership.c - who owns a PF: CLAIM with the epoch that the caller expects.
 *
 * An epoch belongs to a connection, not to a message: the former holder's
 * connection loses every function of the device, whatever it sends.
 */
#include <config.h>

#include <errno.h>

#include "cmd/rootbridge/bridge.h"

static void fence(struct bridge *b, const struct device *d, uint64_t connection)
{
	struct vm *vm;
	unsigned i;

	for (i = 0; i < b->n_vms; i++) {
		vm = &b->vms[i];
		if (!vm->session || vm->connection != connection)
			continue;
		vm->fenced[d->bus / 8] |= (uint8_t)(1u << d->bus % 8);
		vm->any_fenced = true;
	}
}

int ownership_claim(struct vm *vm, const struct sup_claim *claim)
{
	struct bridge *b = vm->bridge;
	struct function *f = device_function_at(b, claim->bdf);
	struct device *d;

	if (!f || f->vf)
		return -ENOENT;
	d = f->device;
	if (d->epoch != claim->expected_epoch)
		return -ESTALE;
	if (ownership_fenced(vm, f))
		return -EPERM;
	if (d->owner && d->owner != vm->connection)
		fence(b, d, d->owner);
	d->owner = vm->connection;
	d->epoch++;
	event(b->log, "claimed", "s:s, s:s, s:i", "device", d->name, "by",
	      vm->name, "epoch", (int)d->epoch);
	return 0;
}

bool ownership_fenced(struct vm *vm, const struct function *f)
{
	unsigned bus = f->device->bus;
	uint64_t suppressed;

	if (!vm->any_fenced || !(vm->fenced[bus / 8] & (1u << bus % 8)))
		return false;
	if (limiter_pass(&vm->complaints, loop_now_ns(vm->bridge->loop),
			 &suppressed))
		event(vm->bridge->log, "fenced", "s:s, s:s, s:i, s:I",
		      "function", f->name, "vm", vm->name, "epoch",
		      (int)f->device->epoch, "suppressed",
		      (json_int_t)suppressed);
	return true;
}
