/* child.c - processes of a measurement, each on a CPU of its own. */
#include <config.h>

#include "share/bench/child.h"

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/status.h"

void child_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(STATUS_INTERNAL, "CPU %d", cpu);
}

pid_t child_fork(int cpu)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		err(STATUS_INTERNAL, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_INTERNAL);
	child_pin(cpu);
	return 0;
}

void child_wait(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
