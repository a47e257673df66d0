/* machine.c - the machine directory: find, make, lock, sweep.
 *
 * Everything below the directory is reached through its descriptor and never
 * through a symbolic link, so that nobody can put another directory in the
 * place of one that was checked.
 */
#include <config.h>

#include "libcore/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room that machine_path() may count on behind the directory's own path. */
#define PATH_ROOM    160
#define SWEEP_DEPTH  4
#define SWEEP_PASSES 16

static const char *const folders[] = { "bus", "dev", "ctl", "events" };
#define N_FOLDERS (sizeof(folders) / sizeof(folders[0]))

/* $XDG_RUNTIME_DIR as the standard wants it: relative paths do not count. */
static const char *xdg_runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return dir && dir[0] == '/' ? dir : NULL;
}

char *machine_runtime_dir(char buf[PATH_MAX])
{
	const char *dir = xdg_runtime_dir();

	if (dir)
		strlcpy(buf, dir, PATH_MAX);
	else
		snprintf(buf, PATH_MAX, "/tmp/iovkit-%u", (unsigned)geteuid());
	return buf;
}

/* Only we may be able to put things into it. */
static int check_owner(int fd, const char *path, struct complaint *c)
{
	struct stat st;

	if (fstat(fd, &st))
		return complain(c, errno, "%s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return complain(c, EPERM,
				"%s: belongs to user %u, not to user %u", path,
				(unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 022)
		return complain(c, EPERM,
				"%s: others may write to it (mode %03o)", path,
				(unsigned)st.st_mode & 0777);
	return 0;
}

/* Open (and make) the directory `name` in `parent`; *fd is its descriptor. */
static int open_checked(int parent, const char *name, bool create, bool follow,
			const char *path, int *fd, struct complaint *c)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int dirfd, err;

	if (create && mkdirat(parent, name, 0700) && errno != EEXIST)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	dirfd = openat(parent, name, follow ? flags : flags | O_NOFOLLOW);
	if (dirfd < 0 && errno == ENOENT)
		return complain(c, ENOENT, "%s: no such machine", path);
	if (dirfd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return complain(c, ENOTDIR, "%s: not a directory", path);
	if (dirfd < 0)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	err = check_owner(dirfd, path, c);
	if (err) {
		close(dirfd);
		return err;
	}
	*fd = dirfd;
	return 0;
}

static int make_folders(int dirfd, const char *path, struct complaint *c)
{
	struct stat st;
	unsigned i;

	for (i = 0; i < N_FOLDERS; i++) {
		if (!mkdirat(dirfd, folders[i], 0700))
			continue;
		if (errno != EEXIST)
			return complain(c, errno, "%s/%s: %s", path, folders[i],
					strerror(errno));
		if (fstatat(dirfd, folders[i], &st, AT_SYMLINK_NOFOLLOW))
			return complain(c, errno, "%s/%s: %s", path, folders[i],
					strerror(errno));
		if (!S_ISDIR(st.st_mode))
			return complain(c, ENOTDIR, "%s/%s: not a directory",
					path, folders[i]);
	}
	return 0;
}

/* A name without a slash: in the runtime directory. */
static int open_named(const char *name, bool create, int *fd,
		      struct complaint *c)
{
	char dir[PATH_MAX], path[PATH_MAX + 64];
	bool xdg = xdg_runtime_dir() != NULL;
	int parent, err;

	if (!*name || *name == '.' || strlen(name) > 63)
		return complain(c, EINVAL, "'%s' cannot name a machine", name);
	machine_runtime_dir(dir);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = open_checked(AT_FDCWD, dir, create && !xdg, xdg, dir, &parent, c);
	if (err == -ENOENT && xdg)
		return complain(c, ENOENT, "XDG_RUNTIME_DIR %s: %s", dir,
				strerror(ENOENT));
	if (err == -ENOENT)
		return complain(c, ENOENT, "%s: no such machine", path);
	if (err)
		return err;
	err = open_checked(parent, name, create, false, path, fd, c);
	close(parent);
	return err;
}

/* A path: the last component is not followed when it is a link. */
static int open_by_path(const char *name, bool create, int *fd,
			struct complaint *c)
{
	char path[PATH_MAX];
	size_t len;

	if (strlcpy(path, name, sizeof(path)) >= sizeof(path))
		return complain(c, ENAMETOOLONG, "%.40s...: %s", name,
				strerror(ENAMETOOLONG));
	for (len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = 0;
	return open_checked(AT_FDCWD, path, create, false, path, fd, c);
}

/* The absolute path of an open directory. */
static int path_of(int fd, char dir[PATH_MAX], struct complaint *c)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, dir, PATH_MAX);
	if (n < 0)
		return complain(c, errno, "%s: %s", link, strerror(errno));
	if (n > PATH_MAX - PATH_ROOM)
		return complain(c, ENAMETOOLONG, "machine directory: %s",
				strerror(ENAMETOOLONG));
	dir[n] = 0;
	return 0;
}

int machine_open(struct machine *m, const char *name, int flags,
		 struct complaint *c)
{
	bool create = flags & MACHINE_CREATE;
	int fd = -1, err;

