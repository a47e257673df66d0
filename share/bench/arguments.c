/* arguments.c - arguments of options that measurements have in common. */
#include <config.h>

#include "share/bench/arguments.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t argument_number(struct argp_state *state, const char *arg,
			 uint32_t max)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (end == arg || *end || *arg == '-' || n < 1 || n > max)
		argp_error(state, "'%s' is no number from 1 to %u", arg, max);
	return (uint32_t)n;
}

void argument_two_cpus(struct argp_state *state, const char *arg, int *first,
		       int *second)
{
	char more;

	if (sscanf(arg, "%d,%d%c", first, second, &more) != 2)
		argp_error(state, "'%s' is not two CPUs", arg);
}
