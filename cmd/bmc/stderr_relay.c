/* stderr_relay.c - pass lines on, and never wait for whoever reads them. */
#include <config.h>

#include "cmd/bmc/stderr_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe that polls writable takes PIPE_BUF at once, so this never blocks. */
static void pass_on(struct stderr_relay *r, size_t size)
{
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[RELAY_LINE_MAX + 128];
	int n = 0;

	if (poll(&to, 1, 0) != 1 || !(to.revents & POLLOUT)) {
		r->lost++;
		return;
	}
	if (r->lost)
		n = snprintf(text, sizeof(text), "%s: (%lu lines lost)\n",
			     r->name, r->lost);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "%s: %.*s\n", r->name,
		      (int)size, r->line);
	if (write(STDERR_FILENO, text, (size_t)n) != n)
		r->lost++;
	else
		r->lost = 0;
}

static void take_lines(struct stderr_relay *r)
{
	char *newline;
	size_t size;

	while (r->used) {
		newline = memchr(r->line, '\n', r->used);
		if (!newline && r->used < sizeof(r->line))
			return;
		size = newline ? (size_t)(newline - r->line) : r->used;
		pass_on(r, size);
		size += newline ? 1 : 0;
		r->used -= size;
		memmove(r->line, r->line + size, r->used);
	}
}

/* 1: there may be more, 0: not now, -1: the end. */
static int receive(struct stderr_relay *r)
{
	ssize_t n;

	n = read(r->fd, r->line + r->used, sizeof(r->line) - r->used);
	if (n < 0)
		return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return -1;
	r->used += (size_t)n;
	take_lines(r);
	return 1;
}

static void close_now(struct stderr_relay *r)
{
	if (r->used)
		pass_on(r, r->used);
	r->used = 0;
	loop_watch_del(&r->watch);
	close(r->fd);
	r->fd = -1;
}

static void on_readable(void *arg, uint32_t events)
{
	struct stderr_relay *r = arg;

	(void)events;
	/* One read a turn: a noisy program does not keep the loop. */
	if (receive(r) < 0)
		close_now(r);
}

int stderr_relay_open(struct stderr_relay *r, struct loop *loop,
		      const char *name, int *write_fd)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	/* The program's end stays blocking: it loses no word of its own. */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	r->name = name;
	r->used = 0;
	r->lost = 0;
	err = loop_watch_add(loop, &r->watch, fds[0], EPOLLIN, on_readable, r);
	if (err) {
		close(fds[0]);
		close(fds[1]);
		return err;
	}
	r->fd = fds[0];
	*write_fd = fds[1];
	return 0;
}

void stderr_relay_close(struct stderr_relay *r)
{
	unsigned reads;

	if (r->fd < 0)
		return;
	/* Its descendants may still write: take a pipe's worth, no more. */
	for (reads = 0; reads < 64; reads++)
		if (receive(r) <= 0)
			break;
	close_now(r);
}
