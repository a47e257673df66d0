/* guests.h - which VMs are guests of another VM, the hypervisor of a partition
 * (spec 04): --guests. */
#ifndef IOVKIT_HVMON_GUESTS_H
#define IOVKIT_HVMON_GUESTS_H

#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"
#include "libcore/supervisor.h"

struct guests {
	struct sup_supervisor *list;
	unsigned n;
};

/* "vm1=vm2-vm65,vm70": vm1 decides about these. */
int guests_parse(struct guests *guests, const char *text, struct complaint *c)
	__attribute__((warn_unused_result));
void guests_fini(struct guests *guests);
/* Tell the root bridge. */
void step_guests(struct procedure *p);

#endif
