/* level2_record.c - level 2's record in its partition's memory. */
#include <config.h>

#include "cmd/hvmon/level2_record.h"

#include <errno.h>
#include <string.h>

#define ALIGN      64u
#define QUEUES_MAX 16384u /* CQs, as many QPs, half as many EQs */
#define QUEUES_MIN 64u

static uint64_t align_up(uint64_t bytes)
{
	return (bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

/* Two kinds of events of each resource, and what belongs to none. */
static uint32_t host_entries(uint32_t queues)
{
	uint32_t entries = HCA_RING_MIN;

	while (entries < 2 * queues + 2 && entries < HCA_RING_MAX)
		entries *= 2;
	return entries;
}

/* Where everything lies; what is behind all. */
static uint64_t lay_out(struct level2_rows *rows, uint8_t *memory,
			uint32_t geqa_n, uint32_t geqcb_n, uint32_t gisa_n)
{
	uint64_t at =
		align_up(DEMUX_RECORD_AT + demux_size(geqa_n, geqcb_n, gisa_n));
	unsigned i;

	rows->record = (struct level2_record *)(memory + at);
	at += sizeof(*rows->record);
	rows->cq = (struct level2_cq *)(memory + at);
	at = align_up(at + geqa_n * sizeof(*rows->cq));
	rows->eq = (struct level2_eq *)(memory + at);
	at = align_up(at + geqcb_n * sizeof(*rows->eq));
	rows->qp = (struct level2_qp *)(memory + at);
	at = align_up(at + geqa_n * sizeof(*rows->qp));
	rows->guest = (struct level2_guest_row *)(memory + at);
	at = align_up(at + gisa_n * sizeof(*rows->guest));
	rows->entries = host_entries(geqa_n);
	for (i = 0; i < DEMUX_HOST_N; i++) {
		rows->ring[i] = at;
		at += rows->entries * sizeof(struct hca_eqe);
	}
	rows->asb = at;
	return at + ALIGN;
}

static int make(struct demux_tables *t, struct level2_rows *rows,
		uint8_t *memory, uint64_t size, unsigned guests)
{
	uint32_t n = QUEUES_MAX;
	uint64_t end, begin;
	int err;

	/* The guests' own queues are in their own memory; half of this one may
	 * be ours. */
	while (n > QUEUES_MIN &&
	       lay_out(rows, memory, n, n / 2, guests) > size / 2)
		n /= 2;
	end = lay_out(rows, memory, n, n / 2, guests);
	if (end > size)
		return -ENOSPC;
	begin = (uint64_t)((uint8_t *)rows->record - memory);
	memset(rows->record, 0, end - begin);
	err = demux_create(t, memory, size, n, n / 2, guests);
	if (err)
		return err;
	rows->record->version = LEVEL2_VERSION;
	atomic_store_explicit(&rows->record->magic, LEVEL2_MAGIC,
			      memory_order_release);
	return 0;
}

void level2_record_forget(uint8_t *memory)
{
	struct demux_record *record =
		(struct demux_record *)(memory + DEMUX_RECORD_AT);

	atomic_store_explicit(&record->magic, 0, memory_order_seq_cst);
}

int level2_record_open(struct demux_tables *t, struct level2_rows *rows,
		       uint8_t *memory, uint64_t size, unsigned guests,
		       bool *found)
{
	int err = demux_open(t, memory, size);

	*found = false;
	if (err == -ENOENT)
		return make(t, rows, memory, size, guests);
	if (err)
		return err;
	if (lay_out(rows, memory, t->geqa_n, t->geqcb_n, t->gisa_n) > size)
		return -EBADMSG;
	/* One that died while it made them. */
	if (!atomic_load_explicit(&rows->record->magic, memory_order_acquire))
		return make(t, rows, memory, size, guests);
	if (rows->record->magic != LEVEL2_MAGIC ||
	    rows->record->version != LEVEL2_VERSION || t->gisa_n != guests)
		return -EBADMSG;
	*found = true;
	return 0;
}
