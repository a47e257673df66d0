/* steps_eventfd.c - descriptors to send, and what their other owner can do */
#include <config.h>

#include "t/tool/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static int step_fds(struct tool *t, char **word, unsigned n)
{
	uint64_t count = number(word[1]);
	int fd;

	(void)n;
	while (t->peer.n_fds < count && t->peer.n_fds < PEER_FDS) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		t->peer.fds[t->peer.n_fds++] = fd;
		if (t->n_kept < PEER_FDS)
			t->kept[t->n_kept++] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return 0;
}

/* The first of the descriptors that GET_REGION_IO_FDS gives. */
static int step_doorbell(struct tool *t, char **word, unsigned n)
{
	const struct vfu_io_fds ask = { .argsz = 4096 };
	int err;

	(void)word, (void)n;
	t->peer.in_fd = -1;
	err = peer_ask(&t->peer, VFU_GET_REGION_IO_FDS, &ask, sizeof(ask));
	if (err)
		return err;
	if (t->peer.in_fd < 0 || t->n_kept == PEER_FDS)
		return -ENOENT;
	t->kept[t->n_kept++] = t->peer.in_fd;
	return 0;
}

/* O_NONBLOCK belongs to both ends. */
static int step_block(struct tool *t, char **word, unsigned n)
{
	unsigned i;

	(void)word, (void)n;
	for (i = 0; i < t->n_kept; i++)
		if (fcntl(t->kept[i], F_SETFL, 0) < 0)
			return -errno;
	return 0;
}

static int step_fill(struct tool *t, char **word, unsigned n)
{
	const uint64_t most = UINT64_MAX - 1;
	struct pollfd full;
	unsigned i;

	(void)word, (void)n;
	for (i = 0; i < t->n_kept; i++) {
		full = (struct pollfd){ t->kept[i], POLLIN, 0 };
		if (poll(&full, 1, 0) == 1)
			continue;
		if (write(t->kept[i], &most, sizeof(most)) < 0)
			return -errno;
	}
	return 0;
}

/* Ring and take it back at once, again and again. */
static int step_tease(struct tool *t, char **word, unsigned n)
{
	uint64_t left = number(word[1]), one = 1, count;
	int fd = t->n_kept ? t->kept[t->n_kept - 1] : -1;
	struct pollfd there = { fd, POLLIN, 0 };

	(void)n;
	while (left--) {
		if (write(fd, &one, sizeof(one)) < 0)
			return -errno;
		if (poll(&there, 1, 0) == 1 &&
		    preadv2(fd, &(struct iovec){ &count, sizeof(count) }, 1, -1,
			    RWF_NOWAIT) < 0 &&
		    errno != EAGAIN)
			return -errno;
	}
	return 0;
}

static int step_files(struct tool *t, char **word, unsigned n)
{
	uint64_t count = number(word[1]);
	int fd;

	(void)n;
	while (t->peer.n_fds < count && t->peer.n_fds < PEER_FDS) {
		fd = memfd_create("test", MFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		t->peer.fds[t->peer.n_fds++] = fd;
	}
	return 0;
}

const struct step eventfd_steps[] = {
	{ "fds", 2, 2, step_fds, "N: eventfds to go with the next message" },
	{ "files", 2, 2, step_files, "N: empty files likewise" },
	{ "doorbell", 1, 1, step_doorbell, "take the first there is" },
	{ "block", 1, 1, step_block, "no O_NONBLOCK on eventfds we have" },
	{ "fill", 1, 1, step_fill, "their counters" },
	{ "tease", 2, 2, step_tease, "N: ring and take it back" },
	{ NULL, 0, 0, NULL, NULL },
};
