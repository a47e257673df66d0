/* uart_line_unix.c - a Unix socket as a UART's line: one client at a time. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/iovdev/uart_line.h"
#include "libcore/unixsock.h"

struct unix_line {
	struct uart_line line;
	char *path;
	int fd;
	struct loop_watch watch; /* while nobody is connected */
};

static void on_client(void *arg, uint32_t events)
{
	struct unix_line *u = arg;
	int in = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC), out;

	(void)events;
	if (in < 0)
		return;
	out = fcntl(in, F_DUPFD_CLOEXEC, 0);
	if (out < 0) {
		close(in);
		return;
	}
	loop_watch_events(&u->watch, 0);
	uart_line_connect(&u->line, in, out);
}

static void alone(struct uart_line *line)
{
	struct unix_line *u = (struct unix_line *)line;

	loop_watch_events(&u->watch, EPOLLIN);
}

static void close_unix(struct uart_line *line)
{
	struct unix_line *u = (struct unix_line *)line;

	loop_watch_del(&u->watch);
	if (u->fd >= 0) {
		close(u->fd);
		unlink(u->path);
	}
	free(u->path);
	free(u);
}

static const struct uart_line_kind kind = {
	.name = "unix",
	.alone = alone,
	.close = close_unix,
};

int uart_line_unix(struct uart_line **line, struct loop *loop, const char *path,
		   struct complaint *c)
{
	struct unix_line *u = calloc(1, sizeof(*u));
	int err = -ENOMEM;

	if (!u)
		return complain(c, ENOMEM, "no memory");
	u->line = (struct uart_line){
		.kind = &kind, .loop = loop, .in = -1, .out = -1
	};
	u->fd = -1;
	u->path = strdup(path);
	if (u->path) {
		err = u->fd = unixsock_listen(path, c);
		if (u->fd >= 0)
			err = loop_watch_add(loop, &u->watch, u->fd, EPOLLIN,
					     on_client, u);
	}
	if (err < 0) {
		complain(c, -err, "%s: %s", path, strerror(-err));
		close_unix(&u->line);
		return err;
	}
	*line = &u->line;
	return 0;
}
