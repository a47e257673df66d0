/* pf_guard.h - a100: a PF's reset registers are denied to everybody. */
#ifndef IOVKIT_HVMON_PF_GUARD_H
#define IOVKIT_HVMON_PF_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/supervisor.h"

#define PF_GUARD_ROWS 2u

/* The hypervisor's own rows over Initiate FLR and the nic's reset register;
 * returns how many.  flag: SUP_ROW_* */
unsigned pf_guard_rows(const struct device *device, uint16_t flag,
		       struct sup_row rows[PF_GUARD_ROWS]);
/* Set them, as part of a step. */
void step_guard_pf(struct procedure *p, const struct device *device,
		   uint16_t flag);
/* Only those that the bridge, by hv->tables, does not have already. */
void step_guard_missing(struct procedure *p, const struct device *device);
/* A former hypervisor's, of addresses that no device has now, go. */
void step_guards_left(struct procedure *p);
/* A write that one of these rows stopped, or a management VM's.  False: it is none. */
bool pf_guard_takes(struct hvmon *hv, const struct sup_exception *exception);
/* Whoever drives the PF writes Initiate FLR; reset_detected() or
 * reset_attempt_ended() follows.  When our driver is told to retry it does. */
void pf_guard_attempt(struct device *device, unsigned number);

/* Parts of a step: let the driver's next attempt pass, once, or not any more.
 */
void step_grant(struct procedure *p, uint32_t vm, bool on);
/* Until it passed and was answered; *passed tells.  It has not much time. */
void step_granted(struct procedure *p, uint32_t vm, bool *passed);

#endif
