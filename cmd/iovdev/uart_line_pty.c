/* uart_line_pty.c - a pseudo-terminal as a UART's line.
 *
 * Theory of operation.  While nobody has the terminal open its master says
 * nothing but that, without end.  So it is only watched while somebody has;
 * inotify tells of an open.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/iovdev/uart_line.h"

struct pty_line {
	struct uart_line line;
	char *link;
	int master, inotify;
	struct loop_watch watch;
};

static void connect_master(struct pty_line *p)
{
	int in = fcntl(p->master, F_DUPFD_CLOEXEC, 0);
	int out = fcntl(p->master, F_DUPFD_CLOEXEC, 0);

	if (in >= 0 && out >= 0) {
		uart_line_connect(&p->line, in, out);
		return;
	}
	if (in >= 0)
		close(in);
}

static void on_opened(void *arg, uint32_t events)
{
	char buf[4096] __attribute__((aligned(8)));
	struct pty_line *p = arg;

	(void)events;
	while (read(p->inotify, buf, sizeof(buf)) > 0)
		;
	if (p->line.in < 0 || p->line.out < 0)
		connect_master(p);
}

static void alone(struct uart_line *line)
{
	(void)line;
}

static void close_pty(struct uart_line *line)
{
	struct pty_line *p = (struct pty_line *)line;

	loop_watch_del(&p->watch);
	if (p->inotify >= 0)
		close(p->inotify);
	if (p->master >= 0)
		close(p->master);
	if (p->link)
		unlink(p->link);
	free(p->link);
	free(p);
}

static const struct uart_line_kind kind = {
	.name = "pty",
	.alone = alone,
	.close = close_pty,
};

/* The terminal as it shall be for its first user; closing it makes the master
 * know that nobody is there. */
static int make_raw(const char *name)
{
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), err = 0;
	struct termios t;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &t) < 0) {
		err = -errno;
	} else {
		cfmakeraw(&t);
		if (tcsetattr(fd, TCSANOW, &t) < 0)
			err = -errno;
	}
	close(fd);
	return err;
}

static int open_master(struct pty_line *p, char *name, size_t size)
{
	int err;

	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (p->master < 0 || grantpt(p->master) < 0 || unlockpt(p->master) < 0)
		return -errno;
	err = ptsname_r(p->master, name, size);
	return err ? -err : make_raw(name);
}

static int watch_opens(struct pty_line *p, const char *name)
{
	p->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (p->inotify < 0 || inotify_add_watch(p->inotify, name, IN_OPEN) < 0)
		return -errno;
	return loop_watch_add(p->line.loop, &p->watch, p->inotify, EPOLLIN,
			      on_opened, p);
}

/* In place of one that a killed predecessor left. */
static int make_link(struct pty_line *p, const char *name, const char *link)
{
	unlink(link);
	if (symlink(name, link) < 0)
		return -errno;
	p->link = strdup(link);
	return p->link ? 0 : -ENOMEM;
}

int uart_line_pty(struct uart_line **line, struct loop *loop, const char *link,
		  struct complaint *c)
{
	struct pty_line *p = calloc(1, sizeof(*p));
	char name[PATH_MAX];
	int err;

	if (!p)
		return complain(c, ENOMEM, "no memory");
	p->line = (struct uart_line){
		.kind = &kind, .loop = loop, .in = -1, .out = -1
	};
	p->master = p->inotify = -1;
	err = open_master(p, name, sizeof(name));
	if (!err)
		err = watch_opens(p, name);
	if (!err)
		err = make_link(p, name, link);
	if (err) {
		complain(c, -err, "--line=pty: %s", strerror(-err));
		close_pty(&p->line);
		return err;
	}
	*line = &p->line;
	return 0;
}
