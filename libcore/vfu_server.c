/* vfu_server.c - listening, sessions and version negotiation of a vfio-user
 * server.
 *
 * Theory of operation.  A session is born with its connection, is shown to
 * the owner (`attached`) once VERSION is agreed, and dies when either side
 * hangs up.  Dead sessions, and a server freed within a callback, are kept
 * until the last of our own frames has left the stack.
 */
#include <config.h>

#include "libcore/vfu_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/unixsock.h"
#include "libcore/vfu_server_private.h"

#define HELLO_NS (10 * NS_PER_S)
#define RETRY_NS (100 * NS_PER_MS)

static void enter(struct vfu_server *server)
{
	server->depth++;
}

static void free_spare(struct vfu_server *server)
{
	struct vfu_req *req;

	while ((req = LIST_FIRST(&server->spare))) {
		LIST_REMOVE(req, entry);
		free(req);
	}
}

static void leave(struct vfu_server *server)
{
	struct vfu_session *session;

	if (--server->depth)
		return;
	while ((session = TAILQ_FIRST(&server->dead))) {
		TAILQ_REMOVE(&server->dead, session, entry);
		free(session);
	}
	if (!server->freed)
		return;
	free_spare(server);
	free(server->region_size);
	free(server);
}

static bool has_room(const struct vfu_server *server)
{
	return !server->paused &&
	       server->n_sessions < server->desc->max_sessions;
}

static void admit(void *arg);

void vfu_server_update_accept(struct vfu_server *server)
{
	bool on = has_room(server) ||
		  (server->ops->waiting && server->n_waiting < VFU_WAITING_MAX);

	if (server->watch.loop)
		loop_watch_events(&server->watch,
				  on && !server->retry.loop ? EPOLLIN : 0);
	/* Later: who made room may not be done yet. */
	if (server->n_waiting && has_room(server) && !server->freed)
		loop_defer(server->loop, &server->admit, admit, server);
}

static void refused(struct vfu_session *session, const char *why)
{
	struct vfu_server *server = session->server;

	if (server->ops->refused && !server->freed && !session->dead)
		server->ops->refused(server->arg, session, why);
}

static void end_session(struct vfu_session *session, const char *why)
{
	struct vfu_server *server = session->server;

	if (session->dead)
		return;
	if (!session->attached && why)
		refused(session, why);
	if (session->dead)
		return;
	enter(server);
	session->dead = true;
	TAILQ_REMOVE(&server->sessions, session, entry);
	TAILQ_INSERT_TAIL(&server->dead, session, entry);
	server->n_sessions--;
	loop_timer_cancel(&session->hello);
	vfu_reqs_orphan(session);
	vfu_server_update_accept(server);
	if (session->attached && !server->freed)
		server->ops->detached(server->arg, session, why);
	/* Last: the owner may still touch the connection in there. */
	vfu_conn_close(session->conn);
	leave(server);
}

static void on_no_hello(void *arg)
{
	end_session(arg, "no VERSION within 10 s");
}

/* Our VERSION reply; what we allow is within what the client proposed. */
static int send_version(struct vfu_session *session,
			const struct vfu_header *header)
{
	struct vfu_version version = { VFU_MAJOR, VFU_MINOR };
	char *json = vfu_version_json(session->peer.max_data);
	struct iovec iov[2] = { { &version, sizeof(version) }, { json, 0 } };

	if (!json)
		return -ENOMEM;
	if (session->peer.minor < VFU_MINOR)
		version.minor = session->peer.minor;
	iov[1].iov_len = strlen(json) + 1;
	vfu_server_reply(session, header, iov, 2, NULL, 0);
	free(json);
	return 0;
}

static void on_hello(struct vfu_session *session, const struct vfu_msg *msg)
{
	struct vfu_server *server = session->server;
	struct complaint c = { "the first message is no VERSION" };
	int ret = -EINVAL;

	if (msg->header.command == VFU_VERSION &&
	    !(msg->header.flags & (VFU_FLAG_TYPE_MASK | VFU_FLAG_NO_REPLY)))
		ret = vfu_version_parse(msg->payload, msg->size, &session->peer,
					&c);
	if (!ret)
		ret = send_version(session, &msg->header);
	if (ret) {
		vfu_server_refuse(session, &msg->header, -ret, NULL);
		end_session(session, c.text);
		return;
	}
	loop_timer_cancel(&session->hello);
	session->attached = true;
	if (server->ops->attached)
		server->ops->attached(server->arg, session);
}

static void on_reply(struct vfu_session *session, struct vfu_msg *msg)
{
	struct vfu_server *server = session->server;
	struct vfu_header header = msg->header;

	if (session->commands) {
		session->commands--;
		if (server->ops->reply)
			server->ops->reply(server->arg, session, msg);
		return;
	}
	/* An error is not answered with an error: two such ends would never
	 * stop. */
	if (header.flags & VFU_FLAG_ERROR)
		header.flags |= VFU_FLAG_NO_REPLY;
	else
		header.flags &= ~VFU_FLAG_NO_REPLY;
	vfu_server_refuse(session, &header, EINVAL,
			  "a reply to no command of ours");
}

static void on_message(void *arg, struct vfu_msg *msg)
{
	struct vfu_session *session = arg;
	struct vfu_server *server = session->server;
	uint32_t type = msg->header.flags & VFU_FLAG_TYPE_MASK;

	enter(server);
	if (!session->attached)
		on_hello(session, msg);
	else if (type == VFU_FLAG_REPLY)
		on_reply(session, msg);
	else if (type)
		vfu_server_refuse(session, &msg->header, EINVAL,
				  "neither a command nor a reply");
	else
		vfu_server_command(session, msg);
	leave(server);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct vfu_session *session = arg;
	struct vfu_server *server = session->server;

	enter(server);
	if (err && session->attached)
		refused(session, why);
	end_session(session, err ? why : NULL);
	leave(server);
}

