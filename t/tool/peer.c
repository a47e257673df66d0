/* peer.c - messages of the test peer; see peer.h */
#include <config.h>

#include "t/tool/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libcore/unixsock.h"

#define PATIENCE_S 5 /* or what VFU_PATIENCE says */
#define RETRY_NS   (10 * 1000 * 1000)

static int patience_s(void)
{
	const char *text = getenv("VFU_PATIENCE");

	return text ? atoi(text) : PATIENCE_S;
}

/* Takes fd. */
static int take_socket(struct peer *peer, int fd)
{
	const struct timeval patience = { .tv_sec = patience_s() };

	*peer = (struct peer){ .fd = fd, .in_fd = -1 };
	if (fcntl(fd, F_SETFL, 0) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0)
		return -errno;
	peer->payload = malloc(VFU_MAX_MSG);
	return peer->payload ? 0 : -ENOMEM;
}

int peer_open(struct peer *peer, const char *path)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	unsigned left = PATIENCE_S * 100;
	int fd;

	while ((fd = unixsock_connect(path)) < 0 && left--)
		nanosleep(&pause, NULL);
	return fd < 0 ? fd : take_socket(peer, fd);
}

int peer_serve(struct peer *peer, const char *path)
{
	struct pollfd ready = { .events = POLLIN };
	char *dir = strdup(path), *slash;
	int fd;

	slash = dir ? strrchr(dir, '/') : NULL;
	if (slash) {
		*slash = '\0';
		(void)mkdir(dir, 0700);
	}
	free(dir);
	ready.fd = unixsock_listen(path, NULL);
	if (ready.fd < 0)
		return ready.fd;
	fd = poll(&ready, 1, PATIENCE_S * 1000) == 1 ? unixsock_accept(ready.fd)
						     : -ETIMEDOUT;
	close(ready.fd);
	return fd < 0 ? fd : take_socket(peer, fd);
}

static void attach_fds(struct peer *peer, struct msghdr *mh, char *control)
{
	struct cmsghdr *c;

	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(peer->n_fds * sizeof(int));
	memset(control, 0, mh->msg_controllen);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(peer->n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), peer->fds, peer->n_fds * sizeof(int));
}

int peer_send(struct peer *peer, const void *data, size_t size)
{
	char control[CMSG_SPACE(PEER_FDS * sizeof(int))];
	struct iovec iov = { (void *)data, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (peer->n_fds)
		attach_fds(peer, &mh, control);
	while (iov.iov_len) {
		n = sendmsg(peer->fd, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? -ENOTCONN : -errno;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
	}
	while (peer->n_fds)
		close(peer->fds[--peer->n_fds]);
	return 0;
}

static int send_message(struct peer *peer, const struct vfu_header *header,
			const void *payload, size_t size)
{
	uint8_t *message = malloc(sizeof(*header) + size);
	int err;

	if (!message)
		return -ENOMEM;
	memcpy(message, header, sizeof(*header));
	if (size)
		memcpy(message + sizeof(*header), payload, size);
	err = peer_send(peer, message, sizeof(*header) + size);
	free(message);
	return err;
}

int peer_say(struct peer *peer, uint16_t command, uint32_t flags,
	     const void *payload, size_t size)
{
	const struct vfu_header header = { .id = ++peer->id,
					   .command = command,
					   .size = (uint32_t)(sizeof(header) +
							      size),
					   .flags = flags };

	return send_message(peer, &header, payload, size);
}

int peer_answer(struct peer *peer, int error, const void *payload, size_t size)
{
	struct vfu_header header = peer->header;

	header.size = (uint32_t)(sizeof(header) + size);
	header.flags = VFU_FLAG_REPLY | (error ? VFU_FLAG_ERROR : 0);
	header.error = (uint32_t)error;
	return send_message(peer, &header, payload, size);
}

static void take_fds(struct peer *peer, struct msghdr *mh)
{
	struct cmsghdr *c;
	unsigned i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (peer->in_fd < 0)
				peer->in_fd = fd;
			else
				close(fd);
		}
	}
}

static int receive(struct peer *peer, void *data, size_t size)
{
	char control[CMSG_SPACE(PEER_FDS * sizeof(int))];
	struct iovec iov = { data, size };
	struct msghdr mh;
	ssize_t n;

	while (iov.iov_len) {
		mh = (struct msghdr){ .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		n = recvmsg(peer->fd, &mh, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -ETIMEDOUT;
		if (n <= 0)
			return -ENOTCONN;
		take_fds(peer, &mh);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	return 0;
}

int peer_listen(struct peer *peer)
{
	int err = receive(peer, &peer->header, sizeof(peer->header));

	if (err)
		return err;
	if (peer->header.size < sizeof(peer->header) ||
	    peer->header.size > VFU_MAX_MSG)
		return -EBADMSG;
	peer->size = peer->header.size - (uint32_t)sizeof(peer->header);
	return receive(peer, peer->payload, peer->size);
}

int peer_ask(struct peer *peer, uint16_t command, const void *payload,
	     size_t size)
{
	int err = peer_say(peer, command, 0, payload, size);

	while (!err) {
		err = peer_listen(peer);
		if (!err && peer->header.id == peer->id &&
		    peer->header.flags & VFU_FLAG_REPLY)
			break;
	}
	if (!err && peer->header.flags & VFU_FLAG_ERROR)
		return -(int)peer->header.error;
	return err;
}

int peer_read(struct peer *peer, uint32_t region, uint64_t offset,
	      uint32_t count)
{
	const struct vfu_region_access access = { offset, region, count };
	int err = peer_ask(peer, VFU_REGION_READ, &access, sizeof(access));

	if (!err && peer->size != sizeof(access) + count)
		return -EBADMSG;
	return err;
}

int peer_write(struct peer *peer, uint32_t region, uint64_t offset,
	       const void *data, uint32_t count)
{
	const struct vfu_region_access access = { offset, region, count };
	uint8_t *payload = malloc(sizeof(access) + count);
	int err;

	if (!payload)
		return -ENOMEM;
	memcpy(payload, &access, sizeof(access));
	memcpy(payload + sizeof(access), data, count);
	err = peer_ask(peer, VFU_REGION_WRITE, payload, sizeof(access) + count);
	free(payload);
	return err;
}

const char *peer_error(int err)
{
	if (!err)
		return "ok";
	if (err == -ENOTCONN)
		return "hung up";
	if (err == -ETIMEDOUT)
		return "no answer";
	return strerrorname_np(-err) ?: "an unknown error";
}
