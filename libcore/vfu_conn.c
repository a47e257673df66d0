/* vfu_conn.c - one vfio-user connection on the event loop; see vfu_conn.h */
#include <config.h>

#include "libcore/vfu_conn.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libcore/vfu_in.h"
#include "libcore/vfu_out.h"

#define TURN 64u /* messages of one connection in a row */

/* Why nothing is delivered. */
enum {
	HELD_PAUSED = 1,    /* the owner asked for it */
	HELD_OWING = 2,     /* vfu_conn_hold() */
	HELD_CONGESTED = 4, /* throttled, and the peer does not read */
};

struct vfu_conn {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_deferred flush;
	struct loop_deferred deliver;
	const struct vfu_conn_ops *ops;
	void *arg;
	int fd;
	unsigned depth; /* of our frames on the stack */
	unsigned held;
	bool throttled;
	bool congested;
	bool blocked; /* waits for EPOLLOUT */
	bool broken;  /* nothing can be sent any more */
	bool hup;     /* hung up while held: the watch is off */
	bool down;    /* closed() was called */
	bool closing; /* vfu_conn_close() was called */
	struct vfu_in in;
	struct vfu_out out;
};

static bool is_live(const struct vfu_conn *conn)
{
	return !conn->down && !conn->closing;
}

static void enter(struct vfu_conn *conn)
{
	conn->depth++;
}

static void leave(struct vfu_conn *conn)
{
	if (--conn->depth || !conn->closing)
		return;
	vfu_in_fini(&conn->in);
	vfu_out_fini(&conn->out);
	free(conn);
}

static void update_events(struct vfu_conn *conn)
{
	if (!conn->watch.loop)
		return;
	loop_watch_events(&conn->watch, (conn->held ? 0 : EPOLLIN) |
						(conn->blocked ? EPOLLOUT : 0));
}

static void go_down(struct vfu_conn *conn, int err, const char *why)
{
	if (!is_live(conn))
		return;
	conn->down = true;
	loop_watch_del(&conn->watch);
	loop_defer_cancel(&conn->flush);
	loop_defer_cancel(&conn->deliver);
	conn->ops->closed(conn->arg, err, why);
}

static void close_left_fds(struct vfu_msg *msg)
{
	unsigned i;

	for (i = 0; i < msg->n_fds; i++)
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
}

static void deliver_late(void *arg);

/* One that floods us, as servers are flooded, lets others have their turn. */
static void deliver_buffered(struct vfu_conn *conn)
{
	unsigned left = conn->throttled ? TURN : UINT_MAX;
	const char *why = NULL;
	struct vfu_msg msg;
	int ret;

	while (is_live(conn) && !conn->held) {
		if (!left--) {
			loop_defer(conn->loop, &conn->deliver, deliver_late,
				   conn);
			return;
		}
		ret = vfu_in_next(&conn->in, &msg, &why);
		if (ret < 0)
			go_down(conn, ret, why);
		if (ret <= 0)
			return;
		conn->ops->message(conn->arg, &msg);
		close_left_fds(&msg);
	}
}

/* Receive once and deliver; false when there was nothing. */
static bool receive_once(struct vfu_conn *conn)
{
	const char *why = NULL;
	ssize_t n;

	n = vfu_in_receive(&conn->in, conn->fd, &why);
	if (n > 0) {
		deliver_buffered(conn);
		return true;
	}
	if (n == -EAGAIN)
		return false;
	/* A peer that closes with our messages unread resets the socket. */
	if (n != 0 && n != -ECONNRESET)
		go_down(conn, n, why ? why : strerror(-n));
	else if (vfu_in_partial(&conn->in))
		go_down(conn, -EPROTO, "hung up in the middle of a message");
	else
		go_down(conn, 0, NULL);
	return false;
}

static void deliver_late(void *arg)
{
	struct vfu_conn *conn = arg;

	enter(conn);
	deliver_buffered(conn);
	/* After a hang-up the socket holds what was sent before it, then says
	 * so; it never blocks. */
	while (conn->hup && !conn->held && is_live(conn) && !conn->deliver.loop)
		if (!receive_once(conn))
			break;
	leave(conn);
}

static void set_held(struct vfu_conn *conn, unsigned why, bool on)
{
	unsigned before = conn->held;

	conn->held = on ? before | why : before & ~why;
	if (!before == !conn->held || !is_live(conn))
		return;
	update_events(conn);
	if (conn->held)
		loop_defer_cancel(&conn->deliver);
	else
		loop_defer(conn->loop, &conn->deliver, deliver_late, conn);
}

