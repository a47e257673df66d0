/* pid_state_test.c - other processes: running, stopped, on their way out. */
#include <config.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/pid_state.h"
#include "t/unit/unit.h"

static void test_nobody(void)
{
	CHECK(!pid_exists(0));
	CHECK(!pid_is_stopped(0));
	CHECK(!pid_is_exiting(0));
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
}

static void test_stopped(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		raise(SIGSTOP);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK(pid_exists(pid));
	CHECK(pid_is_stopped(pid));
	CHECK(!pid_is_exiting(pid));
	end(pid);
	CHECK(!pid_exists(pid));
	CHECK(!pid_is_stopped(pid));
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* Its first thread is gone, and no end is told while another lives. */
static void test_exiting(void)
{
	pid_t pid = fork();
	pthread_t thread;
	siginfo_t info = { 0 };
	int spins;

	if (!pid) {
		if (pthread_create(&thread, NULL, wait_for_ever, NULL))
			_exit(1);
		syscall(SYS_exit, 0);
	}
	for (spins = 0; spins < 30000 && !pid_is_exiting(pid); spins++)
		usleep(1000);
	CHECK(pid_is_exiting(pid));
	CHECK_INT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	CHECK_INT(info.si_pid, 0);
	end(pid);
	CHECK(!pid_is_exiting(pid));
}

static const struct unit_case cases[] = {
	{ "nobody", test_nobody },
	{ "stopped", test_stopped },
	{ "exiting", test_exiting },
	{ NULL, NULL },
};

const struct unit_suite pid_state_suite = { "pid_state", cases };
