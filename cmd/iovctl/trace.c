/* trace.c - the command trace: events as a trace for Chrome and Perfetto.
 *
 * Theory of operation.  The output is the JSON of the Trace Event Format: each
 * program a process, its thread 0 a row of instants, and each procedure, for
 * each function or VM that it is about, a thread with slices: one from its
 * first point to its end, and in it one from each point to the next.  What
 * ends a procedure is in a table; one that is not ended, since its program
 * died or it began anew, is cut off at its last point and says so.
 */
#include <config.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "cmd/iovctl/event_files.h"
#include "cmd/iovctl/event_print.h"
#include "cmd/iovctl/iovctl.h"
#include "libcore/program.h"

/* The first that matches an event tells how its procedure ends; without an end
 * it is no point. */
static const struct procedure {
	const char *points;
	const char *end; /* an event, or the last point */
	const char *other_end;
} procedures[] = {
	{ "failover.return", "takeover.returned", "takeover.not-returned" },
	{ "failover.*", "takeover.done", "takeover.stood-down" },
	{ "reset.refused", NULL, NULL },
	{ "reset.asked", NULL, NULL },
	{ "reset.done", NULL, NULL },
	{ "reset.failed", NULL, NULL },
	{ "reset.*", "reset.done", "reset.failed" },
	{ "resume.*", "resume.done", "reset.taken-up" },
	{ "vmreset.*", "vm.reset.done", "vm.reset.failed" },
	{ "attach.*", "device.ready", "device.failed" },
	{ "enumerate.*", "device.ready", "device.failed" },
	{ "adopt.*", "adopt.done", "device.failed" },
	{ "takeback.asked", NULL, NULL },
	{ "takeback.*", "takeback.released", NULL },
	{ "give.*", "give.rows", NULL },
	{ "allocate.*", "allocate.inject", NULL },
	{ "free.*", "free.inject", NULL },
	{ "remove.*", "remove.inject", NULL },
	{ "driver.10*", "driver.1004", NULL },
	{ "driver.1803", "driver.1004", NULL },
	{ "driver.1[19]0*", "driver.1103", NULL },
	{ "driver.12*", "driver.1202", NULL },
	{ "driver.13*", "driver.1303", NULL },
	{ "schedule.a*", "schedule.a2040", NULL },
	{ "tx.8*", "tx.807", NULL },
	{ "rx.9*", "rx.907", NULL },
	{ "send.14*", "send.1408", NULL },
	{ "receive.15*", "receive.1505", NULL },
};
#define N_PROCEDURES (sizeof(procedures) / sizeof(*procedures))

/* A thread of the trace: a procedure and what it is about. */
struct track {
	int thread;
	char name[64], subject[64];
	const struct procedure *procedure; /* that runs, or NULL */
	char first[64], last[64];          /* its points */
	uint64_t first_ns, last_ns;
	json_t *first_args, *last_args;
	LIST_ENTRY(track) entry;
};

struct source {
	char name[64];
	int process, n_threads;
	json_int_t incarnation;
	LIST_HEAD(, track) tracks;
	LIST_ENTRY(source) entry;
};

struct trace {
	FILE *out;
	bool comma;
	int n_sources;
	LIST_HEAD(, source) sources;
};

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static uint64_t time_of(const json_t *event)
{
	return (uint64_t)json_integer_value(json_object_get(event, "t"));
}

/* Its own values, without those that every event has. */
static json_t *args_of(const json_t *event)
{
	static const char *const envelope[] = { "v", "src", "inc", "ev", "t" };
	json_t *args = json_copy((json_t *)event);
	unsigned i;

	for (i = 0; i < sizeof(envelope) / sizeof(*envelope); i++)
		json_object_del(args, envelope[i]);
	return args;
}

static void put(struct trace *t, json_t *o)
{
	fputs(t->comma ? ",\n" : "\n", t->out);
	t->comma = true;
	json_dumpf(o, t->out, JSON_COMPACT | JSON_REAL_PRECISION(16));
	json_decref(o);
}

static double micros(uint64_t ns)
{
	return (double)ns / 1e3;
}

static void put_name(struct trace *t, const char *what, int process, int thread,
		     json_t *name)
{
	put(t,
	    json_pack("{s:s, s:s, s:i, s:i, s:{s:o}}", "ph", "M", "name", what,
		      "pid", process, "tid", thread, "args", "name", name));
}

static void put_slice(struct trace *t, const struct source *s,
		      const struct track *track, const char *name,
		      uint64_t from_ns, uint64_t to_ns, json_t *args)
{
	put(t, json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:o}", "ph", "X",
			 "name", name, "cat", track->name, "pid", s->process,
			 "tid", track->thread, "ts", micros(from_ns), "dur",
			 micros(to_ns - from_ns), "args", args));
}

