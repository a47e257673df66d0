/* peer_eventfd_test.c - eventfds whose other owner wants us to wait. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/peer_eventfd.h"
#include "t/unit/unit.h"

/* What a peer does after it gave us the eventfd. */
static void make_blocking(int fd)
{
	CHECK_INT(fcntl(fd, F_SETFL, 0), 0);
}

static void test_accept(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), file, pipes[2];

	CHECK_INT(peer_eventfd_accept(fd), 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	CHECK_INT(peer_eventfd_accept(fd), -EINVAL);
	file = memfd_create("[eventfd]", MFD_CLOEXEC);
	CHECK_INT(peer_eventfd_accept(file), -EINVAL);
	close(file);
	CHECK_INT(pipe2(pipes, O_CLOEXEC), 0);
	CHECK_INT(peer_eventfd_accept(pipes[1]), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_take(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	make_blocking(fd);
	CHECK_INT(peer_eventfd_take(fd), 0);
	peer_eventfd_raise(fd);
	peer_eventfd_raise(fd);
	CHECK_INT(peer_eventfd_take(fd), 2);
	CHECK_INT(peer_eventfd_take(fd), 0);
	close(fd);
}

static void test_full(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	CHECK_INT(eventfd_write(fd, UINT64_MAX - 1), 0);
	make_blocking(fd);
	peer_eventfd_raise(fd);
	CHECK(peer_eventfd_take(fd) == UINT64_MAX - 1);
	peer_eventfd_raise(fd);
	CHECK_INT(peer_eventfd_take(fd), 1);
	close(fd);
}

static const struct unit_case cases[] = {
	{ "accept", test_accept },
	{ "take", test_take },
	{ "full", test_full },
	{ NULL, NULL },
};

const struct unit_suite peer_eventfd_suite = { "peer_eventfd", cases };
