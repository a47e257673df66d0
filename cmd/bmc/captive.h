/* captive.h - COMMAND: runs in the foreground while the machine is up. */
#ifndef BMC_CAPTIVE_H
#define BMC_CAPTIVE_H

#include <stdbool.h>
#include <sys/types.h>

#include "libcore/loop.h"

struct bmc;

struct captive {
	char **argv; /* NULL: no command */
	struct bmc *bmc;
	pid_t pid; /* 0: it does not run */
	int pidfd;
	struct loop_timer timer; /* SIGKILL after SIGTERM */
	int exec_errno;          /* why it could not be executed */
	bool has_ended;
	int end_code, end_status; /* as waitid() has them */
};

/* Run it; power_command_ended() follows.  0 or -errno. */
int captive_start(struct captive *c, struct bmc *b)
	__attribute__((warn_unused_result));
/* SIGTERM, and SIGKILL 2 s later; nothing when it does not run. */
void captive_end(struct captive *c, struct bmc *b);
/* Ask the kernel what became of it. */
void captive_poll(struct captive *c);
void captive_fini(struct captive *c);

static inline bool captive_runs(const struct captive *c)
{
	return c->pid != 0;
}

/* Its exit status, 128 + signal, or 0 when there was none. */
int captive_status(const struct captive *c);

#endif
