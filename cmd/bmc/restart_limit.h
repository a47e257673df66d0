/* restart_limit.h - 5 restarts in 10 s is giving up. */
#ifndef BMC_RESTART_LIMIT_H
#define BMC_RESTART_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/loop.h"

#define RESTART_LIMIT     5u
#define RESTART_WINDOW_NS (10 * NS_PER_S)

struct restart_limit {
	uint64_t at_ns[RESTART_LIMIT]; /* of the last ones, a ring */
	unsigned n;                    /* ever counted */
};

/* Count a restart at now_ns; false, and nothing is counted, when there were
 * RESTART_LIMIT already within the window before it. */
static inline bool restart_limit_take(struct restart_limit *l, uint64_t now_ns)
{
	unsigned slot = l->n % RESTART_LIMIT;

	if (l->n >= RESTART_LIMIT &&
	    now_ns - l->at_ns[slot] < RESTART_WINDOW_NS)
		return false;
	l->at_ns[slot] = now_ns;
	l->n++;
	return true;
}

/* Begin anew. */
static inline void restart_limit_forget(struct restart_limit *l)
{
	l->n = 0;
}

#endif
