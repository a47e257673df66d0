/* event_line.h - an event as a line of JSON, written straight from its
 * members. */
#ifndef IOVKIT_EVENT_LINE_H
#define IOVKIT_EVENT_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_line {
	char *at;
	char *end;
	bool is_first;
	bool unfit; /* not of the plain kind, or too long: nothing holds */
};

/* Room for the line and its newline. */
void event_line_begin(struct event_line *l, char *room, size_t size);
void event_line_integer(struct event_line *l, const char *key, int64_t value);
void event_line_string(struct event_line *l, const char *key,
		       const char *value);
/* Members as json_pack() takes them, without the braces: texts, integers and
 * booleans ("s:s, s:s*, s:i, s:I, s:b").  Anything else, text that is not
 * plain ASCII, and a member that every event has, is unfit. */
void event_line_members(struct event_line *l, const char *fmt, va_list ap);
/* Length with the newline, or 0: unfit. */
size_t event_line_end(struct event_line *l, const char *room);

#endif
