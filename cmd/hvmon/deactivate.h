/* deactivate.h - deactivating and activating VMs, and starting them again
 * (spec 03). */
#ifndef IOVKIT_HVMON_DEACTIVATE_H
#define IOVKIT_HVMON_DEACTIVATE_H

#include <stdint.h>

#include "libcore/control.h"

struct hvmon;

/* A guest's commands: 0, the signal of this serial will be answered; or -errno.
 * A VM that a guest deactivates has failed, and is started again. */
int deactivate_signalled(struct hvmon *hv, uint32_t vm, uint64_t signal)
	__attribute__((warn_unused_result));
int activate_signalled(struct hvmon *hv, uint32_t vm, uint64_t signal)
	__attribute__((warn_unused_result));

/* What a former hypervisor left of deactivated VMs, after the VM table was read:
 * they are, or are started again. */
void deactivated_take(struct hvmon *hv);

/* The control methods. */
void deactivate_method(void *hv, struct control_call *call, json_t *params);
void activate_method(void *hv, struct control_call *call, json_t *params);

#endif
