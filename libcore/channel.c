/* channel.c - a one-way ring of messages in fixed slots in shared memory. */
#include <config.h>

#include "libcore/channel.h"

#include <errno.h>
#include <string.h>

void channel_init(struct channel_ring *ring)
{
	ring->magic = CHANNEL_MAGIC;
	ring->slots = CHANNEL_SLOTS;
	ring->slot_size = CHANNEL_SLOT_SIZE;
	atomic_store_explicit(&ring->read, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->write, 0, memory_order_release);
}

int channel_push(struct channel_ring *ring, const void *message, size_t size)
{
	struct channel_slot *slot;
	uint32_t write, read;

	if (size > CHANNEL_MESSAGE_MAX)
		return -EMSGSIZE;
	write = atomic_load_explicit(&ring->write, memory_order_relaxed);
	/* C1: acquire, pairs with C4: the slot is read before it is reused */
	read = atomic_load_explicit(&ring->read, memory_order_acquire);
	if (write - read > CHANNEL_SLOTS)
		return -EBADMSG;
	if (write - read == CHANNEL_SLOTS)
		return -EAGAIN;
	slot = &ring->slot[write % CHANNEL_SLOTS];
	slot->size = (uint32_t)size;
	memcpy(slot->message, message, size);
	/* C2: release, pairs with C3 in channel_pop() */
	atomic_store_explicit(&ring->write, write + 1, memory_order_release);
	return 0;
}

int channel_pop(struct channel_ring *ring, void *message, size_t size)
{
	const volatile uint32_t *bytes;
	uint32_t write, read, n;

	read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	/* C3: acquire, pairs with C2 in channel_push() */
	write = atomic_load_explicit(&ring->write, memory_order_acquire);
	if (write - read > CHANNEL_SLOTS)
		return -EBADMSG;
	if (write == read)
		return -EAGAIN;
	/* Read once: the other side may change it. */
	bytes = &ring->slot[read % CHANNEL_SLOTS].size;
	n = *bytes;
	if (n > size || n > CHANNEL_MESSAGE_MAX)
		return -EBADMSG;
	memcpy(message, ring->slot[read % CHANNEL_SLOTS].message, n);
	/* C4: release, pairs with C1 in channel_push() */
	atomic_store_explicit(&ring->read, read + 1, memory_order_release);
	return (int)n;
}
