/* memory_pool.h - who uses which part of the guest's main memory: rings and
 * buffers. */
#ifndef IOVKIT_GUESTD_MEMORY_POOL_H
#define IOVKIT_GUESTD_MEMORY_POOL_H

#include <stdint.h>

#include "libcore/guest_memory.h"

#define MEMORY_POOL_EXTENTS 128u

/* Extents of guest-physical memory.  What is free is noted here, outside of
 * that memory: a page is touched only when it is used. */
struct memory_pool {
	const struct guest_memory *memory;
	struct memory_extent {
		uint64_t gpa, size;
	} free[MEMORY_POOL_EXTENTS]; /* sorted, never adjacent */
	unsigned n_free;
};

/* All of [0, size) but the first page, so that no address is 0. */
void memory_pool_init(struct memory_pool *pool,
		      const struct guest_memory *memory, uint64_t size);
/* Take `size` bytes at a multiple of 4,096.  -ENOMEM. */
int memory_pool_take(struct memory_pool *pool, uint64_t size, uint64_t *gpa)
	__attribute__((warn_unused_result));
void memory_pool_give(struct memory_pool *pool, uint64_t gpa, uint64_t size);

#define BUFFER_NONE UINT32_MAX

/* Buffers of one size by number; the one given back first goes out first.  So
 * those of a ring are walked in the order in which they lie, which the cache
 * foresees, and large ones have left it for the one that both sides share
 * before the other side reads them. */
struct buffer_pool {
	uint8_t *hva;
	uint64_t gpa;
	uint32_t size; /* of one */
	/* From one to the next: an odd number of cache lines, so that their
	 * beginnings do not share a few sets of the cache. */
	uint32_t stride;
	uint32_t n; /* a power of two */
	/* The free ones: a ring, its indexes run freely. */
	uint32_t *free;
	uint32_t taken, given;
};

/* n is a power of two.  -ENOMEM */
int buffer_pool_init(struct buffer_pool *b, struct memory_pool *pool,
		     uint32_t n, uint32_t size)
	__attribute__((warn_unused_result));
void buffer_pool_fini(struct buffer_pool *b, struct memory_pool *pool);

/* BUFFER_NONE: all are in use. */
static inline uint32_t buffer_take(struct buffer_pool *b)
{
	if (b->taken == b->given)
		return BUFFER_NONE;
	return b->free[b->taken++ & (b->n - 1)];
}
/* The one that is taken i calls from now; i < what is free. */
static inline uint32_t buffer_peek(const struct buffer_pool *b, uint32_t i)
{
	return b->free[(b->taken + i) & (b->n - 1)];
}
static inline void buffer_give(struct buffer_pool *b, uint32_t i)
{
	b->free[b->given++ & (b->n - 1)] = i;
}
static inline uint8_t *buffer_hva(const struct buffer_pool *b, uint32_t i)
{
	return b->hva + (uint64_t)i * b->stride;
}
static inline uint64_t buffer_gpa(const struct buffer_pool *b, uint32_t i)
{
	return b->gpa + (uint64_t)i * b->stride;
}

#endif
