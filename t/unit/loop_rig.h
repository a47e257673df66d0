/* loop_rig.h - loops, and what their callbacks note. */
#ifndef IOVKIT_LOOP_RIG_H
#define IOVKIT_LOOP_RIG_H

#include <stddef.h>

#include "libcore/loop.h"

/* What happened, in letters. */
struct loop_trace {
	struct loop *loop;
	char text[64];
	size_t len;
};

void loop_trace_note(struct loop_trace *t, char ch);
struct loop *loop_rig_new(void);
/* A descriptor that can be read. */
int loop_rig_ready_fd(void);
/* A callback that stops the loop, its argument, with 0. */
void loop_rig_stop(void *loop);

#endif
