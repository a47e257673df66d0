/* channel.h - a one-way ring of messages in fixed slots in shared memory, with
 * an eventfd: the supervisor's exceptions and verdicts travel in a pair. */
#ifndef IOVKIT_CHANNEL_H
#define IOVKIT_CHANNEL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_MAGIC       0x6e686356u /* "Vchn" */
#define CHANNEL_SLOTS       64u
#define CHANNEL_SLOT_SIZE   4224u
#define CHANNEL_MESSAGE_MAX (CHANNEL_SLOT_SIZE - 8u)

struct channel_slot {
	uint32_t size; /* of the message */
	uint32_t rsvd0;
	uint8_t message[CHANNEL_MESSAGE_MAX];
};
_Static_assert(sizeof(struct channel_slot) == CHANNEL_SLOT_SIZE, "channel");

struct channel_ring {
	alignas(128) uint32_t magic;
	uint32_t slots;
	uint32_t slot_size;
	uint8_t rsvd0[116];
	alignas(128) _Atomic uint32_t write; /* free running */
	uint8_t rsvd1[124];
	alignas(128) _Atomic uint32_t read;
	uint8_t rsvd2[124];
	struct channel_slot slot[CHANNEL_SLOTS];
};
_Static_assert(offsetof(struct channel_ring, write) == 128, "channel");
_Static_assert(offsetof(struct channel_ring, slot) == 384, "channel");
_Static_assert(CHANNEL_SLOT_SIZE % 128 == 0, "channel slot");

void channel_init(struct channel_ring *ring);
/* Copy a message of size bytes in; -EAGAIN: full, -EBADMSG: wild index,
 * -EMSGSIZE: over CHANNEL_MESSAGE_MAX.  The caller rings the eventfd. */
int channel_push(struct channel_ring *ring, const void *message, size_t size)
	__attribute__((warn_unused_result));
/* Copy the oldest out: its bytes, up to size; what it does not fill of *message
 * is left as it was.  -EAGAIN: empty, -EBADMSG: wild index, or it is longer. */
int channel_pop(struct channel_ring *ring, void *message, size_t size)
	__attribute__((warn_unused_result));

#endif
