/* stderr_relay.h - a program's standard error, line by line, with its name in
 * front, to bmc's. */
#ifndef BMC_STDERR_RELAY_H
#define BMC_STDERR_RELAY_H

#include <stddef.h>

#include "libcore/loop.h"

/* A longer line is passed on in pieces. */
#define RELAY_LINE_MAX 2048

struct stderr_relay {
	const char *name;
	int fd; /* read end, -1 when closed */
	struct loop_watch watch;
	size_t used;
	unsigned long lost; /* lines that our reader did not take */
	char line[RELAY_LINE_MAX];
};

/* Make the pipe; *write_fd is for the program, the caller closes it. */
int stderr_relay_open(struct stderr_relay *r, struct loop *loop,
		      const char *name, int *write_fd)
	__attribute__((warn_unused_result));
/* Pass on what is there, and close. */
void stderr_relay_close(struct stderr_relay *r);

#endif
