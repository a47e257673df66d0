/* limit.h - what two CPUs can do at most through shared memory: copy rings
 * and round trips with nothing else around them. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stddef.h>
#include <stdint.h>

/* A measurement: what and how long. */
struct limit_run {
	int device_cpu, guest_cpu;
	uint32_t bytes; /* of a frame */
	uint32_t slots; /* of a ring; a power of two */
	uint32_t batch; /* frames between two looks at the other side */
	uint32_t trips; /* timed as one */
	uint64_t warm_up_ns, duration_ns;
};

/* Frames a second through a copy ring. */
double ring_one_hop(const struct limit_run *run);
double ring_two_hop(const struct limit_run *run);
double ring_two_hop_procs(const struct limit_run *run);

/* Of round trips of a cache line from guest to device and back. */
struct limit_trip {
	double p50_ns, p99_ns;
};

/* Both poll shared memory. */
struct limit_trip trip_poll(const struct limit_run *run);
/* Both sleep, each until its eventfd is written. */
struct limit_trip trip_eventfd(const struct limit_run *run);

/* Zeroed memory that children share, all of it present; exits on failure. */
void *limit_map(size_t size);

#endif
