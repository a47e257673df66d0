/* vf_send.h - sending a frame (spec 02, fig. 15). */
#ifndef IOVKIT_GUESTD_VF_SEND_H
#define IOVKIT_GUESTD_VF_SEND_H

#include "cmd/guestd/vf_driver.h"

/* The most frames that are begun together. */
#define VF_SEND_BURST 64u

/* Begin a frame: *frame is a buffer of vf->buffers.size bytes, to be filled,
 * then committed or left.  -ENETDOWN: link not up (1402), -ESHUTDOWN: a
 * successor stopped this guest (1404), -ENOBUFS: ring full (1406), -EAGAIN: the
 * VF is not up. */
int vf_send_begin(struct vf *vf, uint8_t **frame)
	__attribute__((warn_unused_result));
/* Enqueue it (1407, 1408).  The index is published in batches, at the latest
 * by vf_send_flush(). */
void vf_send_commit(struct vf *vf, uint32_t size);
/* The same for up to `want` frames, at most VF_SEND_BURST: how many, at least
 * one.  All are filled, then put, before anything else is sent. */
int vf_send_begin_some(struct vf *vf, uint32_t want)
	__attribute__((warn_unused_result));
/* Where the i-th of them is to be filled. */
static inline uint8_t *vf_send_buffer(const struct vf *vf, uint32_t i)
{
	return buffer_hva(&vf->buffers, buffer_peek(&vf->buffers, i));
}
/* Enqueue the first n of them (1407, 1408); they are published with
 * vf_send_flush(). */
void vf_send_put(struct vf *vf, const uint32_t *size, uint32_t n);
/* Enqueue this buffer in place of the one that vf_send_begin() gave, which
 * *buffer becomes. */
void vf_send_exchange(struct vf *vf, uint32_t *buffer, uint32_t size);
/* Publish, and ring the doorbell if the device sleeps. */
void vf_send_flush(struct vf *vf);
/* Room for a frame now, link and state apart. */
bool vf_send_space(struct vf *vf);
/* How many entries the device has not finished yet. */
uint32_t vf_send_pending(struct vf *vf);
/* Every entry was taken and finished by the device. */
bool vf_send_completed(struct vf *vf);
/* Call w->fn once when it is worth trying again: entries were finished, the
 * link came up, or the VF came back. */
void vf_send_wait(struct vf *vf, struct vf_waiter *w);
/* Call w->fn once when the VF is usable again, or sooner. */
void vf_wait(struct vf *vf, struct vf_waiter *w);
void vf_send_unwait(struct vf_waiter *w);
/* The device moved its index, or the VF is usable again. */
void vf_send_kick(struct vf *vf);

#endif
