/* successors.h - the guests that take over when the hypervisor fails (spec 02):
 * what the root bridge is told of them, and the page that hvmon shares with
 * each (link_state.h). */
#ifndef IOVKIT_HVMON_SUCCESSORS_H
#define IOVKIT_HVMON_SUCCESSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"
#include "libcore/link_state.h"
#include "libcore/state_area.h"

struct successor {
	uint32_t vm;
	struct link_page *page; /* NULL: not mapped yet */
};

struct successors {
	unsigned n;                                /* order: index + 1 */
	struct successor vm[STATE_SUCCESSORS + 1]; /* last: not listed, but
						    * owns a PF */
	bool mirror;                               /* keep 130A up to date */
};

/* "vm1,vm2": all or nothing.  -EINVAL, -ERANGE, -EEXIST with *c. */
int successors_parse(struct successors *successors, const char *text,
		     struct complaint *c) __attribute__((warn_unused_result));
void successors_fini(struct successors *successors);
bool successors_has(const struct successors *successors, uint32_t vm);

/* Before devices are started: the memory that they share with us and with the
 * other guests, and ours mapped. */
void step_successors(struct procedure *p);
/* Of a device that we own: who may claim it, and the way to it. */
void step_successors_of(struct procedure *p, struct device *device);
/* The same of memory with a VM that is not listed, but owns a PF. */
void step_successors_owner(struct procedure *p, uint32_t vm);
/* Its page, or NULL. */
struct link_page *successors_page(struct hvmon *hv, uint32_t vm);

/* Say in the pages what the device is, now that we own it and it runs. */
void successors_fill(struct device *device);
/* With --link-sync mirror: copy the entries of these VFs (bit n - 1); of the PF
 * always. */
void successors_copy(struct device *device, uint64_t set);
/* It went away. */
void successors_forget(struct device *device);
/* What the VMs were told of the links, as 130A of the device's former owner
 * says. */
void successors_take(struct device *device);

#endif
