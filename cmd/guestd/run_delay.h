/* run_delay.h - how long another process was ready to run and got no CPU, by
 * what /proc tells of it. */
#ifndef IOVKIT_GUESTD_RUN_DELAY_H
#define IOVKIT_GUESTD_RUN_DELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_delay {
	int schedstat, stat;  /* of /proc/PID; -1: nothing is known */
	uint64_t begun_ns;    /* its run delay when counting began */
	uint64_t delayed_ns;  /* since then */
	uint64_t ran_ns;      /* its CPU time as last seen */
	uint64_t ran_seen_ns; /* when that was seen first */
};

void run_delay_init(struct run_delay *d);
/* Another process, if it is one; 0: none. */
void run_delay_open(struct run_delay *d, pid_t pid);
void run_delay_close(struct run_delay *d);

/* All its run delay; 0: nothing is known. */
uint64_t run_delay_read(const struct run_delay *d);
/* Count from here on. */
void run_delay_restart(struct run_delay *d, uint64_t now_ns);
/* Count from when all its run delay was begun_ns. */
void run_delay_since(struct run_delay *d, uint64_t begun_ns, uint64_t now_ns);
/* Read how long it has waited since; a wait is known when it is over. */
void run_delay_look(struct run_delay *d, uint64_t now_ns);
/* Whether it is ready to run and has had no CPU for longer than the kernel
 * takes to tell. */
bool run_delay_waits(const struct run_delay *d, uint64_t now_ns);

#endif
