/* spawn.h - fork and exec a program that never outlives bmc. */
#ifndef BMC_SPAWN_H
#define BMC_SPAWN_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "libcore/loop.h"

/* The descriptor on which a supervised program says that it is ready. */
#define SPAWN_READY_FD 3

/* What a child that could not be executed writes to the status fd: SPAWN_
 * FAILED, then an int, the errno. */
#define SPAWN_FAILED 'E'

struct spawn {
	const char *path; /* in the foreground looked up in PATH */
	char *const *argv;
	const struct rlimit *fd_limit; /* how many descriptors it may have */
	int status_fd;    /* write end: closed by exec, or kept for readiness */
	bool stopped;     /* it stands before it is executed, until SIGCONT */
	bool keep_status; /* exec leaves it open, as SPAWN_READY_FD */
	/* In the foreground a child has our standard fds and process group;
	 * else /dev/null for input and output, stderr_fd, a group of its own
	 * and no other descriptor. */
	bool foreground;
	int stderr_fd;
};

/* *pid is a child that dies with us (PR_SET_PDEATHSIG), *pidfd names it;
 * 0 or -errno. */
int spawn(const struct spawn *s, const struct loop *loop, pid_t *pid,
	  int *pidfd) __attribute__((warn_unused_result));

#endif
