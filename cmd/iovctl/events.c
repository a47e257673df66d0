/* events.c - the command events: the events of all programs as one stream. */
#include <config.h>

#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/iovctl/event_files.h"
#include "cmd/iovctl/event_print.h"
#include "cmd/iovctl/iovctl.h"
#include "cmd/iovctl/table.h"
#include "libcore/program.h"

static bool is_envelope(const char *key)
{
	static const char *const keys[] = { "v", "n", "t", "src", "inc", "ev" };
	unsigned i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "?";
}

void event_print(const struct event_line *line, bool raw)
{
	const char *key;
	json_t *value;
	char *text;

	if (raw) {
		puts(line->text ? line->text : "");
		return;
	}
	printf("%6llu %14.6f %-10s %s", (unsigned long long)line->n,
	       (double)json_integer_value(json_object_get(line->json, "t")) /
		       1e9,
	       text_of(line->json, "src"), text_of(line->json, "ev"));
	json_object_foreach (line->json, key, value) {
		if (is_envelope(key))
			continue;
		text = value_to_text(value);
		printf(" %s=%s", key, text ? text : "?");
		free(text);
	}
	putchar('\n');
}

static bool is_wanted(const struct iovctl *ctl, const json_t *event)
{
	const char *ev = text_of(event, "ev");
	int i;

	for (i = 0; i < ctl->n_args; i++)
		if (!fnmatch(ctl->args[i], ev, 0))
			return true;
	return !ctl->n_args;
}

/* false: the output is closed. */
static bool print_new(const struct iovctl *ctl, struct event_files *files)
{
	struct event_line *lines;
	size_t i, n;

	if (event_files_read(files, &lines, &n) < 0)
		return false;
	for (i = 0; i < n; i++)
		if (is_wanted(ctl, lines[i].json))
			event_print(&lines[i], ctl->json);
	event_lines_free(lines, n);
	return !fflush(stdout);
}

/* Sleep until there may be more events, or nobody reads what we print. */
static bool wait_for_more(struct event_files *files)
{
	struct pollfd pfds[2] = {
		{ .fd = event_files_fd(files), .events = POLLIN },
		{ .fd = STDOUT_FILENO },
	};

	while (poll(pfds, 2, -1) < 0 && errno == EINTR)
		;
	return !(pfds[1].revents & (POLLERR | POLLHUP | POLLNVAL));
}

static int do_events(struct iovctl *ctl)
{
	struct event_files *files;
	uint64_t since;
	int status, err;

	status = parse_since(ctl, 0, &since);
	if (status)
		return status;
	err = event_files_open(&files, &ctl->machine, since, &ctl->cause);
	if (err)
		return program_status_of(err);
	while (print_new(ctl, files) && ctl->follow && wait_for_more(files))
		;
	event_files_close(files);
	return STATUS_OK;
}

const struct command event_commands[] = {
	{ .name = "events",
	  .usage = "[EVENT...]",
	  .what = "the events of all programs, in order",
	  .help = "EVENT may be a pattern (reset.*). A line is the number, "
		  "seconds of CLOCK_MONOTONIC, program, event and its values; "
		  "with --json the JSON line as it was written.",
	  .takes = TAKES_FOLLOW | TAKES_SINCE,
	  .max_args = -1,
	  .fn = do_events },
	{ NULL },
};
