/* reset.h - the safe reset of a PF, or of one VF (spec 01, fig. 2). */
#ifndef IOVKIT_HVMON_RESET_H
#define IOVKIT_HVMON_RESET_H

#include <jansson.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/control.h"
#include "libcore/supervisor.h"

/* Control method reset {function, suspend?, confirm?, grant?}. */
void reset_method(void *hv, struct control_call *call, json_t *params);

/* a100: the root bridge stopped a write that resets the device's PF. */
void reset_detected(struct device *device, const struct sup_exception *attempt);
bool reset_awaits_attempt(const struct device *device, unsigned number);
/* The PF driver's attempt of that number passed (err 0) or failed. */
void reset_attempt_ended(struct device *device, unsigned number, int err);

/* Nothing of it is to be waited for any more. */
void reset_vf_contained(struct vf *vf);

/* Map what is kept of resets under way, when the tables are read. */
void step_reset_rooms(struct procedure *p);
void reset_rooms_unmap(struct hvmon *hv);
/* Of RESET_ROOM_SIZE bytes (reset_record.h); NULL: there is none. */
void *device_room(const struct device *device);
/* Adoption: take what the former hypervisor left of a reset under way.  The
 * device's config space is what it was before a reset that took it away. */
void reset_record_take(struct device *device);
/* It is about a device that is no more. */
void reset_record_forget(struct device *device);
/* No reset of the device is under way. */
void reset_record_clear(const struct device *device);
/* Complete that reset, or release the VFs after a new barrier. */
void step_reset_resume(struct procedure *p, struct device *device);

#endif
