/* vfu_rig.c - the raw other end of a vfio-user connection, for tests. */
#include <config.h>

#include "t/unit/vfu_rig.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_ROUNDS 6

struct settle {
	struct loop *loop;
	struct loop_deferred again;
	unsigned left;
};

struct loop *rig_loop(void)
{
	struct loop *loop = NULL;

	if (loop_new(&loop))
		abort();
	return loop;
}

static void on_round(void *arg)
{
	struct settle *s = arg;

	if (s->left--)
		loop_defer(s->loop, &s->again, on_round, s);
	else
		loop_stop(s->loop, 0);
}

void rig_settle(struct loop *loop)
{
	struct settle s = { .loop = loop, .left = SETTLE_ROUNDS };

	loop_defer(loop, &s.again, on_round, &s);
	loop_run(loop);
}

void rig_pair(int type, int sv[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		abort();
}

unsigned rig_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		abort();
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

size_t rig_build(uint8_t *buf, uint16_t id, uint16_t command, uint32_t flags,
		 const void *payload, size_t size)
{
	struct vfu_header header = {
		.id = id,
		.command = command,
		.size = sizeof(header) + size,
		.flags = flags,
	};

	memcpy(buf, &header, sizeof(header));
	if (size)
		memcpy(buf + sizeof(header), payload, size);
	return header.size;
}

bool rig_send_raw(int fd, const void *data, size_t size, const int *fds,
		  unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n_fds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == (ssize_t)size;
}

bool rig_send_fds(int fd, uint16_t id, uint16_t command, uint32_t flags,
		  const void *payload, size_t size, const int *fds,
		  unsigned n_fds)
{
	uint8_t *buf = malloc(sizeof(struct vfu_header) + size);
	bool ok;

	if (!buf)
		abort();
	rig_build(buf, id, command, flags, payload, size);
	ok = rig_send_raw(fd, buf, sizeof(struct vfu_header) + size, fds,
			  n_fds);
	free(buf);
	return ok;
}

bool rig_send(int fd, uint16_t id, uint16_t command, uint32_t flags,
	      const void *payload, size_t size)
{
	return rig_send_fds(fd, id, command, flags, payload, size, NULL, 0);
}

static void take_fds(struct msghdr *mh, struct rig_msg *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(mh);

	msg->n_fds = 0;
	if (!c)
		return;
	msg->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(msg->fds, CMSG_DATA(c), msg->n_fds * sizeof(int));
}

ssize_t rig_recv_raw(int fd, void *buf, size_t size, struct rig_msg *msg)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, size };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	ssize_t n;

	n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	if (n >= 0)
		take_fds(&mh, msg);
	return n;
}

bool rig_recv(int fd, struct rig_msg *msg)
{
	ssize_t n;

	n = rig_recv_raw(fd, &msg->header, sizeof(msg->header), msg);
	if (n != sizeof(msg->header))
		return false;
	msg->size = msg->header.size - sizeof(msg->header);
	if (msg->header.size < sizeof(msg->header) ||
	    msg->size > sizeof(msg->payload))
		return false;
	return !msg->size ||
	       recv(fd, msg->payload, msg->size, 0) == (ssize_t)msg->size;
}

void rig_close_fds(struct rig_msg *msg)
{
	while (msg->n_fds)
		close(msg->fds[--msg->n_fds]);
}

bool rig_at_end(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 0;
}
