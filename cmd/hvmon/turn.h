/* turn.h - whose turn it is to reach a device for several accesses in a row. */
#ifndef IOVKIT_HVMON_TURN_H
#define IOVKIT_HVMON_TURN_H

#include <stdbool.h>

#include "cmd/hvmon/procedure.h"

struct device;

/* Take it for p, which keeps it until its end; true: it is p's, or that of the
 * procedure inside which p runs.  False: another one has it; p sleeps, and its
 * step is to try again (STEP_AGAIN). */
bool turn_take(struct procedure *p, struct device *device)
	__attribute__((warn_unused_result));
/* The same, to reset a single function: the guest's accesses to its config space
 * wait until the turn is over, and a virtual device stands until it is reset
 * (virtual_stand()). */
bool turn_to_reset(struct procedure *p, struct device *device)
	__attribute__((warn_unused_result));
/* It is over before p is. */
void turn_end(struct procedure *p, struct device *device);

#endif
