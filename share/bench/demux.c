/* demux.c - measures what an event costs the firmware that forwards it to one
 * of many guests' queues, and what it would cost by other ways.
 *
 * Prints two numbers for a script, p50 and p99 in ns: of the cost of an event
 * in a round, or of the time that a lone event takes.  Prints "none" when the
 * process may not have as many eventfds.
 */
#include <config.h>

#include "share/bench/demux.h"

#include <argp.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/status.h"
#include "share/bench/arguments.h"

struct options {
	struct demux_bench b;
	const char *what;
};

static const struct argp_option option_table[] = {
	{ "cpus", 'c', "FIRMWARE,OTHERS", 0, "the two CPUs (0,1)", 0 },
	{ "queues", 'q', "N", 0, "of guests (64)", 0 },
	{ "rounds", 'r', "N", 0, "that are timed (1000)", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'c':
		argument_two_cpus(state, arg, &o->b.firmware_cpu,
				  &o->b.others_cpu);
		return 0;
	case 'q':
		o->b.queues = argument_number(state, arg, DEMUX_BENCH_MAX);
		return 0;
	case 'r':
		o->b.rounds = argument_number(state, arg, 1000000);
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

/* False: not so many eventfds. */
static bool measure(struct demux_bench *b, const char *what,
		    struct demux_cost *cost)
{
	bool interrupt = !strcmp(what, "interrupt");
	bool epoll = !strcmp(what, "epoll");

	if ((interrupt || epoll) && !demux_bench_eventfds(b))
		return false;
	if (epoll)
		*cost = demux_cost_epoll(b);
	else if (interrupt || !strcmp(what, "forward"))
		*cost = demux_cost_forward(b, interrupt);
	else if (!strcmp(what, "poll") || !strcmp(what, "scan"))
		*cost = demux_cost_lone(b, !strcmp(what, "scan"));
	else
		errx(STATUS_USAGE, "'%s' is nothing to measure", what);
	return true;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "forward|interrupt|epoll|poll|scan",
		.doc = "Measure what it costs to bring an event to one of many "
		       "guests' queues.",
	};
	struct options o = { .b = { .firmware_cpu = 0,
				    .others_cpu = 1,
				    .queues = 64,
				    .rounds = 1000 } };
	struct demux_cost cost;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	demux_bench_init(&o.b);
	if (measure(&o.b, o.what, &cost))
		printf("%.1f %.1f\n", cost.p50_ns, cost.p99_ns);
	else
		puts("none");
	demux_bench_fini(&o.b);
	if (fflush(stdout) || ferror(stdout))
		err(STATUS_INTERNAL, "stdout");
	return 0;
}
