/* event_log.c - what a program did, as JSON lines.
 *
 * Theory of operation
 *
 * A line is one write() of at most PIPE_BUF bytes, so that lines of several
 * writers do not mix.  A regular file takes it always.  Anything else is asked
 * first (POLLOUT), and a pipe is opened once more for ourselves where that is
 * allowed, non-blocking: our standard output may be shared with programs that
 * want it to block.  What does not go out at once is dropped and counted.
 */
#include <config.h>

#include "libcore/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "libcore/event_line.h"
#include "libcore/loop.h"

_Static_assert(EVENT_LINE_MAX <= PIPE_BUF, "a line is written whole or not");

/* How far from the end of the file our last line is looked for. */
#define TAIL_BYTES 65536

struct event_log {
	int fd;
	bool owns_fd;
	bool is_regular;
	bool torn; /* the file ends within a line */
	struct state_area *area;
	char name[64];
	unsigned incarnation;
	uint64_t sequence; /* without an area */
	uint64_t last;
	uint64_t dropped; /* since the last line that went out */
};

/* Opening */

/* The incarnation in a line of ours, 0 when it is not ours. */
static unsigned incarnation_in(const char *line, size_t len, const char *name)
{
	const char *src = NULL;
	json_int_t inc = 0;
	json_t *o;

	o = json_loadb(line, len, 0, NULL);
	if (json_unpack(o, "{s:s, s:I}", "src", &src, "inc", &inc) ||
	    strcmp(src, name) || inc < 0 || inc >= UINT_MAX)
		inc = 0;
	json_decref(o);
	return (unsigned)inc;
}

/* Go back line by line from the end. */
static unsigned last_incarnation(const char *text, size_t len, const char *name)
{
	const char *line;
	unsigned inc;

	while (len) {
		line = memrchr(text, '\n', len);
		line = line ? line + 1 : text;
		inc = incarnation_in(line, len - (size_t)(line - text), name);
		if (inc)
			return inc;
		len = line > text ? (size_t)(line - text) - 1 : 0;
	}
	return 0;
}

/* What an earlier process of our name left in the file. */
static void read_tail(struct event_log *log, const char *path)
{
	char *text = malloc(TAIL_BYTES);
	struct stat st;
	ssize_t n = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && text && !fstat(fd, &st))
		n = pread(fd, text, TAIL_BYTES,
			  st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES
						  : 0);
	if (n > 0) {
		log->torn = text[n - 1] != '\n';
		log->incarnation = last_incarnation(text, (size_t)n, log->name);
	}
	if (fd >= 0)
		close(fd);
	free(text);
}

static int open_stdout(struct event_log *log)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstat(STDOUT_FILENO, &st))
		return -errno;
	log->is_regular = S_ISREG(st.st_mode);
	log->fd = STDOUT_FILENO;
	if (!S_ISFIFO(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", STDOUT_FILENO);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		log->fd = fd;
		log->owns_fd = true;
	}
	return 0;
}

static int open_path(struct event_log *log, const char *path)
{
	int flags = O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;

	log->fd = open(path, flags | O_WRONLY, 0600);
	/* A FIFO whose reader has yet to come. */
	if (log->fd < 0 && errno == ENXIO)
		log->fd = open(path, flags | O_RDWR, 0600);
	if (log->fd < 0)
		return -errno;
	log->owns_fd = true;
	if (fstat(log->fd, &st))
		return -errno;
	log->is_regular = S_ISREG(st.st_mode);
	if (log->is_regular)
		read_tail(log, path);
	return 0;
}

int event_log_open(struct event_log **log, const struct machine *m,
		   struct state_area *area, const char *name, const char *path,
		   struct complaint *c)
{
	char in_machine[PATH_MAX];
	struct event_log *l;
	int err;

	l = calloc(1, sizeof(*l));
	if (!l)
		return complain(c, ENOMEM, "%s", strerror(ENOMEM));
	l->fd = -1;
	l->area = area;
	strlcpy(l->name, name, sizeof(l->name));
	if (!path)
		path = machine_path(m, in_machine, "events/%s.jsonl", name);
	err = !strcmp(path, "-") ? open_stdout(l) : open_path(l, path);
	if (err) {
		event_log_close(l);
		return complain(c, -err, "%s: %s", path, strerror(-err));
	}
	l->incarnation++;
	*log = l;
	return 0;
}

void event_log_close(struct event_log *log)
{
	if (!log)
		return;
	if (log->owns_fd)
		close(log->fd);
	free(log);
}

/* Writing */

static uint64_t next_number(struct event_log *log)
{
	if (!log->area)
		return ++log->sequence;
	return atomic_fetch_add_explicit(&log->area->event_sequence, 1,
					 memory_order_seq_cst) +
	       1;
}

