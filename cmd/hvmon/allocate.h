/* allocate.h - giving VFs to VMs and taking them back while hvmon runs. */
#ifndef IOVKIT_HVMON_ALLOCATE_H
#define IOVKIT_HVMON_ALLOCATE_H

#include <stdint.h>

#include <jansson.h>

#include "libcore/control.h"

struct hvmon;

/* Control methods allocate {function, vm, wait?} and free {function}. */
void allocate_method(void *hv, struct control_call *call, json_t *params);
void free_method(void *hv, struct control_call *call, json_t *params);
/* Tell the VM by the platform interrupt to look at config space; call may be
 * NULL. */
void inject_start(struct hvmon *hv, uint32_t vm, struct control_call *call);
/* inject {vm} */
void inject_method(void *hv, struct control_call *call, json_t *params);

#endif
