/* restart.h - start a program again, as its RESTART says. */
#ifndef BMC_RESTART_H
#define BMC_RESTART_H

#include <stdbool.h>

#include "libcore/loop.h"

struct process;

/* How long the root bridge may take to end after those who saw it go. */
#define RESTART_BRIDGE_NS (200 * NS_PER_MS)

/* Whether it says that the machine shut down, or that there is no root bridge.
 * If that is true we hear of it a little later, and in vain it would start
 * again before. */
bool restart_misses_bridge(const struct process *p);
/* Whether the root bridge let go of everything but has not ended yet, which the
 * kernel may draw out: `again` is called with p a little later. */
bool restart_waits_for_bridge(struct process *p, loop_fn *again);

/* Whether a program that ended as it did is started again. */
bool restart_applies(const struct process *p);
/* Start it again, or give up when that happened too often. */
void restart_by_rule(struct process *p);
/* Start it again; arg is the struct process. */
void restart_now(void *arg);

#endif
