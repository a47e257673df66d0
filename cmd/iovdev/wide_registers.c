/* wide_registers.c - a BAR whose registers are 64 bits wide. */
#include <config.h>

#include "cmd/iovdev/wide_registers.h"

#include <endian.h>
#include <string.h>

#include "cmd/iovdev/msix_pages.h"
#include "cmd/iovdev/nic.h"

#define REGISTER 8u

void wide_registers_read(struct function *f, uint64_t offset, uint8_t *data,
			 uint32_t count)
{
	uint32_t at = (uint32_t)offset, skip, n;
	uint64_t value;

	if (msix_pages_read(f, offset, data, count))
		return;
	for (; count; at += n, data += n, count -= n) {
		skip = at % REGISTER;
		n = REGISTER - skip < count ? REGISTER - skip : count;
		value = htole64(f->nic->type->wide.read(f, at - skip));
		memcpy(data, (const uint8_t *)&value + skip, n);
	}
}

void wide_registers_write(struct function *f, uint64_t offset,
			  const uint8_t *data, uint32_t count)
{
	uint64_t value;

	if (msix_pages_write(f, offset, data, count))
		return;
	if (count != REGISTER || offset % REGISTER) {
		f->refused++;
		return;
	}
	memcpy(&value, data, sizeof(value));
	if (!f->nic->type->wide.write(f, (uint32_t)offset, le64toh(value)))
		f->refused++;
}
