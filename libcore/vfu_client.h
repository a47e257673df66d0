/* vfu_client.h - the asynchronous client side of vfio-user.
 *
 * Message IDs are given out round robin.  At most VFU_CLIENT_MAX requests are
 * outstanding; the rest wait in order inside the client.  A request that its
 * owner abandoned (timed out) keeps its ID until the late reply came, which
 * is then swallowed and counted.
 */
#ifndef IOVKIT_VFU_CLIENT_H
#define IOVKIT_VFU_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"
#include "libcore/vfu_conn.h"

#define VFU_CLIENT_MAX 1024u

struct vfu_client;

struct vfu_reply {
	int err; /* 0, or the peer's error as -errno, or -ENOTCONN (hung up) */
	const uint8_t *payload; /* valid during the callback; unaligned */
	size_t size;
	int *fds; /* set to -1 what you take */
	unsigned n_fds;
};

typedef void vfu_reply_fn(void *arg, const struct vfu_reply *reply);

struct vfu_client_ops {
	/* VERSION was negotiated (err 0) or refused: then every request was
	 * answered with -ENOTCONN before (keep_pending as below), and the
	 * client is good for nothing but vfu_client_free(). */
	void (*ready)(void *arg, int err, const char *why);
	/* The connection is gone; every outstanding request was answered with
	 * -ENOTCONN before, except when `keep_pending` was set: then requests
	 * stay unanswered until vfu_client_free() or vfu_client_fail_all(). */
	void (*closed)(void *arg, int err, const char *why);
	/* A reply that nobody waits for: late (abandoned) or unknown ID. */
	void (*stray)(void *arg, uint16_t id, bool late);
	/* A command from the server (DMA_READ, DMA_WRITE); answer with
	 * vfu_client_answer().  NULL: answered with ENOTSUP. */
	void (*command)(void *arg, struct vfu_msg *msg);
	/* The connection was congested (vfu_conn_congested) and is no longer;
	 * may be NULL. */
	void (*drained)(void *arg);
	bool keep_pending;
};

/* Takes a connected fd and sends VERSION.  Requests may be queued at once;
 * they leave after the version reply. */
int vfu_client_new(struct vfu_client **client, struct loop *loop, int fd,
		   const struct vfu_client_ops *ops, void *arg)
	__attribute__((warn_unused_result));
/* Outstanding requests are forgotten, their callbacks are not called.  Safe
 * in every callback, as is all the rest. */
void vfu_client_free(struct vfu_client *client);
/* Answer all that is outstanding or queued with err (-errno), in order of
 * arrival; replies that come yet are late. */
void vfu_client_fail_all(struct vfu_client *client, int err);
struct vfu_conn *vfu_client_conn(struct vfu_client *client);

/* Reserve an ID: outstanding from now on although not sent.  -EBUSY: 1,024
 * are outstanding, or every free ID is in quarantine; -ENOTCONN. */
int vfu_client_reserve(struct vfu_client *client, vfu_reply_fn *fn, void *arg,
		       uint16_t *id) __attribute__((warn_unused_result));
/* Send a reserved request: 0, -EINVAL (no such reservation), -ENOTCONN,
 * -EMSGSIZE, -EMFILE, -ENOMEM; after an error it is reserved as before. */
int vfu_client_send(struct vfu_client *client, uint16_t id, uint16_t command,
		    const struct iovec *iov, unsigned n_iov, const int *fds,
		    unsigned n_fds);
/* Give a reserved ID back unsent, or stop waiting for a sent one (its reply,
 * when it comes, is stray/late). fn is not called. */
void vfu_client_abandon(struct vfu_client *client, uint16_t id);
unsigned vfu_client_outstanding(const struct vfu_client *client);
/* IDs of abandoned requests whose replies have not come. */
unsigned vfu_client_quarantined(const struct vfu_client *client);

/* Reserve and send, or queue behind the 1,024.  fn NULL: No_reply.  What is
 * queued goes before any ID is reserved again, so posted writes keep their
 * place.  0, or as above: fn is not called then. */
int vfu_client_request(struct vfu_client *client, uint16_t command,
		       const struct iovec *iov, unsigned n_iov, const int *fds,
		       unsigned n_fds, vfu_reply_fn *fn, void *arg);

/* The commands by name; fn as above, reply payload as on the wire. */
int vfu_client_read(struct vfu_client *client, uint32_t region, uint64_t offset,
		    uint32_t count, vfu_reply_fn *fn, void *arg);
/* fn NULL: posted. */
int vfu_client_write(struct vfu_client *client, uint32_t region,
		     uint64_t offset, const void *data, uint32_t count,
		     vfu_reply_fn *fn, void *arg);
/* As often as needed to get the whole reply. */
int vfu_client_region_info(struct vfu_client *client, uint32_t region,
			   vfu_reply_fn *fn, void *arg);
int vfu_client_irq_info(struct vfu_client *client, uint32_t index,
			vfu_reply_fn *fn, void *arg);
int vfu_client_io_fds(struct vfu_client *client, uint32_t region,
		      vfu_reply_fn *fn, void *arg);
/* n fds for vectors start...; n 0 with count > 0 takes them away, as does an
 * fd of -1 for its vector; count 0 with start 0 switches the index off.  Sent
 * in as many messages as the peer's max_msg_fds asks for (1 before it is
 * known); fn sees one reply, with the first error. */
int vfu_client_set_irqs(struct vfu_client *client, uint32_t index,
			uint32_t start, uint32_t count, const int *fds,
			unsigned n, vfu_reply_fn *fn, void *arg);
/* Interrupts of these vectors may come. */
int vfu_client_unmask_irqs(struct vfu_client *client, uint32_t index,
			   uint32_t start, uint32_t count, vfu_reply_fn *fn,
			   void *arg);
int vfu_client_dma_map(struct vfu_client *client, uint64_t iova, uint64_t size,
		       uint32_t flags, int fd, uint64_t offset,
		       vfu_reply_fn *fn, void *arg);
int vfu_client_dma_unmap(struct vfu_client *client, uint64_t iova,
			 uint64_t size, vfu_reply_fn *fn, void *arg);
int vfu_client_reset(struct vfu_client *client, vfu_reply_fn *fn, void *arg);

/* Answer a command of the server's: with a payload, or with an error (a
 * positive errno) and none. */
int vfu_client_answer(struct vfu_client *client, const struct vfu_header *to,
		      int err, const struct iovec *iov, unsigned n_iov);

/* Data of a REGION_READ reply: NULL when the reply is an error or short, or
 * not of `count` bytes. */
const uint8_t *vfu_reply_data(const struct vfu_reply *reply, uint32_t count);

#endif
