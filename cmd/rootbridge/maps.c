/* maps.c - SUP_MAPS: memory of a VM that is reached beyond the rule that a
 * function reaches that of its own VM (spec 04: guests' memory by the function
 * of their partition, partitions' memory by the firmware).
 *
 * What is wished lies here, sorted; dma.c makes functions follow.  A VM's
 * processors find a region instead, PLATFORM_REGION_GUEST.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

#define PAGE_BYTES 4096u

bool maps_read(struct bridge *b, unsigned i, void *entry)
{
	if (i >= b->n_maps)
		return false;
	memcpy(entry, &b->maps[i], sizeof(b->maps[i]));
	return true;
}

/* Functions first, by address; then processors. */
static int order(const struct sup_map *x, const struct sup_map *y)
{
	if (x->bdf != y->bdf)
		return x->bdf < y->bdf ? -1 : 1;
	if (x->by != y->by)
		return x->by < y->by ? -1 : 1;
	if (!x->bdf && x->vm != y->vm)
		return x->vm < y->vm ? -1 : 1;
	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

/* Index of the first that is not before it. */
static unsigned place_of(const struct sup_map *maps, unsigned n,
			 const struct sup_map *map)
{
	unsigned low = 0, high = n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (order(&maps[middle], map) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

unsigned maps_of(const struct function *f, const struct sup_map **first)
{
	const struct bridge *b = f->bridge;
	struct sup_map from = { .bdf = f->bdf };
	unsigned at = place_of(b->maps, b->n_maps, &from), n = 0;

	*first = b->maps + at;
	while (at + n < b->n_maps && b->maps[at + n].bdf == f->bdf)
		n++;
	return n;
}

static uint64_t size_of(const struct bridge *b, const struct sup_map *map)
{
	return b->vms[map->vm].memory_size;
}

static bool overlaps(const struct bridge *b, const struct sup_map *x,
		     const struct sup_map *y)
{
	if (x->bdf != y->bdf || !x->bdf)
		return false;
	return x->iova < y->iova ? y->iova - x->iova < size_of(b, x)
				 : x->iova - y->iova < size_of(b, y);
}

bool maps_leave_room(const struct function *f, uint32_t vm)
{
	const struct sup_map *map;

	return vm == PLATFORM_VM_NONE || !maps_of(f, &map) ||
	       map->iova >= f->bridge->vms[vm].memory_size;
}

static int check_function(struct vm *vm, const struct sup_map *map)
{
	struct bridge *b = vm->bridge;
	struct function *f = device_function_at(b, map->bdf);

	if (!f)
		return -ENOENT;
	if (map->by || map->iova % PAGE_BYTES ||
	    map->iova > UINT64_MAX - size_of(b, map))
		return -EINVAL;
	if (ownership_fenced(vm, f))
		return -EPERM;
	if (map->on && f->vm != PLATFORM_VM_NONE &&
	    map->iova < b->vms[f->vm].memory_size)
		return -EEXIST;
	return 0;
}

/* A supervisor gives its guests' memory to its functions, and itself. */
static bool may(const struct vm *vm, const struct sup_map *map)
{
	const struct function *f;

	if (vm->number == PLATFORM_HYPERVISOR)
		return true;
	if (!supervisors_decides(vm, map->vm))
		return false;
	f = map->bdf ? device_function_at(vm->bridge, map->bdf) : NULL;
	return map->bdf ? f && f->vm == vm->number : map->by == vm->number;
}

static int check(struct vm *vm, const struct sup_map *map)
{
	if (map->on > 1 || map->rsvd0)
		return -EINVAL;
	if (map->vm >= vm->bridge->n_vms)
		return -ENOENT;
	if (!may(vm, map))
		return -EPERM;
	if (map->bdf)
		return check_function(vm, map);
	if (map->by >= vm->bridge->n_vms)
		return -ENOENT;
	return map->iova || map->by == map->vm ? -EINVAL : 0;
}

static bool is_same(const struct sup_map *x, const struct sup_map *y)
{
	return !order(x, y) && x->vm == y->vm;
}

/* Into a list with room for one more. */
static int apply(const struct bridge *b, struct sup_map *list, unsigned *n,
		 const struct sup_map *map)
{
	unsigned at = place_of(list, *n, map);
	bool there = at < *n && is_same(&list[at], map);

	if (map->on && there)
		return 0;
	if (!map->on) {
		if (!there)
			return -ENOENT;
		--*n;
		memmove(list + at, list + at + 1, (*n - at) * sizeof(*list));
		return 0;
	}
	if ((at && overlaps(b, &list[at - 1], map)) ||
	    (at < *n && overlaps(b, &list[at], map)))
		return -EEXIST;
	memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
	list[at] = *map;
	++*n;
	return 0;
}

/* The functions that the array names, each once. */
static void follow(struct bridge *b, const struct sup_map *maps, size_t n,
		   struct change *change)
{
	struct function *f = NULL;
	size_t i;

	while ((f = bridge_next_function(b, f))) {
		for (i = 0; i < n && maps[i].bdf != f->bdf; i++)
			;
		if (i < n)
			dma_update(f, change);
	}
}

int maps_write(struct vm *vm, const struct sup_map *maps, size_t n,
	       struct change *change)
{
	struct bridge *b = vm->bridge;
	unsigned left = b->n_maps;
	struct sup_map *list;
	int err = 0;
	size_t i;

	list = calloc(b->n_maps + n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (b->n_maps)
		memcpy(list, b->maps, b->n_maps * sizeof(*list));
	for (i = 0; i < n && !err; i++) {
		err = check(vm, &maps[i]);
		if (!err)
			err = apply(b, list, &left, &maps[i]);
	}
	if (err) {
		free(list);
		return err;
	}
	free(b->maps);
	b->maps = list;
	b->n_maps = left;
	follow(b, maps, n, change);
	return 0;
}

bool maps_reach(const struct function *f, const struct vm *vm)
{
	const struct sup_map *map;
	unsigned n = maps_of(f, &map);

	for (; n; n--, map++)
		if (map->vm == vm->number)
			return true;
	return false;
}

int maps_fd(const struct vm *vm, uint32_t other)
{
	const struct bridge *b = vm->bridge;
	const struct sup_map map = { .by = vm->number, .vm = other };
	unsigned at = place_of(b->maps, b->n_maps, &map);

	if (at == b->n_maps || !is_same(&b->maps[at], &map))
		return -ENOENT;
	return vm_memory(&b->vms[other]);
}

json_t *maps_rows(void *bridge)
{
	json_t *rows = json_array();
	struct bridge *b = bridge;
	const struct sup_map *map;
	const struct function *f;
	unsigned i;

	for (i = 0; i < b->n_maps; i++) {
		map = &b->maps[i];
		f = map->bdf ? device_function_at(b, map->bdf) : NULL;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:o, s:I, s:b}", "by",
				  f ? f->name : b->vms[map->by].name, "vm",
				  b->vms[map->vm].name, "iova",
				  json_sprintf("0x%06llx",
					       (unsigned long long)map->iova),
				  "size", (json_int_t)size_of(b, map), "mapped",
				  !f || dma_has(f, map->iova)));
	}
	return rows;
}
