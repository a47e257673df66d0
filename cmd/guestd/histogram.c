/* histogram.c - a distribution of durations in bounded space. */
#include <config.h>

#include "cmd/guestd/histogram.h"

#include <stdlib.h>
#include <string.h>

#define STEPS (1u << HISTOGRAM_STEP_BITS)

static unsigned bucket_of(uint64_t value)
{
	unsigned top;

	if (value < STEPS)
		return (unsigned)value;
	top = 63 - (unsigned)__builtin_clzll(value);
	if (top >= HISTOGRAM_TOP_BITS)
		return HISTOGRAM_BUCKETS - 1;
	return ((top - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS) +
	       (unsigned)(value >> (top - HISTOGRAM_STEP_BITS)) - STEPS;
}

/* The largest value of a bucket. */
static uint64_t bucket_last(unsigned b)
{
	unsigned shift;

	if (b < STEPS)
		return b;
	shift = (b >> HISTOGRAM_STEP_BITS) - 1;
	return ((uint64_t)((b & (STEPS - 1)) + STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	if (!h->bucket)
		h->bucket = calloc(HISTOGRAM_BUCKETS, sizeof(*h->bucket));
	if (h->bucket)
		h->bucket[bucket_of(value)]++;
	if (!h->count || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t want, seen = 0, last;
	unsigned b;

	if (!h->count || !h->bucket)
		return h->count ? h->sum / h->count : 0;
	want = (h->count * permille + 999) / 1000;
	for (b = 0; b < HISTOGRAM_BUCKETS - 1; b++) {
		seen += h->bucket[b];
		if (seen >= want)
			break;
	}
	last = b < HISTOGRAM_BUCKETS - 1 ? bucket_last(b) : h->max;
	return last > h->max ? h->max : last < h->min ? h->min : last;
}

void histogram_reset(struct histogram *h)
{
	uint64_t *bucket = h->bucket;

	if (bucket)
		memset(bucket, 0, HISTOGRAM_BUCKETS * sizeof(*bucket));
	*h = (struct histogram){ .bucket = bucket };
}

void histogram_fini(struct histogram *h)
{
	free(h->bucket);
	*h = (struct histogram){ 0 };
}

json_t *histogram_to_json(const struct histogram *h)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "count",
			 (json_int_t)h->count, "min_ns", (json_int_t)h->min,
			 "mean_ns",
			 (json_int_t)(h->count ? h->sum / h->count : 0),
			 "p50_ns", (json_int_t)histogram_quantile(h, 500),
			 "p99_ns", (json_int_t)histogram_quantile(h, 990),
			 "max_ns", (json_int_t)h->max);
}