static const struct vfu_conn_ops conn_ops = {
	.message = on_message,
	.closed = on_closed,
};

static int new_session(struct vfu_server *server, int fd)
{
	struct vfu_session *session = calloc(1, sizeof(*session));
	int ret;

	if (!session) {
		close(fd);
		return -ENOMEM;
	}
	session->server = server;
	session->peer_pid = unixsock_peer(fd);
	LIST_INIT(&session->reqs);
	ret = vfu_conn_open(&session->conn, server->loop, fd, &conn_ops,
			    session);
	if (ret) {
		free(session);
		return ret;
	}
	vfu_conn_throttle(session->conn);
	TAILQ_INSERT_TAIL(&server->sessions, session, entry);
	server->n_sessions++;
	loop_timer_in(server->loop, &session->hello, HELLO_NS, on_no_hello,
		      session);
	vfu_server_update_accept(server);
	return 0;
}

static void on_retry(void *arg)
{
	vfu_server_update_accept(arg);
}

/* Those who wait come first. */
static void admit(void *arg)
{
	struct vfu_server *server = arg;

	while (server->n_waiting && has_room(server) &&
	       !new_session(server, vfu_waiting_take(server)))
		;
	vfu_server_update_accept(server);
}

static void on_connection(void *arg, uint32_t events)
{
	struct vfu_server *server = arg;
	int ret;

	(void)events;
	ret = unixsock_accept(server->fd);
	if (ret >= 0 && (server->n_waiting || !has_room(server)))
		ret = vfu_waiting_add(server, ret);
	else if (ret >= 0)
		ret = new_session(server, ret);
	/* Out of descriptors or memory: the connection stays in the backlog,
	 * and epoll would tell again at once. */
	if (ret == -EMFILE || ret == -ENFILE || ret == -ENOMEM ||
	    ret == -ENOBUFS)
		loop_timer_in(server->loop, &server->retry, RETRY_NS, on_retry,
			      server);
	vfu_server_update_accept(server);
}

int vfu_server_new(struct vfu_server **result, struct loop *loop, int fd,
		   const struct vfu_server_desc *desc,
		   const struct vfu_server_ops *ops, void *arg)
{
	struct vfu_server *server = calloc(1, sizeof(*server));
	int ret = -ENOMEM;

	if (!server)
		goto out;
	server->region_size =
		calloc(desc->num_regions, sizeof(*server->region_size));
	if (!server->region_size)
		goto out;
	server->loop = loop;
	server->fd = fd;
	server->desc = desc;
	server->ops = ops;
	server->arg = arg;
	TAILQ_INIT(&server->sessions);
	TAILQ_INIT(&server->dead);
	TAILQ_INIT(&server->waiting);
	LIST_INIT(&server->orphans);
	LIST_INIT(&server->spare);
	if (fd >= 0) {
		ret = loop_watch_add(loop, &server->watch, fd, EPOLLIN,
				     on_connection, server);
		if (ret)
			goto out;
	}
	*result = server;
	return 0;
out:
	if (server)
		free(server->region_size);
	free(server);
	if (fd >= 0)
		close(fd);
	return ret;
}

int vfu_server_adopt(struct vfu_server *server, int fd)
{
	if (server->n_sessions >= server->desc->max_sessions) {
		close(fd);
		return -EBUSY;
	}
	return new_session(server, fd);
}

void vfu_server_free(struct vfu_server *server)
{
	struct vfu_session *session;
	struct vfu_req *req;

	if (!server || server->freed)
		return;
	server->freed = true;
	enter(server);
	while ((session = TAILQ_FIRST(&server->sessions)))
		end_session(session, NULL);
	while ((req = LIST_FIRST(&server->orphans))) {
		LIST_REMOVE(req, entry);
		req->server = NULL;
	}
	vfu_waiting_free(server);
	loop_defer_cancel(&server->admit);
	loop_timer_cancel(&server->retry);
	loop_watch_del(&server->watch);
	if (server->fd >= 0)
		close(server->fd);
	leave(server);
}

void vfu_server_accept(struct vfu_server *server, bool on)
{
	server->paused = !on;
	vfu_server_update_accept(server);
}

void vfu_session_close(struct vfu_session *session, const char *why)
{
	end_session(session, why);
}

struct vfu_conn *vfu_session_conn(struct vfu_session *session)
{
	return session->conn;
}

pid_t vfu_session_peer(const struct vfu_session *session)
{
	return session->peer_pid;
}

void vfu_session_set_owner(struct vfu_session *session, void *owner)
{
	session->owner = owner;
}

void *vfu_session_owner(const struct vfu_session *session)
{
	return session->owner;
}

unsigned vfu_session_unanswered(const struct vfu_session *session)
{
	return session->unanswered;
}

int vfu_session_command(struct vfu_session *session, uint16_t id,
			uint16_t command, const struct iovec *iov,
			unsigned n_iov)
{
	struct vfu_header header = { .id = id, .command = command };
	int ret;

	if (session->dead)
		return -ENOTCONN;
	ret = vfu_conn_send(session->conn, &header, iov, n_iov, NULL, 0);
	if (!ret)
		session->commands++;
	return ret;
}
