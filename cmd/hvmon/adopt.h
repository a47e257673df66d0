/* adopt.h - taking over a machine that runs. */
#ifndef IOVKIT_HVMON_ADOPT_H
#define IOVKIT_HVMON_ADOPT_H

#include <stdbool.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

struct hvmon;

/* Whether device->config, just read, says that VF Enable is set. */
bool adopt_is_running(const struct device *device);
/* Take allocations, slots and VMs from hv->tables. */
void adopt_tables(struct hvmon *hv);
/* Keep the addresses that the device's BARs have. */
void adopt_reserve(struct hvmon *hv, struct device *device);
/* Adopt a device that runs. */
void step_adopt(struct procedure *p, struct device *device);

#endif
