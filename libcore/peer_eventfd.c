/* peer_eventfd.c - eventfds that a peer has, too; see peer_eventfd.h */
#include <config.h>

#include "libcore/peer_eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int peer_eventfd_accept(int fd)
{
	static const char kind[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(kind)];
	ssize_t size;
	int flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	size = readlink(path, target, sizeof(target));
	if (size != sizeof(kind) - 1 || memcmp(target, kind, (size_t)size) != 0)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

void peer_eventfd_raise(int fd)
{
	const uint64_t one = 1;
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	/* There is no write that takes RWF_NOWAIT here.  O_NONBLOCK, which
	 * is set as a rule, covers a peer that fills the counter between. */
	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		return;
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

uint64_t peer_eventfd_take(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;
	struct iovec iov = { &count, sizeof(count) };
	ssize_t n;

	do {
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	} while (n < 0 && errno == EINTR);
	/* Where the kernel has no RWF_NOWAIT for eventfds. */
	if (n < 0 && errno == EOPNOTSUPP && poll(&ready, 1, 0) == 1)
		n = read(fd, &count, sizeof(count));
	return n == sizeof(count) ? count : 0;
}
