/* behind.h - another real device of the same kind does the work of the one that
 * a guest sees, and stands behind it (spec 05). */
#ifndef IOVKIT_HVMON_BEHIND_H
#define IOVKIT_HVMON_BEHIND_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/complaint.h"

/* The device of that name, if it can stand behind `front`.  -ENODEV: there is
 * none; -EACCES: it cannot. */
int behind_find(const struct device *front, const char *name,
		struct device **worker, struct complaint *why)
	__attribute__((warn_unused_result));
/* Whether it stands behind none; else *why. */
bool behind_is_idle(const struct device *device, struct complaint *why);

/* It is emulated: what shall stand behind it does, if it can. */
void behind_start(struct virtual *v);
/* The device does its own work again; what does not succeed in that time (0: no
 * limit) leaves it as it is. */
void step_behind_return(struct procedure *p, struct device *front,
			uint64_t limit_ns);

/* One that stands behind none any more is reset, and nobody's. */
void behind_release(struct device *worker, struct device *front);

/* The guest's memory is out of reach of what stands behind the function. */
void step_behind_cut(struct procedure *p, const struct vf *vf);
/* What stands behind it masters the bus as the guest says. */
void step_behind_bus_master(struct procedure *p, const struct vf *vf, bool on);
/* Nothing stands behind it any more, at once; what did is reset, and named by the
 * record until then.  False: nothing did. */
bool behind_end(struct virtual *v);
/* If it stood behind one, that goes on by itself. */
void behind_lost(struct device *worker, const char *why);

/* Adoption: a function that stands behind another one is no VM's, whatever it is
 * assigned to; before any device is adopted. */
void behind_adopt(struct hvmon *hv);
/* A former hypervisor's record says so. */
void behind_take_up(struct virtual *v);

#endif
