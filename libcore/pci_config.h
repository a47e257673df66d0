/* pci_config.h - a function's config space, device side: type 0 header and
 * the capabilities PM-free PCIe (with FLR), MSI-X, AER, ARI, SR-IOV.
 *
 * Offsets and bits are those of <linux/pci_regs.h>.  The space knows which
 * bits can be written; what a write causes is told by callbacks.
 */
#ifndef IOVKIT_PCI_CONFIG_H
#define IOVKIT_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/pci_regs.h>

#define PCI_CONFIG_SIZE 4096u

struct pci_config;

struct pci_config_ops {
	/* PCI_COMMAND changed; bus_master is the new Bus Master Enable. */
	void (*command)(void *arg, uint16_t command);
	/* Initiate FLR was written (pcie6 6.6.2). */
	void (*flr)(void *arg);
	/* MSI-X Enable or Function Mask changed. */
	void (*msix)(void *arg, bool enable, bool function_mask);
	/* SR-IOV VF Enable changed; num_vfs is what NumVFs says. */
	void (*vf_enable)(void *arg, bool enable, unsigned num_vfs);
};

struct pci_config {
	uint8_t data[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* 1: software can change the bit */
	uint8_t w1c[PCI_CONFIG_SIZE];      /* 1: writing 1 clears */
	uint8_t initial[PCI_CONFIG_SIZE];  /* after a reset */
	uint16_t cap_last, ecap_last, cap_next, ecap_next;
	uint16_t used;              /* bytes before what is zero for ever */
	uint16_t pcie, msix, sriov; /* offsets, 0: absent */
	const struct pci_config_ops *ops;
	void *arg;
};

struct pci_identity {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

/* A VF reads ffff as vendor and device (sriov 3.4.1.1), no BARs, no memory
 * space bit. */
void pci_config_init(struct pci_config *cfg, const struct pci_identity *id,
		     bool is_vf, const struct pci_config_ops *ops, void *arg);
/* 32- or 64-bit memory BAR; size is a power of two >= 4096. */
void pci_config_add_bar(struct pci_config *cfg, unsigned bar, uint64_t size,
			bool is_64);
/* Its interrupt without messages: 1 is INTA. */
void pci_config_add_interrupt_pin(struct pci_config *cfg, uint8_t pin);
void pci_config_add_pcie(struct pci_config *cfg); /* endpoint, FLReset+ */
void pci_config_add_msix(struct pci_config *cfg, unsigned vectors,
			 unsigned table_bar, uint32_t table_offset,
			 unsigned pba_bar, uint32_t pba_offset);
void pci_config_add_aer(struct pci_config *cfg);
void pci_config_add_ari(struct pci_config *cfg, unsigned next_function);
/* first VF at routing ID + offset, then every stride. vf_bar_size[6]. */
void pci_config_add_sriov(struct pci_config *cfg, uint16_t vf_device,
			  unsigned total_vfs, unsigned offset, unsigned stride,
			  const uint64_t vf_bar_size[6], unsigned is_64_mask);
/* All capabilities are there: remember the state after reset. */
void pci_config_seal(struct pci_config *cfg);

/* offset + count <= 4096 is the caller's to check. */
void pci_config_read(const struct pci_config *cfg, uint32_t offset, void *data,
		     uint32_t count);
/* Applies, then calls the ops for what changed. */
void pci_config_write(struct pci_config *cfg, uint32_t offset, const void *data,
		      uint32_t count);
/* Back to the sealed state; no op is called (the caller is the reset). */
void pci_config_reset(struct pci_config *cfg);
uint16_t pci_config_get16(const struct pci_config *cfg, uint32_t offset);
uint32_t pci_config_get32(const struct pci_config *cfg, uint32_t offset);

#endif
