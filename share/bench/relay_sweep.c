/* relay_sweep.c - one pipelined sweep: A sends one request for each of many
 * sockets at once, B forwards each on its own socket to C, C replies on each,
 * B passes the replies back.
 *
 * What a procedure costs at least that asks every function of a device once,
 * with one socket for each function.  Every wake-up takes all that is there,
 * and what goes to the same socket goes in one call.
 */
#include <config.h>

#include "share/bench/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libcore/loop.h"

#define FRONT SWEEP_MAX_SOCKETS /* B's socket to A among its events */

/* No message is larger, and one is at a time on each socket. */
#define BUFFER (SWEEP_MAX_SOCKETS * RELAY_REPLY_BYTES)

static int watch(int epfd, int fd, unsigned index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = index };

	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int wait_for_all(int epfd, struct epoll_event *events, unsigned max)
{
	int n;

	do {
		n = epoll_wait(epfd, events, max, -1);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int send_whole(int fd, const void *data, size_t size)
{
	ssize_t n;

	/* It always fits: one sweep is under way. */
	do {
		n = send(fd, data, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* Until all of them are there; 1 or, at the end, 0. */
static int receive_whole(int fd, void *data, size_t size)
{
	uint8_t *at = data;
	ssize_t n;

	while (size) {
		n = recv(fd, at, size, MSG_WAITALL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		at += n;
		size -= n;
	}
	return 1;
}

/* All three sleep meanwhile. */
static void rest(uint64_t ns)
{
	struct timespec left = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	while (ns && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

int sweep_ask(int fd, struct sweep_run *run)
{
	size_t to = run->sockets * RELAY_REQUEST_BYTES;
	size_t from = run->sockets * RELAY_REPLY_BYTES;
	uint8_t buf[BUFFER] = { 0 };
	uint64_t start;
	unsigned i;
	int ret;

	for (i = 0; i < run->warm_up + run->sweeps; i++) {
		rest(run->rest_ns);
		start = clock_now_ns();
		ret = send_whole(fd, buf, to);
		if (!ret)
			ret = receive_whole(fd, buf, from);
		if (ret <= 0)
			return ret ? ret : -EPIPE;
		if (i >= run->warm_up)
			run->ns[i - run->warm_up] = clock_now_ns() - start;
	}
	return 0;
}

/* B: the i-th request of a sweep goes to the i-th socket. */
static int sweep_forward(int front, const int *back, unsigned n)
{
	uint8_t buf[BUFFER];
	unsigned i;
	int ret;

	ret = receive_whole(front, buf, n * RELAY_REQUEST_BYTES);
	if (ret <= 0)
		return ret ? ret : -EPIPE;
	for (i = 0, ret = 0; i < n && !ret; i++)
		ret = send_whole(back[i], buf + i * RELAY_REQUEST_BYTES,
				 RELAY_REQUEST_BYTES);
	return ret;
}

/* B: all replies that are there, in one piece. */
static int sweep_back(int front, const int *back,
		      const struct epoll_event *events, unsigned n)
{
	uint8_t buf[BUFFER];
	size_t size = 0;
	unsigned i;
	int ret;

	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == FRONT)
			continue;
		ret = receive_whole(back[events[i].data.u32], buf + size,
				    RELAY_REPLY_BYTES);
		if (ret <= 0)
			return ret ? ret : -EPIPE;
		size += RELAY_REPLY_BYTES;
	}
	return size ? send_whole(front, buf, size) : 0;
}

static bool is_asked(const struct epoll_event *events, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == FRONT)
			return true;
	}
	return false;
}

int sweep_relay(int front, const int *back, unsigned n)
{
	struct epoll_event events[SWEEP_MAX_SOCKETS + 1];
	int epfd = epoll_create1(EPOLL_CLOEXEC), ret, n_events;
	unsigned i;

	ret = epfd < 0 ? -errno : watch(epfd, front, FRONT);
	for (i = 0; i < n && !ret; i++)
		ret = watch(epfd, back[i], i);
	while (!ret) {
		n_events = wait_for_all(epfd, events, n + 1);
		if (n_events < 0)
			return n_events;
		ret = sweep_back(front, back, events, n_events);
		if (!ret && is_asked(events, n_events))
			ret = sweep_forward(front, back, n);
	}
	/* A hangs up when it has measured. */
	return ret == -EPIPE ? 0 : ret;
}

int sweep_answer(const int *fds, unsigned n)
{
	struct epoll_event events[SWEEP_MAX_SOCKETS];
	uint8_t request[RELAY_REQUEST_BYTES];
	uint8_t reply[RELAY_REPLY_BYTES] = { 0 };
	int epfd = epoll_create1(EPOLL_CLOEXEC), ret, n_events, i, fd;

	ret = epfd < 0 ? -errno : 0;
	for (i = 0; i < (int)n && !ret; i++)
		ret = watch(epfd, fds[i], i);
	while (!ret) {
		n_events = wait_for_all(epfd, events, n);
		if (n_events < 0)
			return n_events;
		for (i = 0; i < n_events && !ret; i++) {
			fd = fds[events[i].data.u32];
			ret = receive_whole(fd, request, sizeof(request));
			if (ret <= 0)
				return ret;
			ret = send_whole(fd, reply, sizeof(reply));
		}
	}
	return ret == -EPIPE ? 0 : ret;
}
