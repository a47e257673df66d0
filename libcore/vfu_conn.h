/* vfu_conn.h - framing: whole vfio-user messages over a stream socket.
 *
 * Theory of operation.  Bytes are received in large pieces into one buffer;
 * every whole message in it is handed over before the next receive.  File
 * descriptors ride on the byte range of their message's header.  Messages to
 * send are gathered and leave in one sendmsg at the end of the loop's
 * iteration; one with fds leaves in a sendmsg of its own.  Nothing blocks:
 * what the socket does not take waits, bounded by vfu_conn_congested().
 */
#ifndef IOVKIT_VFU_CONN_H
#define IOVKIT_VFU_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libcore/loop.h"
#include "libcore/vfu_proto.h"

#define VFU_CONN_QUEUE_MAX (4u << 20) /* bytes waiting to be sent */

struct vfu_conn;

struct vfu_msg {
	struct vfu_header header;
	const uint8_t *payload; /* valid during the callback; unaligned */
	size_t size;            /* of the payload */
	int fds[VFU_MAX_FDS];   /* the receiver sets to -1 what it takes; the
				 * rest is closed after the callback */
	unsigned n_fds;
};

struct vfu_conn_ops {
	/* One whole message.  May close the connection. */
	void (*message)(void *arg, struct vfu_msg *msg);
	/* The other end hung up (err 0), or it broke the framing or the
	 * socket failed (err < 0; why says what).  The conn still exists and
	 * must be closed by the callee (now or later). */
	void (*closed)(void *arg, int err, const char *why);
	/* It was congested and is no longer; may be NULL. */
	void (*drained)(void *arg);
};

/* Takes fd (closed on failure too). */
int vfu_conn_open(struct vfu_conn **conn, struct loop *loop, int fd,
		  const struct vfu_conn_ops *ops, void *arg)
	__attribute__((warn_unused_result));
/* Flushes what the socket takes at once, then closes.  NULL is fine.  Safe in
 * every callback. */
void vfu_conn_close(struct vfu_conn *conn);

/* Queue one message: header (its size field is computed here), then the iov
 * parts; all is copied.  fds stay the caller's (they are duplicated when they
 * must wait).  0, -EMSGSIZE (over VFU_MAX_MSG), -ENOTCONN (hung up), -EMFILE,
 * -ENOMEM. */
int vfu_conn_send(struct vfu_conn *conn, const struct vfu_header *header,
		  const struct iovec *iov, unsigned n_iov, const int *fds,
		  unsigned n_fds);
/* More than VFU_CONN_QUEUE_MAX bytes wait: stop reading from whoever feeds
 * this connection until `drained`. */
bool vfu_conn_congested(const struct vfu_conn *conn);
/* Stop and go on delivering messages (those in the buffer included; after a
 * resume they come from the loop, not from within the call).  Not counted.  A
 * hang-up is told after what was sent before it, so not while paused. */
void vfu_conn_pause(struct vfu_conn *conn);
void vfu_conn_resume(struct vfu_conn *conn);
/* Whether something was sent to us that was not delivered yet. */
bool vfu_conn_unread(const struct vfu_conn *conn);
/* From now on deliver nothing while this connection itself is congested, as a
 * server does whose peer asks without reading the answers. */
void vfu_conn_throttle(struct vfu_conn *conn);
/* A second pause beside the owner's: the server's, for a client to which it
 * owes too much. */
void vfu_conn_hold(struct vfu_conn *conn, bool on);

#endif
