/* vfu_in.h - the receiving half of a vfio-user connection: bytes and file
 * descriptors in, whole messages out.  No event loop in here.
 *
 * Theory of operation.  One recvmsg takes as much as the buffer holds.  Linux
 * glues writes without descriptors together but ends a recvmsg right behind
 * the write that carried some, so they belong to the message that the last
 * byte received is part of, not to the first one.  A peer that gathers its
 * writes may have put further messages behind it; of those that lie in this
 * receive the last is chosen that may carry descriptors at all.
 */
#ifndef IOVKIT_VFU_IN_H
#define IOVKIT_VFU_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcore/vfu_conn.h"

struct vfu_in_fds {
	uint64_t pos; /* stream position of the header of their message */
	unsigned n;
	int fds[VFU_MAX_FDS];
};

struct vfu_in {
	uint8_t *buf;
	size_t cap;
	size_t head; /* of the first message not handed out */
	size_t tail;
	uint64_t pos; /* stream position of head */
	/* Received, not handed out: one set for the message that was begun
	 * before, one for the newest receive. */
	struct vfu_in_fds fds[2];
	unsigned n_fds;
};

void vfu_in_init(struct vfu_in *in);
void vfu_in_fini(struct vfu_in *in);
/* One recvmsg; vfu_in_next() must have returned 0 before.  Bytes received, 0
 * at the end of the stream, -EAGAIN, -ENOMEM, the socket's -errno, or -EPROTO
 * with *why. */
ssize_t vfu_in_receive(struct vfu_in *in, int fd, const char **why)
	__attribute__((warn_unused_result));
/* The next whole message: 1 and *msg (payload valid until the next receive,
 * fds the caller's), 0 when it is not there yet, or -EPROTO with *why. */
int vfu_in_next(struct vfu_in *in, struct vfu_msg *msg, const char **why)
	__attribute__((warn_unused_result));
/* Whether a message was begun. */
bool vfu_in_partial(const struct vfu_in *in);

#endif