static void put_instant(struct trace *t, const struct source *s,
			const json_t *event)
{
	put(t, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:o}", "ph", "i",
			 "s", "t", "name", text_of(event, "ev"), "cat", "event",
			 "pid", s->process, "tid", 0, "ts",
			 micros(time_of(event)), "args", args_of(event)));
}

/* The procedure is over, by this event, or cut off without one. */
static void end_run(struct trace *t, struct source *s, struct track *track,
		    const json_t *event)
{
	uint64_t end_ns = event ? time_of(event) : track->last_ns;
	char name[64];

	if (!track->procedure)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(track->first, "."),
		 track->first);
	if (event)
		json_object_update_missing_new(track->first_args,
					       args_of(event));
	else
		json_object_set_new(track->first_args, "unfinished",
				    json_true());
	put_slice(t, s, track, name, track->first_ns, end_ns,
		  track->first_args);
	put_slice(t, s, track, track->last, track->last_ns, end_ns,
		  track->last_args);
	track->procedure = NULL;
}

static void end_all(struct trace *t, struct source *s)
{
	struct track *track;

	LIST_FOREACH (track, &s->tracks, entry)
		end_run(t, s, track, NULL);
}

static struct source *find_source(struct trace *t, const json_t *event)
{
	json_int_t inc = json_integer_value(json_object_get(event, "inc"));
	const char *name = text_of(event, "src");
	struct source *s;

	LIST_FOREACH (s, &t->sources, entry)
		if (!strcmp(s->name, name))
			break;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			abort();
		strlcpy(s->name, name, sizeof(s->name));
		s->process = ++t->n_sources;
		LIST_INSERT_HEAD(&t->sources, s, entry);
		put_name(t, "process_name", s->process, 0, json_string(name));
		put_name(t, "thread_name", s->process, 0,
			 json_string("events"));
	} else if (s->incarnation != inc) {
		end_all(t, s);
	}
	s->incarnation = inc;
	return s;
}

/* What a point or an end is about. */
static const char *subject_of(const json_t *event)
{
	static const char *const keys[] = { "function", "device", "vf", "vm",
					    "name" };
	unsigned i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (*text_of(event, keys[i]))
			return text_of(event, keys[i]);
	return "";
}

static struct track *find_track(struct trace *t, struct source *s,
				const struct procedure *p, const json_t *event)
{
	const char *subject = subject_of(event);
	struct track *track;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(p->points, "."),
		 p->points);
	LIST_FOREACH (track, &s->tracks, entry)
		if (!strcmp(track->name, name) &&
		    !strcmp(track->subject, subject))
			return track;
	track = calloc(1, sizeof(*track));
	if (!track)
		abort();
	strlcpy(track->name, name, sizeof(track->name));
	strlcpy(track->subject, subject, sizeof(track->subject));
	track->thread = ++s->n_threads;
	LIST_INSERT_HEAD(&s->tracks, track, entry);
	put_name(t, "thread_name", s->process, track->thread,
		 json_sprintf("%s%s%s", name, *subject ? " " : "", subject));
	return track;
}

static bool is_end(const struct procedure *p, const char *ev)
{
	return (p->end && !strcmp(p->end, ev)) ||
	       (p->other_end && !strcmp(p->other_end, ev));
}

/* End what the event ends; one that names nothing, or a procedure that does
 * not, fits any. */
static void end_matching(struct trace *t, struct source *s, const json_t *event)
{
	const char *subject = subject_of(event);
	struct track *track;

	LIST_FOREACH (track, &s->tracks, entry)
		if (track->procedure &&
		    is_end(track->procedure, text_of(event, "ev")) &&
		    (!*subject || !*track->subject ||
		     !strcmp(subject, track->subject)))
			end_run(t, s, track, event);
}

static void pass_point(struct trace *t, struct source *s,
		       const struct procedure *p, const json_t *event)
{
	struct track *track = find_track(t, s, p, event);
	const char *ev = text_of(event, "ev");

	if (track->procedure &&
	    (track->procedure->end != p->end || !strcmp(track->first, ev)))
		end_run(t, s, track, NULL);
	if (track->procedure) {
		put_slice(t, s, track, track->last, track->last_ns,
			  time_of(event), track->last_args);
	} else {
		track->procedure = p;
		strlcpy(track->first, ev, sizeof(track->first));
		track->first_ns = time_of(event);
		track->first_args = args_of(event);
	}
	strlcpy(track->last, ev, sizeof(track->last));
	track->last_ns = time_of(event);
	track->last_args = args_of(event);
}

