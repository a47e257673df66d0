/* vf_rings.h - memory of a VF's queues: rings, buffers, who has which. */
#ifndef IOVKIT_GUESTD_VF_RINGS_H
#define IOVKIT_GUESTD_VF_RINGS_H

#include "cmd/guestd/vf_driver.h"

/* Rings of `n` entries, halved until they fit, whose indexes begin at `first`,
 * and a buffer in each receive entry.  -ENOMEM: not even VF_RING_LEAST fit. */
#define VF_RING_LEAST 16u
int vf_rings_init(struct vf *vf, uint32_t n, uint32_t first,
		  uint32_t buffer_bytes) __attribute__((warn_unused_result));
void vf_rings_fini(struct vf *vf);
/* Make `entry` of the receive ring free again with this buffer (1504). */
static inline void vf_rings_refresh(struct vf *vf, struct queue_entry *entry,
				    uint32_t buffer)
{
	queue_entry_set(entry, buffer_gpa(&vf->buffers, buffer),
			vf->buffers.size);
}

#endif
