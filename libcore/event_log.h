/* event_log.h - what a program did, as JSON lines.
 *
 *	{"v":1,"n":sequence,"t":ns,"src":NAME,"inc":incarnation,"ev":"ready",..}
 *
 * n counts over the whole machine (state area), so that sorting by n gives
 * the order across programs.  Writing never blocks: a line that a slow reader
 * does not take is dropped and the next event has "dropped":COUNT.  Names and
 * fields: share/doc/events (iovkit-events(5)).
 */
#ifndef IOVKIT_EVENT_LOG_H
#define IOVKIT_EVENT_LOG_H

#include <stdarg.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/machine.h"
#include "libcore/state_area.h"

#define EVENT_LINE_MAX 4096 /* = PIPE_BUF: a line is written whole or not */

struct event_log;

/* Log to `path` ("-" is standard output; NULL: events/NAME.jsonl of the
 * machine), appending.  The incarnation is one more than that of the last
 * line already in the file.  `area` may be NULL (then n counts per log). */
int event_log_open(struct event_log **log, const struct machine *m,
		   struct state_area *area, const char *name, const char *path,
		   struct complaint *c) __attribute__((warn_unused_result));
void event_log_close(struct event_log *log);

/* Write event `ev` with more members as for json_pack ("s:s, s:I", ...,
 * without braces); fmt may be NULL.  Returns n.  log may be NULL (no-op). */
uint64_t event(struct event_log *log, const char *ev, const char *fmt, ...);
uint64_t vevent(struct event_log *log, const char *ev, const char *fmt,
		va_list ap);
/* The number of the last event that this log wrote. */
uint64_t event_last(const struct event_log *log);
unsigned event_incarnation(const struct event_log *log);

#endif
