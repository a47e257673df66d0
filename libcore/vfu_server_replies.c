/* vfu_server_replies.c - requests that a vfio-user server's owner has, and
 * their answers */
#include <config.h>

#include "libcore/vfu_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/vfu_server_private.h"

static struct vfu_req *to_req(struct vfu_request *pub)
{
	return (struct vfu_req *)((char *)pub - offsetof(struct vfu_req, pub));
}

static uint32_t owed_by(const struct vfu_request *req)
{
	return req->command == VFU_REGION_READ ? req->count : 0;
}

static void check_owed(struct vfu_session *session)
{
	bool much = session->unanswered > VFU_OWED_REQUESTS ||
		    session->owed_bytes > VFU_OWED_BYTES;

	if (much == session->held)
		return;
	session->held = much;
	vfu_conn_hold(session->conn, much);
}

struct vfu_req *vfu_req_new(struct vfu_session *session,
			    const struct vfu_header *header)
{
	struct vfu_server *server = session->server;
	struct vfu_req *req = LIST_FIRST(&server->spare);

	if (req)
		LIST_REMOVE(req, entry);
	else
		req = malloc(sizeof(*req));
	if (!req)
		return NULL;
	memset(req, 0, sizeof(*req));
	req->server = server;
	req->pub.session = session;
	req->pub.id = header->id;
	req->pub.command = header->command;
	req->pub.posted = header->flags & VFU_FLAG_NO_REPLY;
	LIST_INSERT_HEAD(&session->reqs, req, entry);
	session->unanswered++;
	return req;
}

/* Read requests count by what they ask for. */
void vfu_req_owe(struct vfu_req *req)
{
	struct vfu_session *session = req->pub.session;

	session->owed_bytes += owed_by(&req->pub);
	check_owed(session);
}

static void free_req(struct vfu_req *req)
{
	struct vfu_session *session = req->pub.session;

	if (session) {
		session->unanswered--;
		session->owed_bytes -= owed_by(&req->pub);
		check_owed(session);
	}
	if (!req->server) {
		free(req);
		return;
	}
	LIST_REMOVE(req, entry);
	LIST_INSERT_HEAD(&req->server->spare, req, entry);
}

void vfu_reqs_orphan(struct vfu_session *session)
{
	struct vfu_req *req;

	while ((req = LIST_FIRST(&session->reqs))) {
		LIST_REMOVE(req, entry);
		LIST_INSERT_HEAD(&session->server->orphans, req, entry);
		req->pub.session = NULL;
	}
	session->unanswered = 0;
}

void vfu_server_reply(struct vfu_session *session,
		      const struct vfu_header *header, const struct iovec *iov,
		      unsigned n_iov, const int *fds, unsigned n_fds)
{
	struct vfu_header reply = { .id = header->id,
				    .command = header->command,
				    .flags = VFU_FLAG_REPLY };

	if (session->dead || header->flags & VFU_FLAG_NO_REPLY)
		return;
	if (!vfu_conn_send(session->conn, &reply, iov, n_iov, fds, n_fds))
		return;
	/* Out of descriptors or memory (or nobody reads it any more). */
	reply.flags |= VFU_FLAG_ERROR;
	reply.error = ENOMEM;
	(void)vfu_conn_send(session->conn, &reply, NULL, 0, NULL, 0);
}

void vfu_server_refuse(struct vfu_session *session,
		       const struct vfu_header *header, int err,
		       const char *why)
{
	struct vfu_server *server = session->server;
	struct vfu_header reply = { .id = header->id,
				    .command = header->command,
				    .flags = VFU_FLAG_REPLY | VFU_FLAG_ERROR,
				    .error = err };

	if (session->dead)
		return;
	if (!(header->flags & VFU_FLAG_NO_REPLY))
		(void)vfu_conn_send(session->conn, &reply, NULL, 0, NULL, 0);
	if (why && server->ops->refused && !server->freed)
		server->ops->refused(server->arg, session, why);
}

/* Answer with fds and free the request. */
static void finish(struct vfu_request *req, const struct iovec *iov,
		   unsigned n_iov, const int *fds, unsigned n_fds)
{
	struct vfu_header header = { .id = req->id, .command = req->command };

	if (req->session && !req->posted)
		vfu_server_reply(req->session, &header, iov, n_iov, fds, n_fds);
	free_req(to_req(req));
}

void vfu_request_read_done(struct vfu_request *req, const void *data)
{
	struct vfu_region_access access = { req->offset, req->region,
					    req->count };
	struct iovec iov[2] = { { &access, sizeof(access) },
				{ (void *)data, req->count } };

	finish(req, iov, 2, NULL, 0);
}

void vfu_request_unsupported(struct vfu_request *req)
{
	uint8_t small[64], *data = small;

	if (req->command != VFU_REGION_READ) {
		vfu_request_ok(req);
		return;
	}
	if (req->count > sizeof(small))
		data = malloc(req->count);
	if (!data) {
		vfu_request_fail(req, ENOMEM);
		return;
	}
	memset(data, 0xff, req->count);
	vfu_request_read_done(req, data);
	if (data != small)
		free(data);
}

void vfu_request_ok(struct vfu_request *req)
{
	struct vfu_region_access access = { req->offset, req->region,
					    req->count };
	struct iovec iov = { &access, sizeof(access) };

	if (req->command == VFU_REGION_WRITE)
		finish(req, &iov, 1, NULL, 0);
	else if (req->command == VFU_DMA_UNMAP)
		finish(req,
		       &(struct iovec){ &to_req(req)->unmap,
					sizeof(struct vfu_dma_unmap) },
		       1, NULL, 0);
	else
		finish(req, NULL, 0, NULL, 0);
}

void vfu_request_fail(struct vfu_request *req, int err)
{
	struct vfu_header header = { .id = req->id, .command = req->command };

	if (req->session && !req->posted)
		vfu_server_refuse(req->session, &header, err, NULL);
	free_req(to_req(req));
}

void vfu_request_drop(struct vfu_request *req)
{
	free_req(to_req(req));
}

void vfu_request_io_fds(struct vfu_request *req, const struct vfu_io_fd *subs,
			unsigned n, const int *fds, unsigned n_fds)
{
	struct vfu_io_fds io = { .index = req->region };
	struct iovec iov[2] = { { &io, sizeof(io) } };
	struct vfu_io_fd *kept;
	unsigned i;

	if (req->session && n_fds > req->session->peer.max_fds)
		n_fds = req->session->peer.max_fds;
	kept = calloc(n ? n : 1, sizeof(*kept));
	if (!kept) {
		vfu_request_fail(req, ENOMEM);
		return;
	}
	for (i = 0; i < n; i++)
		if (subs[i].fd_index < n_fds)
			kept[io.count++] = subs[i];
	io.argsz = sizeof(io) + io.count * sizeof(*kept);
	if (io.argsz <= to_req(req)->argsz) {
		iov[1] = (struct iovec){ kept, io.argsz - sizeof(io) };
		finish(req, iov, 2, fds, io.count ? n_fds : 0);
	} else {
		finish(req, iov, 1, NULL, 0);
	}
	free(kept);
}
