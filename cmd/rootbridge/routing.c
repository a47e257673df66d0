/* routing.c - machine-physical addresses to functions: ECAM and BARs. */
#include <config.h>

#include "cmd/rootbridge/routing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/platform.h"

void routing_clear(struct routing *r)
{
	r->n = 0;
}

void routing_fini(struct routing *r)
{
	free(r->ranges);
	memset(r, 0, sizeof(*r));
}

static unsigned upper_bound(const struct routing *r, uint64_t mpa)
{
	unsigned low = 0, high = r->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (r->ranges[middle].first <= mpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int range_check(const struct routing_range *range)
{
	if (range->first > range->last || !range->slice)
		return -EINVAL;
	if ((range->last - range->first + 1) % range->slice)
		return -EINVAL;
	if (range->first < PLATFORM_MMIO ||
	    range->last >= PLATFORM_MMIO + PLATFORM_MMIO_SIZE)
		return -ERANGE;
	return 0;
}

int routing_add(struct routing *r, const struct routing_range *range)
{
	struct routing_range *ranges;
	unsigned at;
	int err;

	err = range_check(range);
	if (err)
		return err;
	at = upper_bound(r, range->first);
	if ((at && r->ranges[at - 1].last >= range->first) ||
	    (at < r->n && r->ranges[at].first <= range->last))
		return -EEXIST;
	if (r->n == r->size) {
		ranges =
			reallocarray(r->ranges, r->size + 16u, sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		r->ranges = ranges;
		r->size += 16;
	}
	memmove(r->ranges + at + 1, r->ranges + at,
		(r->n - at) * sizeof(*r->ranges));
	r->ranges[at] = *range;
	r->n++;
	return 0;
}

static void lookup_config(uint64_t mpa, uint64_t count,
			  struct routing_target *target)
{
	uint64_t offset = mpa & 0xfff;

	/* An access that leaves a function's 4,096 bytes is nobody's. */
	if (count > 0x1000 - offset)
		return;
	target->kind = ROUTING_CONFIG;
	target->bdf = (uint16_t)((mpa - PLATFORM_ECAM) >> 12);
	target->offset = offset;
}

void routing_lookup(const struct routing *r, uint64_t mpa, uint64_t count,
		    struct routing_target *target)
{
	const struct routing_range *range;
	uint64_t offset;
	unsigned above;

	target->kind = ROUTING_NOWHERE;
	if (!count)
		return;
	if (mpa >= PLATFORM_ECAM && mpa < PLATFORM_ECAM + PLATFORM_ECAM_SIZE) {
		lookup_config(mpa, count, target);
		return;
	}
	above = upper_bound(r, mpa);
	if (!above || mpa > r->ranges[above - 1].last)
		return;
	range = &r->ranges[above - 1];
	offset = (mpa - range->first) % range->slice;
	if (count > range->slice - offset)
		return;
	target->kind = ROUTING_BAR;
	target->device = range->device;
	target->bar = range->bar;
	target->vf = range->first_vf +
		     (unsigned)((mpa - range->first) / range->slice);
	target->offset = offset;
}
