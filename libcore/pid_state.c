/* pid_state.c - what the kernel tells of another process, most of it in
 * /proc/PID/stat. */
#include <config.h>

#include "libcore/pid_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* PF_EXITING of the kernel's flags, which proc(5) leaves to its source. */
#define FLAG_EXITING 0x4u

struct pid_state {
	char state; /* R, S, T ... */
	unsigned flags;
	unsigned long pending; /* signals, bit n - 1 for signal n */
};

static bool read_state(pid_t pid, struct pid_state *s)
{
	char path[64], text[512];
	const char *after;
	ssize_t n;
	int fd;

	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	after = strrchr(text, ')'); /* the name may hold anything */
	/* Fields 3, 9 and 31. */
	return after &&
	       sscanf(after,
		      ") %c %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s "
		      "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		      "%*s %*s %lu",
		      &s->state, &s->flags, &s->pending) == 3;
}

bool pid_exists(pid_t pid)
{
	/* One that we may not signal is there. */
	return pid > 0 && (!kill(pid, 0) || errno != ESRCH);
}

bool pid_is_stopped(pid_t pid)
{
	struct pid_state s;

	return read_state(pid, &s) && (s.state == 'T' || s.state == 't');
}

bool pid_is_exiting(pid_t pid)
{
	struct pid_state s;

	return read_state(pid, &s) &&
	       (s.flags & FLAG_EXITING || s.pending & 1ul << (SIGKILL - 1));
}
