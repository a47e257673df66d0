/* captive.c - COMMAND: runs in the foreground while the machine is up. */
#include <config.h>

#include "cmd/bmc/captive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/bmc/bmc.h"
#include "cmd/bmc/spawn.h"

/* What exec says: nothing (it closed the pipe), or why it failed.  That is
 * known as soon as the child runs, so waiting for it is waiting for nobody
 * else. */
static int read_exec_errno(int fd)
{
	char text[1 + sizeof(int)];
	int err = 0;
	ssize_t n;

	do {
		n = read(fd, text, sizeof(text));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(text))
		memcpy(&err, text + 1, sizeof(err));
	return err;
}

int captive_start(struct captive *c, struct bmc *b)
{
	struct spawn s = {
		.path = c->argv[0],
		.argv = c->argv,
		.fd_limit = &b->fd_limit,
		.foreground = true,
	};
	int status[2], err;

	c->bmc = b;
	if (pipe2(status, O_CLOEXEC))
		return -errno;
	s.status_fd = status[1];
	err = spawn(&s, b->program.loop, &c->pid, &c->pidfd);
	close(status[1]);
	if (!err) {
		event(b->program.log, "command.start", "s:s, s:i", "command",
		      c->argv[0], "pid", (int)c->pid);
		c->exec_errno = read_exec_errno(status[0]);
	}
	close(status[0]);
	return err;
}

static void on_grace_over(void *arg)
{
	struct captive *c = arg;

	pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
}

void captive_end(struct captive *c, struct bmc *b)
{
	if (!c->pid)
		return;
	pidfd_send_signal(c->pidfd, SIGTERM, NULL, 0);
	pidfd_send_signal(c->pidfd, SIGCONT, NULL, 0);
	loop_timer_in(b->program.loop, &c->timer, PROCESS_GRACE_NS,
		      on_grace_over, c);
}

void captive_poll(struct captive *c)
{
	siginfo_t info = { 0 };

	if (!c->pid)
		return;
	if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) ||
	    !info.si_pid)
		return;
	close(c->pidfd);
	loop_timer_cancel(&c->timer);
	c->pid = 0;
	c->has_ended = true;
	c->end_code = info.si_code;
	c->end_status = info.si_status;
	event(c->bmc->program.log, "command.end", "s:i", "status",
	      captive_status(c));
	power_command_ended(c->bmc);
}

void captive_fini(struct captive *c)
{
	if (!c->pid)
		return;
	pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	close(c->pidfd);
	c->pid = 0;
}

int captive_status(const struct captive *c)
{
	if (!c->has_ended)
		return 0;
	return c->end_code == CLD_EXITED ? c->end_status : 128 + c->end_status;
}
