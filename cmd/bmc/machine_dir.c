/* machine_dir.c - take the machine's directory over, and leave it tidy. */
#include <config.h>

#include "cmd/bmc/bmc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcore/unixsock.h"

/* How long children of a bmc that was killed may take to be gone. */
#define DYING_MS 1000

/* Call fn for every socket in a folder and in its folders; stops at the first
 * that returns nonzero, and returns that. */
typedef int socket_fn(const char *path, void *arg);

static int each_socket(const char *folder, socket_fn *fn, void *arg)
{
	char path[PATH_MAX + 256];
	struct dirent *e;
	struct stat st;
	int err = 0;
	DIR *dir;

	dir = opendir(folder);
	if (!dir)
		return 0;
	while (!err && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (strlen(path) >= PATH_MAX || lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			err = each_socket(path, fn, arg);
		else if (S_ISSOCK(st.st_mode))
			err = fn(path, arg);
	}
	closedir(dir);
	return err;
}

/* Wait for the process to end; false: it goes on. */
static bool is_dying(pid_t pid)
{
	struct pollfd end = { .events = POLLIN };
	int n;

	end.fd = pidfd_open(pid, 0);
	if (end.fd < 0)
		return errno == ESRCH;
	n = poll(&end, 1, DYING_MS);
	close(end.fd);
	return n == 1;
}

/* Whoever serves a control socket lives; a bmc's children die with it, but
 * not in the same moment. */
static int check_nobody(const char *path, void *arg)
{
	const char *file = strrchr(path, '/') + 1;
	int fd = unixsock_connect(path);
	struct complaint *c = arg;
	pid_t pid;

	if (fd < 0 && fd != -EAGAIN)
		return 0;
	pid = fd < 0 ? 0 : unixsock_peer(fd);
	if (fd >= 0)
		close(fd);
	if (pid && is_dying(pid))
		return 0;
	return complain(c, EEXIST, "%.*s (pid %d) runs in this machine already",
			(int)strcspn(file, "."), file, (int)pid);
}

int bmc_take_machine(const char *name, int *lock_fd, struct complaint *c)
{
	char path[PATH_MAX];
	struct machine m;
	int err;

	err = machine_open(&m, name, MACHINE_CREATE, c);
	if (err)
		return err;
	err = machine_lock(&m, lock_fd, c);
	if (!err)
		err = each_socket(machine_path(&m, path, "ctl"), check_nobody,
				  c);
	if (!err)
		err = machine_sweep(&m, c);
	machine_close(&m);
	return err;
}

static int remove_dead(const char *path, void *arg)
{
	int fd = unixsock_connect(path);

	(void)arg;
	if (fd >= 0)
		close(fd);
	else if (fd == -ECONNREFUSED)
		unlink(path);
	return 0;
}

void bmc_remove_sockets(const struct machine *m)
{
	static const char *const folders[] = { "bus", "dev", "ctl" };
	char path[PATH_MAX];
	unsigned i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		each_socket(machine_path(m, path, "%s", folders[i]),
			    remove_dead, NULL);
}
