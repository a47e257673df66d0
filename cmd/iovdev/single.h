/* single.h - what the types with one function have in common: config space,
 * the MSI-X pages of BAR 0. */
#ifndef IOVDEV_SINGLE_H
#define IOVDEV_SINGLE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/pci_config.h"

struct function;

#define SINGLE_VECTORS 1u

/* One 64-bit BAR of this size, PCI Express, MSI-X, INTA, AER. */
void single_make_config(struct function *f, const struct pci_identity *id,
			uint64_t bar_size, const struct pci_config_ops *ops);
/* Accesses to the pages of table and pending bits; false: it is not there. */
bool single_read(struct function *f, uint64_t offset, uint8_t *data,
		 uint32_t count);
bool single_write(struct function *f, uint64_t offset, const uint8_t *data,
		  uint32_t count);

#endif
