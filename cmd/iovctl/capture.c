/* capture.c - the command capture: a function's frames as pcap.
 *
 * The device writes pcap into a pipe whose end it gets over its control
 * socket; here it is only copied.  Hanging up the call ends the capture.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/iovctl/client.h"
#include "libcore/function_name.h"
#include "libcore/loop.h"

#define DRAIN_NS NS_PER_S

struct capture {
	struct iovctl *ctl;
	struct client client;
	int pipe;   /* read end, -1: at its end */
	int out;    /* where to */
	int signal; /* SIGINT and SIGTERM */
	bool hung_up;
	bool closed; /* nobody reads the output */
	uint64_t until_ns;
};

/* Copy what the pipe has; a write of ours may block. */
static int copy(struct capture *c)
{
	char buf[65536];
	ssize_t n, done, m;

	n = read(c->pipe, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return STATUS_OK;
	if (n <= 0) {
		close(c->pipe);
		c->pipe = -1;
		return STATUS_OK;
	}
	for (done = 0; done < n; done += m) {
		m = write(c->out, buf + done, (size_t)(n - done));
		if (m < 0 && errno == EPIPE) {
			c->closed = true;
			return STATUS_OK;
		}
		if (m < 0 && errno != EINTR)
			return fail(c->ctl, STATUS_INTERNAL, "%s: %s",
				    c->ctl->file, strerror(errno));
		if (m < 0)
			m = 0;
	}
	return STATUS_OK;
}

/* End the capture; what is in the pipe still comes. */
static void hang_up(struct capture *c)
{
	if (c->hung_up)
		return;
	c->hung_up = true;
	c->until_ns = clock_now_ns() + DRAIN_NS;
	if (c->client.fd >= 0)
		close(c->client.fd);
	c->client.fd = -1;
}

static bool is_over(const struct capture *c)
{
	return c->pipe < 0 || c->closed ||
	       (c->hung_up && clock_now_ns() >= c->until_ns);
}

static void sleep_for_more(struct capture *c)
{
	struct pollfd pfds[4] = {
		{ .fd = c->pipe, .events = POLLIN },
		{ .fd = c->signal, .events = POLLIN },
		{ .fd = c->client.state == CLIENT_ASKED ? c->client.fd : -1,
		  .events = POLLIN },
		{ .fd = c->out }, /* says when its reader has gone */
	};
	int ms = c->hung_up ? 50 : -1;

	if (c->client.state == CLIENT_CONNECTING)
		ms = 5;
	if (poll(pfds, 4, ms) > 0 && (pfds[3].revents & (POLLERR | POLLHUP)))
		c->closed = true;
}

/* What the device says of it, once it says so. */
static int check_answer(struct capture *c)
{
	if (c->hung_up)
		return STATUS_OK;
	client_step(c->ctl, &c->client);
	if (client_is_waiting(&c->client))
		return STATUS_OK;
	return client_result(c->ctl, &c->client, NULL);
}

/* The pipe may end before the answer comes, which may be a refusal. */
static int last_answer(struct capture *c)
{
	if (c->hung_up || c->closed)
		return STATUS_OK;
	clients_run(c->ctl, &c->client, 1,
		    clock_now_ns() + iovctl_answer_timeout(c->ctl), NULL);
	return client_result(c->ctl, &c->client, NULL);
}

static int run(struct capture *c)
{
	struct signalfd_siginfo info;
	int status = STATUS_OK;

	while (!status && !is_over(c)) {
		status = check_answer(c);
		if (status)
			return status;
		sleep_for_more(c);
		if (read(c->signal, &info, sizeof(info)) > 0)
			hang_up(c);
		status = copy(c);
	}
	return status ? status : last_answer(c);
}

static int watch_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The call goes out before the loop, so that our copy of the write end can be
 * closed: then the pipe ends when the device's does. */
static int start(struct capture *c, const char *program)
{
	struct iovctl *ctl = c->ctl;
	int pipe[2], tries;
	json_t *params;

	if (pipe2(pipe, O_CLOEXEC) < 0)
		return fail(ctl, STATUS_INTERNAL, "pipe: %s", strerror(errno));
	c->pipe = pipe[0];
	fcntl(c->pipe, F_SETFL, O_NONBLOCK);
	params = json_pack("{s:s}", "function", ctl->args[0]);
	if (ctl->count)
		json_object_set_new(params, "count",
				    json_integer((json_int_t)ctl->count));
	client_init(&c->client, program, "capture", params, pipe[1]);
	for (tries = 0; tries < 400 && !c->client.sent; tries++) {
		client_step(ctl, &c->client);
		if (!client_is_waiting(&c->client) || c->client.sent)
			break;
		poll(NULL, 0, 5);
	}
	close(pipe[1]);
	if (!c->client.sent || c->client.state == CLIENT_ABSENT)
		return client_result(ctl, &c->client, NULL);
	return STATUS_OK;
}

static int open_output(struct iovctl *ctl, int *fd)
{
	*fd = STDOUT_FILENO;
	if (!strcmp(ctl->file, "-"))
		return STATUS_OK;
	*fd = open(ctl->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (*fd < 0)
		return fail(ctl, STATUS_INTERNAL, "%s: %s", ctl->file,
			    strerror(errno));
	return STATUS_OK;
}

static int do_capture(struct iovctl *ctl)
{
	struct capture c = { .ctl = ctl, .pipe = -1, .out = -1 };
	struct function_name fn;
	char program[64];
	int status;

	if (function_name_parse(ctl->args[0], &fn, &ctl->cause) < 0)
		return STATUS_USAGE;
	if (!ctl->file)
		return fail(ctl, STATUS_USAGE, "where to? (-w FILE or -w -)");
	if (!strcmp(ctl->file, "-") && isatty(STDOUT_FILENO))
		return fail(ctl, STATUS_USAGE,
			    "pcap is not for a terminal; pipe it to tcpdump");
	status = find_device(ctl, fn.device, program);
	if (!status)
		status = open_output(ctl, &c.out);
	if (status)
		return status;
	c.signal = watch_signals();
	status = start(&c, program);
	if (!status)
		status = run(&c);
	client_fini(&c.client);
	if (c.pipe >= 0)
		close(c.pipe);
	if (c.out != STDOUT_FILENO && close(c.out) < 0 && !status)
		status = fail(ctl, STATUS_INTERNAL, "%s: %s", ctl->file,
			      strerror(errno));
	close(c.signal);
	return status;
}

const struct command capture_commands[] = {
	{ .name = "capture",
	  .usage = "FUNCTION",
	  .what = "tap a function's frames as pcap",
	  .help = "Writes to -w FILE, or - for standard output, until "
		  "interrupted, until nobody reads, or -c frames came.",
	  .takes = TAKES_WRITE | TAKES_COUNT,
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_capture },
	{ NULL },
};
