/* event_log_test.c - whole JSON lines, incarnations, and never blocking. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "libcore/event_log.h"
#include "libcore/loop.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"

/* Every line of an open file as an array of objects; NULL in the place of a
 * line that is none. */
static json_t *read_lines(int fd)
{
	json_t *lines = json_array(), *o;
	char buf[65536], *nl;
	size_t len = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, buf + len, sizeof(buf) - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		while ((nl = memchr(buf, '\n', len))) {
			o = json_loadb(buf, (size_t)(nl - buf), 0, NULL);
			json_array_append_new(lines, o ? o : json_null());
			len -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, len);
		}
	}
	return lines;
}

static json_t *read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	json_t *lines;

	CHECK(fd >= 0);
	lines = read_lines(fd);
	close(fd);
	return lines;
}

static json_int_t integer(const json_t *lines, size_t i, const char *key)
{
	json_t *o = json_object_get(json_array_get(lines, i), key);

	return json_is_integer(o) ? json_integer_value(o) : -1;
}

static const char *string(const json_t *lines, size_t i, const char *key)
{
	return json_string_value(
		json_object_get(json_array_get(lines, i), key));
}

static struct event_log *open_log(const char *path, const char *name)
{
	struct event_log *log = NULL;
	struct complaint c = { "" };

	CHECK_INT(event_log_open(&log, NULL, NULL, name, path, &c), 0);
	CHECK_STR(c.text, "");
	return log;
}

static void test_lines(void)
{
	uint64_t before = clock_now_ns();
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	json_t *lines;

	scratch_make(&s);
	log = open_log(scratch_path(&s, path, "log"), "hvmon");
	CHECK_INT(event(log, "start", NULL), 1);
	CHECK_INT(event(log, "reset.a105", "s:s, s:i, s:[i,i], s:n", "function",
			"nic0/\"pf0\"\n", "vfs", 2, "list", 1, 2, "nil"),
		  2);
	CHECK_INT(event_last(log), 2);
	CHECK_INT(event_incarnation(log), 1);
	event_log_close(log);

	lines = read_file(path);
	CHECK_INT(json_array_size(lines), 2);
	CHECK_INT(integer(lines, 0, "v"), 1);
	CHECK_INT(integer(lines, 0, "n"), 1);
	CHECK_INT(integer(lines, 0, "inc"), 1);
	CHECK(integer(lines, 0, "t") >= (json_int_t)before);
	CHECK(integer(lines, 1, "t") >= integer(lines, 0, "t"));
	CHECK_STR(string(lines, 0, "src"), "hvmon");
	CHECK_STR(string(lines, 0, "ev"), "start");
	CHECK_INT(json_object_size(json_array_get(lines, 0)), 6);
	CHECK_STR(string(lines, 1, "ev"), "reset.a105");
	CHECK_STR(string(lines, 1, "function"), "nic0/\"pf0\"\n");
	CHECK_INT(integer(lines, 1, "vfs"), 2);
	json_decref(lines);
	scratch_remove(&s);
}

/* What is written straight is what a JSON library writes, and what it does
 * not know is left to one. */
static void test_plain_lines(void)
{
	struct event_log *log;
	char path[PATH_MAX], text[256] = "";
	struct scratch s;
	json_t *lines;
	FILE *f;

	scratch_make(&s);
	log = open_log(scratch_path(&s, path, "log"), "hvmon");
	event(log, "a", "s:s, s:s*, s:I, s:i, s:b, s:b", "x", "y z", "no", NULL,
	      "low", (json_int_t)INT64_MIN, "zero", 0, "yes", 1, "not", 0);
	event(log, "b", "s:s?, s:f, s:s", "none", NULL, "real", 0.5, "e",
	      "\xc3\xa9");
	event_log_close(log);
	f = fopen(path, "r");
	CHECK(f && fgets(text, sizeof(text), f));
	fclose(f);
	CHECK_HAS(text, ",\"src\":\"hvmon\",\"inc\":1,\"ev\":\"a\","
			"\"x\":\"y z\",\"low\":-9223372036854775808,"
			"\"zero\":0,\"yes\":true,\"not\":false}\n");
	lines = read_file(path);
	CHECK(json_is_null(json_object_get(json_array_get(lines, 1), "none")));
	CHECK_STR(string(lines, 1, "e"), "\xc3\xa9");
	json_decref(lines);
	scratch_remove(&s);
}

static void test_no_log(void)
{
	CHECK_INT(event(NULL, "start", "s:i", "x", 1), 0);
	CHECK_INT(event_last(NULL), 0);
	event_log_close(NULL);
}

/* The members every event has are not for events to change. */
static void test_envelope_wins(void)
{
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	json_t *lines;

	scratch_make(&s);
	log = open_log(scratch_path(&s, path, "log"), "a");
	event(log, "x", "s:i, s:s, s:i", "n", 77, "src", "b", "more", 1);
	event_log_close(log);
	lines = read_file(path);
	CHECK_INT(integer(lines, 0, "n"), 1);
	CHECK_STR(string(lines, 0, "src"), "a");
	CHECK_INT(integer(lines, 0, "more"), 1);
	json_decref(lines);
	scratch_remove(&s);
}

