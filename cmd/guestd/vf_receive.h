/* vf_receive.h - receiving frames (spec 02, fig. 16). */
#ifndef IOVKIT_GUESTD_VF_RECEIVE_H
#define IOVKIT_GUESTD_VF_RECEIVE_H

#include "cmd/guestd/vf_driver.h"

/* Something may have come, or a workload has room again: poll the ring until
 * it is empty, then sleep. */
void vf_receive_kick(struct vf *vf);
void vf_receive_stop(struct vf *vf);

#endif
