/* vf_receive.c - receiving frames (spec 02, fig. 16).
 *
 * Theory of operation.  While frames come a poller of the loop takes them in
 * batches without a system call.  When the ring stays empty (--poll) it sets
 * the sleep flag, looks once more, and ends; the device's interrupt starts it
 * again.  When a workload has no room the poller ends without the
 * flag: frames wait in the ring, the workload kicks.
 */
#include <config.h>

#include "cmd/guestd/vf_receive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_rings.h"
#include "cmd/guestd/vf_send.h"

#define BATCH 64u

static void doorbell(struct vf *vf)
{
	const uint64_t one = 1;
	const uint32_t value = 1;

	vf->counters.rx_doorbells++;
	if (vf->doorbell_rx >= 0 &&
	    (write(vf->doorbell_rx, &one, sizeof(one)) == sizeof(one) ||
	     errno == EAGAIN))
		return;
	if (bus_write(&vf->guest->bus, vf->pci.bar0 + NIC_DOORBELL_RX, &value,
		      sizeof(value), NULL, NULL) < 0)
		vf->counters.refused++;
}

/* What the device says about an entry: once, then checked, then used. */
static struct queue_entry entry_load(const struct queue_entry *entry)
{
	struct queue_entry seen;

	memcpy(&seen, entry, sizeof(seen));
	return seen;
}

/* 1503 for the i-th entry from the read index on; the bytes of a good frame. */
static inline uint32_t take_entry(struct vf *vf, const struct delivery *d,
				  uint32_t i, bool traced)
{
	const struct queue_entry seen = entry_load(queue_entry(&vf->rx, i));
	uint32_t *buffer = &vf->rx_buffer[(vf->rx.own + i) & vf->rx.mask];

	if (seen.status != QUEUE_OK || seen.size < NIC_FRAME_MIN ||
	    seen.size > vf->buffers.size ||
	    (traced && guest_point_fails(vf->guest, POINT_RECEIVE_1503)))
		return 0;
	workloads_deliver(d, buffer, seen.size);
	return seen.size;
}

/* 1504, 1505 for the first n entries: nothing but these is written here, and
 * each all at once (see queue_entry_set()). */
static void give_back(struct vf *vf, uint32_t n, bool traced)
{
	uint32_t i;

	if (traced)
		guest_point_fails(vf->guest, POINT_RECEIVE_1504);
	for (i = 0; i < n; i++)
		vf_rings_refresh(vf, queue_entry(&vf->rx, i),
				 vf->rx_buffer[(vf->rx.own + i) & vf->rx.mask]);
	if (traced)
		guest_point_fails(vf->guest, POINT_RECEIVE_1505);
	queue_advance(&vf->rx, n);
}

/* Which buffers the next n entries have is known here. */
static void fetch_buffers(const struct vf *vf, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		__builtin_prefetch(buffer_hva(
			&vf->buffers,
			vf->rx_buffer[(vf->rx.own + i) & vf->rx.mask]));
}

/* Up to n entries; how many were taken before somebody had no room. */
static uint32_t take_entries(struct vf *vf, uint32_t n, bool traced)
{
	struct guest *g = vf->guest;
	const struct delivery d = workloads_begin(g, vf, clock_now_ns());
	const bool room = workloads_have_room(g, vf);
	uint32_t i, size, frames = 0;
	uint64_t bytes = 0;

	vf->rx_blocked = false;
	for (i = 0; i < n; i++) {
		vf->rx_blocked = !room && !workloads_room(g, vf);
		if (vf->rx_blocked) {
			vf->counters.rx_waits++;
			break;
		}
		size = take_entry(vf, &d, i, traced);
		frames += size != 0;
		bytes += size;
	}
	vf->counters.rx_frames += frames;
	vf->counters.rx_bytes += bytes;
	vf->counters.rx_errors += i - frames;
	return i;
}

/* Up to n entries, one after the other while somebody follows the steps. */
static uint32_t take_and_give_back(struct vf *vf, uint32_t n, bool traced)
{
	uint32_t once = traced ? 1 : n, done = 0, taken;

	do {
		taken = take_entries(vf, once, traced);
		if (taken)
			give_back(vf, taken, traced);
		done += taken;
	} while (done < n && taken == once);
	return done;
}

/* One batch; how many entries were taken. */
static uint32_t receive_batch(struct vf *vf)
{
	struct guest *g = vf->guest;
	const bool traced = points_any_armed(g->program.points);
	uint32_t taken;
	int n;

	if (traced)
		guest_point_fails(g, POINT_RECEIVE_1501);
	n = queue_available(&vf->rx, BATCH);
	if (n < 0) {
		vf_queue_broken(vf, "rx");
		return 0;
	}
	if ((traced && guest_point_fails(g, POINT_RECEIVE_1502)) || n == 0)
		return 0;
	if (n > (int)BATCH)
		n = BATCH;
	fetch_buffers(vf, (uint32_t)n);
	taken = take_and_give_back(vf, (uint32_t)n, traced);
	if (taken) {
		/* First what somebody may wait for. */
		workloads_delivered(g, vf);
		if (queue_publish_read(&vf->rx))
			doorbell(vf);
	}
	return taken;
}

static enum loop_poll on_poll(void *arg)
{
	struct vf *vf = arg;
	struct guest *g = vf->guest;

	if (receive_batch(vf)) {
		poll_found(&vf->rx_spin, &g->options.poll,
			   loop_now_ns(g->program.loop));
		if (!vf->rx_blocked)
			return LOOP_WORKED;
	}
	if (vf->rx_blocked || vf->rx_stopped) {
		loop_poller_del(&vf->rx_poller);
		return LOOP_IDLE;
	}
	if (poll_spins(&vf->rx_spin, &g->options.poll,
		       loop_now_ns(g->program.loop)) ||
	    !queue_reader_sleep(&vf->rx))
		return LOOP_SPINS;
	loop_poller_del(&vf->rx_poller);
	return LOOP_IDLE;
}

void vf_receive_kick(struct vf *vf)
{
	if (!vf->n || vf->rx_stopped)
		return;
	/* Also while it polls: it is about to end if it was blocked. */
	vf->rx_blocked = false;
	if (vf->rx_poller.loop)
		return;
	queue_reader_awake(&vf->rx);
	loop_poller_add(vf->guest->program.loop, &vf->rx_poller, on_poll, vf);
}

void vf_receive_stop(struct vf *vf)
{
	loop_poller_del(&vf->rx_poller);
}
