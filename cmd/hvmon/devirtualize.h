/* devirtualize.h - 708 to 722: the control method. */
#ifndef IOVKIT_HVMON_DEVIRTUALIZE_H
#define IOVKIT_HVMON_DEVIRTUALIZE_H

#include <jansson.h>

#include "libcore/control.h"

/* devirtualize {device, hold?, limit?, irq?} */
void devirtualize_method(void *hv, struct control_call *call, json_t *params);

#endif
