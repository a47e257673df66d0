/* channel.h - a one-way ring of fixed slots in shared memory, with an
 * eventfd: the supervisor's exceptions and verdicts travel in a pair. */
#ifndef IOVKIT_CHANNEL_H
#define IOVKIT_CHANNEL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_MAGIC     0x6e686356u /* "Vchn" */
#define CHANNEL_SLOTS     64u
#define CHANNEL_SLOT_SIZE 4224u

struct channel_ring {
	alignas(128) uint32_t magic;
	uint32_t slots;
	uint32_t slot_size;
	uint8_t rsvd0[116];
	alignas(128) _Atomic uint32_t write; /* free running */
	uint8_t rsvd1[124];
	alignas(128) _Atomic uint32_t read;
	uint8_t rsvd2[124];
	uint8_t slot[CHANNEL_SLOTS][CHANNEL_SLOT_SIZE];
};
_Static_assert(offsetof(struct channel_ring, write) == 128, "channel");
_Static_assert(offsetof(struct channel_ring, slot) == 384, "channel");
_Static_assert(CHANNEL_SLOT_SIZE % 128 == 0, "channel slot");

void channel_init(struct channel_ring *ring);
/* Copy size bytes (<= slot) in; -EAGAIN: full, -EBADMSG: wild index. The
 * caller rings the eventfd. */
int channel_push(struct channel_ring *ring, const void *message, size_t size)
	__attribute__((warn_unused_result));
/* Copy the oldest out (size bytes); -EAGAIN: empty, -EBADMSG: wild index. */
int channel_pop(struct channel_ring *ring, void *message, size_t size)
	__attribute__((warn_unused_result));

#endif