static const struct procedure *find_procedure(const char *ev)
{
	unsigned i;

	for (i = 0; i < N_PROCEDURES; i++)
		if (!fnmatch(procedures[i].points, ev, 0))
			return procedures[i].end ? &procedures[i] : NULL;
	return NULL;
}

static void take_event(struct trace *t, const json_t *event)
{
	struct source *s = find_source(t, event);
	const char *ev = text_of(event, "ev");
	const struct procedure *p = find_procedure(ev);

	if (p)
		pass_point(t, s, p, event);
	else
		put_instant(t, s, event);
	end_matching(t, s, event);
}

static bool is_wanted(const struct iovctl *ctl, const json_t *event)
{
	bool any = false;
	int i;

	for (i = 0; i < ctl->n_args; i++) {
		if (strchr(ctl->args[i], '/'))
			continue;
		any = true;
		if (!fnmatch(ctl->args[i], text_of(event, "ev"), 0))
			return true;
	}
	return !any;
}

static int by_time(const void *a, const void *b)
{
	const struct event_line *x = a, *y = b;
	uint64_t s = time_of(x->json), t = time_of(y->json);

	if (s != t)
		return s < t ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

/* Wall clock minus CLOCK_MONOTONIC, for whoever has a pcap of the same. */
static json_int_t wall_clock_offset(void)
{
	struct timespec wall, mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (wall.tv_sec - mono.tv_sec) * 1000000000ll + wall.tv_nsec -
	       mono.tv_nsec;
}

static void write_trace(const struct iovctl *ctl, FILE *out,
			struct event_line *lines, size_t n)
{
	struct trace t = { .out = out };
	struct source *s;
	struct track *track;
	size_t i;

	LIST_INIT(&t.sources);
	if (n)
		qsort(lines, n, sizeof(*lines), by_time);
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
	for (i = 0; i < n; i++)
		if (is_wanted(ctl, lines[i].json))
			take_event(&t, lines[i].json);
	while ((s = LIST_FIRST(&t.sources))) {
		end_all(&t, s);
		while ((track = LIST_FIRST(&s->tracks))) {
			LIST_REMOVE(track, entry);
			free(track);
		}
		LIST_REMOVE(s, entry);
		free(s);
	}
	fprintf(out, "\n],\"otherData\":{\"wall_clock_offset_ns\":%lld}}\n",
		(long long)wall_clock_offset());
}

/* Of the named files, or of the machine. */
static int read_lines(struct iovctl *ctl, struct event_line **lines, size_t *n)
{
	struct event_files *files;
	bool any = false;
	uint64_t since;
	int i, status, err = 0;

	for (i = 0; i < ctl->n_args && !err; i++) {
		if (!strchr(ctl->args[i], '/'))
			continue;
		any = true;
		err = event_file_append(ctl->args[i], lines, n, &ctl->cause);
	}
	if (any || err)
		return err ? program_status_of(err) : STATUS_OK;
	err = machine_open(&ctl->machine, ctl->machine_name, 0, &ctl->cause);
	if (err)
		return program_status_of(err);
	status = parse_since(ctl, 0, &since);
	if (status)
		return status;
	err = event_files_open(&files, &ctl->machine, since, &ctl->cause);
	if (err)
		return program_status_of(err);
	err = event_files_read(files, lines, n);
	event_files_close(files);
	return err ? program_status_of(err) : STATUS_OK;
}

static int do_trace(struct iovctl *ctl)
{
	struct event_line *lines = NULL;
	FILE *out = stdout;
	size_t n = 0;
	int status;

	status = read_lines(ctl, &lines, &n);
	if (!status && ctl->file && strcmp(ctl->file, "-"))
		out = fopen(ctl->file, "we");
	if (!out)
		status = fail(ctl, STATUS_INTERNAL, "%s: %s", ctl->file,
			      strerror(errno));
	if (!status)
		write_trace(ctl, out, lines, n);
	if (out && out != stdout && fclose(out) && !status)
		status = fail(ctl, STATUS_INTERNAL, "%s: %s", ctl->file,
			      strerror(errno));
	event_lines_free(lines, n);
	return status;
}

const struct command trace_commands[] = {
	{ .name = "trace",
	  .usage = "[EVENT|FILE...]",
	  .what = "events as a trace for Chrome or Perfetto",
	  .help = "EVENT may be a pattern (failover.*). With FILEs, which have "
		  "a slash in their names, these event logs are read in place "
		  "of the machine's.",
	  .takes = TAKES_SINCE | TAKES_WRITE | NEEDS_NO_MACHINE,
	  .max_args = -1,
	  .fn = do_trace },
	{ NULL },
};
