/* hold_guest.h - 710, pause and lock: the guest's driver is asked to rest. */
#ifndef IOVKIT_HVMON_HOLD_GUEST_H
#define IOVKIT_HVMON_HOLD_GUEST_H

#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/virtual.h"

/* Ask for HOLD_PAUSE or HOLD_LOCK, part of a step: it is over when the driver
 * rests, or will not, which is an event; after limit_ns (0: none) too. */
void step_hold_guest(struct procedure *p, struct device *device, enum hold hold,
		     uint64_t limit_ns);
/* It may go on. */
void hold_guest_release(struct device *device);
void hold_guest_close(struct device *device);

#endif
