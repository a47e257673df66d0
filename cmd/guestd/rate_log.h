/* rate_log.h - how many frames are sent and received in each millisecond. */
#ifndef GUESTD_RATE_LOG_H
#define GUESTD_RATE_LOG_H

#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"

struct guest;

struct rate_log {
	struct guest *guest; /* NULL: it does not run */
	int fd;
	uint64_t sent, received; /* at the line before */
	struct loop_timer timer;
};

/* Append to the file a line each millisecond: nanoseconds of CLOCK_MONOTONIC,
 * frames sent and received since the line before, over all VFs.  -errno. */
int rate_log_start(struct rate_log *r, struct guest *g, const char *path,
		   struct complaint *c) __attribute__((warn_unused_result));
void rate_log_fini(struct rate_log *r);

#endif
