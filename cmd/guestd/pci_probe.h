/* pci_probe.h - looks at the config space of the guest's slots. */
#ifndef IOVKIT_GUESTD_PCI_PROBE_H
#define IOVKIT_GUESTD_PCI_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/bus_link.h"
#include "libcore/platform.h"

struct pci_slot {
	unsigned slot;
	bool present;
	uint16_t vendor, device, command;
	uint64_t bar0;     /* guest-physical */
	uint16_t pcie_cap; /* offset, 0: none */
	uint16_t msix_cap; /* offset, 0: none */
	uint16_t msix_control;
	uint32_t msix_table; /* offset in BAR 0; only if it lies there */
	bool msix_in_bar0;
};

struct pci_probe_ops {
	/* One slot was read (absent: all ones). */
	void (*slot)(void *arg, const struct pci_slot *slot);
	/* All slots were read and none needs another look. */
	void (*done)(void *arg);
	/* The bus refused a read. */
	void (*failed)(void *arg, unsigned slot, int err);
};

struct pci_probe {
	struct bus_link *link;
	const struct pci_probe_ops *ops;
	void *arg;
	unsigned pending;
	bool again; /* asked for while reading */
	struct pci_probe_read {
		struct pci_probe *probe;
		unsigned slot;
	} reads[PLATFORM_SLOTS];
};

void pci_probe_init(struct pci_probe *probe, struct bus_link *link,
		    const struct pci_probe_ops *ops, void *arg);
/* Read all slots; while that goes on: read them once more afterwards. */
void pci_probe_start(struct pci_probe *probe);

#endif
