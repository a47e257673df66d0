/* own_interrupt.h - the interrupt of a single function, when it is routed to
 * the hypervisor. */
#ifndef IOVKIT_HVMON_OWN_INTERRUPT_H
#define IOVKIT_HVMON_OWN_INTERRUPT_H

#include <stdbool.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/procedure.h"

/* 212: its handler is here; part of a step. */
void step_own_interrupt(struct procedure *p, struct device *device);
void own_interrupt_close(struct device *device);
/* 210, 716: nobody gets it, the device keeps it. */
void step_interrupt_off(struct procedure *p, const struct device *device);
/* 216, 722: whoever shall have it by now does (vf_routes()). */
void step_interrupt_on(struct procedure *p, struct device *device);
/* A device that only our driver drives: it decodes its BAR, and masters the bus
 * or not; its vector 0 interrupts us. */
void step_own_command(struct procedure *p, const struct device *device,
		      bool bus_master);
void step_own_vector(struct procedure *p, const struct device *device);
/* Interrupt the guest that has the device. */
void interrupt_pass(struct device *device);

#endif
