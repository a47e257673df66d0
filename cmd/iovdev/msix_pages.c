/* msix_pages.c - the pages of BAR 0 with MSI-X table and pending bits. */
#include <config.h>

#include "cmd/iovdev/msix_pages.h"

#include <endian.h>
#include <string.h>

#include "cmd/iovdev/nic.h"

#define END (NIC_MSIX_PBA + 0x1000u)

static bool is_msix(uint64_t offset)
{
	return offset >= NIC_MSIX_TABLE && offset < END;
}

static uint32_t table_end(const struct function *f)
{
	return NIC_MSIX_TABLE + f->nic->type->vectors * PCI_MSIX_ENTRY_SIZE;
}

/* What lies behind the last entry reads 0. */
static uint32_t read_word(const struct function *f, uint32_t offset)
{
	if (offset < NIC_MSIX_PBA && offset >= table_end(f))
		return 0;
	return interrupts_read(&f->irq, offset);
}

bool msix_pages_read(struct function *f, uint64_t offset, uint8_t *data,
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

bool msix_pages_write(struct function *f, uint64_t offset, const uint8_t *data,
		      uint32_t count)
{
	uint32_t at = (uint32_t)offset, end = table_end(f), value;

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
