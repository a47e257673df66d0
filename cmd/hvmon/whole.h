/* whole.h - single functions, which a VM has whole: their resets. */
#ifndef IOVKIT_HVMON_WHOLE_H
#define IOVKIT_HVMON_WHOLE_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/control.h"

/* After a reset of a single function: its BARs and Memory Space Enable, as a
 * part of a step.  Nothing for a VF. */
void step_whole_restore(struct procedure *p, const struct vf *vf);
/* Reset it: its VM's accesses wait meanwhile, and it is told. */
void whole_reset(struct device *device, struct control_call *call);
/* The same as a part of a step, for whoever has the device's lane or turn. */
void step_whole_reset(struct procedure *p, struct device *device);

#endif
