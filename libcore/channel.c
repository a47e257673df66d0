/* channel.c - a one-way ring of fixed slots in shared memory. */
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
	uint32_t write, read;

	if (size > CHANNEL_SLOT_SIZE)
		return -EMSGSIZE;
	write = atomic_load_explicit(&ring->write, memory_order_relaxed);
	/* C1: acquire, pairs with C4: the slot is read before it is reused */
	read = atomic_load_explicit(&ring->read, memory_order_acquire);
	if (write - read > CHANNEL_SLOTS)
		return -EBADMSG;
	if (write - read == CHANNEL_SLOTS)
		return -EAGAIN;
	memcpy(ring->slot[write % CHANNEL_SLOTS], message, size);
	/* C2: release, pairs with C3 in channel_pop() */
	atomic_store_explicit(&ring->write, write + 1, memory_order_release);
	return 0;
}

int channel_pop(struct channel_ring *ring, void *message, size_t size)
{
	uint32_t write, read;

	if (size > CHANNEL_SLOT_SIZE)
		return -EMSGSIZE;
	read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	/* C3: acquire, pairs with C2 in channel_push() */
	write = atomic_load_explicit(&ring->write, memory_order_acquire);
	if (write - read > CHANNEL_SLOTS)
		return -EBADMSG;
	if (write == read)
		return -EAGAIN;
	memcpy(message, ring->slot[read % CHANNEL_SLOTS], size);
	/* C4: release, pairs with C1 in channel_push() */
	atomic_store_explicit(&ring->read, read + 1, memory_order_release);
	return 0;
}
