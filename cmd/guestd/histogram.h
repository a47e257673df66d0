/* histogram.h - a distribution of durations in bounded space: 32 steps to
 * each power of two, so a quantile is right to 3 percent. */
#ifndef IOVKIT_GUESTD_HISTOGRAM_H
#define IOVKIT_GUESTD_HISTOGRAM_H

#include <stdint.h>

#include <jansson.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_TOP_BITS  42 /* over 73 minutes: the last bucket */
#define HISTOGRAM_BUCKETS \
	((HISTOGRAM_TOP_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
	uint64_t count, sum, min, max;
	uint64_t *bucket; /* NULL until the first value */
};

/* A zeroed histogram is empty.  Without memory only count, sum, min and max
 * are kept. */
void histogram_add(struct histogram *h, uint64_t value);
/* The value below which `permille` of the values lie; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);
void histogram_reset(struct histogram *h);
void histogram_fini(struct histogram *h);
/* {"count","min_ns","mean_ns","p50_ns","p99_ns","max_ns"} */
json_t *histogram_to_json(const struct histogram *h);

#endif
