/* successors.c - who may claim a PF when the hypervisor fails (spec 02), and
 * what it then may ask of region 9. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/state_area.h"

#include "cmd/rootbridge/bridge.h"

bool successors_read(struct bridge *b, unsigned i, void *entry)
{
	if (i >= b->n_successors)
		return false;
	memcpy(entry, &b->successors[i], sizeof(b->successors[i]));
	return true;
}

static int check(struct bridge *b, const struct sup_successor *s)
{
	struct function *f = device_function_at(b, s->bdf);

	if (!f || f->vf || s->vm >= b->n_vms)
		return -ENOENT;
	if (s->vm == PLATFORM_HYPERVISOR || s->order > STATE_SUCCESSORS)
		return -EINVAL;
	return 0;
}

/* Into a list with room for one more; its length, or -errno. */
static int apply(struct sup_successor *list, unsigned n,
		 const struct sup_successor *s)
{
	unsigned i, at = n;

	for (i = 0; i < n; i++) {
		if (list[i].bdf != s->bdf)
			continue;
		if (list[i].vm == s->vm)
			at = i;
		else if (s->order && list[i].order == s->order)
			return -EEXIST;
	}
	if (s->order) {
		list[at] = *s;
		return (int)(at == n ? n + 1 : n);
	}
	if (at == n)
		return -ENOENT;
	memmove(list + at, list + at + 1, (n - at - 1) * sizeof(*list));
	return (int)n - 1;
}

int successors_write(struct bridge *b, const struct sup_successor *s, size_t n)
{
	struct sup_successor *list;
	int err = 0, left = (int)b->n_successors;
	size_t i;

	list = calloc(b->n_successors + n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (b->n_successors)
		memcpy(list, b->successors, b->n_successors * sizeof(*list));
	for (i = 0; i < n && !err; i++) {
		err = check(b, &s[i]);
		if (!err)
			left = apply(list, (unsigned)left, &s[i]);
		if (left < 0)
			err = left;
	}
	if (err) {
		free(list);
		return err;
	}
	free(b->successors);
	b->successors = list;
	b->n_successors = (unsigned)left;
	return 0;
}

bool successors_has(const struct vm *vm, uint16_t bdf)
{
	const struct bridge *b = vm->bridge;
	unsigned i;

	for (i = 0; i < b->n_successors; i++)
		if (b->successors[i].vm == vm->number &&
		    b->successors[i].bdf == bdf)
			return true;
	return false;
}

bool successors_listed(const struct vm *vm)
{
	const struct bridge *b = vm->bridge;
	unsigned i;

	for (i = 0; i < b->n_successors; i++)
		if (b->successors[i].vm == vm->number)
			return true;
	return false;
}

bool successors_may(const struct vm *vm, unsigned kind, bool write)
{
	if (!successors_listed(vm))
		return false;
	switch (kind) {
	case SUP_INFO:
	case SUP_FUNCTIONS:
	case SUP_SUCCESSORS:
	case SUP_SHARES:
		return !write;
	case SUP_VMS:
		return !write || ownership_any(vm);
	case SUP_CLAIM:
	case SUP_ROUTES:
	case SUP_WATCH:
		return write;
	}
	return false;
}
