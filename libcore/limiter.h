/* limiter.h - what a peer can make happen as often as it likes is told at most
 * a hundred times a second, with the number of those that were not told. */
#ifndef IOVKIT_LIMITER_H
#define IOVKIT_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITER_PERIOD_NS 1000000000ull
#define LIMITER_BURST     100u

struct limiter {
	uint64_t since_ns;
	unsigned told;
	uint64_t suppressed; /* since the last one that was told */
};

/* Whether to tell; then *suppressed is how many were not told before. */
static inline bool limiter_pass(struct limiter *l, uint64_t now_ns,
				uint64_t *suppressed)
{
	if (now_ns - l->since_ns >= LIMITER_PERIOD_NS) {
		l->since_ns = now_ns;
		l->told = 0;
	}
	if (l->told >= LIMITER_BURST) {
		l->suppressed++;
		return false;
	}
	l->told++;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}

#endif
