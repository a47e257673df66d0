/* vfu_server.h - the server side of vfio-user: one listening socket, one
 * function (or one VM's view of the chipset).
 *
 * The server negotiates VERSION, checks every message's form and answers
 * nonsense itself; the owner sees well-formed requests in order of arrival
 * and answers each once, at any time, in any order.
 */
#ifndef IOVKIT_VFU_SERVER_H
#define IOVKIT_VFU_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"
#include "libcore/vfu_conn.h"

struct vfu_server;
struct vfu_session; /* one client's connection */

struct vfu_request {
	struct vfu_session *session; /* NULL once the client is gone */
	uint16_t id;
	uint16_t command;
	bool posted; /* No_reply: answering does nothing but free it */
	/* REGION_READ and REGION_WRITE */
	uint32_t region;
	uint32_t count;
	uint64_t offset;
	const uint8_t *data; /* of a write; valid during the callback only */
	void *owner;         /* the owner's, free to use */
	struct vfu_request *next;
};

struct vfu_server_ops {
	/* A client connected and agreed on the version.  A server takes
	 * max_sessions at a time; more wait. */
	void (*attached)(void *arg, struct vfu_session *session);
	/* The client is gone; its unanswered requests have session NULL and
	 * must still be answered (freed) by their owners.  DMA maps and
	 * irqs: the owner drops them here.  why: NULL for a plain hang-up. */
	void (*detached)(void *arg, struct vfu_session *session,
			 const char *why);
	/* Region access; answer with vfu_request_*(). */
	void (*access)(void *arg, struct vfu_request *req);
	/* Fill info->flags, size, offset (argsz, index are set); areas and fd
	 * for mmap: at most 4 areas.  0 or -errno. *fd stays the owner's. */
	int (*region_info)(void *arg, struct vfu_region_info *info,
			   struct vfu_sparse_area areas[4], unsigned *n_areas,
			   int *fd);
	/* Number of interrupts of index. */
	unsigned (*irq_count)(void *arg, uint32_t index);
	/* The following are NULL where not supported (ENOTSUP; io_fds: no
	 * sub-regions).  Those with a request are answered by
	 * vfu_request_ok()/fail(), now or later; fds taken are set to -1.
	 * What they get is well formed: one data and one action kind, vectors
	 * in range, as many fds as vectors or none; map ranges not empty and
	 * without overflow, *fd -1 when none came. */
	void (*set_irqs)(void *arg, struct vfu_request *req,
			 const struct vfu_irq_set *set, int *fds,
			 unsigned n_fds, const uint8_t *data);
	void (*dma_map)(void *arg, struct vfu_request *req,
			const struct vfu_dma_map *map, int *fd);
	void (*dma_unmap)(void *arg, struct vfu_request *req,
			  const struct vfu_dma_unmap *unmap);
	void (*io_fds)(void *arg, struct vfu_request *req, uint32_t region);
	void (*reset)(void *arg, struct vfu_request *req);
	/* A reply to a command that the server sent (DMA_READ...). */
	void (*reply)(void *arg, struct vfu_session *session,
		      struct vfu_msg *msg);
	/* A client has to wait until there is room; told once a client.  May
	 * be NULL. */
	void (*waiting)(void *arg, pid_t pid);
	/* Events for the log: a peer's message was refused.  May be NULL. */
	void (*refused)(void *arg, struct vfu_session *session,
			const char *why);
};

struct vfu_server_desc {
	uint32_t num_regions; /* >= 9 */
	unsigned max_sessions;
	bool reset; /* advertise DEVICE_RESET */
};

/* Serve on a listening fd (taken).  `desc` and `ops` outlive the server. */
int vfu_server_new(struct vfu_server **server, struct loop *loop, int fd,
		   const struct vfu_server_desc *desc,
		   const struct vfu_server_ops *ops, void *arg)
	__attribute__((warn_unused_result));
/* Serve one connected fd (taken), as with --fd; a server made with fd -1
 * listens nowhere and has only these.  -EBUSY: max_sessions are there. */
int vfu_server_adopt(struct vfu_server *server, int fd)
	__attribute__((warn_unused_result));

/* Sessions end without `detached`; requests not answered yet have session
 * NULL then and are freed by answering them.  NULL is fine; safe in every
 * callback. */
void vfu_server_free(struct vfu_server *server);
/* Stop and go on taking new connections (they wait in the backlog). */
void vfu_server_accept(struct vfu_server *server, bool on);

/* Hang up on this client (detached is called).  A client has 10 s to send its
 * VERSION; it is hung up on as well when it breaks the framing. */
void vfu_session_close(struct vfu_session *session, const char *why);
struct vfu_conn *vfu_session_conn(struct vfu_session *session);
pid_t vfu_session_peer(const struct vfu_session *session);
/* The owner's pointer for this session. */
void vfu_session_set_owner(struct vfu_session *session, void *owner);
void *vfu_session_owner(const struct vfu_session *session);
unsigned vfu_session_unanswered(const struct vfu_session *session);
/* Send a command to the client (DMA_READ/DMA_WRITE). */
int vfu_session_command(struct vfu_session *session, uint16_t id,
			uint16_t command, const struct iovec *iov,
			unsigned n_iov);

/* Each frees the request. */
void vfu_request_read_done(struct vfu_request *req, const void *data);
/* A read answered with all ones, a write answered as done: what a CPU sees of
 * a function that is not there (Unsupported Request). */
void vfu_request_unsupported(struct vfu_request *req);
/* A write or any request without reply payload. */
void vfu_request_ok(struct vfu_request *req);
/* err is a positive errno. */
void vfu_request_fail(struct vfu_request *req, int err);
/* Never answered: what a reset does to requests in flight. */
void vfu_request_drop(struct vfu_request *req);
/* The reply of GET_REGION_IO_FDS; fds stay the owner's.  Sub-regions whose fd
 * is beyond what the client takes in one message are left out. */
void vfu_request_io_fds(struct vfu_request *req, const struct vfu_io_fd *subs,
			unsigned n, const int *fds, unsigned n_fds);
/* Echo of DMA_UNMAP is done by vfu_request_ok(). */

#endif
