/* routing.h - machine-physical addresses to functions: ECAM and BARs.
 *
 * A pure table.  Each range is one BAR of a PF, or one VF BAR of a device,
 * which is cut into equal slices, one a VF (sriov 3.3.14).
 */
#ifndef IOVKIT_ROOTBRIDGE_ROUTING_H
#define IOVKIT_ROOTBRIDGE_ROUTING_H

#include <stddef.h>
#include <stdint.h>

struct routing_range {
	uint64_t first; /* machine-physical, inclusive */
	uint64_t last;
	uint64_t slice; /* bytes of one function's part */
	void *device;
	uint8_t bar;
	uint8_t first_vf; /* number of the first slice; 0: the PF */
};

struct routing {
	struct routing_range *ranges; /* sorted by first */
	unsigned n, size;
};

enum routing_kind {
	ROUTING_NOWHERE, /* no function claims the whole access */
	ROUTING_CONFIG,
	ROUTING_BAR
};

struct routing_target {
	enum routing_kind kind;
	uint16_t bdf;    /* ROUTING_CONFIG */
	uint8_t bar;     /* ROUTING_BAR */
	unsigned vf;     /* ROUTING_BAR; 0: the PF */
	void *device;    /* ROUTING_BAR */
	uint64_t offset; /* in config space or BAR */
};

void routing_clear(struct routing *r);
void routing_fini(struct routing *r);
/* -ERANGE: not in the BAR window; -EEXIST: overlaps another; -EINVAL: the
 * slices do not fill the range; -ENOMEM. */
int routing_add(struct routing *r, const struct routing_range *range)
	__attribute__((warn_unused_result));
/* The whole access, first to last byte, must lie in one function's part. */
void routing_lookup(const struct routing *r, uint64_t mpa, uint64_t count,
		    struct routing_target *target);

#endif