	m->dirfd = -1;
	if (!name) {
		name = getenv("IOVKIT_MACHINE");
		if (!name || !*name)
			name = "m0";
	}
	if (strchr(name, '/'))
		err = open_by_path(name, create, &fd, c);
	else
		err = open_named(name, create, &fd, c);
	if (err)
		return err;
	err = path_of(fd, m->dir, c);
	if (!err && create)
		err = make_folders(fd, m->dir, c);
	if (err) {
		close(fd);
		return err;
	}
	strlcpy(m->name, strrchr(m->dir, '/') + 1, sizeof(m->name));
	m->dirfd = fd;
	return 0;
}

void machine_close(struct machine *m)
{
	if (m->dirfd >= 0)
		close(m->dirfd);
	m->dirfd = -1;
}

char *machine_path(const struct machine *m, char *buf, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	n = (size_t)snprintf(buf, PATH_MAX, "%s/", m->dir);
	va_start(ap, fmt);
	vsnprintf(buf + n, PATH_MAX - n, fmt, ap);
	va_end(ap);
	return buf;
}

static int read_pid(int fd)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	return n > 0 ? (int)strtol(text, NULL, 10) : 0;
}

static int write_pid(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

int machine_lock(const struct machine *m, int *fd, struct complaint *c)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int lock, pid, err;

	lock = openat(m->dirfd, "lock",
		      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0)
		return complain(c, errno, "%s/lock: %s", m->dir,
				strerror(errno));
	if (fcntl(lock, F_OFD_SETLK, &fl)) {
		err = errno;
		pid = read_pid(lock);
		close(lock);
		if (err != EAGAIN && err != EACCES)
			return complain(c, err, "%s/lock: %s", m->dir,
					strerror(err));
		return complain(c, EEXIST, "machine %s runs already (pid %d)",
				m->name, pid);
	}
	err = write_pid(lock);
	if (err) {
		close(lock);
		return complain(c, -err, "%s/lock: %s", m->dir, strerror(-err));
	}
	*fd = lock;
	return 0;
}

bool machine_is_locked(const struct machine *m, int *pid)
{
	/* Asking takes no lock, so it never gets into a starter's way. */
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool locked;
	int fd;

	if (pid)
		*pid = 0;
	fd = openat(m->dirfd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	locked = !fcntl(fd, F_OFD_GETLK, &fl) && fl.l_type != F_UNLCK;
	if (locked && pid)
		*pid = read_pid(fd);
	close(fd);
	return locked;
}

static int sweep_folder(int parent, const char *name, unsigned depth);

/* Remove one entry of an open folder, a folder with all it holds. */
static int sweep_entry(int dirfd, const char *name, unsigned depth)
{
	int err;

	if (!unlinkat(dirfd, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (!depth)
		return -ELOOP;
	err = sweep_folder(dirfd, name, depth - 1);
	if (err)
		return err;
	return unlinkat(dirfd, name, AT_REMOVEDIR) ? -errno : 0;
}

/* Empty a folder.  Reading while removing may skip entries: look again until
 * a pass finds nothing. */
static int sweep_folder(int parent, const char *name, unsigned depth)
{
	unsigned found = 1, pass;
	struct dirent *e;
	int fd, err = 0;
	DIR *dir;

	fd = openat(parent, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	for (pass = 0; !err && found && pass < SWEEP_PASSES; pass++) {
		found = 0;
		rewinddir(dir);
		while (!err && (e = readdir(dir))) {
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			found++;
			err = sweep_entry(fd, e->d_name, depth);
		}
	}
	closedir(dir);
	return err;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

/* Whether it may be a machine's: a socket or a folder of them, an event log.
 * A link holds nothing itself. */
static bool is_of_machine(const char *name, mode_t mode)
{
	return S_ISSOCK(mode) || S_ISDIR(mode) || S_ISLNK(mode) ||
	       ends_with(name, ".sock") || ends_with(name, ".jsonl");
}

/* A folder in which somebody keeps something else is not ours to empty. */
static int check_folder(int parent, const char *name, const char *path,
			unsigned depth, struct complaint *c)
{
	char sub[PATH_MAX];
	struct dirent *e;
	struct stat st;
	int fd, err = 0;
	DIR *dir;

	fd = openat(parent, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0; /* sweep_folder() says why */
	}
	while (!err && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (!is_of_machine(e->d_name, st.st_mode))
			err = complain(c, EINVAL,
				       "%s: no machine made this; nothing is "
				       "removed",
				       sub);
		else if (S_ISDIR(st.st_mode) && depth)
			err = check_folder(fd, e->d_name, sub, depth - 1, c);
	}
	closedir(dir);
	return err;
}

int machine_sweep(const struct machine *m, struct complaint *c)
{
	char path[PATH_MAX];
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < N_FOLDERS; i++)
		err = check_folder(m->dirfd, folders[i],
				   machine_path(m, path, "%s", folders[i]),
				   SWEEP_DEPTH, c);
	if (err)
		return err;
	for (i = 0; i < N_FOLDERS; i++) {
		err = sweep_folder(m->dirfd, folders[i], SWEEP_DEPTH);
		if (err)
			return complain(c, -err, "%s/%s: %s", m->dir,
					folders[i], strerror(-err));
	}
	if (unlinkat(m->dirfd, "state", 0) && errno != ENOENT)
		return complain(c, errno, "%s/state: %s", m->dir,
				strerror(errno));
	return 0;
}