/* The members that every event has. */
static json_t *envelope(const struct event_log *log, uint64_t n, uint64_t t,
			const char *ev)
{
	json_t *o =
		json_pack("{s:i, s:I, s:I, s:s, s:I, s:s}", "v", 1, "n",
			  (json_int_t)n, "t", (json_int_t)t, "src", log->name,
			  "inc", (json_int_t)log->incarnation, "ev", ev);

	if (o && log->dropped)
		json_object_set_new(o, "dropped",
				    json_integer((json_int_t)log->dropped));
	return o;
}

/* The event's own members, or NULL when they cannot be JSON (a text that a
 * peer sent need not be UTF-8). */
static json_t *members(const char *fmt, va_list ap)
{
	char object[512];
	int n;

	n = snprintf(object, sizeof(object), "{%s}", fmt);
	if (n >= (int)sizeof(object))
		return NULL;
	return json_vpack_ex(NULL, 0, object, ap);
}

/* One line with its newline; its length, or 0 when it is too long. */
static size_t dump(const json_t *o, bool torn, char line[EVENT_LINE_MAX])
{
	size_t room = EVENT_LINE_MAX - 2, len;
	char *p = line;

	if (torn)
		*p++ = '\n';
	len = json_dumpb(o, p, room, JSON_COMPACT);
	if (!len || len > room)
		return 0;
	p += len;
	*p++ = '\n';
	return (size_t)(p - line);
}

static bool may_write(const struct event_log *log)
{
	struct pollfd pfd = { .fd = log->fd, .events = POLLOUT };

	return log->is_regular ||
	       (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT));
}

static bool put(struct event_log *log, const char *line, size_t len)
{
	ssize_t n;

	if (!len || !may_write(log))
		return false;
	do
		n = write(log->fd, line, len);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	log->torn = (size_t)n < len;
	return !log->torn;
}

/* The line of an event.  Members that cannot be written, or that do not fit,
 * are left out whole, and the event says so. */
static size_t compose(const struct event_log *log, json_t *o,
		      const json_t *more, bool truncated,
		      char line[EVENT_LINE_MAX])
{
	json_t *whole;
	size_t len = 0;

	if (!truncated) {
		whole = json_copy(o);
		if (whole && more)
			json_object_update_missing(whole, (json_t *)more);
		len = dump(whole, log->torn, line);
		json_decref(whole);
	}
	if (!len) {
		json_object_set_new(o, "truncated", json_true());
		len = dump(o, log->torn, line);
	}
	return len;
}

/* The same, of any event. */
static size_t compose_any(const struct event_log *log, uint64_t n, uint64_t t,
			  const char *ev, const char *fmt, va_list ap,
			  char line[EVENT_LINE_MAX])
{
	json_t *o = envelope(log, n, t, ev);
	json_t *more = fmt ? members(fmt, ap) : NULL;
	size_t len = compose(log, o, more, fmt && !more, line);

	json_decref(more);
	json_decref(o);
	return len;
}

/* The same line, written straight; 0: it is not one of the plain ones. */
static size_t compose_plain(const struct event_log *log, uint64_t n, uint64_t t,
			    const char *ev, const char *fmt, va_list ap,
			    char line[EVENT_LINE_MAX])
{
	struct event_line l;

	if (log->torn)
		return 0;
	event_line_begin(&l, line, EVENT_LINE_MAX);
	event_line_integer(&l, "v", 1);
	event_line_integer(&l, "n", (int64_t)n);
	event_line_integer(&l, "t", (int64_t)t);
	event_line_string(&l, "src", log->name);
	event_line_integer(&l, "inc", (int64_t)log->incarnation);
	event_line_string(&l, "ev", ev);
	if (log->dropped)
		event_line_integer(&l, "dropped", (int64_t)log->dropped);
	if (fmt)
		event_line_members(&l, fmt, ap);
	return event_line_end(&l, line);
}

uint64_t vevent(struct event_log *log, const char *ev, const char *fmt,
		va_list ap)
{
	char line[EVENT_LINE_MAX];
	uint64_t n, t;
	va_list again;
	size_t len;

	if (!log)
		return 0;
	n = next_number(log);
	t = clock_now_ns();
	va_copy(again, ap);
	len = compose_plain(log, n, t, ev, fmt, again, line);
	va_end(again);
	if (!len)
		len = compose_any(log, n, t, ev, fmt, ap, line);
	if (put(log, line, len)) {
		log->last = n;
		log->dropped = 0;
	} else {
		log->dropped++;
	}
	return n;
}

uint64_t event(struct event_log *log, const char *ev, const char *fmt, ...)
{
	va_list ap;
	uint64_t n;

	va_start(ap, fmt);
	n = vevent(log, ev, fmt, ap);
	va_end(ap);
	return n;
}

uint64_t event_last(const struct event_log *log)
{
	return log ? log->last : 0;
}

unsigned event_incarnation(const struct event_log *log)
{
	return log ? log->incarnation : 0;
}
