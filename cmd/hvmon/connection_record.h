/* connection_record.h - what a hypervisor leaves for the next one of the
 * connection of a device with a single port, and of VMs that were deactivated
 * (spec 03): boundary of hvmon with the next hvmon.
 *
 * Record pairs (record_pair.h) in vm0's main memory: a connection's lies in the
 * device's room (reset_record.h), that of the VMs in room 0, which no device
 * has.
 */
#ifndef IOVKIT_HVMON_CONNECTION_RECORD_H
#define IOVKIT_HVMON_CONNECTION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/hvmon/record_pair.h"
#include "cmd/hvmon/reset_record.h"

/* VMs that may be connected with a device, in their order. */
#define CONNECTION_VMS 8u

enum connection_phase {
	CONNECTION_SETTLED = 1,
	CONNECTION_SWITCHING, /* from vm to `to`; vm may have lost it already */
	CONNECTION_WRITTEN,   /* vm has it now, and was not told */
};

struct connection_member {
	uint32_t vm;
	uint32_t slot; /* where it has the device */
};

#define CONNECTION_MAGIC   0x6e6e6f63u /* "conn" */
#define CONNECTION_VERSION 1u

struct connection_record {
	struct record_head head;
	char device[32];
	uint64_t since_ns;
	uint16_t bdf;
	uint16_t phase;
	uint32_t epoch;
	uint32_t vm; /* connected; PLATFORM_VM_NONE */
	uint32_t to; /* while switching */
	uint32_t n;
	uint32_t rsvd0;
	struct connection_member member[CONNECTION_VMS];
};
_Static_assert(offsetof(struct connection_record, since_ns) == 56, "record");
_Static_assert(offsetof(struct connection_record, member) == 88, "record");
_Static_assert(sizeof(struct connection_record) == 152, "record");

#define CONNECTION_ROOM_AT 0xf000u
_Static_assert(sizeof(struct reset_room) <= CONNECTION_ROOM_AT, "room");
_Static_assert(CONNECTION_ROOM_AT + 2 * sizeof(struct connection_record) <=
		       RESET_ROOM_SIZE,
	       "room");

/* Whether a record that was read is about the device at bdf, and makes sense.
 */
bool connection_record_is_sound(const struct connection_record *record,
				uint16_t bdf);

/* A VM that was deactivated. */
struct vm_record_entry {
	uint32_t vm;
	uint32_t pid;    /* of the process that it was then */
	uint32_t reboot; /* 1: it is to be started again */
	uint32_t rsvd0;
};

#define VM_RECORD_MAX     64u
#define VM_RECORD_MAGIC   0x74636476u /* "vdct" */
#define VM_RECORD_VERSION 1u

struct vm_record {
	struct record_head head;
	uint32_t n;
	uint32_t rsvd0;
	struct vm_record_entry entry[VM_RECORD_MAX];
};
_Static_assert(offsetof(struct vm_record, entry) == 32, "record");

#endif
