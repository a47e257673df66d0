/* single.c - what the types with one function have in common. */
#include <config.h>

#include "cmd/iovdev/single.h"

#include "cmd/iovdev/nic.h"

#define INTA 1

void single_make_config(struct function *f, const struct pci_identity *id,
			uint64_t bar_size, const struct pci_config_ops *ops)
{
	struct pci_config *cfg = &f->config;

	pci_config_init(cfg, id, false, ops, f);
	pci_config_add_bar(cfg, 0, bar_size, true);
	pci_config_add_interrupt_pin(cfg, INTA);
	pci_config_add_pcie(cfg);
	pci_config_add_msix(cfg, SINGLE_VECTORS, 0, NIC_MSIX_TABLE, 0,
			    NIC_MSIX_PBA);
	pci_config_add_aer(cfg);
}
