/* schedule.h - the VM schedule (spec 01, figs. 16 and 17), and taking VMs off
 * it while a PF is reset (fig. 7).
 */
#ifndef IOVKIT_HVMON_SCHEDULE_H
#define IOVKIT_HVMON_SCHEDULE_H

#include <stdint.h>
#include <sys/queue.h>

#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/schedule_table.h"
#include "cmd/hvmon/vm_stop.h"

/* The list that a500 makes. */
struct vm_list {
	unsigned n;
	uint32_t vm[FUNCTION_VF_MAX];
};

struct schedule_waiter;

struct schedule {
	struct schedule_table table;
	struct vm_stops stops;
	struct loop_timer slice; /* a2010 */
	struct loop_deferred advance;
	bool started; /* the one whose turn it is runs, its time is counted */
	bool begun;   /* a first turn was given */
	bool idle;    /* told: nobody can run */
	TAILQ_HEAD(, schedule_waiter) waiters;
};

/* Before the options are read. */
void schedule_init(struct hvmon *hv);
/* With scheduled VMs there must be a bmc: 0 or -errno with *c. */
int schedule_start(struct hvmon *hv, struct complaint *c)
	__attribute__((warn_unused_result));
void schedule_fini(struct hvmon *hv);
/* The VM table was read anew. */
void schedule_vms_changed(void *hv);

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

/* Inexecutable and stopped, reason "deactivated", or not any more. */
void schedule_deactivate_vm(struct hvmon *hv, uint32_t vm);
void schedule_activate_vm(struct hvmon *hv, uint32_t vm);
/* As a part of a step: until the VM stands, or does so no more, for that reason.
 */
void schedule_wait_deactivated(struct procedure *p, uint32_t vm);
/* The VM's running time (0: it runs freely); urgent: it runs freely for now. */
void schedule_share(struct hvmon *hv, uint32_t vm, uint64_t time_ns,
		    bool urgent);

/* The control method "schedule" and the table of that name. */
void schedule_method(void *hv, struct control_call *call, json_t *params);
json_t *schedule_rows(void *hv);

#endif
