/* confirm_barrier.c - a110 by one ordered non-posted request to each VF (spec
 * 01, fig. 4): a config read, which a VF answers when all earlier requests and
 * all queue entries that it took are finished. */
#include <config.h>

#include "cmd/hvmon/reset_procedure.h"

/* a300; a305, that all are answered, is the end of the step. */
void confirm_barrier(struct procedure *p)
{
	reset_point(p, POINT_RESET_A300);
	vf_states_barrier(p);
}