/* After the amount waiting has changed. */
static void check_congestion(struct vfu_conn *conn)
{
	size_t waiting = vfu_out_bytes(&conn->out);

	if (!conn->congested && waiting > VFU_CONN_QUEUE_MAX) {
		conn->congested = true;
		if (conn->throttled)
			set_held(conn, HELD_CONGESTED, true);
	} else if (conn->congested && waiting <= VFU_CONN_QUEUE_MAX / 2) {
		conn->congested = false;
		set_held(conn, HELD_CONGESTED, false);
		if (is_live(conn) && conn->ops->drained)
			conn->ops->drained(conn->arg);
	}
}

static void flush_out(struct vfu_conn *conn)
{
	int ret;

	if (conn->broken)
		return;
	ret = vfu_out_flush(&conn->out, conn->fd);
	conn->blocked = ret == -EAGAIN;
	if (ret && ret != -EAGAIN) {
		/* What the peer sent before it died is still to be read, and
		 * then the hang-up is seen; other errors end it here. */
		conn->broken = true;
		vfu_out_drop(&conn->out);
	}
	if (!is_live(conn))
		return;
	update_events(conn);
	check_congestion(conn);
	if (conn->broken && ret != -EPIPE && ret != -ECONNRESET)
		go_down(conn, ret, strerror(-ret));
}

static void flush_late(void *arg)
{
	struct vfu_conn *conn = arg;

	enter(conn);
	flush_out(conn);
	leave(conn);
}

static void on_event(void *arg, uint32_t events)
{
	struct vfu_conn *conn = arg;

	enter(conn);
	/* A peer that hung up takes nothing more: that ends a congestion. */
	if (conn->blocked && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flush_out(conn);
	if (is_live(conn) && conn->deliver.loop) {
		/* Resumed a moment ago: first what is in the buffer. */
	} else if (is_live(conn) && !conn->held) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			receive_once(conn);
		if (is_live(conn) && conn->flush.loop) {
			loop_defer_cancel(&conn->flush);
			flush_out(conn);
		}
	} else if (is_live(conn) && events & (EPOLLHUP | EPOLLERR)) {
		/* epoll would tell again and again. */
		conn->hup = true;
		loop_watch_del(&conn->watch);
	}
	leave(conn);
}

int vfu_conn_open(struct vfu_conn **result, struct loop *loop, int fd,
		  const struct vfu_conn_ops *ops, void *arg)
{
	struct vfu_conn *conn = calloc(1, sizeof(*conn));
	int ret = -ENOMEM;

	if (!conn)
		goto out;
	conn->loop = loop;
	conn->ops = ops;
	conn->arg = arg;
	conn->fd = fd;
	vfu_in_init(&conn->in);
	vfu_out_init(&conn->out);
	ret = loop_watch_add(loop, &conn->watch, fd, EPOLLIN, on_event, conn);
	if (ret)
		goto out;
	*result = conn;
	return 0;
out:
	free(conn);
	close(fd);
	return ret;
}

void vfu_conn_close(struct vfu_conn *conn)
{
	if (!conn || conn->closing)
		return;
	conn->closing = true;
	enter(conn);
	flush_out(conn);
	loop_watch_del(&conn->watch);
	loop_defer_cancel(&conn->flush);
	loop_defer_cancel(&conn->deliver);
	close(conn->fd);
	leave(conn);
}

int vfu_conn_send(struct vfu_conn *conn, const struct vfu_header *header,
		  const struct iovec *iov, unsigned n_iov, const int *fds,
		  unsigned n_fds)
{
	int ret;

	if (conn->broken || !is_live(conn))
		return -ENOTCONN;
	ret = vfu_out_append(&conn->out, header, iov, n_iov, fds, n_fds);
	if (ret)
		return ret;
	if (!conn->blocked)
		loop_defer(conn->loop, &conn->flush, flush_late, conn);
	if (vfu_out_bytes(&conn->out) > VFU_CONN_QUEUE_MAX)
		check_congestion(conn);
	return 0;
}

bool vfu_conn_congested(const struct vfu_conn *conn)
{
	return conn->congested;
}

void vfu_conn_pause(struct vfu_conn *conn)
{
	set_held(conn, HELD_PAUSED, true);
}

void vfu_conn_resume(struct vfu_conn *conn)
{
	set_held(conn, HELD_PAUSED, false);
}

void vfu_conn_hold(struct vfu_conn *conn, bool on)
{
	set_held(conn, HELD_OWING, on);
}

bool vfu_conn_unread(const struct vfu_conn *conn)
{
	int bytes = 0;

	if (!is_live(conn))
		return false;
	return conn->in.tail != conn->in.head ||
	       (!ioctl(conn->fd, FIONREAD, &bytes) && bytes > 0);
}

void vfu_conn_throttle(struct vfu_conn *conn)
{
	conn->throttled = true;
}
