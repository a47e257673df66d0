/* pcap_writer.c - frames into a pcap file or pipe.
 *
 * Theory of operation.  libpcap formats into a cookie stream that appends to
 * a bounded buffer; at the end of the loop's iteration the buffer leaves in
 * one write.  A pipe is opened anew without blocking (the description that
 * we were given may be shared with others, whose flags are theirs); a FIFO
 * that nobody reads yet is tried again until somebody does.
 */
#include <config.h>

#include "libcore/pcap_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>

#define BUFFER_MIN   (16u << 10)
#define BUFFER_MAX   (1u << 20)
#define FRAME_MAX    65535u
#define RECORD_BYTES 16u
#define CLOSE_MS     2000
#define RETRY_NS     (20 * NS_PER_MS)
#define SNAPLEN      262144

enum sink {
	SINK_FILE,     /* takes all at once */
	SINK_NONBLOCK, /* says EAGAIN */
	SINK_SHARED,   /* may block: PIPE_BUF bytes when poll says so */
	SINK_SOCKET
};

struct pcap_writer {
	int fd; /* -1: a FIFO without a reader so far */
	char *path;
	enum sink sink;
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer retry;
	struct loop_deferred flush;
	loop_fn *closed, *done;
	void *arg, *done_arg;
	int err; /* why nothing more can be written, 0: it can */
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	uint8_t *buffer;
	size_t room, head, tail; /* [head, tail) waits */
	uint64_t dropped;
};

static bool grow(struct pcap_writer *w, size_t need)
{
	size_t room = w->room ? w->room : BUFFER_MIN;
	uint8_t *buffer;

	if (w->head) {
		memmove(w->buffer, w->buffer + w->head, w->tail - w->head);
		w->tail -= w->head;
		w->head = 0;
	}
	while (room - w->tail < need)
		room *= 2;
	if (room == w->room)
		return true;
	buffer = realloc(w->buffer, room);
	if (!buffer)
		return false;
	w->buffer = buffer;
	w->room = room;
	return true;
}

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
	struct pcap_writer *w = cookie;

	if (w->room - w->tail < size && !grow(w, size))
		return 0;
	memcpy(w->buffer + w->tail, data, size);
	w->tail += size;
	return (ssize_t)size;
}

