/* power.h - the machine's power: on in line order, off in reverse. */
#ifndef BMC_POWER_H
#define BMC_POWER_H

#include <stdbool.h>
#include <sys/types.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"
#include "libcore/points.h"

struct bmc;
struct process;

enum power_state {
	POWER_STARTING, /* one line after the other */
	POWER_UP,       /* all were ready once */
	POWER_STOPPING, /* COMMAND, then the programs in reverse order */
	POWER_LOST,     /* no root bridge: all end, in any order */
	POWER_DOWN,
	POWER_STATE_N
};

struct power {
	enum power_state state;
	/* STARTING: the next to start, and how many before it are awaited;
	 * STOPPING: one above what still runs. */
	unsigned next, n_awaited;
	struct point_hold hold;
	struct loop_timer timer; /* LOST: until those left are killed */
	int status;              /* bmc's; -1: COMMAND's, or 0 */
	struct complaint cause;
};

/* Start the first program. */
void power_on(struct bmc *b);
/* A program became ready; pid's program ended; COMMAND ended. */
void power_ready(struct bmc *b, struct process *p);
void power_gone(struct bmc *b, struct process *p, pid_t pid);
void power_command_ended(struct bmc *b);
/* Power off, unless that is under way.  status -1: COMMAND's, or 0. */
void power_off(struct bmc *b, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "up" */
const char *power_state_name(const struct bmc *b);

#endif
