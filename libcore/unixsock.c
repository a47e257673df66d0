/* unixsock.c - AF_UNIX stream sockets: listen, connect, peer.
 *
 * Theory of operation
 *
 * sun_path takes 107 bytes.  A longer path is reached through its directory,
 * held open: /proc/self/fd/N/NAME is short.
 *
 * A listener binds under a hidden name beside the wanted one, listens, and is
 * then renamed, so that whoever sees the name (inotify: IN_MOVED_TO) can
 * connect at once.  The kernel finds a socket by its inode, so the new name
 * is as good as the one that was bound.
 */
#include <config.h>

#include "libcore/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* A path taken apart. */
struct place {
	int dirfd;
	const char *name; /* last component, points into the path */
};

static int place_open(struct place *p, const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len;

	p->name = slash ? slash + 1 : path;
	if (!*p->name)
		return -EINVAL;
	len = slash ? (size_t)(slash - path) : 0;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = 0;
	if (!len)
		strcpy(dir, slash ? "/" : ".");
	p->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dirfd < 0 ? -errno : 0;
}

/* The address of `name` in the directory. */
static int place_address(const struct place *p, const char *name,
			 struct sockaddr_un *sa)
{
	int n;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s",
		     p->dirfd, name);
	return n < (int)sizeof(sa->sun_path) ? 0 : -ENAMETOOLONG;
}

static int stream_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int connect_at(const struct place *p)
{
	struct sockaddr_un sa;
	int fd, err;

	err = place_address(p, p->name, &sa);
	if (err)
		return err;
	fd = stream_socket();
	if (fd < 0)
		return fd;
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int unixsock_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct place p;
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		err = place_open(&p, path);
		if (err)
			return err;
		fd = connect_at(&p);
		close(p.dirfd);
		return fd;
	}
	fd = stream_socket();
	if (fd < 0)
		return fd;
	strcpy(sa.sun_path, path);
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Make way for a new listener: 0 when nobody answers under the name. */
static int remove_stale(const struct place *p)
{
	struct stat st;
	int fd;

	if (fstatat(p->dirfd, p->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = connect_at(p);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -EAGAIN)
		return -EADDRINUSE;
	if (fd == -ENOENT)
		return 0;
	if (fd != -ECONNREFUSED)
		return fd;
	if (unlinkat(p->dirfd, p->name, 0) && errno != ENOENT)
		return -errno;
	return 0;
}

/* Of two that start at the same moment the second finds the name taken. */
static int rename_in_place(const struct place *p, const char *aside)
{
	if (!renameat2(p->dirfd, aside, p->dirfd, p->name, RENAME_NOREPLACE))
		return 0;
	if (errno == EEXIST)
		return -EADDRINUSE;
	if (errno != EINVAL)
		return -errno;
	/* This file system cannot refuse to replace. */
	return renameat(p->dirfd, aside, p->dirfd, p->name) ? -errno : 0;
}

static int listen_at(const struct place *p)
{
	char aside[NAME_MAX + 1];
	struct sockaddr_un sa;
	int fd, err;

	snprintf(aside, sizeof(aside), ".%.64s.%d", p->name, (int)getpid());
	err = place_address(p, aside, &sa);
	if (err)
		return err;
	fd = stream_socket();
	if (fd < 0)
		return fd;
	unlinkat(p->dirfd, aside, 0);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		goto fail_bind;
	}
	if (listen(fd, BACKLOG)) {
		err = -errno;
		goto fail;
	}
	err = rename_in_place(p, aside);
	if (!err)
		return fd;
fail:
	unlinkat(p->dirfd, aside, 0);
fail_bind:
	close(fd);
	return err;
}

int unixsock_listen(const char *path, struct complaint *c)
{
	struct place p;
	int err;

	err = place_open(&p, path);
	if (err)
		return complain(c, -err, "%s: %s", path, strerror(-err));
	err = remove_stale(&p);
	if (!err)
		err = listen_at(&p);
	close(p.dirfd);
	if (err == -EADDRINUSE)
		return complain(c, EADDRINUSE, "%s: somebody listens there",
				path);
	if (err == -EEXIST)
		return complain(c, EEXIST, "%s: not a socket, left alone",
				path);
	if (err < 0)
		return complain(c, -err, "%s: %s", path, strerror(-err));
	return err;
}

pid_t unixsock_peer(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return 0;
	return cred.pid;
}

int unixsock_accept(int fd)
{
	int conn;

	do
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (conn < 0 && (errno == EINTR || errno == ECONNABORTED));
	return conn < 0 ? -errno : conn;
}
