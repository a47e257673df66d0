/* unixsock_test.c - sockets with short and long paths, stale and live. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libcore/unixsock.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"

/* Whether a listener at path can be reached and talked with. */
static void check_talks(int listener, const char *path)
{
	char byte = 0;
	int a, b;

	CHECK(listener >= 0);
	CHECK_INT(unixsock_accept(listener), -EAGAIN);
	a = unixsock_connect(path);
	CHECK(a >= 0);
	b = unixsock_accept(listener);
	CHECK(b >= 0);
	CHECK(fcntl(a, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(b, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(a, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(b, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(unixsock_peer(a), getpid());
	CHECK_INT(unixsock_peer(b), getpid());
	CHECK_INT(write(a, "x", 1), 1);
	CHECK_INT(read(b, &byte, 1), 1);
	CHECK_INT(byte, 'x');
	close(a);
	close(b);
}

static unsigned count_entries(const char *dir)
{
	unsigned n = 0;
	DIR *d = opendir(dir);

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void test_talk(void)
{
	char path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	int fd;

	scratch_make(&s);
	scratch_path(&s, path, "x.sock");
	fd = unixsock_listen(path, &c);
	check_talks(fd, path);
	/* Nothing but the socket lies there. */
	CHECK_INT(count_entries(s.dir), 1);
	close(fd);
	scratch_remove(&s);
}

static void test_relative(void)
{
	struct complaint c;
	struct scratch s;
	int fd, cwd;

	scratch_make(&s);
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(chdir(s.dir), 0);
	fd = unixsock_listen("x.sock", &c);
	check_talks(fd, "x.sock");
	CHECK_INT(fchdir(cwd), 0);
	close(cwd);
	close(fd);
	scratch_remove(&s);
}

static void test_long_path(void)
{
	char part[64], dir[PATH_MAX], path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	unsigned i;
	int fd;

	scratch_make(&s);
	memset(part, 'd', sizeof(part) - 1);
	part[sizeof(part) - 1] = 0;
	strcpy(dir, s.dir);
	for (i = 0; i < 5; i++) {
		strcat(strcat(dir, "/"), part);
		CHECK_INT(mkdir(dir, 0700), 0);
	}
	snprintf(path, sizeof(path), "%.4000s/vf64.sock", dir);
	CHECK(strlen(path) > 300);
	fd = unixsock_listen(path, &c);
	check_talks(fd, path);
	CHECK_INT(unixsock_listen(path, &c), -EADDRINUSE);
	close(fd);
	CHECK_INT(unixsock_connect(path), -ECONNREFUSED);
	fd = unixsock_listen(path, &c);
	check_talks(fd, path);
	close(fd);
	scratch_remove(&s);
}

/* Each length around the limit, where the name aside is the longer one. */
static void test_every_length(void)
{
	char path[PATH_MAX], name[64];
	struct complaint c;
	struct scratch s;
	size_t base, len;
	int fd;

	scratch_make(&s);
	base = strlen(s.dir) + 1;
	for (len = 90; len < 112 && len < base + sizeof(name); len++) {
		if (len <= base)
			continue;
		memset(name, 'n', len - base);
		name[len - base] = 0;
		scratch_path(&s, path, name);
		fd = unixsock_listen(path, &c);
		check_talks(fd, path);
		close(fd);
	}
	scratch_remove(&s);
}

static void test_stale_and_live(void)
{
	char path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	int fd, other;

	scratch_make(&s);
	scratch_path(&s, path, "x.sock");
	CHECK_INT(unixsock_connect(path), -ENOENT);
	fd = unixsock_listen(path, &c);
	CHECK_INT(unixsock_listen(path, &c), -EADDRINUSE);
	CHECK_HAS(c.text, path);
	CHECK_INT(count_entries(s.dir), 1);
	/* The one who asked is a connection that ended. */
	other = unixsock_accept(fd);
	CHECK(other >= 0);
	close(other);
	check_talks(fd, path);
	close(fd);

	CHECK_INT(unixsock_connect(path), -ECONNREFUSED);
	fd = unixsock_listen(path, &c);
	check_talks(fd, path);
	close(fd);
	scratch_remove(&s);
}

static void test_refused(void)
{
	char path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	int fd;

	scratch_make(&s);
	fd = open(scratch_path(&s, path, "file"), O_CREAT | O_WRONLY, 0600);
	close(fd);
	CHECK_INT(unixsock_listen(path, &c), -EEXIST);
	CHECK(!access(path, F_OK));
	CHECK_INT(unixsock_listen(scratch_path(&s, path, "no/x"), &c), -ENOENT);
	CHECK_INT(unixsock_listen(scratch_path(&s, path, "x/"), &c), -EINVAL);
	CHECK_INT(unixsock_listen("", &c), -EINVAL);
	scratch_remove(&s);
}

/* A listener that accepts nobody does not block who connects. */
static void test_backlog(void)
{
	char path[PATH_MAX];
	int fds[1024], fd, err = 0;
	struct complaint c;
	struct scratch s;
	unsigned n;

	scratch_make(&s);
	fd = unixsock_listen(scratch_path(&s, path, "x.sock"), &c);
	for (n = 0; n < 1000; n++) {
		fds[n] = unixsock_connect(path);
		if (fds[n] < 0) {
			err = fds[n];
			break;
		}
	}
	CHECK_INT(err, -EAGAIN);
	CHECK_INT(unixsock_listen(path, &c), -EADDRINUSE);
	while (n--)
		close(fds[n]);
	close(fd);
	scratch_remove(&s);
}

static const struct unit_case cases[] = {
	{ "talk", test_talk },
	{ "relative", test_relative },
	{ "long_path", test_long_path },
	{ "every_length", test_every_length },
	{ "stale_and_live", test_stale_and_live },
	{ "refused", test_refused },
	{ "backlog", test_backlog },
	{ NULL, NULL },
};

const struct unit_suite unixsock_suite = { "unixsock", cases };
