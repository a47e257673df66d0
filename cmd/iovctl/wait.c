/* wait.c - the command wait: events, readiness, ends, rows of a table.
 *
 * Nothing here polls: events are slept for with inotify, an end with a pidfd.
 * Only show: asks again and again, as a table has no event of its own.
 */
#include <config.h>

#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/iovctl/client.h"
#include "cmd/iovctl/event_files.h"
#include "cmd/iovctl/event_print.h"
#include "cmd/iovctl/show.h"
#include "cmd/iovctl/table.h"
#include "libcore/loop.h"
#include "libcore/program.h"
#include "libcore/units.h"
#include "libcore/unixsock.h"

#define WAIT_TIMEOUT_NS (10 * NS_PER_S)
#define RETRY_NS        (20 * NS_PER_MS)

static uint64_t deadline_of(const struct iovctl *ctl)
{
	return clock_now_ns() +
	       (ctl->has_timeout ? ctl->timeout_ns : WAIT_TIMEOUT_NS);
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

/* Sleep until the descriptor is readable (true) or the deadline is over. */
static bool wait_for_fd(int fd, uint64_t deadline_ns)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t now;
	struct timespec ts;
	int n;

	do {
		now = clock_now_ns();
		if (now > deadline_ns)
			now = deadline_ns;
		ts.tv_sec = (time_t)((deadline_ns - now) / NS_PER_S);
		ts.tv_nsec = (long)((deadline_ns - now) % NS_PER_S);
		n = ppoll(&pfd, 1, &ts, NULL);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* The nearest folder above path that is there; shortens path. */
static void existing_folder(char *path)
{
	char *above;

	do {
		above = dirname(path);
		if (above != path)
			strcpy(path, above); /* "." or "/" */
	} while (access(path, F_OK) && strcmp(path, "/") && strcmp(path, "."));
}

static void machine_place(const struct iovctl *ctl, char path[PATH_MAX])
{
	const char *name = ctl->machine_name;
	char dir[PATH_MAX];

	if (!name)
		name = getenv("IOVKIT_MACHINE");
	if (!name || !*name)
		name = "m0";
	if (strchr(name, '/'))
		strlcpy(path, name, PATH_MAX);
	else if (snprintf(path, PATH_MAX, "%s/%s", machine_runtime_dir(dir),
			  name) >= PATH_MAX)
		path[0] = '\0';
}

/* Open the machine, which may still have to be made. */
static int open_machine(struct iovctl *ctl, uint64_t deadline_ns)
{
	char path[PATH_MAX], sub[PATH_MAX];
	int notify, err;

	for (;;) {
		notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		machine_place(ctl, path);
		strlcpy(sub, path, sizeof(sub));
		existing_folder(path);
		inotify_add_watch(notify, path, IN_CREATE | IN_MOVED_TO);
		/* Its folders are made right after it. */
		inotify_add_watch(notify, sub, IN_CREATE);
		err = machine_open(&ctl->machine, ctl->machine_name, 0,
				   &ctl->cause);
		if (!err && !faccessat(ctl->machine.dirfd, "events", F_OK, 0)) {
			ctl->cause.text[0] = '\0';
			close(notify);
			return STATUS_OK;
		}
		if (err && err != -ENOENT) {
			close(notify);
			return program_status_of(err);
		}
		machine_close(&ctl->machine);
		if (!wait_for_fd(notify, deadline_ns)) {
			close(notify);
			return STATUS_NOT;
		}
		close(notify);
	}
}

int parse_since(struct iovctl *ctl, uint64_t otherwise, uint64_t *since)
{
	struct complaint c;

	if (!ctl->since)
		*since = otherwise;
	else if (!strcmp(ctl->since, "start"))
		*since = 0;
	else if (!strcmp(ctl->since, "now"))
		*since = iovctl_event_number(ctl);
	else if (units_number(ctl->since, 0, INT64_MAX, since, &c) < 0)
		return fail(ctl, STATUS_USAGE,
			    "--since: '%s' is no number, start or now",
			    ctl->since);
	return STATUS_OK;
}

/* Whether an event is what is waited for. */
typedef bool match_fn(const struct iovctl *ctl, const json_t *event);

static bool all_match(const struct iovctl *ctl, const json_t *object)
{
	int i;

	for (i = 1; i < ctl->n_args; i++)
		if (!value_matches(object, ctl->args[i]))
			return false;
	return true;
}

static bool match_event(const struct iovctl *ctl, const json_t *event)
{
	const char *ev = json_string_value(json_object_get(event, "ev"));

	return !fnmatch(ctl->args[0], ev, 0) && all_match(ctl, event);
}

static bool event_is(const json_t *event, const char *ev, const char *key,
		     const char *value)
{
	const char *text = json_string_value(json_object_get(event, key));

	return !strcmp(json_string_value(json_object_get(event, "ev")), ev) &&
	       text && !strcmp(text, value);
}

/* NAME itself says so, or bmc of a program that cannot. */
static bool match_ready(const struct iovctl *ctl, const json_t *event)
{
	return event_is(event, "ready", "src", ctl->args[1]) ||
	       event_is(event, "program.ready", "name", ctl->args[1]);
}

static bool match_gone(const struct iovctl *ctl, const json_t *event)
{
	return event_is(event, "program.gone", "name", ctl->args[1]);
}

/* Whether there is a match among new events; one of match_event is printed. */
static bool look(struct iovctl *ctl, struct event_files *files, match_fn *match)
{
	struct event_line *lines;
	bool found = false;
	size_t i, n;

	if (event_files_read(files, &lines, &n) < 0)
		return false;
	for (i = 0; i < n && !found; i++) {
		found = match(ctl, lines[i].json);
		if (found && match == match_event)
			event_print(&lines[i], ctl->json);
	}
	event_lines_free(lines, n);
	return found;
}

static int too_late(struct iovctl *ctl, const char *what)
{
	return fail(ctl, STATUS_NOT, "%s did not come in time", what);
}

static int wait_event(struct iovctl *ctl, struct event_files *files,
		      match_fn *match, const char *what, uint64_t deadline_ns)
{
	for (;;) {
		if (look(ctl, files, match))
			return STATUS_OK;
		if (!event_files_wait(files, deadline_ns))
			return too_late(ctl, what);
	}
}

static int open_files(struct iovctl *ctl, uint64_t since,
		      struct event_files **files)
{
	int err = event_files_open(files, &ctl->machine, since, &ctl->cause);

	return err ? program_status_of(err) : STATUS_OK;
}

static int wait_plain(struct iovctl *ctl, uint64_t since, uint64_t deadline_ns)
{
	struct event_files *files;
	int status;

	status = open_files(ctl, since, &files);
	if (status)
		return status;
	status = wait_event(ctl, files, match_event, ctl->args[0], deadline_ns);
	event_files_close(files);
	return status;
}

/* Ready now, by its own word?  A frozen one is not asked for ever. */
static bool is_ready(struct iovctl *ctl, const char *name, uint64_t deadline_ns)
{
	uint64_t until = clock_now_ns() + ANSWER_TIMEOUT_NS;
	json_t *result = NULL;
	struct client client;
	bool ready;

	client_init(&client, name, "status", NULL, -1);
	clients_run(ctl, &client, 1, until < deadline_ns ? until : deadline_ns,
		    NULL);
	client_result(ctl, &client, &result);
	client_fini(&client);
	ctl->cause.text[0] = '\0';
	ready = json_is_true(json_object_get(result, "ready"));
	json_decref(result);
	return ready;
}

/* With --since the event counts, else the present as well. */
static int wait_ready(struct iovctl *ctl, uint64_t since, uint64_t deadline_ns)
{
	const char *name = ctl->args[1];
	struct event_files *files;
	int status;

	status = open_files(ctl, since, &files);
	if (status)
		return status;
	if (ctl->since || !is_ready(ctl, name, deadline_ns))
		status = wait_event(ctl, files, match_ready, "readiness",
				    deadline_ns);
	event_files_close(files);
	if (status == STATUS_NOT)
		fail(ctl, status, "%s did not become ready in time", name);
	return status;
}

/* A pidfd of the process that listens at ctl/NAME.sock, -1: there is none. */
static int listener_pidfd(const struct iovctl *ctl, const char *name)
{
	char path[PATH_MAX];
	int sock, fd;

	sock = unixsock_connect(
		machine_path(&ctl->machine, path, "ctl/%s.sock", name));
	if (sock < 0)
		return -1;
	fd = pidfd_open(unixsock_peer(sock), 0);
	close(sock);
	return fd;
}

static int wait_gone(struct iovctl *ctl, uint64_t since, uint64_t deadline_ns)
{
	const char *name = ctl->args[1];
	struct event_files *files;
	bool gone = false;
	int fd, status;

	status = open_files(ctl, since, &files);
	if (status)
		return status;
	if (ctl->since)
		gone = look(ctl, files, match_gone);
	event_files_close(files);
	if (gone)
		return STATUS_OK;
	fd = listener_pidfd(ctl, name);
	if (fd < 0)
		return STATUS_OK;
	gone = wait_for_fd(fd, deadline_ns);
	close(fd);
	if (!gone)
		return fail(ctl, STATUS_NOT, "%s still runs", name);
	return STATUS_OK;
}

static bool row_matches(const struct iovctl *ctl, const json_t *row)
{
	if (!all_match(ctl, row))
		return false;
	if (ctl->json)
		print_json(row);
	return true;
}

static int wait_row(struct iovctl *ctl, uint64_t deadline_ns)
{
	const char *table = strchr(ctl->args[0], ':') + 1;
	json_t *joined, *row, *rows;
	bool found;
	int status;
	size_t i;

	for (;;) {
		found = false;
		status = fetch_table(ctl, table, true, &joined);
		if (!status) {
			rows = json_object_get(joined, "rows");
			json_array_foreach (rows, i, row)
				if (!found)
					found = row_matches(ctl, row);
			json_decref(joined);
		}
		if (found)
			return STATUS_OK;
		if (clock_now_ns() + RETRY_NS > deadline_ns)
			break;
		sleep_until(clock_now_ns() + RETRY_NS);
	}
	return status ? STATUS_NOT
		      : fail(ctl, STATUS_NOT, "table %s: no such row in time",
			     table);
}

static int do_wait(struct iovctl *ctl)
{
	uint64_t deadline_ns = deadline_of(ctl), since;
	const char *what = ctl->args[0];
	int status;

	status = open_machine(ctl, deadline_ns);
	if (status)
		return status;
	status = parse_since(ctl, iovctl_event_number(ctl), &since);
	if (status)
		return status;
	if (!strncmp(what, "show:", 5))
		return wait_row(ctl, deadline_ns);
	if (!strcmp(what, "ready") && ctl->n_args == 2 &&
	    !strchr(ctl->args[1], '='))
		return wait_ready(ctl, since, deadline_ns);
	if (!strcmp(what, "gone") && ctl->n_args == 2 &&
	    !strchr(ctl->args[1], '='))
		return wait_gone(ctl, since, deadline_ns);
	return wait_plain(ctl, since, deadline_ns);
}

const struct command wait_commands[] = {
	{ .name = "wait",
	  .usage = "EVENT [KEY=VALUE...]\nready NAME\ngone NAME\n"
		   "show:TABLE KEY=VALUE...",
	  .what = "wait for an event, a program, or a row of a table",
	  .help = "EVENT may be a pattern (reset.*); the first event after "
		  "--since (default: now) that has all the values is printed. "
		  "ready and gone are true at once when they are so already. "
		  "Status 1: not in time (-t, default 10s). The machine need "
		  "not be there yet.",
	  .takes = TAKES_SINCE | NEEDS_NO_MACHINE,
	  .min_args = 1,
	  .max_args = -1,
	  .fn = do_wait },
	{ NULL },
};
