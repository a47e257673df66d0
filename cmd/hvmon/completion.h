/* completion.h - the interrupt by which VFs say that they are done. */
#ifndef IOVKIT_HVMON_COMPLETION_H
#define IOVKIT_HVMON_COMPLETION_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

/* Part of a step: take the device's completion interrupt.  0 or -errno. */
int step_completion(struct procedure *p, struct device *device)
	__attribute__((warn_unused_result));
/* None will come any more. */
void confirm_interrupts_gone(struct device *device);
void completion_close(struct device *device);

#endif
