/* children.c - children that ended, stopped or went on.
 *
 * The kernel names one after the other of which there is something to tell, so
 * that the others cost nothing.  An end is only looked at: process.c reaps it.
 */
#include <config.h>

#include "cmd/bmc/children.h"

#include <string.h>
#include <sys/wait.h>

#include "cmd/bmc/bmc.h"

static bool next_change(int options, siginfo_t *info)
{
	memset(info, 0, sizeof(*info));
	return !waitid(P_ALL, 0, info, options | WNOHANG) && info->si_pid;
}

void children_changed(void *arg)
{
	struct bmc *b = arg;
	struct process *p;
	siginfo_t info;
	unsigned i;

	while (next_change(WSTOPPED | WCONTINUED, &info)) {
		p = bmc_find_pid(b, info.si_pid);
		if (p)
			process_saw(p, info.si_code == CLD_CONTINUED
					       ? STOP_SAW_CONTINUED
					       : STOP_SAW_STOPPED);
	}
	while (next_change(WEXITED | WNOWAIT, &info)) {
		p = bmc_find_pid(b, info.si_pid);
		if (!p)
			break;
		process_reap(p);
	}
	if (!info.si_pid)
		return;
	/* COMMAND ended, perhaps because the machine did: that goes first. */
	for (i = 0; i < b->n; i++)
		process_poll(&b->process[i]);
	captive_poll(&b->captive);
}
