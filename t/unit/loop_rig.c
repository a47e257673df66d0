/* loop_rig.c - loops, and what their callbacks note. */
#include <config.h>

#include "t/unit/loop_rig.h"

#include <stdlib.h>
#include <sys/eventfd.h>

void loop_trace_note(struct loop_trace *t, char ch)
{
	if (t->len < sizeof(t->text) - 1)
		t->text[t->len++] = ch;
}

struct loop *loop_rig_new(void)
{
	struct loop *loop = NULL;

	if (loop_new(&loop))
		abort();
	return loop;
}

int loop_rig_ready_fd(void)
{
	return eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
}

void loop_rig_stop(void *loop)
{
	loop_stop(loop, 0);
}
