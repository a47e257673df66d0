/* vfu_server_waiting.c - clients for whom there is no room.
 *
 * Theory of operation.  They are accepted, so that the owner can be told who
 * waits, and not read from; what they said meanwhile is in their sockets.  The
 * first one gets the room that comes, unless it has hung up.  A few are kept
 * so, the others stay in the backlog.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcore/unixsock.h"
#include "libcore/vfu_server_private.h"

struct vfu_waiting {
	TAILQ_ENTRY(vfu_waiting) entry;
	struct vfu_server *server;
	struct loop_watch watch;
	int fd;
};

/* Returns its fd, which is the caller's now. */
static int forget(struct vfu_waiting *w)
{
	int fd = w->fd;

	TAILQ_REMOVE(&w->server->waiting, w, entry);
	w->server->n_waiting--;
	loop_watch_del(&w->watch);
	free(w);
	return fd;
}

static void on_gone(void *arg, uint32_t events)
{
	struct vfu_waiting *w = arg;
	struct vfu_server *server = w->server;

	(void)events;
	close(forget(w));
	vfu_server_update_accept(server);
}

int vfu_waiting_add(struct vfu_server *server, int fd)
{
	struct vfu_waiting *w = calloc(1, sizeof(*w));
	int ret = -ENOMEM;

	if (w)
		ret = loop_watch_add(server->loop, &w->watch, fd, EPOLLRDHUP,
				     on_gone, w);
	if (ret) {
		free(w);
		close(fd);
		return ret;
	}
	w->server = server;
	w->fd = fd;
	TAILQ_INSERT_TAIL(&server->waiting, w, entry);
	server->n_waiting++;
	server->ops->waiting(server->arg, unixsock_peer(fd));
	return 0;
}

int vfu_waiting_take(struct vfu_server *server)
{
	return forget(TAILQ_FIRST(&server->waiting));
}

void vfu_waiting_free(struct vfu_server *server)
{
	struct vfu_waiting *w;

	while ((w = TAILQ_FIRST(&server->waiting)))
		close(forget(w));
}
