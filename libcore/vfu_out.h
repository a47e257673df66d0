/* vfu_out.h - the sending half of a vfio-user connection: messages gathered
 * in a buffer, sent in as few sendmsg as possible.  No event loop in here.
 *
 * Theory of operation.  Some receivers read a header with one call and take a
 * short one for an error.  So what leaves in one sendmsg is whole messages
 * that fit in one buffer of the kernel, which it takes whole or not at all;
 * a longer message goes alone, and its header is in the first of its buffers.
 * A message with descriptors leaves in a sendmsg of its own.
 */
#ifndef IOVKIT_VFU_OUT_H
#define IOVKIT_VFU_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "libcore/vfu_proto.h"

struct vfu_out_fds;

struct vfu_out {
	uint8_t *buf;
	size_t cap;
	size_t head;
	size_t tail;
	size_t rest;  /* bytes at head left of what was sent in part */
	uint64_t pos; /* stream position of head */
	STAILQ_HEAD(, vfu_out_fds) fds;
};

void vfu_out_init(struct vfu_out *out);
void vfu_out_fini(struct vfu_out *out);
/* Copy a message in; fds are duplicated.  0, -EMSGSIZE, -EMFILE, -ENOMEM,
 * -EBADF. */
int vfu_out_append(struct vfu_out *out, const struct vfu_header *header,
		   const struct iovec *iov, unsigned n_iov, const int *fds,
		   unsigned n_fds) __attribute__((warn_unused_result));
/* Send what the socket takes: 0 when all is gone, -EAGAIN, -errno. */
int vfu_out_flush(struct vfu_out *out, int fd)
	__attribute__((warn_unused_result));
/* Forget what waits. */
void vfu_out_drop(struct vfu_out *out);

static inline size_t vfu_out_bytes(const struct vfu_out *out)
{
	return out->tail - out->head;
}

#endif
