/* event_files.h - reading the events of all programs, in the order of their
 * numbers, and sleeping until there are more. */
#ifndef IOVCTL_EVENT_FILES_H
#define IOVCTL_EVENT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/machine.h"

struct event_files;

struct event_line {
	uint64_t n;
	json_t *json;
	char *text; /* the line, without its newline */
};

/* Events with a number over `since`; a file that appears later (after a new
 * power on, which counts from 1 again) is read from its beginning.  -errno. */
int event_files_open(struct event_files **files, const struct machine *m,
		     uint64_t since, struct complaint *c)
	__attribute__((warn_unused_result));
void event_files_close(struct event_files *files);

/* All lines that came since the last call, sorted by number; free them with
 * event_lines_free.  Lines that are no events are passed over. */
int event_files_read(struct event_files *files, struct event_line **lines,
		     size_t *n) __attribute__((warn_unused_result));
/* Append the lines of one file, in its order, to those at *lines.  -errno. */
int event_file_append(const char *path, struct event_line **lines, size_t *n,
		      struct complaint *c) __attribute__((warn_unused_result));
void event_lines_free(struct event_line *lines, size_t n);

/* Readable (poll) when there may be more. */
int event_files_fd(const struct event_files *files);
/* Sleep until there may be more (true) or the deadline is over. */
bool event_files_wait(struct event_files *files, uint64_t deadline_ns);

/* The last event of a program, a new reference, or NULL. */
json_t *event_files_last(const struct machine *m, const char *name);

#endif
