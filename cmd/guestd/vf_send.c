/* vf_send.c - sending a frame (spec 02, fig. 15).
 *
 * Theory of operation.  Entries go into the transmit ring in order; the
 * device sets each one's status and moves the read index.  Buffers of
 * finished entries are taken back when room is needed.  Only who has to wait
 * for room asks the device for an interrupt (queue_writer_sleep).
 */
#include <config.h>

#include "cmd/guestd/vf_send.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"

#define PUBLISH_BATCH 32u

static void doorbell(struct vf *vf)
{
	const uint64_t one = 1;
	const uint32_t value = 1;

	vf->counters.tx_doorbells++;
	/* An eventfd that is full rings already. */
	if (vf->doorbell_tx >= 0 &&
	    (write(vf->doorbell_tx, &one, sizeof(one)) == sizeof(one) ||
	     errno == EAGAIN))
		return;
	if (bus_write(&vf->guest->bus, vf->pci.bar0 + NIC_DOORBELL_TX, &value,
		      sizeof(value), NULL, NULL) < 0)
		vf->counters.refused++;
}

/* Take back the buffers of finished entries. */
static int reclaim(struct vf *vf)
{
	uint32_t i;
	int space = queue_space(&vf->tx, vf->n - 1);

	if (space < 0) {
		vf_queue_broken(vf, "tx");
		return space;
	}
	for (; vf->tx_reclaimed != vf->tx.peer; vf->tx_reclaimed++) {
		i = vf->tx_reclaimed & vf->tx.mask;
		if (vf->tx.ring->entry[i].status != QUEUE_OK)
			vf->counters.tx_errors++;
		buffer_give(&vf->buffers, vf->tx_buffer[i]);
	}
	return space;
}

bool vf_send_space(struct vf *vf)
{
	if (vf->tx.own - vf->tx_reclaimed < vf->tx.mask)
		return true;
	return !vf->tx_stopped && reclaim(vf) > 0;
}

/* 1401 to 1406: whether a frame may be sent now. */
static int may_send(struct vf *vf)
{
	struct guest *g = vf->guest;

	vf->tx_traced = points_any_armed(g->program.points);
	if (vf->state != VF_UP || vf->tx_stopped)
		return -EAGAIN;
	if (guest_point_fails(g, POINT_SEND_1401) || !vf->link_up) {
		guest_point_fails(g, POINT_SEND_1402);
		vf->counters.tx_link_down++;
		return -ENETDOWN;
	}
	if (guest_point_fails(g, POINT_SEND_1403) ||
	    emergency_link_is_stopped(&g->emergency)) {
		guest_point_fails(g, POINT_SEND_1404);
		vf->counters.tx_stopped++;
		return -ESHUTDOWN;
	}
	if (guest_point_fails(g, POINT_SEND_1405) || !vf_send_space(vf)) {
		guest_point_fails(g, POINT_SEND_1406);
		vf->counters.tx_full++;
		return -ENOBUFS;
	}
	return 0;
}

int vf_send_begin(struct vf *vf, uint8_t **frame)
{
	int err = may_send(vf);

	if (err == 0)
		*frame = vf_send_buffer(vf, 0);
	return err;
}

int vf_send_begin_some(struct vf *vf, uint32_t want)
{
	int err = may_send(vf), space;

	if (err < 0)
		return err;
	if (vf->tx_traced)
		return 1;
	if (want > VF_SEND_BURST)
		want = VF_SEND_BURST;
	space = (int)(vf->tx.mask - (vf->tx.own - vf->tx_reclaimed));
	if ((uint32_t)space < want)
		space = reclaim(vf);
	if (space < 0)
		return -EAGAIN;
	return (uint32_t)space < want ? space : (int)want;
}

/* 1407, 1408, while a point is armed. */
static void step(struct vf *vf, unsigned point)
{
	if (vf->tx_traced)
		guest_point_fails(vf->guest, point);
}

/* Nothing but the entries is written here, and of each all at once: stores
 * leave the CPU in order, so any other would wait behind a line that the device
 * has.  Which buffer is whose is noted from what is in the cache. */
