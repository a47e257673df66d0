/* config_emulation.h - the guests' config spaces. */
#ifndef IOVKIT_HVMON_CONFIG_EMULATION_H
#define IOVKIT_HVMON_CONFIG_EMULATION_H

#include <stdbool.h>

#include "libcore/supervisor.h"

struct hvmon;
struct device;

/* Emulate the access if it is one of a guest's config space; false: it is
 * not, nothing was done. */
bool config_emulation_takes(struct hvmon *hv,
			    const struct sup_exception *exception);

/* Keep an access while the device is reset. */
void config_emulation_keep(struct device *device,
			   const struct sup_exception *exception);
/* What was kept goes on, in order. */
void config_emulation_go_on(struct device *device);
void config_emulation_forget(struct device *device);

#endif
