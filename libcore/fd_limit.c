/* fd_limit.c - how many descriptors a process may have open. */
#include <config.h>

#include "libcore/fd_limit.h"

#include <errno.h>

void fd_limit_raise(struct rlimit *before)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
	if (before)
		*before = limit;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int fd_limit_check(unsigned n, const char *what, struct complaint *c)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || n <= limit.rlim_cur)
		return 0;
	return complain(c, EMFILE,
			"%s need %u descriptors, and %llu are allowed "
			"(ulimit -Hn)",
			what, n, (unsigned long long)limit.rlim_cur);
}
