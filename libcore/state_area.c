/* state_area.c - the hypervisor state area, file "state" of the machine. */
#include <config.h>

#include "libcore/state_area.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CAUSE_NONE,
	CAUSE_BEING_WRITTEN,
	CAUSE_WRITTEN
};

static int fill(int fd)
{
	struct state_area area = {
		.magic = STATE_AREA_MAGIC,
		.version = STATE_AREA_VERSION,
		.size = STATE_AREA_SIZE,
	};

	if (pwrite(fd, &area, sizeof(area), 0) != (ssize_t)sizeof(area))
		return errno ? -errno : -ENOSPC;
	return 0;
}

/* Make the file aside, then give it its name: nobody sees half a file, and
 * what still maps an older one does not see the new one.  -EEXIST: not fresh
 * and another program was first. */
static int create(int dirfd, bool fresh)
{
	char aside[32];
	int fd, err;

	snprintf(aside, sizeof(aside), ".state.%d", (int)getpid());
	unlinkat(dirfd, aside, 0);
	fd = openat(dirfd, aside,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = fill(fd);
	if (!err && fresh && renameat(dirfd, aside, dirfd, "state"))
		err = -errno;
	if (!err && !fresh && linkat(dirfd, aside, dirfd, "state", 0))
		err = -errno;
	if (err || !fresh)
		unlinkat(dirfd, aside, 0);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int open_or_create(int dirfd, bool fresh)
{
	unsigned tries;
	int fd;

	/* The file may come and go between the two steps, but not for long. */
	for (tries = 0; tries < 8; tries++) {
		if (!fresh) {
			fd = openat(dirfd, "state",
				    O_RDWR | O_NOFOLLOW | O_CLOEXEC);
			if (fd >= 0 || errno != ENOENT)
				return fd < 0 ? -errno : fd;
		}
		fd = create(dirfd, fresh);
		if (fd != -EEXIST)
			return fd;
	}
	return -EAGAIN;
}

static int check(int fd)
{
	uint32_t head[3];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)STATE_AREA_SIZE)
		return -EBADMSG;
	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return -EBADMSG;
	if (head[0] != STATE_AREA_MAGIC || head[1] != STATE_AREA_VERSION ||
	    head[2] != STATE_AREA_SIZE)
		return -EBADMSG;
	return 0;
}

int state_area_map(const struct machine *m, int fresh, struct state_area **area,
		   struct complaint *c)
{
	void *map = MAP_FAILED;
	int fd, err;

	fd = open_or_create(m->dirfd, fresh);
	if (fd < 0)
		return complain(c, -fd, "%s/state: %s", m->dir, strerror(-fd));
	err = check(fd);
	if (!err) {
		map = mmap(NULL, STATE_AREA_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			err = -errno;
	}
	close(fd);
	if (err == -EBADMSG)
		return complain(c, EBADMSG,
				"%s/state: not a state area of version %u",
				m->dir, STATE_AREA_VERSION);
	if (err)
		return complain(c, -err, "%s/state: %s", m->dir,
				strerror(-err));
	*area = map;
	return 0;
}

void state_area_unmap(struct state_area *area)
{
	if (area)
		munmap(area, STATE_AREA_SIZE);
}

struct state_peer *state_area_peer(struct state_area *area, uint32_t vm,
				   bool make)
{
	struct state_peer *peer;
	uint32_t free;
	unsigned i;

	for (i = 0; area && i < STATE_PEERS; i++)
		if (atomic_load(&area->peer[i].vm) == vm)
			return &area->peer[i];
	for (i = 0; area && make && i < STATE_PEERS; i++) {
		peer = &area->peer[i];
		free = 0;
		/* Another process of this VM may be as fast. */
		if (atomic_compare_exchange_strong(&peer->vm, &free, vm) ||
		    free == vm)
			return peer;
	}
	return NULL;
}

void state_area_set_cause(struct state_area *area, const char *text)
{
	uint32_t none = CAUSE_NONE;

	if (!area)
		return;
	if (!atomic_compare_exchange_strong_explicit(
		    &area->shutdown, &none, CAUSE_BEING_WRITTEN,
		    memory_order_relaxed, memory_order_relaxed))
		return;
	strlcpy(area->cause, text, sizeof(area->cause));
	/* S1: release, pairs with S2 in state_area_cause(). */
	atomic_store_explicit(&area->shutdown, CAUSE_WRITTEN,
			      memory_order_release);
}

const char *state_area_cause(const struct state_area *area)
{
	/* S2: acquire, pairs with S1 in state_area_set_cause(). */
	if (!area ||
	    atomic_load_explicit(&area->shutdown, memory_order_acquire) !=
		    CAUSE_WRITTEN)
		return NULL;
	return area->cause;
}
