/* allocate.h - giving VFs to VMs and taking them back while hvmon runs. */
#ifndef IOVKIT_HVMON_ALLOCATE_H
#define IOVKIT_HVMON_ALLOCATE_H

#include <jansson.h>

#include "libcore/control.h"

/* Control methods allocate {function, vm, wait?} and free {function}. */
void allocate_method(void *hv, struct control_call *call, json_t *params);
void free_method(void *hv, struct control_call *call, json_t *params);
/* inject {vm} */
void inject_method(void *hv, struct control_call *call, json_t *params);

#endif
