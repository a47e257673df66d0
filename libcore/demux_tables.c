/* demux_tables.c - the record and the arrays of a partition. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "libcore/demux.h"

#define ALIGN 64u

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "entries lie in memory of others");

static uint64_t align_up(uint64_t bytes)
{
	return (bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static uint64_t alerted_bytes(uint32_t gisa_n)
{
	return ((uint64_t)gisa_n + 63) / 64 * sizeof(uint64_t);
}

/* The record's arrays, one behind the other; what is behind all. */
static uint64_t place(struct demux_record *r)
{
	r->geqa = DEMUX_RECORD_AT + DEMUX_RECORD_SIZE;
	r->geqcb = align_up(r->geqa + r->geqa_n * sizeof(struct demux_geqa));
	r->gisa = align_up(r->geqcb + r->geqcb_n * sizeof(struct demux_geqcb));
	r->alerted = align_up(r->gisa + r->gisa_n * sizeof(struct demux_gisa));
	return r->alerted + alerted_bytes(r->gisa_n);
}

uint64_t demux_size(uint32_t geqa_n, uint32_t geqcb_n, uint32_t gisa_n)
{
	struct demux_record r = { .geqa_n = geqa_n,
				  .geqcb_n = geqcb_n,
				  .gisa_n = gisa_n };

	return place(&r) - DEMUX_RECORD_AT;
}

static bool is_count(uint32_t n)
{
	return n && n <= DEMUX_ENTRIES_MAX;
}

static void look(struct demux_tables *t, void *memory,
		 const struct demux_record *r)
{
	uint8_t *bytes = memory;

	t->record = (struct demux_record *)(bytes + DEMUX_RECORD_AT);
	t->geqa = (struct demux_geqa *)(bytes + r->geqa);
	t->geqcb = (struct demux_geqcb *)(bytes + r->geqcb);
	t->gisa = (struct demux_gisa *)(bytes + r->gisa);
	t->alerted = (_Atomic uint64_t *)(bytes + r->alerted);
	t->geqa_n = r->geqa_n;
	t->geqcb_n = r->geqcb_n;
	t->gisa_n = r->gisa_n;
}

int demux_create(struct demux_tables *t, void *memory, uint64_t size,
		 uint32_t geqa_n, uint32_t geqcb_n, uint32_t gisa_n)
{
	struct demux_record r = { .version = DEMUX_VERSION,
				  .geqa_n = geqa_n,
				  .geqcb_n = geqcb_n,
				  .gisa_n = gisa_n };
	uint64_t end;

	if (!is_count(geqa_n) || !is_count(geqcb_n) || !is_count(gisa_n))
		return -EINVAL;
	end = place(&r);
	if (end > size)
		return -ENOSPC;
	look(t, memory, &r);
	/* Not there while it is made. */
	atomic_store_explicit(&t->record->magic, 0, memory_order_seq_cst);
	memset((uint8_t *)memory + DEMUX_RECORD_AT + sizeof(r), 0,
	       end - DEMUX_RECORD_AT - sizeof(r));
	memcpy((uint8_t *)t->record + sizeof(r.magic),
	       (uint8_t *)&r + sizeof(r.magic), sizeof(r) - sizeof(r.magic));
	atomic_store_explicit(&t->record->magic, DEMUX_MAGIC,
			      memory_order_release);
	return 0;
}

static bool lies_in(uint64_t at, uint64_t bytes, uint64_t size)
{
	return !(at % ALIGN) && at >= DEMUX_RECORD_AT + DEMUX_RECORD_SIZE &&
	       at <= size && bytes <= size - at;
}

/* Of a copy that does not change any more. */
static bool is_whole(const struct demux_record *r, uint64_t size)
{
	return r->version == DEMUX_VERSION && is_count(r->geqa_n) &&
	       is_count(r->geqcb_n) && is_count(r->gisa_n) &&
	       lies_in(r->geqa, r->geqa_n * sizeof(struct demux_geqa), size) &&
	       lies_in(r->geqcb, r->geqcb_n * sizeof(struct demux_geqcb),
		       size) &&
	       lies_in(r->gisa, r->gisa_n * sizeof(struct demux_gisa), size) &&
	       lies_in(r->alerted, alerted_bytes(r->gisa_n), size);
}

int demux_open(struct demux_tables *t, void *memory, uint64_t size)
{
	struct demux_record *record =
		(struct demux_record *)((uint8_t *)memory + DEMUX_RECORD_AT);
	struct demux_record r;

	if (size < DEMUX_RECORD_AT + DEMUX_RECORD_SIZE ||
	    atomic_load_explicit(&record->magic, memory_order_acquire) !=
		    DEMUX_MAGIC)
		return -ENOENT;
	memcpy(&r, record, sizeof(r));
	if (!is_whole(&r, size))
		return -EBADMSG;
	look(t, memory, &r);
	return 0;
}

/* The entry lies there and its generation, at its front, is the handle's. */
static bool is_current(const _Atomic uint32_t *generation, uint64_t handle)
{
	return (demux_generation(handle) & 1) &&
	       atomic_load_explicit(generation, memory_order_acquire) ==
		       demux_generation(handle);
}

struct demux_geqa *demux_geqa(const struct demux_tables *t, uint64_t handle)
{
	uint32_t i = demux_index(handle);

	return i < t->geqa_n && is_current(&t->geqa[i].generation, handle)
		       ? &t->geqa[i]
		       : NULL;
}

struct demux_geqcb *demux_geqcb(const struct demux_tables *t, uint64_t handle)
{
	uint32_t i = demux_index(handle);

	return i < t->geqcb_n && is_current(&t->geqcb[i].generation, handle)
		       ? &t->geqcb[i]
		       : NULL;
}

struct demux_gisa *demux_gisa(const struct demux_tables *t, uint64_t handle)
{
	uint32_t i = demux_index(handle);

	return i < t->gisa_n && is_current(&t->gisa[i].generation, handle)
		       ? &t->gisa[i]
		       : NULL;
}