static void append(const char *path, const char *text)
{
	FILE *f = fopen(path, "a");

	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static void test_incarnation(void)
{
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	json_t *lines;
	unsigned i;

	scratch_make(&s);
	scratch_path(&s, path, "log");
	for (i = 1; i <= 3; i++) {
		log = open_log(path, "a");
		CHECK_INT(event_incarnation(log), i);
		event(log, "start", NULL);
		event_log_close(log);
	}
	/* Another program's lines in the file do not count. */
	log = open_log(path, "b");
	CHECK_INT(event_incarnation(log), 1);
	event(log, "start", NULL);
	event_log_close(log);
	/* What a dead writer or an editor left does no harm. */
	append(path,
	       "not json\n{\"src\":\"a\",\"inc\":-5}\n{\"inc\":9}\n\n[1]\n"
	       "{\"v\":1,\"n\":99,\"sr");
	log = open_log(path, "a");
	CHECK_INT(event_incarnation(log), 4);
	event(log, "start", NULL);
	event(log, "ready", NULL);
	event_log_close(log);
	lines = read_file(path);
	CHECK_INT(json_array_size(lines), 12);
	CHECK(json_is_null(json_array_get(lines, 9)));
	CHECK_STR(string(lines, 10, "ev"), "start");
	CHECK_STR(string(lines, 11, "ev"), "ready");
	json_decref(lines);
	scratch_remove(&s);
}

static void test_too_long(void)
{
	char text[EVENT_LINE_MAX + 1];
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	json_t *lines;
	struct stat st;
	size_t len;

	scratch_make(&s);
	log = open_log(scratch_path(&s, path, "log"), "a");
	memset(text, 'x', sizeof(text));
	for (len = EVENT_LINE_MAX - 200; len < sizeof(text); len += 50) {
		text[len] = 0;
		event(log, "long", "s:s", "text", text);
		text[len] = 'x';
	}
	/* Neither can a text that is not UTF-8 be JSON. */
	event(log, "odd", "s:s, s:i", "text", "\xff\xfe", "more", 1);
	event_log_close(log);
	lines = read_file(path);
	len = json_array_size(lines);
	CHECK_INT(len, 6);
	CHECK(string(lines, 0, "text") != NULL);
	CHECK(!json_object_get(json_array_get(lines, 0), "truncated"));
	CHECK(json_is_true(
		json_object_get(json_array_get(lines, 4), "truncated")));
	CHECK(!string(lines, 4, "text"));
	CHECK_STR(string(lines, 5, "ev"), "odd");
	CHECK(json_is_true(
		json_object_get(json_array_get(lines, 5), "truncated")));
	CHECK_INT(integer(lines, 5, "n"), 6);
	CHECK(!stat(path, &st) && st.st_size < 6 * EVENT_LINE_MAX);
	json_decref(lines);
	scratch_remove(&s);
}

/* Write until some are lost; how many were written at. */
static unsigned overfill(struct event_log *log)
{
	char text[1000];
	unsigned i;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (i = 0; i < 2000; i++)
		event(log, "flood", "s:s", "text", text);
	return i;
}

/* What came is whole and in order, and the next event says what did not. */
static void check_flood(struct event_log *log, int reader, unsigned n)
{
	json_t *lines = read_lines(reader);
	size_t i, got = json_array_size(lines);

	CHECK(got > 10 && got < n);
	CHECK_INT(event_last(log), got);
	for (i = 0; i < got; i++)
		CHECK_INT(integer(lines, i, "n"), i + 1);
	json_decref(lines);

	event(log, "after", NULL);
	event(log, "later", NULL);
	lines = read_lines(reader);
	CHECK_INT(json_array_size(lines), 2);
	CHECK_INT(integer(lines, 0, "n"), n + 1);
	CHECK_INT(integer(lines, 0, "dropped"), n - got);
	CHECK(!json_object_get(json_array_get(lines, 1), "dropped"));
	CHECK_INT(event_last(log), n + 2);
	json_decref(lines);
}

static void test_full_fifo(void)
{
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	unsigned n;
	int fd;

	scratch_make(&s);
	scratch_path(&s, path, "fifo");
	CHECK_INT(mkfifo(path, 0600), 0);
	/* No reader yet: opening does not wait for one. */
	log = open_log(path, "a");
	alarm(20);
	n = overfill(log);
	alarm(0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	check_flood(log, fd, n);
	close(fd);
	event_log_close(log);
	scratch_remove(&s);
}

/* In a child, whose standard output is `out`: overfill it, then wait until
 * `go` is closed and write two more. */
static void flood_stdout(int out, int go, int done)
{
	struct event_log *log = NULL;
	char byte;

	alarm(20);
	if (dup2(out, STDOUT_FILENO) < 0 ||
	    event_log_open(&log, NULL, NULL, "a", "-", NULL))
		_exit(1);
	overfill(log);
	close(done);
	if (read(go, &byte, 1) < 0)
		_exit(1);
	event(log, "after", NULL);
	event_log_close(log);
	/* Still open and as it was. */
	_exit(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK ? 2 : 0);
}

/* A blocking standard output that nobody reads. */
static void check_stdout(int reader, int writer)
{
	int go[2], done[2], status = -1;
	json_t *lines, *after;
	char byte;
	size_t got;
	pid_t pid;

	CHECK(!pipe(go) && !pipe(done));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(go[1]);
		close(done[0]);
		flood_stdout(writer, go[0], done[1]);
	}
	close(done[1]);
	close(go[0]);
	CHECK_INT(read(done[0], &byte, 1), 0);
	fcntl(reader, F_SETFL, O_NONBLOCK);
	lines = read_lines(reader);
	got = json_array_size(lines);
	CHECK(got > 10 && got < 2000);
	close(go[1]);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	after = read_lines(reader);
	CHECK_STR(string(after, 0, "ev"), "after");
	CHECK_INT(integer(after, 0, "dropped"), 2000 - (json_int_t)got);
	json_decref(lines);
	json_decref(after);
	close(done[0]);
}

static void test_stdout_pipe(void)
{
	int p[2];

	CHECK_INT(pipe(p), 0);
	check_stdout(p[0], p[1]);
	close(p[0]);
	close(p[1]);
}

static void test_stdout_socket(void)
{
	int p[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	check_stdout(p[0], p[1]);
	close(p[0]);
	close(p[1]);
}

/* A reader that went away costs events, not the program. */
static void test_reader_gone(void)
{
	struct event_log *log;
	char path[PATH_MAX];
	struct scratch s;
	json_t *lines;
	int fd;

	scratch_make(&s);
	scratch_path(&s, path, "fifo");
	CHECK_INT(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log = open_log(path, "a");
	event(log, "one", NULL);
	lines = read_lines(fd);
	CHECK_INT(json_array_size(lines), 1);
	json_decref(lines);
	close(fd);
	event(log, "two", NULL);
	event(log, "three", NULL);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	event(log, "four", NULL);
	lines = read_lines(fd);
	CHECK_INT(json_array_size(lines), 1);
	CHECK_STR(string(lines, 0, "ev"), "four");
	CHECK_INT(integer(lines, 0, "dropped"), 2);
	json_decref(lines);
	close(fd);
	event_log_close(log);
	scratch_remove(&s);
}

/* The machine counts: two programs never give the same number. */
static void test_machine_numbers(void)
{
	struct event_log *a = NULL, *b = NULL;
	struct state_area *area = NULL;
	char path[PATH_MAX];
	struct complaint c;
	struct machine m;
	struct scratch s;
	json_t *lines;

	scratch_make(&s);
	scratch_path(&s, path, "m0");
	CHECK_INT(machine_open(&m, path, MACHINE_CREATE, &c), 0);
	CHECK_INT(state_area_map(&m, 1, &area, &c), 0);
	CHECK_INT(event_log_open(&a, &m, area, "a", NULL, &c), 0);
	CHECK_INT(event_log_open(&b, &m, area, "b", NULL, &c), 0);
	CHECK_INT(event(a, "x", NULL), 1);
	CHECK_INT(event(b, "x", NULL), 2);
	CHECK_INT(event(a, "x", NULL), 3);
	CHECK_INT(event_last(b), 2);
	CHECK_INT(atomic_load(&area->event_sequence), 3);
	event_log_close(a);
	event_log_close(b);
	lines = read_file(machine_path(&m, path, "events/a.jsonl"));
	CHECK_INT(json_array_size(lines), 2);
	CHECK_INT(integer(lines, 1, "n"), 3);
	json_decref(lines);
	state_area_unmap(area);
	machine_close(&m);
	scratch_remove(&s);
}

static void test_cannot_open(void)
{
	struct event_log *log = NULL;
	struct complaint c;

	CHECK_INT(event_log_open(&log, NULL, NULL, "a", "/nowhere/log", &c),
		  -ENOENT);
	CHECK_HAS(c.text, "/nowhere/log");
	CHECK(!log);
}

static const struct unit_case cases[] = {
	{ "lines", test_lines },
	{ "plain_lines", test_plain_lines },
	{ "no_log", test_no_log },
	{ "envelope_wins", test_envelope_wins },
	{ "incarnation", test_incarnation },
	{ "too_long", test_too_long },
	{ "full_fifo", test_full_fifo },
	{ "stdout_pipe", test_stdout_pipe },
	{ "stdout_socket", test_stdout_socket },
	{ "reader_gone", test_reader_gone },
	{ "machine_numbers", test_machine_numbers },
	{ "cannot_open", test_cannot_open },
	{ NULL, NULL },
};

const struct unit_suite event_log_suite = { "event_log", cases };
