/* relay.c - measures a relay of three processes over AF_UNIX stream sockets:
 * what a register read guest -> rootbridge -> iovdev -> back costs at least.
 *
 * Prints one JSON object.  With --sweep: how long one request on each of many
 * sockets between the second and the third process takes, all sent at once.
 * Otherwise, for each number of outstanding requests, the kinds of relay take
 * turns, so that whatever else the machine does hits all alike; figures are
 * medians of the runs.
 */
#include <config.h>

#include "share/bench/relay.h"

#include <argp.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "libcore/loop.h"
#include "libcore/status.h"
#include "share/bench/arguments.h"
#include "share/bench/child.h"

#define MAX_RUNS 99

struct options {
	int cpus[3]; /* of A, B and C; -1: anywhere */
	unsigned runs;
	unsigned outstanding; /* besides 1 */
	unsigned ms;          /* of one run */
	bool codec;
	bool sweep;
	unsigned sockets, sweeps;
	unsigned rest_ms; /* before each sweep */
};

static const struct argp_option option_table[] = {
	{ "cpus", 'c', "A,B,C", 0, "pin the processes to these CPUs", 0 },
	{ "runs", 'r', "N", 0, "median of N runs (5)", 0 },
	{ "outstanding", 'o', "N", 0, "measure 1 and N outstanding (64)", 0 },
	{ "ms", 't', "N", 0, "milliseconds of one run (500)", 0 },
	{ "codec", 'k', NULL, 0, "also relay with libcore's vfio-user", 0 },
	{ "sweep", 's', NULL, 0, "measure sweeps over many sockets", 0 },
	{ "sockets", 'n', "N", 0, "--sweep: so many sockets (64)", 0 },
	{ "sweeps", 'w', "N", 0, "--sweep: so many times (500)", 0 },
	{ "rest", 'e', "MS", 0, "--sweep: rest so long before each (0)", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char more;

	switch (key) {
	case 'c':
		if (sscanf(arg, "%d,%d,%d%c", &o->cpus[0], &o->cpus[1],
			   &o->cpus[2], &more) != 3)
			argp_error(state, "'%s' is not three CPUs", arg);
		return 0;
	case 'r':
		o->runs = argument_number(state, arg, MAX_RUNS);
		return 0;
	case 'o':
		o->outstanding = argument_number(state, arg, 1024);
		return 0;
	case 't':
		o->ms = argument_number(state, arg, 60000);
		return 0;
	case 'k':
		o->codec = true;
		return 0;
	case 's':
		o->sweep = true;
		return 0;
	case 'n':
		o->sockets = argument_number(state, arg, SWEEP_MAX_SOCKETS);
		return 0;
	case 'w':
		o->sweeps = argument_number(state, arg, 1000000);
		return 0;
	case 'e':
		o->rest_ms = argument_number(state, arg, 1000);
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void make_pair(int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		err(STATUS_INTERNAL, "socketpair");
}

static void run_once(const struct options *o, const struct relay_kind *kind,
		     struct relay_run *run)
{
	int front[2], back[2], ret;
	pid_t b, c;

	make_pair(front);
	make_pair(back);
	b = child_fork(o->cpus[1]);
	if (!b) {
		close(front[0]);
		close(back[1]);
		_exit(kind->relay(front[1], back[0]) ? STATUS_INTERNAL : 0);
	}
	c = child_fork(o->cpus[2]);
	if (!c) {
		close(front[0]);
		close(front[1]);
		close(back[0]);
		_exit(kind->answer(back[1]) ? STATUS_INTERNAL : 0);
	}
	close(front[1]);
	close(back[0]);
	close(back[1]);
	ret = kind->ask(front[0], run);
	if (ret || !run->elapsed_ns)
		errx(STATUS_INTERNAL, "%s: %s", kind->name,
		     ret ? strerror(-ret) : "hung up");
	child_wait(b);
	child_wait(c);
}

static void make_pairs(unsigned n, int near[], int far[])
{
	unsigned i;
	int sv[2];

	for (i = 0; i < n; i++) {
		make_pair(sv);
		near[i] = sv[0];
		far[i] = sv[1];
	}
}

static void close_all(const int fds[], unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		close(fds[i]);
}

/* Sweeps as A, with B and C as children. */
static void run_sweeps(const struct options *o, struct sweep_run *run)
{
	int front[2], near[SWEEP_MAX_SOCKETS], far[SWEEP_MAX_SOCKETS], ret;
	unsigned n = run->sockets;
	pid_t b, c;

	make_pair(front);
	make_pairs(n, near, far);
	b = child_fork(o->cpus[1]);
	if (!b) {
		close(front[0]);
		close_all(far, n);
		_exit(sweep_relay(front[1], near, n) ? STATUS_INTERNAL : 0);
	}
	c = child_fork(o->cpus[2]);
	if (!c) {
		close(front[0]);
		close(front[1]);
		close_all(near, n);
		_exit(sweep_answer(far, n) ? STATUS_INTERNAL : 0);
	}
	close(front[1]);
	close_all(near, n);
	close_all(far, n);
	ret = sweep_ask(front[0], run);
	if (ret)
		errx(STATUS_INTERNAL, "sweep: %s", strerror(-ret));
	close(front[0]);
	child_wait(b);
	child_wait(c);
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static json_t *measure_sweeps(const struct options *o)
{
	struct sweep_run run = { .sockets = o->sockets,
				 .warm_up = o->sweeps / 10,
				 .sweeps = o->sweeps,
				 .rest_ns = o->rest_ms * NS_PER_MS };
	json_t *json;

	run.ns = calloc(run.sweeps, sizeof(*run.ns));
	if (!run.ns)
		err(STATUS_INTERNAL, "sweeps");
	run_sweeps(o, &run);
	qsort(run.ns, run.sweeps, sizeof(*run.ns), by_time);
	json = json_pack("{s:s,s:[iii],s:i,s:i,s:f,s:f}", "bench",
			 "relay-sweep", "cpus", o->cpus[0], o->cpus[1],
			 o->cpus[2], "sockets", (int)run.sockets, "sweeps",
			 (int)run.sweeps, "us_p50",
			 (double)run.ns[run.sweeps / 2] / 1e3, "us_p99",
			 (double)run.ns[run.sweeps * 99 / 100] / 1e3);
	free(run.ns);
	return json;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Requests a second of each kind. */
static void measure(const struct options *o, unsigned outstanding,
		    const struct relay_kind *const kinds[], unsigned n_kinds,
		    double rate[])
{
	double rates[2][MAX_RUNS];
	struct relay_run run;
	unsigned i, k;

	for (i = 0; i < o->runs; i++) {
		for (k = 0; k < n_kinds; k++) {
			run = (struct relay_run){
				.outstanding = outstanding,
				.warm_up = 1000,
				.duration_ns = o->ms * NS_PER_MS,
			};
			run_once(o, kinds[k], &run);
			rates[k][i] = (double)run.replies * 1e9 /
				      (double)run.elapsed_ns;
		}
	}
	for (k = 0; k < n_kinds; k++)
		rate[k] = median(rates[k], o->runs);
}

static json_t *report(const struct options *o,
		      const struct relay_kind *const kinds[], unsigned n_kinds,
		      const double one[], const double many[])
{
	json_t *json, *list = json_array();
	unsigned k;

	for (k = 0; k < n_kinds; k++)
		json_array_append_new(
			list, json_pack("{s:s,s:f,s:f,s:f,s:f}", "kind",
					kinds[k]->name, "us_of_one",
					1e6 / one[k], "per_second_of_one",
					one[k], "per_second_of_many", many[k],
					"gain", many[k] / one[k]));
	json = json_pack("{s:s,s:[iii],s:i,s:i,s:i,s:i,s:i,s:o}", "bench",
			 "relay", "cpus", o->cpus[0], o->cpus[1], o->cpus[2],
			 "request_bytes", (int)RELAY_REQUEST_BYTES,
			 "reply_bytes", (int)RELAY_REPLY_BYTES, "runs",
			 (int)o->runs, "run_ms", (int)o->ms, "outstanding",
			 (int)o->outstanding, "relays", list);
	if (json && n_kinds > 1)
		json_object_set_new(json, "codec_to_bare",
				    json_real(one[0] / one[1]));
	return json;
}

static json_t *measure_relays(const struct options *o)
{
	static const struct relay_kind *const kinds[] = { &relay_bare,
							  &relay_codec };
	unsigned n_kinds = o->codec ? 2 : 1;
	double one[2], many[2];

	measure(o, 1, kinds, n_kinds, one);
	measure(o, o->outstanding, kinds, n_kinds, many);
	return report(o, kinds, n_kinds, one, many);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.doc = "Measure a bare relay of three processes.",
	};
	struct options o = { .cpus = { -1, -1, -1 },
			     .runs = 5,
			     .outstanding = 64,
			     .ms = 500,
			     .sockets = 64,
			     .sweeps = 500 };
	json_t *json;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	child_pin(o.cpus[0]);
	json = o.sweep ? measure_sweeps(&o) : measure_relays(&o);
	if (!json ||
	    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)))
		errx(STATUS_INTERNAL, "cannot write");
	putchar('\n');
	json_decref(json);
	if (fflush(stdout) || ferror(stdout))
		err(STATUS_INTERNAL, "stdout");
	return 0;
}
