/* management.h - a management VM: a guest that has the PF of a device (spec
 * 01). */
#ifndef IOVKIT_HVMON_MANAGEMENT_H
#define IOVKIT_HVMON_MANAGEMENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "cmd/hvmon/config_overlay.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"
#include "libcore/supervisor.h"

#define MANAGEMENT_SLOT        PLATFORM_MANAGEMENT_SLOT
#define MANAGEMENT_HEADER_SIZE 0x40u

struct management {
	TAILQ_ENTRY(management) entry;
	uint32_t vm;
	char device[DEVICE_NAME_MAX + 1];
	struct config_overlay overlay;
	bool ready; /* the overlay is that of the device */
	bool once;  /* without protection: one reset is granted */
};
TAILQ_HEAD(managements, management);

void managements_init(struct managements *list);
void managements_fini(struct managements *list);
/* "vm3=nic0".  -EINVAL, -ERANGE with *c. */
int management_add_text(struct managements *list, const char *text,
			struct complaint *c)
	__attribute__((warn_unused_result));

/* The VM whose PF driver drives the device's PF: its management VM, if it has
 * one that runs, else PLATFORM_HYPERVISOR. */
uint32_t management_driver(const struct device *device);
/* Ask it to reset the PF; reset_detected(), or reset_attempt_ended() with this
 * number, follows. */
void management_ask(struct device *device, unsigned number);
struct management *management_find_vm(struct hvmon *hv, uint32_t vm);

/* The rows, denied, over what resets the PF; returns how many, 0 without a
 * management VM and without protection. */
unsigned management_guard_rows(const struct device *device,
			       struct sup_row rows[2]);
/* Without protection: its next attempt passes. */
bool management_is_granted(const struct device *device);

/* Parts of a step; they do nothing without a management VM.  Its rows. */
void step_management_rows(struct procedure *p, struct device *device);
/* What resets the PF is SUP_ROW_DENIED, or SUP_ROW_ONCE granted for one
 * write. */
void step_management_guard(struct procedure *p, const struct device *device,
			   uint16_t flag);
/* All other accesses wait, or go on. */
void step_management_fence(struct procedure *p, const struct device *device,
			   bool on);

/* An access by a management VM to its PF that no row allows: true when it is
 * one, and is or will be answered. */
bool management_takes(struct hvmon *hv, const struct sup_exception *exception);
/* The device whose PF this write of its management VM would reset (a100); NULL:
 * none, or it was granted. */
struct device *management_reset_of(struct hvmon *hv,
				   const struct sup_exception *exception);

#endif
