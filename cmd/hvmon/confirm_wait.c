/* confirm_wait.c - a110 by waiting (spec 01, fig. 9): as long as a request of
 * the slowest of the listed VFs takes at most. */
#include <config.h>

#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_procedure.h"

/* a715 */
void confirm_wait(struct procedure *p)
{
	const struct vf_allocation *row;
	uint64_t wait_ns = 0;
	unsigned i;

	for (i = 0; i < p->vfs.n; i++) {
		row = reset_row(p, i);
		if (row && row->wait_ns > wait_ns)
			wait_ns = row->wait_ns;
	}
	reset_point(p, POINT_RESET_A715);
	if (wait_ns)
		step_sleep(p, wait_ns);
}
