/* pf_link.h - the link as guests see it: the PF driver's part of link state and
 * mailbox (spec 02: 1001 to 1004, 1101 to 1103), and the table "link". */
#ifndef IOVKIT_HVMON_PF_LINK_H
#define IOVKIT_HVMON_PF_LINK_H

#include <jansson.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

/* Open the PF's interrupt; 0 or -errno. */
int pf_link_open(struct device *device) __attribute__((warn_unused_result));
void pf_link_close(struct device *device);
/* What was read when the driver started. */
void pf_link_take(struct device *device, const struct link_values *values);
void pf_link_take_vf(struct vf *vf, const struct link_values *values);
/* Its VM knows nothing of its link any more. */
void pf_link_forget(struct vf *vf);

/* 1001 to 1004 for all VMs that run. */
void step_pf_link_tell(struct procedure *p, struct device *device);
/* The VM that has it; PLATFORM_VM_NONE. */
uint32_t pf_link_vm(struct vf *vf);

json_t *pf_link_rows(void *hv);

#endif
