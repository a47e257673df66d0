/* reset_record.h - what a hypervisor leaves for its successor while it resets
 * a device: boundary of hvmon with the next hvmon.  Pure.
 *
 * Each device has a room at RESET_ROOM_OFFSET(bus) of vm0's main memory, which
 * the root bridge keeps when hvmon dies, with one record of each phase: hvmon
 * may die in the middle of a record, and the one before is whole.  The later
 * phase counts.  All zero: no reset is under way.
 */
#ifndef IOVKIT_HVMON_RESET_RECORD_H
#define IOVKIT_HVMON_RESET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/function_name.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_config.h"

/* What is known of a VF beside its state. */
struct vf_saved {
	uint16_t number; /* of the VF, from 1 */
	uint16_t bus_master;
	uint16_t pcie, msix; /* offsets of the capabilities; 0: none */
	/* Of config space, when its registers were read. */
	uint16_t known;
	uint16_t device_control, msix_control;
	uint16_t rsvd0;
};
_Static_assert(sizeof(struct vf_saved) == 16, "vf_saved");

enum reset_phase {
	RESET_PHASE_SUSPENDING = 1, /* the VFs may be fenced, nothing else */
	RESET_PHASE_SAVED,          /* registers are known, and may be lost */
};

#define RESET_RECORD_MAGIC   0x74655372u /* "rSet" */
#define RESET_RECORD_VERSION 2u

struct reset_record {
	uint32_t magic, version;
	uint64_t sum; /* of all that follows, size bytes in all */
	uint32_t size;
	uint16_t bdf; /* of the PF */
	uint16_t vf;  /* which is reset; 0: the PF */
	uint16_t phase;
	uint16_t n_vfs;
	uint16_t n_states; /* of VF 1 to this one */
	uint16_t rsvd0;
	struct vf_saved vfs[FUNCTION_VF_MAX];
	/* From here on only of RESET_PHASE_SAVED. */
	uint8_t pf_config[PCI_CONFIG_SIZE];
	uint8_t state[FUNCTION_VF_MAX][NIC_PF_STATE_SIZE]; /* by VF number */
};
_Static_assert(offsetof(struct reset_record, vfs) == 32, "record");
_Static_assert(offsetof(struct reset_record, pf_config) == 32 + 1024, "record");
_Static_assert(offsetof(struct reset_record, state) == 32 + 1024 + 4096,
	       "record");

#define RESET_ROOM_SIZE 0x10000u
#define RESET_ROOMS     64u
#define RESET_ROOM_OFFSET(bus) \
	((uint64_t)((bus) % RESET_ROOMS) * RESET_ROOM_SIZE)

struct reset_room {
	struct reset_record suspending;
	struct reset_record saved;
};
_Static_assert(sizeof(struct reset_room) <= RESET_ROOM_SIZE, "room");

/* Fill in size and sum, after everything else; returns the size. */
uint32_t reset_record_seal(struct reset_record *record);
/* Whether it is whole, and about the PF at bdf. */
bool reset_record_is_valid(const struct reset_record *record, uint16_t bdf);

/* Put a sealed record, of that size, into the room. */
void reset_room_put(struct reset_room *room, const struct reset_record *record,
		    uint32_t size);
/* The record that counts, copied; false: there is none. */
bool reset_room_get(const struct reset_room *room, uint16_t bdf,
		    struct reset_record *record);
/* No reset is under way. */
void reset_room_clear(struct reset_room *room);

#endif
