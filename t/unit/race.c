/* race.c - what the programs under ThreadSanitizer have in common. */
#include <config.h>

#include "t/unit/race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void race_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

bool race_may_dma(void *arg, unsigned partition)
{
	(void)arg, (void)partition;
	return true;
}

void race_work(void *arg)
{
	(void)arg;
}

void race_told(void *arg, unsigned partition, uint32_t handle, const char *what)
{
	(void)arg, (void)partition, (void)handle;
	race_fail(what);
}
