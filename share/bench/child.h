/* child.h - processes of a measurement, each on a CPU of its own. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <sys/types.h>

/* Keep this process on a CPU; below 0: anywhere.  Exits on failure. */
void child_pin(int cpu);
/* fork(), and in the child child_pin().  A child dies with its parent.  Exits
 * on failure. */
pid_t child_fork(int cpu);
/* Until it has ended, whatever its status is. */
void child_wait(pid_t pid);

#endif