static void put(struct vf *vf, const uint32_t *buffer, const uint32_t *size,
		uint32_t n)
{
	uint64_t bytes = 0;
	uint32_t i;

	step(vf, POINT_SEND_1407);
	for (i = 0; i < n; i++) {
		queue_entry_set(queue_entry(&vf->tx, i),
				buffer_gpa(&vf->buffers, buffer[i]), size[i]);
		bytes += size[i];
	}
	for (i = 0; i < n; i++)
		vf->tx_buffer[(vf->tx.own + i) & vf->tx.mask] = buffer[i];
	step(vf, POINT_SEND_1408);
	queue_advance(&vf->tx, n);
	vf->counters.tx_frames += n;
	vf->counters.tx_bytes += bytes;
	vf->tx_unpublished += n;
}

void vf_send_put(struct vf *vf, const uint32_t *size, uint32_t n)
{
	uint32_t buffer[VF_SEND_BURST], i;

	for (i = 0; i < n; i++)
		buffer[i] = buffer_take(&vf->buffers);
	put(vf, buffer, size, n);
}

static void put_one(struct vf *vf, uint32_t buffer, uint32_t size)
{
	put(vf, &buffer, &size, 1);
	if (vf->tx_unpublished >= PUBLISH_BATCH)
		vf_send_flush(vf);
}

void vf_send_commit(struct vf *vf, uint32_t size)
{
	put_one(vf, buffer_take(&vf->buffers), size);
}

void vf_send_exchange(struct vf *vf, uint32_t *buffer, uint32_t size)
{
	uint32_t filled = *buffer;

	*buffer = buffer_take(&vf->buffers);
	put_one(vf, filled, size);
}

void vf_send_flush(struct vf *vf)
{
	if (!vf->tx_unpublished)
		return;
	vf->tx_unpublished = 0;
	if (queue_publish_write(&vf->tx))
		doorbell(vf);
	/* What the next frame is written to comes while nobody waits. */
	__builtin_prefetch(queue_entry(&vf->tx, 0), 1);
	__builtin_prefetch(vf_send_buffer(vf, 0), 1);
}

uint32_t vf_send_pending(struct vf *vf)
{
	if (!vf->n || vf->tx_stopped)
		return 0;
	(void)reclaim(vf);
	return vf->tx.own - vf->tx_reclaimed;
}

bool vf_send_completed(struct vf *vf)
{
	return !vf->n || vf->tx_stopped ||
	       (reclaim(vf) >= 0 && vf->tx_reclaimed == vf->tx.own);
}

static void on_kick(void *arg)
{
	vf_send_kick(arg);
}

void vf_wait(struct vf *vf, struct vf_waiter *w)
{
	if (w->vf)
		return;
	w->vf = vf;
	TAILQ_INSERT_TAIL(&vf->waiters, w, entry);
}

void vf_send_wait(struct vf *vf, struct vf_waiter *w)
{
	vf_send_flush(vf);
	vf_wait(vf, w);
	/* Away, without link, or stopped: the setup, the link query or the
	 * emergency link wakes. */
	if (vf->state != VF_UP || !vf->link_up || vf->tx_stopped ||
	    vf->guest->emergency.stopped)
		return;
	/* With nothing under way the index will not move. */
	if (vf_send_completed(vf) || !queue_writer_sleep(&vf->tx))
		loop_defer(vf->guest->program.loop, &vf->tx_kick, on_kick, vf);
}

void vf_send_unwait(struct vf_waiter *w)
{
	if (!w->vf)
		return;
	TAILQ_REMOVE(&w->vf->waiters, w, entry);
	w->vf = NULL;
}

void vf_send_kick(struct vf *vf)
{
	struct vf_waiter *w;
	unsigned n = 0;

	if (!vf->n || vf->tx_stopped)
		return;
	queue_writer_awake(&vf->tx);
	if (reclaim(vf) < 0)
		return;
	TAILQ_FOREACH (w, &vf->waiters, entry)
		n++;
	/* Who has to wait again goes to the end, for the next kick. */
	while (n-- && (w = TAILQ_FIRST(&vf->waiters))) {
		vf_send_unwait(w);
		w->fn(w->arg);
	}
}
