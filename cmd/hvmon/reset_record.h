/* reset_record.h - what a hypervisor leaves for its successor while it resets
 * a device: boundary of hvmon with the next hvmon.  Pure.
 *
 * One record a device, at RESET_RECORD_OFFSET(bus) of vm0's main memory, which
 * the root bridge keeps when hvmon dies.  All zero: no reset is under way.
 */
#ifndef IOVKIT_HVMON_RESET_RECORD_H
#define IOVKIT_HVMON_RESET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/function_name.h"
#include "libcore/pci_config.h"

#define VF_QUEUES_SIZE   0xc0u /* of both queue blocks, NIC_TX on */
#define VF_MSIX_SIZE     64u
#define VF_CONFIG_SIZE   256u
#define VF_STATE_UNKNOWN 0xaau /* as header type: not read yet */

/* A VF's registers. */
struct vf_saved {
	uint16_t number; /* of the VF, from 1 */
	uint16_t bus_master;
	uint16_t pcie, msix; /* offsets of the capabilities; 0: none */
	uint8_t config[VF_CONFIG_SIZE];
	uint8_t queues[VF_QUEUES_SIZE];
	uint8_t vectors[VF_MSIX_SIZE]; /* MSI-X table */
	uint8_t pending[8];            /* MSI-X pending bits */
};
_Static_assert(sizeof(struct vf_saved) == 528, "vf_saved");

enum reset_phase {
	RESET_PHASE_SUSPENDING = 1, /* the VFs may be fenced, nothing else */
	RESET_PHASE_SAVED,          /* registers are known, and may be lost */
};

#define RESET_RECORD_MAGIC   0x74655372u /* "rSet" */
#define RESET_RECORD_VERSION 1u

struct reset_record {
	uint32_t magic, version;
	uint64_t sum; /* of all that follows, size bytes in all */
	uint32_t size;
	uint16_t bdf; /* of the PF */
	uint16_t vf;  /* which is reset; 0: the PF */
	uint16_t phase;
	uint16_t n_vfs;
	uint32_t rsvd0;
	uint8_t pf_config[PCI_CONFIG_SIZE];
	struct vf_saved vfs[FUNCTION_VF_MAX];
};
_Static_assert(offsetof(struct reset_record, pf_config) == 32, "record");
_Static_assert(offsetof(struct reset_record, vfs) == 32 + 4096, "record");

#define RESET_RECORD_ROOM 0x10000u
#define RESET_RECORDS     64u
#define RESET_RECORD_OFFSET(bus) \
	((uint64_t)((bus) % RESET_RECORDS) * RESET_RECORD_ROOM)
_Static_assert(sizeof(struct reset_record) <= RESET_RECORD_ROOM, "record");

/* Fill in size and sum, after everything else; returns the size. */
uint32_t reset_record_seal(struct reset_record *record);
/* Whether it is whole, and about the PF at bdf. */
bool reset_record_is_valid(const struct reset_record *record, uint16_t bdf);

#endif
