/* reset.h - resetting one function by request. */
#ifndef IOVKIT_HVMON_RESET_H
#define IOVKIT_HVMON_RESET_H

#include <jansson.h>

#include "libcore/control.h"

/* Control method reset {function}. */
void reset_method(void *hv, struct control_call *call, json_t *params);

#endif
