/* supervisors.c - SUP_SUPERVISORS: which VM decides about another one's
 * exceptions (spec 04: the hypervisor of a partition about its guests), and
 * what it may then ask of region 9.
 *
 * Its machine is what it has been given itself: its guests' rows lead to its
 * own guest-physical addresses, and each access passes its rows as well, so
 * what is fenced or taken from it is so for its guests.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "cmd/rootbridge/bridge.h"

bool supervisors_has(const struct vm *vm)
{
	return vm->decides && vm->decides->n_guests;
}

bool supervisors_decides(const struct vm *vm, uint32_t guest)
{
	const struct bridge *b = vm->bridge;

	return guest && guest < b->n_vms && vm->decides &&
	       b->vms[guest].supervisor == vm->decides;
}

bool supervisors_read(struct bridge *b, unsigned i, void *entry)
{
	struct sup_supervisor *sup = entry;

	if (i + 1 >= b->n_vms)
		return false;
	*sup = (struct sup_supervisor){ i + 1,
					b->vms[i + 1].supervisor->vm->number };
	return true;
}

static int check(struct bridge *b, const struct sup_supervisor *sup)
{
	const struct vm *vm, *supervisor;

	if (sup->vm >= b->n_vms || sup->supervisor >= b->n_vms)
		return -ENOENT;
	vm = &b->vms[sup->vm];
	supervisor = &b->vms[sup->supervisor];
	if (!sup->vm || vm == supervisor || supervisors_has(vm) ||
	    (sup->supervisor &&
	     supervisor->supervisor->vm->number != PLATFORM_HYPERVISOR))
		return -EINVAL;
	if (vm->supervisor == supervisor->decides)
		return 0;
	return vm->session || (supervisor->session && sup->supervisor &&
			       !supervisors_has(supervisor))
		       ? -EBUSY
		       : 0;
}

static int apply(struct bridge *b, const struct sup_supervisor *sup)
{
	struct vm *vm = &b->vms[sup->vm];
	struct vm *supervisor = &b->vms[sup->supervisor];
	int err = exceptions_supervisor(supervisor);

	if (err)
		return err;
	vm->supervisor->n_guests--;
	vm->supervisor = supervisor->decides;
	vm->supervisor->n_guests++;
	return 0;
}

int supervisors_write(struct bridge *b, const struct sup_supervisor *sup,
		      size_t n)
{
	struct sup_supervisor *before = NULL;
	size_t i, done = 0;
	int err = 0;

	before = calloc(n + 1, sizeof(*before));
	if (!before)
		return -ENOMEM;
	for (i = 0; i < n && !err; i++) {
		err = check(b, &sup[i]);
		if (err)
			break;
		before[done++] = (struct sup_supervisor){
			sup[i].vm, b->vms[sup[i].vm].supervisor->vm->number
		};
		err = apply(b, &sup[i]);
	}
	while (err && done--)
		(void)apply(b, &before[done]);
	free(before);
	return err;
}

bool supervisors_may(const struct vm *vm, unsigned kind, bool write)
{
	if (vm->number == PLATFORM_HYPERVISOR || !supervisors_has(vm))
		return false;
	switch (kind) {
	case SUP_INFO:
	case SUP_FUNCTIONS:
	case SUP_SUPERVISORS:
		return !write;
	case SUP_ROWS:
	case SUP_INJECT:
		return write;
	case SUP_VMS:
	case SUP_MAPS:
		return true;
	}
	return false;
}

enum protection_result supervisors_beyond(const struct vm *vm,
					  enum protection_result result,
					  uint64_t count, uint64_t *mpa)
{
	const struct vm *supervisor = vm->supervisor->vm;

	if (supervisor->number == PLATFORM_HYPERVISOR ||
	    result != PROTECTION_ALLOWED)
		return result;
	result = protection_lookup(&vm->bridge->protection, supervisor->number,
				   *mpa, count, mpa);
	return result == PROTECTION_OWNER ? PROTECTION_DENIED : result;
}

int supervisors_rows(const struct vm *vm, const struct sup_row *rows, size_t n)
{
	const struct protection *p = &vm->bridge->protection;
	uint64_t first, last, mpa;

	for (; n; n--, rows++) {
		if (!supervisors_decides(vm, rows->vm) ||
		    rows->flag == SUP_ROW_OWNER)
			return -EPERM;
		if (rows->op == SUP_ROW_DELETE)
			continue;
		first = rows->first + (uint64_t)rows->offset;
		last = rows->last + (uint64_t)rows->offset;
		if (rows->first > rows->last || first > last)
			return -EINVAL;
		if (protection_lookup(p, vm->number, first, last - first + 1,
				      &mpa) == PROTECTION_NO_ROW)
			return -EPERM;
	}
	return 0;
}
