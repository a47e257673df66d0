/* record_pair.c - records that a hypervisor leaves for the next one, twice. */
#include <config.h>

#include "cmd/hvmon/record_pair.h"

#include <errno.h>
#include <string.h>

#define SUM_START offsetof(struct record_head, magic)

uint64_t record_sum(const void *record, size_t first, size_t size)
{
	const uint8_t *at = record;
	uint64_t sum = 0xcbf29ce484222325u, word;
	size_t i;

	for (i = first; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

static const struct record_head *at(const void *pair, size_t size, unsigned i)
{
	return (const void *)((const uint8_t *)pair + i * size);
}

/* Its number; 0: it is not whole. */
static uint64_t number_of(const struct record_head *head, size_t size,
			  const struct record_head *like)
{
	if (head->magic != like->magic || head->version != like->version ||
	    head->sum != record_sum(head, SUM_START, size))
		return 0;
	return head->number;
}

void record_pair_put(void *pair, size_t size, void *record)
{
	struct record_head *head = record;
	uint64_t first = number_of(at(pair, size, 0), size, head);
	uint64_t second = number_of(at(pair, size, 1), size, head);

	head->number = (first > second ? first : second) + 1;
	head->sum = record_sum(record, SUM_START, size);
	memcpy((uint8_t *)pair + (first > second ? size : 0), record, size);
}

int record_pair_get(const void *pair, size_t size, void *record)
{
	uint64_t first = number_of(at(pair, size, 0), size, record);
	uint64_t second = number_of(at(pair, size, 1), size, record);

	if (!first && !second)
		return -ENOENT;
	memcpy(record, at(pair, size, second > first), size);
	return 0;
}
