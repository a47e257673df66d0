/* management.h - a management VM: a guest that has the PF of a device (spec
 * 01). */
#ifndef IOVKIT_HVMON_MANAGEMENT_H
#define IOVKIT_HVMON_MANAGEMENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"
#include "libcore/supervisor.h"

#define MANAGEMENT_SLOT (PLATFORM_SLOTS - 1u)

struct management;
TAILQ_HEAD(managements, management);

void managements_init(struct managements *list);
void managements_fini(struct managements *list);
/* "vm3=nic0".  -EINVAL, -ERANGE with *c. */
int management_add_text(struct managements *list, const char *text,
			struct complaint *c)
	__attribute__((warn_unused_result));

/* Part of a step: the rows of the device's management VM, if it has one. */
void step_management_rows(struct procedure *p, struct device *device);
/* The rows over what resets the PF, with this flag (SUP_ROW_DENIED as a rule,
 * SUP_ROW_ONCE to grant one write); returns how many, 0 without a management
 * VM. */
unsigned management_guard_rows(struct hvmon *hv, const struct device *device,
			       uint16_t flag, struct sup_row rows[2]);
/* An access by a management VM to its PF that no row allows: true when it is
 * one, and is or will be answered. */
bool management_takes(struct hvmon *hv, const struct sup_exception *exception);
/* The device whose PF this write of its management VM would reset (a100), or
 * NULL. */
struct device *management_reset_of(struct hvmon *hv,
				   const struct sup_exception *exception);

#endif
