/* memory_pool.c - who uses which part of the guest's main memory. */
#include <config.h>

#include "cmd/guestd/memory_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull
#define LINE 64u

static uint64_t page_round(uint64_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

void memory_pool_init(struct memory_pool *pool,
		      const struct guest_memory *memory, uint64_t size)
{
	*pool = (struct memory_pool){ .memory = memory };
	size &= ~(PAGE - 1);
	if (size > PAGE)
		pool->free[pool->n_free++] =
			(struct memory_extent){ .gpa = PAGE,
						.size = size - PAGE };
}

static void extent_remove(struct memory_pool *pool, unsigned i)
{
	pool->n_free--;
	memmove(&pool->free[i], &pool->free[i + 1],
		(pool->n_free - i) * sizeof(pool->free[0]));
}

int memory_pool_take(struct memory_pool *pool, uint64_t size, uint64_t *gpa)
{
	struct memory_extent *e;
	unsigned i;

	size = page_round(size);
	for (i = 0; i < pool->n_free; i++) {
		e = &pool->free[i];
		if (e->size < size)
			continue;
		*gpa = e->gpa;
		e->gpa += size;
		e->size -= size;
		if (!e->size)
			extent_remove(pool, i);
		return 0;
	}
	return -ENOMEM;
}

void memory_pool_give(struct memory_pool *pool, uint64_t gpa, uint64_t size)
{
	struct memory_extent *e = pool->free;
	unsigned i = 0;

	size = page_round(size);
	while (i < pool->n_free && e[i].gpa < gpa)
		i++;
	if (i > 0 && e[i - 1].gpa + e[i - 1].size == gpa) {
		e[i - 1].size += size;
		if (i < pool->n_free &&
		    e[i - 1].gpa + e[i - 1].size == e[i].gpa) {
			e[i - 1].size += e[i].size;
			extent_remove(pool, i);
		}
	} else if (i < pool->n_free && gpa + size == e[i].gpa) {
		e[i].gpa = gpa;
		e[i].size += size;
	} else if (pool->n_free < MEMORY_POOL_EXTENTS) {
		memmove(&e[i + 1], &e[i], (pool->n_free - i) * sizeof(*e));
		e[i] = (struct memory_extent){ .gpa = gpa, .size = size };
		pool->n_free++;
	}
	/* Else it is not used again: 128 holes are more than 32 VFs with
	 * three extents each can make. */
}

/* size is a multiple of a line. */
static uint32_t stride_of(uint32_t size)
{
	return size | LINE;
}

int buffer_pool_init(struct buffer_pool *b, struct memory_pool *pool,
		     uint32_t n, uint32_t size)
{
	uint64_t bytes = (uint64_t)n * stride_of(size), gpa;
	uint32_t *indexes, i;
	int err;

	indexes = malloc(n * sizeof(*indexes));
	if (!indexes)
		return -ENOMEM;
	err = memory_pool_take(pool, bytes, &gpa);
	if (err < 0) {
		free(indexes);
		return err;
	}
	*b = (struct buffer_pool){ .gpa = gpa,
				   .size = size,
				   .stride = stride_of(size),
				   .n = n,
				   .given = n,
				   .free = indexes };
	b->hva = guest_memory_at(pool->memory, gpa, bytes,
				 GUEST_READ | GUEST_WRITE);
	for (i = 0; i < n; i++)
		indexes[i] = i;
	return 0;
}

void buffer_pool_fini(struct buffer_pool *b, struct memory_pool *pool)
{
	if (!b->free)
		return;
	memory_pool_give(pool, b->gpa, (uint64_t)b->n * b->stride);
	free(b->free);
	*b = (struct buffer_pool){ 0 };
}
