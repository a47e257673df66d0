/* device_events.h - devices that come, go and are contained while hvmon runs.
 */
#ifndef IOVKIT_HVMON_DEVICE_EVENTS_H
#define IOVKIT_HVMON_DEVICE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/device.h"

struct hvmon;

/* A device answers at this PF: its entry, by the name that hv->tables has.
 * NULL: too many devices. */
struct device *device_found(struct hvmon *hv, uint16_t pf_bdf);
/* Start it: set it up, or adopt it.  `fresh`: hv->tables are older than its
 * coming, read them again. */
void device_attach(struct hvmon *hv, struct device *device, bool fresh);

/* What the root bridge told. */
void device_event_attached(struct hvmon *hv, uint16_t pf_bdf);
void device_event_removed(struct hvmon *hv, uint16_t pf_bdf);
void device_event_contained(struct hvmon *hv, uint16_t bdf, bool on);

#endif
