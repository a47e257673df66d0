/* relay.h - three processes in a row, A asks B, B asks C, and back. */
#ifndef IOVKIT_BENCH_RELAY_H
#define IOVKIT_BENCH_RELAY_H

#include <stdbool.h>
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

#define SWEEP_MAX_SOCKETS 256u

/* What A measures of sweeps over many sockets between B and C. */
struct sweep_run {
	unsigned sockets;
	unsigned warm_up; /* sweeps */
	unsigned sweeps;
	uint64_t rest_ns; /* before each; 0: back to back */
	uint64_t *ns;     /* of each; result */
};

int sweep_ask(int fd, struct sweep_run *run);
int sweep_relay(int front, const int *back, unsigned n);
int sweep_answer(const int *fds, unsigned n);

extern const struct relay_kind relay_bare;  /* recv() and send() on epoll */
extern const struct relay_kind relay_codec; /* libcore's client and server */

#endif
