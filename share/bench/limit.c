/* limit.c - measures what two CPUs can do at most through shared memory: the
 * bare limit that the fast path is compared with.
 *
 * Prints one line of words for a script: a rate in million frames a second,
 * or p50 and p99 in microseconds, or, of a probe, the nanoseconds of a trip
 * and the placement of the two CPUs that they mean.
 */
#include <config.h>

#include "share/bench/limit.h"

#include <argp.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/loop.h"
#include "libcore/status.h"
#include "share/bench/arguments.h"

/* So many trips of a probe are timed as one. */
#define PROBE_TRIPS 64u

/* Of a busy-poll round trip: shorter is one core's two threads, longer is two
 * caches of the last level. */
#define SMT_BELOW_NS 95.0
#define FAR_ABOVE_NS 200.0

struct options {
	struct limit_run run;
	const char *what;
};

static const struct argp_option option_table[] = {
	{ "cpus", 'c', "DEVICE,GUEST", 0, "the two CPUs (0,1)", 0 },
	{ "bytes", 'b', "N", 0, "of a frame (64)", 0 },
	{ "slots", 's', "N", 0, "of a ring, a power of two (1024)", 0 },
	{ "batch", 'n', "N", 0, "frames at a time (32)", 0 },
	{ "trips", 'r', "N", 0, "round trips that are timed as one (1)", 0 },
	{ "ms", 't', "N", 0, "milliseconds of the measurement (300)", 0 },
	{ "warm-up", 'w', "N", 0, "milliseconds before it (20)", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct limit_run *run = &o->run;

	switch (key) {
	case 'c':
		argument_two_cpus(state, arg, &run->device_cpu,
				  &run->guest_cpu);
		return 0;
	case 'b':
		run->bytes = argument_number(state, arg, 65536);
		return 0;
	case 's':
		run->slots = argument_number(state, arg, 65536);
		if (run->slots & (run->slots - 1))
			argp_error(state, "'%s' is no power of two", arg);
		return 0;
	case 'n':
		run->batch = argument_number(state, arg, 1024);
		return 0;
	case 'r':
		run->trips = argument_number(state, arg, 1024);
		return 0;
	case 't':
		run->duration_ns =
			argument_number(state, arg, 60000) * NS_PER_MS;
		return 0;
	case 'w':
		run->warm_up_ns =
			argument_number(state, arg, 60000) * NS_PER_MS;
		return 0;
	case ARGP_KEY_ARG:
		if (o->what)
			argp_usage(state);
		o->what = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const char *placement(double ns)
{
	if (ns < SMT_BELOW_NS)
		return "smt";
	return ns > FAR_ABOVE_NS ? "far" : "near";
}

static void print_rate(double per_second)
{
	printf("%.3f\n", per_second / 1e6);
}

static void print_trip(struct limit_trip trip)
{
	printf("%.3f %.3f\n", trip.p50_ns / 1e3, trip.p99_ns / 1e3);
}

static void print_probe(struct limit_run run)
{
	double ns;

	run.trips = PROBE_TRIPS;
	ns = trip_poll(&run).p50_ns / PROBE_TRIPS;
	printf("%.1f %s\n", ns, placement(ns));
}

static void measure(const struct options *o)
{
	const struct limit_run *run = &o->run;

	if (!strcmp(o->what, "one-hop")) {
		print_rate(ring_one_hop(run));
	} else if (!strcmp(o->what, "two-hop")) {
		print_rate(ring_two_hop(run));
	} else if (!strcmp(o->what, "two-hop-procs")) {
		print_rate(ring_two_hop_procs(run));
	} else if (!strcmp(o->what, "poll")) {
		print_trip(trip_poll(run));
	} else if (!strcmp(o->what, "eventfd")) {
		print_trip(trip_eventfd(run));
	} else if (!strcmp(o->what, "probe")) {
		print_probe(*run);
	} else {
		errx(STATUS_USAGE, "what is '%s'?", o->what);
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "one-hop|two-hop|two-hop-procs|poll|eventfd|probe",
		.doc = "Measure what two CPUs can do at most through shared "
		       "memory.",
	};
	struct options o = { .run = { .device_cpu = 0,
				      .guest_cpu = 1,
				      .bytes = 64,
				      .slots = 1024,
				      .batch = 32,
				      .trips = 1,
				      .warm_up_ns = 20 * NS_PER_MS,
				      .duration_ns = 300 * NS_PER_MS } };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	measure(&o);
	if (fflush(stdout) || ferror(stdout))
		err(STATUS_INTERNAL, "stdout");
	return 0;
}
