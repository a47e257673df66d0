/* config_overlay.h - what a guest sees in its VF's config space that is not
 * what the VF itself shows.  Pure: no I/O.
 *
 * A VF has no vendor, no device, no BARs and no Memory Space Enable of its
 * own (sriov 3.4.1); the guest sees the PF's vendor, the VF device ID, and
 * BARs at guest-physical addresses that were fixed for it: writing all ones
 * sizes them, writing anything else gives the fixed address again.  All other
 * registers pass.  Of a single function that a guest has whole, Memory Space
 * Enable is there, and stays set whatever the guest writes; so does Interrupt
 * Disable, as INTA leads nowhere.  So does Bus Master Enable of one that is shown
 * as another kind of device, and what the guest writes to the enables of its
 * MSI-X capability is only shown.
 */
#ifndef IOVKIT_HVMON_CONFIG_OVERLAY_H
#define IOVKIT_HVMON_CONFIG_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

struct config_overlay {
	uint16_t vendor, device;
	bool whole;                       /* a single function and not a VF */
	uint64_t bar_gpa[6], bar_size[6]; /* size 0: none, or upper half */
	bool bar_is_64[6];
	bool memory_space; /* as the guest set it */
	bool bus_master;   /* the same; it passes to the VF */
	bool intx_disable; /* the same, of a whole one */
	uint32_t sizing;   /* bit per BAR register: all ones were written */
	uint16_t pcie;     /* offset of the PCIe capability, 0: none */
	/* Another kind of device than it is (carried.h). */
	bool carried;
	uint32_t class_revision; /* as in the register */
	uint8_t msix_enables;    /* upper byte of MSI-X control, of the guest */
	uint16_t msix;           /* offset of the capability, 0: none */
};

/* A stretch of a write that goes on to the VF. */
struct config_run {
	uint32_t offset, size;
};
#define CONFIG_RUNS_MAX 4u

/* data[0..size) was read from the VF at offset: put the overlay over it. */
void config_overlay_read(const struct config_overlay *overlay, uint32_t offset,
			 uint8_t *data, uint32_t size);
/* Whether such a write tells the function to reset itself. */
bool config_overlay_resets(const struct config_overlay *overlay,
			   uint32_t offset, const uint8_t *data, uint32_t size);
/* A guest writes data[0..size) at offset: take what is emulated (bits of data
 * that must not pass are cleared); the rest goes on in runs.  Returns their
 * number.  *flr: config_overlay_resets(). */
unsigned config_overlay_write(struct config_overlay *overlay, uint32_t offset,
			      uint8_t *data, uint32_t size,
			      struct config_run runs[CONFIG_RUNS_MAX],
			      bool *flr);
/* The VF was reset: what the guest had written is gone. */
void config_overlay_reset(struct config_overlay *overlay);

#endif
