/* single.c - what the types with one function have in common. */
#include <config.h>

#include "cmd/iovdev/single.h"

#include <endian.h>
#include <string.h>

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

static bool is_msix(uint64_t offset)
{
	return offset >= NIC_MSIX_TABLE;
}

/* There is one entry; what lies behind it reads 0. */
static uint32_t read_word(const struct function *f, uint32_t offset)
{
	uint32_t end = NIC_MSIX_TABLE + SINGLE_VECTORS * PCI_MSIX_ENTRY_SIZE;

	if (offset < NIC_MSIX_PBA && offset >= end)
		return 0;
	return interrupts_read(&f->irq, offset);
}

bool single_read(struct function *f, uint64_t offset, uint8_t *data,
		 uint32_t count)
{
	uint32_t at = (uint32_t)offset, value, i;

	if (!is_msix(offset))
		return false;
	for (i = 0; i < count; i++, at++) {
		value = htole32(read_word(f, at & ~3u));
		data[i] = ((const uint8_t *)&value)[at & 3];
	}
	return true;
}

bool single_write(struct function *f, uint64_t offset, const uint8_t *data,
		  uint32_t count)
{
	uint32_t end = NIC_MSIX_TABLE + SINGLE_VECTORS * PCI_MSIX_ENTRY_SIZE;
	uint32_t at = (uint32_t)offset, value;

	if (!is_msix(offset))
		return false;
	if ((at | count) & 3) {
		f->refused++;
		return true;
	}
	for (; count; count -= 4, at += 4, data += 4) {
		memcpy(&value, data, sizeof(value));
		if (at >= end || !interrupts_write(f, at, le32toh(value)))
			f->refused++;
	}
	return true;
}
