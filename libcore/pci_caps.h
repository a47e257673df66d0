/* pci_caps.h - reading somebody else's config space: capabilities, BARs and
 * SR-IOV from a snapshot of 4,096 bytes; and printing it for lspci -F. */
#ifndef IOVKIT_PCI_CAPS_H
#define IOVKIT_PCI_CAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/pci_regs.h>

uint16_t pci_get16(const uint8_t *config, unsigned offset);
uint32_t pci_get32(const uint8_t *config, unsigned offset);
void pci_put16(uint8_t *config, unsigned offset, uint16_t value);
void pci_put32(uint8_t *config, unsigned offset, uint32_t value);

/* Offset of a capability, or 0.  Bounded: a looped chain ends. */
unsigned pci_find_cap(const uint8_t config[4096], uint8_t id);
unsigned pci_find_ecap(const uint8_t config[4096], uint16_t id);

struct pci_sriov {
	unsigned cap; /* offset of the capability */
	unsigned total_vfs, initial_vfs, num_vfs, offset, stride;
	uint16_t vf_device;
	bool vf_enable, vf_mse;
	uint64_t vf_bar[6]; /* address; 64-bit ones joined, upper half 0 */
};
/* False when there is no SR-IOV. */
bool pci_read_sriov(const uint8_t config[4096], struct pci_sriov *sriov);
/* Base address of BAR i at `offset` of the first BAR register; flags in the
 * low bits are removed.  *is_64 (may be NULL): takes i + 1 too. */
uint64_t pci_read_bar(const uint8_t *config, unsigned first_bar, unsigned i,
		      bool *is_64);
/* Routing ID of VF n (from 1). */
uint16_t pci_vf_bdf(uint16_t pf_bdf, const struct pci_sriov *sriov, unsigned n);
/* Size that a BAR register shows after all ones were written. 0: no BAR */
uint64_t pci_bar_size(uint32_t low, uint32_t high);

/* "0000:01:00.0 text", 256 rows of 16 bytes, a blank line; -EIO when the
 * stream fails. */
int pci_dump_lspci(FILE *out, uint16_t bdf, const char *text,
		   const uint8_t config[4096]);

#endif
