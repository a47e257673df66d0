/* address_layout.c - which machine-physical addresses belong to whose BARs. */
#include <config.h>

#include "cmd/hvmon/address_layout.h"

#include <errno.h>
#include <stdlib.h>

void address_layout_init(struct address_layout *layout, uint64_t first,
			 uint64_t size)
{
	layout->first = first;
	layout->size = size;
	TAILQ_INIT(&layout->ranges);
}

void address_layout_fini(struct address_layout *layout)
{
	struct address_range *range;

	while ((range = TAILQ_FIRST(&layout->ranges))) {
		TAILQ_REMOVE(&layout->ranges, range, entry);
		free(range);
	}
}

static struct address_range *find(struct address_layout *layout,
				  const void *owner, unsigned what)
{
	struct address_range *range;

	TAILQ_FOREACH (range, &layout->ranges, entry)
		if (range->owner == owner && range->what == what)
			return range;
	return NULL;
}

static int insert(struct address_layout *layout, uint64_t first, uint64_t size,
		  const void *owner, unsigned what)
{
	struct address_range *range = calloc(1, sizeof(*range)), *next;

	if (!range)
		return -ENOMEM;
	range->first = first;
	range->size = size;
	range->owner = owner;
	range->what = what;
	TAILQ_FOREACH (next, &layout->ranges, entry)
		if (next->first > first)
			break;
	if (next)
		TAILQ_INSERT_BEFORE(next, range, entry);
	else
		TAILQ_INSERT_TAIL(&layout->ranges, range, entry);
	return 0;
}

static void drop(struct address_layout *layout, struct address_range *range)
{
	if (!range)
		return;
	TAILQ_REMOVE(&layout->ranges, range, entry);
	free(range);
}

/* The first gap of `size` bytes. */
static int find_gap(const struct address_layout *layout, uint64_t size,
		    uint64_t align, uint64_t *address)
{
	uint64_t end = layout->first + layout->size;
	const struct address_range *range;
	uint64_t at = (layout->first + align - 1) & ~(align - 1);

	TAILQ_FOREACH (range, &layout->ranges, entry) {
		if (range->first >= at && range->first - at >= size)
			break;
		if (range->first + range->size > at)
			at = (range->first + range->size + align - 1) &
			     ~(align - 1);
	}
	if (at < layout->first || at >= end || end - at < size)
		return -ENOSPC;
	*address = at;
	return 0;
}

int address_layout_assign(struct address_layout *layout, uint64_t size,
			  uint64_t align, const void *owner, unsigned what,
			  uint64_t *address)
{
	struct address_range *old = find(layout, owner, what);
	uint64_t at;
	int err;

	if (old && old->size == size && !(old->first & (align - 1))) {
		*address = old->first;
		return 0;
	}
	if (!size || align > layout->size)
		return -ENOSPC;
	drop(layout, old);
	err = find_gap(layout, size, align, &at);
	if (!err)
		err = insert(layout, at, size, owner, what);
	if (!err)
		*address = at;
	return err;
}

int address_layout_reserve(struct address_layout *layout, uint64_t address,
			   uint64_t size, const void *owner, unsigned what)
{
	struct address_range *range, *old = find(layout, owner, what);

	if (!size || address < layout->first || size > layout->size ||
	    address - layout->first > layout->size - size)
		return -ERANGE;
	TAILQ_FOREACH (range, &layout->ranges, entry)
		if (range != old && range->first < address + size &&
		    address < range->first + range->size)
			return -EEXIST;
	drop(layout, old);
	return insert(layout, address, size, owner, what);
}
