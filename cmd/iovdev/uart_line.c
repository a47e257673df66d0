/* uart_line.c - what a UART's line is connected to.
 *
 * Theory of operation.  A line has one descriptor for each direction, watched
 * apart: the end of input lets output go on, and input that a peer left behind
 * is read after it hung up.  Input that nobody wants is not watched at all,
 * since a hang-up cannot be unwatched.  Descriptors may be shared with others
 * (standard output is), so they are not made non-blocking but asked first.
 */
#include <config.h>

#include "cmd/iovdev/uart_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1 && p.revents & (events | POLLHUP | POLLERR);
}

static void look_alone(struct uart_line *line)
{
	if (line->in < 0 && line->out < 0)
		line->kind->alone(line);
}

static void close_in(struct uart_line *line)
{
	loop_watch_del(&line->in_watch);
	loop_defer_cancel(&line->again);
	close(line->in);
	line->in = -1;
	line->ops->carrier(line->arg, false);
	look_alone(line);
}

static void close_out(struct uart_line *line)
{
	loop_watch_del(&line->out_watch);
	close(line->out);
	line->out = -1;
	line->ops->writable(line->arg);
	look_alone(line);
}

static void on_again(void *arg)
{
	struct uart_line *line = arg;

	line->ops->readable(line->arg);
}

static void on_in(void *arg, uint32_t events)
{
	struct uart_line *line = arg;

	(void)events;
	line->ops->readable(line->arg);
}

static void on_out(void *arg, uint32_t events)
{
	struct uart_line *line = arg;

	loop_watch_events(&line->out_watch, 0);
	/* Of a pty, another one may have come since. */
	if (events & (EPOLLHUP | EPOLLERR) && is_ready(line->out, 0))
		close_out(line);
	else
		line->ops->writable(line->arg);
}

void uart_line_want(struct uart_line *line, bool wanted)
{
	line->wanted = wanted;
	if (line->in < 0)
		return;
	if (!wanted) {
		loop_watch_del(&line->in_watch);
		loop_defer_cancel(&line->again);
		return;
	}
	if (!line->always && !line->in_watch.loop)
		line->always =
			loop_watch_add(line->loop, &line->in_watch, line->in,
				       EPOLLIN, on_in, line) == -EPERM;
	if (line->always)
		loop_defer(line->loop, &line->again, on_again, line);
}

size_t uart_line_read(struct uart_line *line, uint8_t *data, size_t size)
{
	ssize_t n;

	if (line->in < 0 || !is_ready(line->in, POLLIN))
		return 0;
	n = read(line->in, data, size);
	if (n > 0)
		return (size_t)n;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_in(line);
	return 0;
}

size_t uart_line_write(struct uart_line *line, const uint8_t *data, size_t size)
{
	ssize_t n;

	if (line->out < 0) {
		line->lost += size;
		return size;
	}
	n = is_ready(line->out, POLLOUT) ? write(line->out, data, size) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_out(line);
		line->lost += size;
		return size;
	}
	if (n == (ssize_t)size)
		return size;
	loop_watch_events(&line->out_watch, EPOLLOUT);
	return n > 0 ? (size_t)n : 0;
}

void uart_line_connect(struct uart_line *line, int in, int out)
{
	uart_line_hang_up(line);
	line->in = in;
	line->out = out;
	line->always = false;
	/* A file cannot be watched and takes everything. */
	(void)!loop_watch_add(line->loop, &line->out_watch, out, 0, on_out,
			      line);
	line->ops->carrier(line->arg, true);
	uart_line_want(line, line->wanted);
}

void uart_line_hang_up(struct uart_line *line)
{
	loop_watch_del(&line->in_watch);
	loop_watch_del(&line->out_watch);
	loop_defer_cancel(&line->again);
	if (line->in >= 0)
		close(line->in);
	if (line->out >= 0)
		close(line->out);
	line->in = line->out = -1;
}

/* Lines without and with standard input and output. */

static void stay_alone(struct uart_line *line)
{
	(void)line;
}

static void free_line(struct uart_line *line)
{
	free(line);
}

static const struct uart_line_kind none_kind = {
	.name = "none",
	.alone = stay_alone,
	.close = free_line,
};

static const struct uart_line_kind stdio_kind = {
	.name = "-",
	.alone = stay_alone,
	.close = free_line,
};

static int open_plain(struct uart_line **result, struct loop *loop,
		      const struct uart_line_kind *kind, struct complaint *c)
{
	struct uart_line *line = calloc(1, sizeof(*line));

	if (!line)
		return complain(c, ENOMEM, "no memory");
	line->kind = kind;
	line->loop = loop;
	line->in = line->out = -1;
	*result = line;
	return 0;
}

static int connect_stdio(struct uart_line *line, struct complaint *c)
{
	int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

	if (in < 0 || out < 0) {
		if (in >= 0)
			close(in);
		return complain(c, EMFILE, "--line=-: %s", strerror(EMFILE));
	}
	uart_line_connect(line, in, out);
	return 0;
}

int uart_line_open(struct uart_line **line, struct loop *loop, const char *text,
		   const char *link, const struct uart_line_ops *ops, void *arg,
		   struct complaint *c)
{
	int err;

	if (!text || !strcmp(text, "none"))
		err = open_plain(line, loop, &none_kind, c);
	else if (!strcmp(text, "-"))
		err = open_plain(line, loop, &stdio_kind, c);
	else if (!strcmp(text, "pty"))
		err = uart_line_pty(line, loop, link, c);
	else if (!strncmp(text, "unix:", 5) && text[5])
		err = uart_line_unix(line, loop, text + 5, c);
	else
		err = complain(c, EINVAL,
			       "no line '%s' (none, pty, unix:PATH or -)",
			       text);
	if (err)
		return err;
	(*line)->ops = ops;
	(*line)->arg = arg;
	return (*line)->kind == &stdio_kind ? connect_stdio(*line, c) : 0;
}

void uart_line_close(struct uart_line *line)
{
	if (!line)
		return;
	uart_line_hang_up(line);
	line->kind->close(line);
}
