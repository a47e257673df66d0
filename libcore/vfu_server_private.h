/* vfu_server_private.h - what the vfu_server*.c files share */
#ifndef IOVKIT_VFU_SERVER_PRIVATE_H
#define IOVKIT_VFU_SERVER_PRIVATE_H

#include <sys/queue.h>

#include "libcore/vfu_server.h"
#include "libcore/vfu_version.h"

/* A session that owes more than this gets no further request in until it is
 * answered: a client cannot make us keep more. */
#define VFU_OWED_REQUESTS 8192u
#define VFU_OWED_BYTES    (8u << 20) /* of reads */

/* A request as the server keeps it; the owner sees `pub`. */
struct vfu_req {
	struct vfu_request pub;
	struct vfu_server *server;  /* NULL once it is gone */
	LIST_ENTRY(vfu_req) entry;  /* of the session, orphans, or free ones */
	uint32_t argsz;             /* of GET_REGION_IO_FDS */
	struct vfu_dma_unmap unmap; /* to be echoed */
};
LIST_HEAD(vfu_reqs, vfu_req);

struct vfu_session {
	TAILQ_ENTRY(vfu_session) entry; /* of the server's live or dead ones */
	struct vfu_server *server;
	struct vfu_conn *conn;
	void *owner;
	pid_t peer_pid;
	struct vfu_limits peer;
	struct loop_timer hello; /* until VERSION came */
	bool attached;
	bool dead;
	bool held; /* it owes too much */
	unsigned unanswered;
	uint64_t owed_bytes;
	unsigned commands; /* sent to the client, not answered by it */
	struct vfu_reqs reqs;
};
TAILQ_HEAD(vfu_sessions, vfu_session);

/* So many clients are accepted while there is no room for them. */
#define VFU_WAITING_MAX 16u

struct vfu_waiting;
TAILQ_HEAD(vfu_waitings, vfu_waiting);

struct vfu_server {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer retry; /* after accept ran out of something */
	int fd;
	const struct vfu_server_desc *desc;
	const struct vfu_server_ops *ops;
	void *arg;
	bool paused; /* vfu_server_accept(false) */
	bool freed;
	unsigned depth; /* of our frames on the stack */
	unsigned n_sessions;
	struct vfu_sessions sessions;
	struct vfu_sessions dead;
	struct vfu_waitings waiting; /* where the owner wants to know */
	unsigned n_waiting;
	struct loop_deferred admit;
	struct vfu_reqs orphans; /* of clients that are gone */
	struct vfu_reqs spare;
	uint64_t *region_size; /* as told last; 0: ask */
};

void vfu_server_update_accept(struct vfu_server *server);

/* vfu_server_waiting.c.  fd is taken; the owner is told. */
int vfu_waiting_add(struct vfu_server *server, int fd);
/* The first one's fd; there is one. */
int vfu_waiting_take(struct vfu_server *server);
void vfu_waiting_free(struct vfu_server *server);

/* vfu_server_requests.c: one command of an attached session. */
void vfu_server_command(struct vfu_session *session, struct vfu_msg *msg);

/* vfu_server_replies.c */
struct vfu_req *vfu_req_new(struct vfu_session *session,
			    const struct vfu_header *header);
/* Count it, with its region access filled in, as owed. */
void vfu_req_owe(struct vfu_req *req);
/* The session is over; its requests live on without it. */
void vfu_reqs_orphan(struct vfu_session *session);
/* Answer header's command right away.  Nothing is sent to a No_reply. */
void vfu_server_reply(struct vfu_session *session,
		      const struct vfu_header *header, const struct iovec *iov,
		      unsigned n_iov, const int *fds, unsigned n_fds);
/* err is a positive errno; why goes to the owner's `refused`. */
void vfu_server_refuse(struct vfu_session *session,
		       const struct vfu_header *header, int err,
		       const char *why);

#endif
