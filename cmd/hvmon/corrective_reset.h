/* corrective_reset.h - a virtual device that cannot go on is reset. */
#ifndef IOVKIT_HVMON_CORRECTIVE_RESET_H
#define IOVKIT_HVMON_CORRECTIVE_RESET_H

#include "cmd/hvmon/procedure.h"

struct device;
struct virtual;

/* As a part of a step: reset it, in the middle of whatever it is, and let its
 * guest set it up anew. */
void step_corrective_reset(struct procedure *p, struct device *device);
/* An access of ours was refused, and nobody knows what was done: the same, soon.
 * The guest's accesses wait. */
void virtual_refused(struct virtual *v, const char *why);

#endif
