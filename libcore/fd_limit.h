/* fd_limit.h - how many descriptors a process may have open.
 *
 * A machine of a thousand guests needs some thousands in one process, more than
 * the customary 1024; our programs wait with epoll, for which any number does.
 */
#ifndef IOVKIT_FD_LIMIT_H
#define IOVKIT_FD_LIMIT_H

#include <sys/resource.h>

#include "libcore/complaint.h"

/* Raise it as far as is allowed.  *before (may be NULL) is what it was. */
void fd_limit_raise(struct rlimit *before);
/* After that: whether `n` may be open.  -EMFILE with *c, which names `what`
 * needs them ("1200 programs"). */
int fd_limit_check(unsigned n, const char *what, struct complaint *c)
	__attribute__((warn_unused_result));

#endif
