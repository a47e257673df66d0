/* pid_state.h - what the kernel tells of another process. */
#ifndef IOVKIT_PID_STATE_H
#define IOVKIT_PID_STATE_H

#include <stdbool.h>
#include <sys/types.h>

/* Each is false for a pid of 0 and for one that is not there. */

/* Whether there is such a process, be it one that has ended and was not waited
 * for. */
bool pid_exists(pid_t pid);
/* Whether it is stopped, by a signal or by a tracer. */
bool pid_is_stopped(pid_t pid);
/* Whether it is on its way out: SIGKILL has been sent to it, or it runs none of
 * its code any more and its descriptors may be closed, but its end is not told
 * to anybody yet. */
bool pid_is_exiting(pid_t pid);

#endif
