/* connect.h - switching a device with a single port to another VM (spec 03). */
#ifndef IOVKIT_HVMON_CONNECT_H
#define IOVKIT_HVMON_CONNECT_H

#include <stdint.h>

#include "cmd/hvmon/device.h"
#include "libcore/complaint.h"
#include "libcore/control.h"

/* A switch is over: 0, or -errno and why. */
typedef void connect_done_fn(void *arg, int err, const char *why);

/* Whether the device could be connected with the VM now (PLATFORM_VM_NONE:
 * with nobody): 0; or with *c -ENOTSUP (it has VFs), -ENODEV (no device, no such
 * VM), -EACCES (the VM does not run, is deactivated, has the device already). */
int connect_check(struct hvmon *hv, const char *device, uint32_t vm,
		  struct complaint *c) __attribute__((warn_unused_result));
/* Connect it with the VM that asks by the signal of this serial, when what is
 * under way with the device is over; checked again then. */
void connect_signalled(struct device *device, uint32_t vm, uint64_t signal);
/* Take it from the VM, if that has it then. */
void connect_take_from(struct device *device, uint32_t vm,
		       connect_done_fn *done, void *arg);
/* The device was started: complete what a former hypervisor had begun. */
void connect_started(struct device *device);

/* The control method "connect". */
void connect_method(void *hv, struct control_call *call, json_t *params);
/* The control code of -errno. */
int connect_code(int err);

#endif
