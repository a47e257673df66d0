/* vf_rings.c - memory of a VF's queues: rings, buffers, who has which.
 *
 * Two buffers for each entry: the receive ring always holds n, the transmit
 * ring at most n - 1, so one is free whenever an entry is.  Which buffer an
 * entry has is noted in private memory: what the ring says about it is for
 * the device.
 */
#include <config.h>

#include "cmd/guestd/vf_rings.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd/guestd/guestd.h"

static void *ring_hva(struct vf *vf, uint64_t gpa, uint32_t n)
{
	return guest_memory_at(&vf->guest->bus.memory, gpa, queue_ring_size(n),
			       GUEST_READ | GUEST_WRITE);
}

static int take_memory(struct vf *vf, uint32_t n, uint32_t buffer_bytes)
{
	struct memory_pool *pool = &vf->guest->memory;
	uint64_t bytes = queue_ring_size(n);
	int err;

	err = memory_pool_take(pool, bytes, &vf->tx_gpa);
	if (err < 0)
		return err;
	err = memory_pool_take(pool, bytes, &vf->rx_gpa);
	if (err < 0)
		goto give_tx;
	err = buffer_pool_init(&vf->buffers, pool, 2 * n, buffer_bytes);
	if (err < 0)
		goto give_rx;
	return 0;
give_rx:
	memory_pool_give(pool, vf->rx_gpa, bytes);
give_tx:
	memory_pool_give(pool, vf->tx_gpa, bytes);
	return err;
}

static void begin_at(struct queue_ring *ring, uint32_t first)
{
	atomic_store_explicit(&ring->write.index, first, memory_order_relaxed);
	atomic_store_explicit(&ring->read.index, first, memory_order_relaxed);
}

static int lay_out(struct vf *vf, uint32_t n, uint32_t first)
{
	struct queue_ring *tx = ring_hva(vf, vf->tx_gpa, n);
	struct queue_ring *rx = ring_hva(vf, vf->rx_gpa, n);
	uint32_t i;
	int err;

	vf->tx_buffer = calloc(n, sizeof(*vf->tx_buffer));
	vf->rx_buffer = calloc(n, sizeof(*vf->rx_buffer));
	if (!vf->tx_buffer || !vf->rx_buffer)
		return -ENOMEM;
	queue_init(tx, n);
	queue_init(rx, n);
	begin_at(tx, first);
	begin_at(rx, first);
	for (i = 0; i < n; i++) {
		vf->rx_buffer[i] = buffer_take(&vf->buffers);
		vf_rings_refresh(vf, &rx->entry[i], vf->rx_buffer[i]);
	}
	err = queue_attach_writer(&vf->tx, tx, n);
	if (err == 0)
		err = queue_attach_reader(&vf->rx, rx, n);
	if (err < 0)
		return err;
	/* The guest's own enable bits stay on as long as it lives.  Release,
	 * pairs with E1 in queue_enabled(): the ring is laid out before. */
	atomic_store_explicit(&tx->enable, 1, memory_order_release);
	atomic_store_explicit(&rx->enable, 1, memory_order_release);
	return 0;
}

int vf_rings_init(struct vf *vf, uint32_t n, uint32_t first,
		  uint32_t buffer_bytes)
{
	int err;

	for (;; n /= 2) {
		err = take_memory(vf, n, buffer_bytes);
		if (err != -ENOMEM || n / 2 < VF_RING_LEAST)
			break;
	}
	if (err < 0)
		return err;
	vf->n = n;
	vf->tx_reclaimed = first;
	err = lay_out(vf, n, first);
	if (err < 0)
		vf_rings_fini(vf);
	return err;
}

void vf_rings_fini(struct vf *vf)
{
	struct memory_pool *pool = &vf->guest->memory;

	if (!vf->n)
		return;
	buffer_pool_fini(&vf->buffers, pool);
	memory_pool_give(pool, vf->rx_gpa, queue_ring_size(vf->n));
	memory_pool_give(pool, vf->tx_gpa, queue_ring_size(vf->n));
	free(vf->tx_buffer);
	free(vf->rx_buffer);
	vf->tx_buffer = vf->rx_buffer = NULL;
	vf->n = 0;
}
