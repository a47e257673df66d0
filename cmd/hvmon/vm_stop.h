/* vm_stop.h - stopping and continuing the processes of VMs, through the bmc.
 *
 * Theory of operation.  For each VM and reason there is what is wanted and
 * what the bmc last answered; whenever the two differ and nothing is asked,
 * the bmc is asked.  So wishes may change at any time, and a VM whose process
 * is replaced is brought to what is wanted again.  Whoever waits is told that
 * something changed, and looks.
 */
#ifndef IOVKIT_HVMON_VM_STOP_H
#define IOVKIT_HVMON_VM_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/loop.h"
#include "libcore/rpc_client.h"

struct hvmon;
struct vm_stop;

enum vm_stop_reason {
	VM_STOP_SCHEDULE,
	VM_STOP_A105,
	VM_STOP_DEACTIVATED,
	VM_STOP_REASON_N
};

struct vm_stops {
	struct hvmon *hv;
	struct rpc_client *bmc; /* NULL: not connected */
	loop_fn *changed;       /* with hv, when an answer came */
	loop_fn *lost;          /* with hv: bmc hung up */
	struct vm_stop **of_vm; /* [n], by its number; NULL: nothing yet */
	uint32_t n;
};

void vm_stops_init(struct vm_stops *stops, struct hvmon *hv, loop_fn *changed,
		   loop_fn *lost);
void vm_stops_fini(struct vm_stops *stops);
/* Connect to the bmc if that is not done: 0 or -errno, there is none. */
int vm_stops_connect(struct vm_stops *stops)
	__attribute__((warn_unused_result));

/* The VM's process, 0: none. */
void vm_stop_process(struct vm_stops *stops, uint32_t vm, uint32_t pid);
/* The VM's new process, which the bmc started stopped for that reason. */
void vm_stop_started(struct vm_stops *stops, uint32_t vm, uint32_t pid,
		     enum vm_stop_reason reason);
/* It shall be stopped for this reason, or not any more. */
void vm_stop_want(struct vm_stops *stops, uint32_t vm,
		  enum vm_stop_reason reason, bool stop);
/* Nothing is asked any more: it is as wanted, or that failed. */
bool vm_stop_is_settled(struct vm_stops *stops, uint32_t vm,
			enum vm_stop_reason reason);
/* Why it failed, or NULL. */
const char *vm_stop_failure(struct vm_stops *stops, uint32_t vm,
			    enum vm_stop_reason reason);

#endif
