/* single.h - what the types with one function have in common: config space.
 */
#ifndef IOVDEV_SINGLE_H
#define IOVDEV_SINGLE_H

#include <stdint.h>

#include "libcore/pci_config.h"

struct function;

#define SINGLE_VECTORS 1u

/* One 64-bit BAR of this size, PCI Express, MSI-X, INTA, AER. */
void single_make_config(struct function *f, const struct pci_identity *id,
			uint64_t bar_size, const struct pci_config_ops *ops);

#endif
