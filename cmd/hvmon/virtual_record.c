/* virtual_record.c - what a hypervisor leaves of a virtualised device. */
#include <config.h>

#include "cmd/hvmon/virtual_record.h"

#include <string.h>

#define SUM_START offsetof(struct virtual_record, size)

/* FNV-1a over words: it finds a record half written, not an enemy. */
static uint64_t sum_of(const struct virtual_record *record, size_t size)
{
	const uint8_t *at = (const uint8_t *)record;
	uint64_t sum = 0xcbf29ce484222325u, word;
	size_t i;

	for (i = SUM_START; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

static uint32_t size_of(const struct virtual_record *record)
{
	return (uint32_t)(offsetof(struct virtual_record, log) +
			  record->n_log * sizeof(record->log[0]));
}

static bool is_valid(const struct virtual_record *record, uint16_t bdf)
{
	return record->magic == VIRTUAL_RECORD_MAGIC &&
	       record->version == VIRTUAL_RECORD_VERSION && !record->rsvd0 &&
	       record->bdf == bdf && record->phase &&
	       record->phase < VIRTUAL_PHASE_N &&
	       record->n_log <= VIRTUAL_LOG_MAX &&
	       record->size == size_of(record) &&
	       record->sum == sum_of(record, record->size);
}

void virtual_room_put(struct virtual_room *room, struct virtual_record *record)
{
	record->magic = VIRTUAL_RECORD_MAGIC;
	record->version = VIRTUAL_RECORD_VERSION;
	record->sequence++;
	record->size = size_of(record);
	record->sum = sum_of(record, record->size);
	memcpy(&room->record[record->sequence % 2], record, record->size);
}

bool virtual_room_get(const struct virtual_room *room, uint16_t bdf,
		      struct virtual_record *record)
{
	struct virtual_record other;
	bool first, second;

	memcpy(record, &room->record[0], sizeof(*record));
	memcpy(&other, &room->record[1], sizeof(other));
	first = is_valid(record, bdf);
	second = is_valid(&other, bdf);
	if (second && (!first || other.sequence > record->sequence))
		*record = other;
	return first || second;
}

void virtual_room_clear(struct virtual_room *room)
{
	memset(&room->record[0], 0, SUM_START);
	memset(&room->record[1], 0, SUM_START);
}
