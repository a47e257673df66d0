/* schedule.h - the VM schedule (spec 01, figs. 16 and 17), and taking VMs off
 * it while a PF is reset (fig. 7).
 */
#ifndef IOVKIT_HVMON_SCHEDULE_H
#define IOVKIT_HVMON_SCHEDULE_H

#include <stdint.h>

#include "cmd/hvmon/procedure.h"

/* The list that a500 makes. */
struct vm_list {
	unsigned n;
	uint32_t vm[FUNCTION_VF_MAX];
};

/* Parts of a step of p (step_get(), step_put()).
 *
 * Make the VMs inexecutable, end the slice of one that runs (a510), and have
 * the bmc stop their processes, reason "a105".  The step is over when all of
 * them stand; a VM without a process stands.  Fails with -ENODEV and "no bmc"
 * when there is none. */
void schedule_stop_vms(struct procedure *p, const struct vm_list *vms);
/* a525: each VM gets its former executability back, and its process goes on.
 * Also after a stop that failed half way. */
void schedule_resume_vms(struct procedure *p, const struct vm_list *vms);

#endif
