/* soft_reset.h - the hypervisor and the guests are killed and started again
 * (1707). */
#ifndef BMC_SOFT_RESET_H
#define BMC_SOFT_RESET_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "libcore/points.h"

struct bmc;
struct process;
struct control_call;

enum soft_reset_state {
	SOFT_RESET_NONE,
	SOFT_RESET_KILLING,  /* until all are gone */
	SOFT_RESET_STARTING, /* one after the other */
};

struct soft_reset_caller {
	struct control_call *call;
	TAILQ_ENTRY(soft_reset_caller) entry;
};

struct soft_reset {
	enum soft_reset_state state;
	pid_t spared; /* who asked first */
	unsigned killed;
	unsigned next; /* STARTING: the one awaited */
	uint64_t begun_ns;
	struct point_hold hold;
	TAILQ_HEAD(, soft_reset_caller) callers;
};

void soft_reset_init(struct soft_reset *r);
/* Asked for; the call is answered when the killing is over. */
void soft_reset_ask(struct bmc *b, struct control_call *call);
/* A program became ready. */
void soft_reset_ready(struct bmc *b, struct process *p);
/* A program is gone, and, unless the reset killed it, what its own rule says
 * was done. */
void soft_reset_gone(struct bmc *b, struct process *p);
/* The machine powers off. */
void soft_reset_cancel(struct bmc *b);

#endif
