/* carried.h - a device whose guest sees another kind than it is: the monitor's
 * driver carries out on the real one what the guest asks of the other (spec 05).
 * It is virtual for as long as a guest has it. */
#ifndef IOVKIT_HVMON_CARRIED_H
#define IOVKIT_HVMON_CARRIED_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/emulator.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"

/* The kind of the real device, and what a guest sees of it, which is the same
 * but for one that is carried (device->carried); NULL: it is none that is
 * emulated. */
const struct emulator *device_kind(const struct device *device);
const struct emulator *device_shown(const struct device *device);
/* How the real device does the work of what a guest sees; NULL: it cannot. */
const struct backend *device_backend(const struct device *device);

/* It was found: it is carried if the option says so.  -EINVAL and *why: it cannot
 * be. */
int carried_take(struct device *device, struct complaint *why)
	__attribute__((warn_unused_result));
/* Adoption: what a former hypervisor's record says counts more than options. */
void carried_take_up(struct device *device);
/* A guest has its registers as they are, and keeps them. */
void carried_refuse(struct device *device);

/* Part of a step that gives the device to a guest: one that is carried is virtual
 * from here on, and reaches the buffers. */
void step_carried_give(struct procedure *p, struct device *device);
/* It does not reach them any more; nothing if it did not. */
void step_carried_away(struct procedure *p, const struct device *device);
/* Before it is loaded: it masters the bus and interrupts us, whatever its guest
 * says. */
void step_carried_enable(struct procedure *p, const struct device *device);

/* Where our driver of the device and the device itself meet: so many bytes of
 * vm0's memory, which outlive the hypervisor; NULL: there is no room. */
#define CARRIED_BUFFERS_SIZE 0x5000u
uint8_t *carried_buffers(const struct device *device);
/* Their address as the device sees it. */
uint64_t carried_buffers_iova(const struct device *device);

#endif
