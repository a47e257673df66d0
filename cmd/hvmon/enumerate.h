/* enumerate.h - finding devices through config space and setting them up. */
#ifndef IOVKIT_HVMON_ENUMERATE_H
#define IOVKIT_HVMON_ENUMERATE_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

struct hvmon;

/* Scan the bus and start every device found; once, when hvmon starts. */
void enumerate_start(struct hvmon *hv);

/* Set one device up from scratch: BARs, VFs, driver, allocated VFs.  Also
 * after a reset: it gets the same addresses and VFs again. */
void step_setup(struct procedure *p, struct device *device);

/* Parts that adoption shares. */

/* A device's ranges in the address layout: 0 to 5 BARs, from here VF BARs. */
#define ADDRESS_VF_BAR 6u

/* VFs' config spaces, their first 256 bytes. */
struct vf_configs {
	uint8_t data[FUNCTION_VF_MAX][256];
};

void step_read_vf_configs(struct procedure *p, struct device *device,
			  struct vf_configs *configs);
/* Take capabilities from what was read.  -ENODEV: a VF does not answer. */
int vf_configs_take(struct procedure *p, struct device *device,
		    const struct vf_configs *configs)
	__attribute__((warn_unused_result));
/* The device is ready, or failed: state, event, whether hvmon is ready. */
void device_started(struct procedure *p, struct device *device);

#endif
