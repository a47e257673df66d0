/* msix_pages.h - the pages of BAR 0 with MSI-X table and pending bits, of types
 * whose other registers are 64 bits wide or 8. */
#ifndef IOVDEV_MSIX_PAGES_H
#define IOVDEV_MSIX_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct function;

/* False: it is not there. */
bool msix_pages_read(struct function *f, uint64_t offset, uint8_t *data,
		     uint32_t count);
bool msix_pages_write(struct function *f, uint64_t offset, const uint8_t *data,
		      uint32_t count);

#endif
