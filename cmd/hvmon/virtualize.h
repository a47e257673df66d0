/* virtualize.h - 210 to 218, and the control method. */
#ifndef IOVKIT_HVMON_VIRTUALIZE_H
#define IOVKIT_HVMON_VIRTUALIZE_H

#include <jansson.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/control.h"

/* virtualize {device, hold?, limit?, mode?, illegal?, watch?, behind?} */
void virtualize_method(void *hv, struct control_call *call, json_t *params);

/* The device that a method names, which can be virtualised and is a guest's;
 * NULL: answered. */
struct device *virtualize_device(struct hvmon *hv, struct control_call *call,
				 const json_t *params);
/* The rows of its registers are as the device's mode says; or its guest reaches
 * them, and what waits for a verdict runs by itself: *err (machine_access.h). */
void step_register_rows(struct procedure *p, struct device *device);
void step_open_registers(struct procedure *p, struct device *device, int *err);

#endif
