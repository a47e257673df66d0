/* wide_registers.h - a BAR 0 whose registers are 64 bits wide: read in any part,
 * written whole.  Its type has a row of `wide`. */
#ifndef IOVDEV_WIDE_REGISTERS_H
#define IOVDEV_WIDE_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

struct function;

/* One register at an offset that is a multiple of 8. */
struct wide_registers {
	uint64_t (*read)(struct function *f, uint32_t offset);
	/* False: nothing there can be written. */
	bool (*write)(struct function *f, uint32_t offset, uint64_t value);
};

/* read and write of such a type.  Each register that is touched is read once. */
void wide_registers_read(struct function *f, uint64_t offset, uint8_t *data,
			 uint32_t count);
void wide_registers_write(struct function *f, uint64_t offset,
			  const uint8_t *data, uint32_t count);

#endif
