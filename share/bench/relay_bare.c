/* relay_bare.c - the least that three processes can do: wait for one of the
 * sockets with epoll, receive what is there, send it on. */
#include <config.h>

#include "share/bench/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/loop.h"

#define BUFFER (64u << 10)

struct bare {
	int epfd;
	size_t received; /* bytes that are no whole message yet */
	uint8_t buf[BUFFER];
};

static int add(int epfd, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* Wait for one of the sockets and receive: bytes, 0 at the end, -errno. */
static ssize_t wait_and_receive(struct bare *b, int *fd)
{
	struct epoll_event ev;
	ssize_t n;

	do {
		n = epoll_wait(b->epfd, &ev, 1, -1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*fd = ev.data.fd;
	n = recv(*fd, b->buf, sizeof(b->buf), MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Whole messages of this size among all that was received. */
static size_t whole(struct bare *b, size_t n, size_t size)
{
	size_t messages;

	b->received += n;
	messages = b->received / size;
	b->received %= size;
	return messages;
}

static int send_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;
	ssize_t n;

	while (size) {
		n = send(fd, at, size, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			size -= n;
		}
	}
	return 0;
}

static int open_bare(struct bare *b, int fd, int fd2)
{
	int ret;

	memset(b, 0, sizeof(*b));
	b->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (b->epfd < 0)
		return -errno;
	ret = add(b->epfd, fd);
	return ret || fd2 < 0 ? ret : add(b->epfd, fd2);
}

static int bare_ask(int fd, struct relay_run *run)
{
	uint8_t requests[BUFFER] = { 0 };
	uint64_t done = 0, start = 0, now;
	struct bare b;
	size_t n;
	int ret;

	ret = open_bare(&b, fd, -1);
	n = run->outstanding;
	while (!ret && n * RELAY_REQUEST_BYTES <= sizeof(requests)) {
		ret = send_all(fd, requests, n * RELAY_REQUEST_BYTES);
		if (!ret)
			ret = wait_and_receive(&b, &fd);
		if (ret <= 0)
			break;
		n = whole(&b, ret, RELAY_REPLY_BYTES);
		ret = 0;
		done += n;
		now = clock_now_ns();
		if (!start && done >= run->warm_up) {
			start = now;
			done = 0;
		} else if (start && now - start >= run->duration_ns) {
			run->replies = done;
			run->elapsed_ns = now - start;
			break;
		}
	}
	close(b.epfd);
	close(fd);
	return ret;
}

static int bare_relay(int asker_fd, int answerer_fd)
{
	struct bare b;
	ssize_t n;
	int ret, fd;

	ret = open_bare(&b, asker_fd, answerer_fd);
	while (!ret) {
		n = wait_and_receive(&b, &fd);
		if (n <= 0)
			break;
		ret = send_all(fd == asker_fd ? answerer_fd : asker_fd, b.buf,
			       n);
	}
	close(b.epfd);
	close(asker_fd);
	close(answerer_fd);
	return 0;
}

static int bare_answer(int fd)
{
	uint8_t replies[2 * BUFFER] = { 0 };
	struct bare b;
	ssize_t n;
	int ret;

	ret = open_bare(&b, fd, -1);
	while (!ret) {
		n = wait_and_receive(&b, &fd);
		if (n <= 0)
			break;
		n = whole(&b, n, RELAY_REQUEST_BYTES);
		ret = send_all(fd, replies, n * RELAY_REPLY_BYTES);
	}
	close(b.epfd);
	close(fd);
	return 0;
}

const struct relay_kind relay_bare = {
	.name = "bare",
	.ask = bare_ask,
	.relay = bare_relay,
	.answer = bare_answer,
};
