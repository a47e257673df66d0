/* failover.h - 1603 to 1707: other guests are held back, the PFs taken, the
 * others' queues drained, 130A filled, hypervisor and guests reset. */
#ifndef IOVKIT_GUESTD_FAILOVER_H
#define IOVKIT_GUESTD_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/bus_steps.h"
#include "libcore/loop.h"
#include "libcore/rpc_client.h"
#include "libcore/supervisor.h"

struct successor;

struct failover {
	struct successor *successor;
	struct bus_steps steps;
	struct loop_timer again; /* a look at the queues, or another try */
	struct sup_info info;
	struct sup_function *functions;
	struct sup_vm *vms;
	uint32_t n_functions, n_vms; /* room; the last is zero */
	struct sup_successor successors[64];
	unsigned tries;
	bool drained_once, late;
	bool serves; /* 130A is filled: the PFs' interrupts are followed */
	bool reset_only;
	bool gave_up; /* only the reset is left */
	/* when, by CLOCK_MONOTONIC */
	uint64_t detected_ns, claimed_ns, drain_ns, drained_ns, serving_ns;
	struct rpc_client *bmc;
	bool answered;
	int reset_err; /* how 1707 ended */
};

void failover_init(struct failover *f, struct successor *s);
void failover_fini(struct failover *f);
void failover_start(struct failover *f, const char *why);
/* Only 1707: there is nothing to keep. */
void failover_reset_only(struct failover *f, const char *why);
bool failover_runs(const struct failover *f);

#endif
