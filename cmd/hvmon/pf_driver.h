/* pf_driver.h - the driver of the nic's PF: MACs and enables of the VFs, the
 * PF's interrupt.  What that is about is in pf_link.h. */
#ifndef IOVKIT_HVMON_PF_DRIVER_H
#define IOVKIT_HVMON_PF_DRIVER_H

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

/* Whether this is a PF that the driver knows, by its IDs. */
bool pf_driver_matches(const struct device *device);
/* Start the driver, after a reset again: what differs from what the VFs shall
 * have is written, the rest only read. */
void step_pf_driver(struct procedure *p, struct device *device);
/* Where VF's block of the PF's registers is; 0: there is none. */
uint64_t vf_block(const struct vf *vf);
/* Whether some VM has it. */
bool vf_is_allocated(struct hvmon *hv, const struct vf *vf);
/* Set a VF's transmit and receive enables at the PF, where there is a driver.
 */
void step_vf_enable(struct procedure *p, const struct vf *vf, bool on);
/* Whether frames for it wait while its Bus Master Enable is clear. */
void step_vf_wait(struct procedure *p, const struct vf *vf, bool on);

#endif
