/* address_layout.h - which machine-physical addresses belong to whose BARs.
 *
 * First fit, naturally aligned.  An owner keeps its ranges while its device
 * is away, so that it comes back to the same addresses.
 */
#ifndef IOVKIT_HVMON_ADDRESS_LAYOUT_H
#define IOVKIT_HVMON_ADDRESS_LAYOUT_H

#include <stdint.h>
#include <sys/queue.h>

struct address_range {
	TAILQ_ENTRY(address_range) entry;
	uint64_t first, size;
	const void *owner;
	unsigned what; /* the owner's number for it */
};

struct address_layout {
	uint64_t first, size;
	TAILQ_HEAD(address_ranges, address_range) ranges; /* by address */
};

void address_layout_init(struct address_layout *layout, uint64_t first,
			 uint64_t size);
void address_layout_fini(struct address_layout *layout);

/* Find `size` bytes aligned to `align` (a power of two).  What (owner, what)
 * had is used again when it fits, else given back.  -ENOSPC: no room. */
int address_layout_assign(struct address_layout *layout, uint64_t size,
			  uint64_t align, const void *owner, unsigned what,
			  uint64_t *address)
	__attribute__((warn_unused_result));
/* Take exactly this range.  -EEXIST: some of it is somebody else's; -ERANGE:
 * outside of the space, or empty. */
int address_layout_reserve(struct address_layout *layout, uint64_t address,
			   uint64_t size, const void *owner, unsigned what)
	__attribute__((warn_unused_result));

#endif
