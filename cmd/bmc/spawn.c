/* spawn.c - fork and exec a program that never outlives bmc. */
#include <config.h>

#include "cmd/bmc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As a shell says it. */
#define STATUS_NOT_FOUND      127
#define STATUS_NOT_EXECUTABLE 126

static void background_fds(const struct spawn *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(s->stderr_fd, 2) < 0)
		_exit(STATUS_NOT_EXECUTABLE);
	/* dup2 of a descriptor to itself leaves its flags, hence fcntl. */
	if (dup2(s->status_fd, SPAWN_READY_FD) < 0 ||
	    fcntl(SPAWN_READY_FD, F_SETFD, s->keep_status ? 0 : FD_CLOEXEC))
		_exit(STATUS_NOT_EXECUTABLE);
	close_range(SPAWN_READY_FD + 1, ~0u, 0);
}

static _Noreturn void run_child(const struct spawn *s, const struct loop *loop,
				pid_t parent)
{
	char failed[1 + sizeof(int)] = { SPAWN_FAILED };
	int fd = s->foreground ? s->status_fd : SPAWN_READY_FD;
	int err;

	/* Whoever kills us before this call is seen by the next. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_NOT_EXECUTABLE);
	signal(SIGPIPE, SIG_DFL);
	loop_unblock_signals(loop);
	if (!s->foreground) {
		setpgid(0, 0);
		background_fds(s);
	}
	/* Not before ours are closed: as long as there are more, none can be
	 * opened. */
	setrlimit(RLIMIT_NOFILE, s->fd_limit);
	if (s->stopped)
		raise(SIGSTOP);
	/* Not execvp for both: a program that the kernel cannot execute would
	 * be run by a shell. */
	if (s->foreground)
		execvp(s->path, s->argv);
	else
		execv(s->path, s->argv);
	err = errno;
	memcpy(failed + 1, &err, sizeof(err));
	if (write(fd, failed, sizeof(failed)) < 0)
		_exit(STATUS_NOT_EXECUTABLE);
	_exit(err == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

int spawn(const struct spawn *s, const struct loop *loop, pid_t *pid,
	  int *pidfd)
{
	pid_t parent = getpid(), child;
	int fd, err;

	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		run_child(s, loop, parent);
	/* On both sides, so that the group is there for either. */
	if (!s->foreground)
		setpgid(child, child);
	fd = pidfd_open(child, 0);
	if (fd < 0) {
		err = -errno;
		kill(child, SIGKILL);
		return err;
	}
	*pid = child;
	*pidfd = fd;
	return 0;
}
