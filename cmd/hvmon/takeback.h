/* takeback.h - owning a PF, and getting it back from a successor. */
#ifndef IOVKIT_HVMON_TAKEBACK_H
#define IOVKIT_HVMON_TAKEBACK_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

/* Claim the PF once an attach, with the epoch in hv->tables, which are read
 * again if it was somebody else's or changed hands. */
void step_claim(struct procedure *p, struct device *device);
/* SUP_EX_RELEASED: the PF is nobody's. */
void takeback_released(struct hvmon *hv, uint16_t pf_bdf);

#endif
