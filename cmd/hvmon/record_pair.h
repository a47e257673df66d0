/* record_pair.h - records that a hypervisor leaves for the next one in vm0's
 * main memory, each twice: the one that was written before is whole when hvmon
 * dies in the middle of the other.  The later one counts.  Pure. */
#ifndef IOVKIT_HVMON_RECORD_PAIR_H
#define IOVKIT_HVMON_RECORD_PAIR_H

#include <stddef.h>
#include <stdint.h>

/* Each of the two begins with it. */
struct record_head {
	uint64_t sum; /* of all that follows */
	uint32_t magic, version;
	uint64_t number; /* counts what is written */
};
_Static_assert(sizeof(struct record_head) == 24, "record head");

/* FNV-1a over the words from byte `first` to byte `size`: it finds a record half
 * written, not an enemy. */
uint64_t record_sum(const void *record, size_t first, size_t size);

/* Complete the record's head, whose magic and version are set, and write it
 * over that one of the pair, both of this size, which does not count. */
void record_pair_put(void *pair, size_t size, void *record);
/* The one that counts, copied; -ENOENT: none with the magic and version that
 * the record has is whole. */
int record_pair_get(const void *pair, size_t size, void *record)
	__attribute__((warn_unused_result));

#endif
