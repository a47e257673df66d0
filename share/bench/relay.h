/* relay.h - three processes in a row, A asks B, B asks C, and back. */
#ifndef IOVKIT_BENCH_RELAY_H
#define IOVKIT_BENCH_RELAY_H

#include <stdint.h>

#include "libcore/vfu_proto.h"

/* A 4-byte register read on the wire. */
#define RELAY_REQUEST_BYTES \
	(sizeof(struct vfu_header) + sizeof(struct vfu_region_access))
#define RELAY_REPLY_BYTES (RELAY_REQUEST_BYTES + 4)

/* What A measures: first some requests to warm up, then until the time is
 * over. */
struct relay_run {
	unsigned outstanding;
	uint64_t warm_up; /* requests */
	uint64_t duration_ns;
	uint64_t replies; /* results */
	uint64_t elapsed_ns;
};

/* How the three speak; 0 or -errno, B and C return when the other end hangs
 * up.  fds are taken. */
struct relay_kind {
	const char *name;
	int (*ask)(int fd, struct relay_run *run);
	int (*relay)(int asker_fd, int answerer_fd);
	int (*answer)(int fd);
};

extern const struct relay_kind relay_bare;  /* recv() and send() on epoll */
extern const struct relay_kind relay_codec; /* libcore's client and server */

#endif
