/* arguments.h - arguments of options that measurements have in common. */
#ifndef BENCH_ARGUMENTS_H
#define BENCH_ARGUMENTS_H

#include <argp.h>
#include <stdint.h>

/* A number from 1 to max; argp_error() when it is none. */
uint32_t argument_number(struct argp_state *state, const char *arg,
			 uint32_t max);
/* "0,1"; argp_error() when it is not two CPUs. */
void argument_two_cpus(struct argp_state *state, const char *arg, int *first,
		       int *second);

#endif