static ssize_t sink_write(struct pcap_writer *w)
{
	const uint8_t *from = w->buffer + w->head;
	size_t size = w->tail - w->head;
	struct pollfd ready = { .fd = w->fd, .events = POLLOUT };

	if (w->sink == SINK_SOCKET)
		return send(w->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (w->sink == SINK_SHARED) {
		if (poll(&ready, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		size = size < PIPE_BUF ? size : PIPE_BUF;
	}
	return write(w->fd, from, size);
}

/* 0: all is written; -EAGAIN: the rest waits; else the sink is gone. */
static int write_out(struct pcap_writer *w)
{
	ssize_t n;

	while (w->fd >= 0 && w->head < w->tail) {
		n = sink_write(w);
		if (n > 0)
			w->head += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return -errno;
	}
	if (w->fd < 0)
		return -EAGAIN;
	w->head = w->tail = 0;
	return 0;
}

static void set_gone(struct pcap_writer *w, int err)
{
	loop_watch_del(&w->watch);
	w->err = err == -ECONNRESET ? -EPIPE : err;
	w->head = w->tail = 0;
	if (w->closed)
		w->closed(w->arg);
}

static void on_flush(void *arg)
{
	struct pcap_writer *w = arg;
	int err;

	if (w->err)
		return;
	err = write_out(w);
	if (err && err != -EAGAIN)
		set_gone(w, err);
	else if (w->watch.loop)
		loop_watch_events(&w->watch, err ? EPOLLOUT : 0);
	else if (err && w->fd >= 0) /* no epoll for this fd: look again */
		loop_timer_in(w->loop, &w->retry, RETRY_NS, on_flush, w);
	if (!err && w->done)
		w->done(w->done_arg); /* may close the writer */
}

static void on_event(void *arg, uint32_t events)
{
	struct pcap_writer *w = arg;

	if (events & (EPOLLERR | EPOLLHUP))
		set_gone(w, -EPIPE);
	else
		on_flush(w);
}

/* The fd is there: find out how to write to it without blocking. */
static int use_fd(struct pcap_writer *w, int fd)
{
	char self[32];
	struct stat st;
	int own, err;

	w->fd = fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		w->sink = SINK_FILE;
		return 0;
	}
	w->sink = S_ISSOCK(st.st_mode) ? SINK_SOCKET : SINK_SHARED;
	if (S_ISFIFO(st.st_mode)) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		own = open(self, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (own >= 0) {
			close(fd);
			w->fd = own;
			w->sink = SINK_NONBLOCK;
		}
	}
	err = loop_watch_add(w->loop, &w->watch, w->fd, 0, on_event, w);
	return err == -EPERM ? 0 : err; /* /dev/null cannot be watched */
}

static int try_open(struct pcap_writer *w)
{
	int fd;

	fd = open(w->path,
		  O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	return use_fd(w, fd);
}

static void on_retry(void *arg)
{
	struct pcap_writer *w = arg;
	int err = try_open(w);

	if (err == -ENXIO)
		loop_timer_in(w->loop, &w->retry, RETRY_NS, on_retry, w);
	else if (err)
		set_gone(w, err);
	else
		on_flush(w);
}

static int open_output(struct pcap_writer *w, const char *path, int fd,
		       struct complaint *c)
{
	int err;

	if (path && !strcmp(path, "-"))
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else if (path) {
		w->path = strdup(path);
		if (!w->path)
			return complain(c, ENOMEM, "no memory");
		err = try_open(w);
		if (err == -ENXIO) { /* a FIFO that nobody reads */
			loop_timer_in(w->loop, &w->retry, RETRY_NS, on_retry,
				      w);
			return 0;
		}
		if (err)
			return complain(c, -err, "%s: %s", path,
					strerror(-err));
		return 0;
	}
	err = fd < 0 ? -EBADF : use_fd(w, fd);
	if (err)
		return complain(c, -err, "%s: %s", path ? path : "pcap fd",
				strerror(-err));
	return 0;
}

static int open_format(struct pcap_writer *w, struct complaint *c)
{
	cookie_io_functions_t io = { .write = stream_write };
	FILE *stream;

	w->pcap = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
	stream = w->pcap ? fopencookie(w, "w", io) : NULL;
	if (!stream)
		return complain(c, ENOMEM, "no memory");
	setvbuf(stream, NULL, _IONBF, 0);
	w->dumper = pcap_dump_fopen(w->pcap, stream);
	if (w->dumper)
		return 0;
	fclose(stream);
	return complain(c, ENOMEM, "%s", pcap_geterr(w->pcap));
}

int pcap_writer_open(struct pcap_writer **writer, struct loop *loop,
		     const char *path, int fd, loop_fn *closed, void *arg,
		     struct complaint *c)
{
	struct pcap_writer *w = calloc(1, sizeof(*w));
	int err;

	if (!w) {
		if (!path && fd >= 0)
			close(fd);
		return complain(c, ENOMEM, "no memory");
	}
	w->fd = -1;
	w->loop = loop;
	w->closed = closed;
	w->arg = arg;
	err = open_output(w, path, fd, c);
	if (!err)
		err = open_format(w, c);
	if (err) {
		pcap_writer_close(w);
		return err;
	}
	loop_defer(loop, &w->flush, on_flush, w);
	*writer = w;
	return 0;
}

bool pcap_writer_has_room(const struct pcap_writer *w)
{
	return w->tail - w->head + FRAME_MAX + RECORD_BYTES <= BUFFER_MAX;
}

bool pcap_writer_put(struct pcap_writer *w, const void *data, uint32_t size,
		     uint64_t time_ns)
{
	struct pcap_pkthdr h = {
		.ts = { .tv_sec = (time_t)(time_ns / NS_PER_S),
			.tv_usec = (suseconds_t)(time_ns % NS_PER_S) },
		.caplen = size,
		.len = size,
	};

	if (w->err || size > FRAME_MAX || !pcap_writer_has_room(w)) {
		w->dropped++;
		return false;
	}
	pcap_dump((u_char *)w->dumper, &h, data);
	loop_defer(w->loop, &w->flush, on_flush, w);
	return true;
}

int pcap_writer_error(const struct pcap_writer *w)
{
	return w->err;
}

uint64_t pcap_writer_dropped(const struct pcap_writer *w)
{
	return w->dropped;
}

void pcap_writer_finish(struct pcap_writer *w, loop_fn *done, void *arg)
{
	w->done = done;
	w->done_arg = arg;
	loop_defer(w->loop, &w->flush, on_flush, w);
}

static void drain(struct pcap_writer *w)
{
	uint64_t until = clock_now_ns() + CLOSE_MS * NS_PER_MS, now;
	struct pollfd ready = { .fd = w->fd, .events = POLLOUT };

	while (w->fd >= 0 && !w->err && write_out(w) == -EAGAIN) {
		now = clock_now_ns();
		if (now >= until)
			break;
		poll(&ready, 1, (int)((until - now) / NS_PER_MS) + 1);
	}
}

void pcap_writer_close(struct pcap_writer *w)
{
	if (!w)
		return;
	drain(w);
	loop_watch_del(&w->watch);
	loop_timer_cancel(&w->retry);
	loop_defer_cancel(&w->flush);
	if (w->dumper)
		pcap_dump_close(w->dumper);
	if (w->pcap)
		pcap_close(w->pcap);
	if (w->fd >= 0)
		close(w->fd);
	free(w->buffer);
	free(w->path);
	free(w);
}
