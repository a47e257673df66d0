/* roundtrip.c - the workload `roundtrip`: one frame at a time to an echo and
 * back, and how long that took.
 *
 * The next frame goes out as soon as the last one came back; one that does
 * not come back is given up for lost after a while.  The time is taken from
 * one arrival to the next, so all that the guest does in between is in it.
 */
#include <config.h>

#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/histogram.h"
#include "cmd/guestd/vf_driver.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/nic_regs.h"

#define ETHERTYPE 0x88b6
#define AT_NUMBER (2 * MAC_SIZE + 2)
#define LOST_NS   NS_PER_S

struct roundtrip {
	struct workload w;
	uint64_t number; /* of the frame that is under way */
	uint64_t done, lost, sent_ns;
	struct histogram time;
	struct vf_waiter waiter;
	struct loop_timer timer;
};

static struct roundtrip *of(struct workload *w)
{
	return (struct roundtrip *)w;
}

static void send_next(struct roundtrip *r, uint64_t now_ns)
{
	static const uint8_t ethertype[] = { ETHERTYPE >> 8, ETHERTYPE & 0xff };
	struct vf *vf = r->w.vf;
	uint8_t *frame;

	if (vf_send_begin(vf, &frame) < 0) {
		vf_send_wait(vf, &r->waiter);
		return;
	}
	r->number++;
	r->sent_ns = now_ns;
	memcpy(frame, r->w.spec.to, MAC_SIZE);
	memcpy(frame + MAC_SIZE, vf->mac, MAC_SIZE);
	memcpy(frame + 2 * MAC_SIZE, ethertype, sizeof(ethertype));
	memcpy(frame + AT_NUMBER, &r->number, sizeof(r->number));
	vf_send_commit(vf, r->w.spec.size_min);
}

static void on_space(void *arg)
{
	struct roundtrip *r = arg;

	send_next(r, clock_now_ns());
	vf_send_flush(r->w.vf);
}

/* Looks now and then: a timer for each frame would cost more than the trip. */
static void on_timer(void *arg)
{
	struct roundtrip *r = arg;
	uint64_t now_ns = clock_now_ns();

	loop_timer_in(r->w.guest->program.loop, &r->timer, LOST_NS, on_timer,
		      r);
	if (r->waiter.vf || now_ns - r->sent_ns < LOST_NS)
		return;
	r->lost++;
	r->w.bad = true;
	send_next(r, now_ns);
	vf_send_flush(r->w.vf);
}

static void roundtrip_start(struct workload *w)
{
	struct roundtrip *r = of(w);

	if (w->spec.size_max != w->spec.size_min ||
	    w->spec.size_max > w->vf->buffers.size) {
		workload_failed(w, STATUS_NOT,
				"frames of one size that fits buffers of %u",
				w->vf->buffers.size);
		return;
	}
	r->waiter = (struct vf_waiter){ .fn = on_space, .arg = r };
	on_space(r);
	loop_timer_in(w->guest->program.loop, &r->timer, LOST_NS, on_timer, r);
}

static void roundtrip_deliver(struct workload *w, struct vf *vf,
			      uint32_t *buffer, uint32_t size, uint64_t now_ns)
{
	const uint8_t *frame = buffer_hva(&vf->buffers, *buffer);
	struct roundtrip *r = of(w);
	uint64_t number;

	memcpy(&number, frame + AT_NUMBER, sizeof(number));
	if (size != w->spec.size_min || number != r->number || r->waiter.vf ||
	    memcmp(frame + MAC_SIZE, w->spec.to, MAC_SIZE) != 0)
		return;
	histogram_add(&r->time, now_ns - r->sent_ns);
	if (++r->done == w->spec.count)
		workload_done(w);
	else
		send_next(r, now_ns);
}

static void roundtrip_delivered(struct workload *w, struct vf *vf)
{
	(void)w;
	vf_send_flush(vf);
}

static void roundtrip_stop(struct workload *w)
{
	struct roundtrip *r = of(w);

	loop_timer_cancel(&r->timer);
	vf_send_unwait(&r->waiter);
}

static void roundtrip_fini(struct workload *w)
{
	histogram_fini(&of(w)->time);
}

static void roundtrip_report(const struct workload *w, json_t *row)
{
	const struct roundtrip *r = (const struct roundtrip *)w;
	char to[MAC_TEXT_MAX];
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:s, s:I, s:I, s:o}", "done",
		(json_int_t)r->done, "of", (json_int_t)w->spec.count, "errors",
		(json_int_t)r->lost, "detail", mac_format(to, w->spec.to),
		"p50_ns", (json_int_t)histogram_quantile(&r->time, 500),
		"p99_ns", (json_int_t)histogram_quantile(&r->time, 990),
		"latency", histogram_to_json(&r->time));
	json_object_update(row, more);
	json_decref(more);
}

static void roundtrip_reset(struct workload *w)
{
	of(w)->lost = 0;
	histogram_reset(&of(w)->time);
}

const struct workload_ops roundtrip_ops = {
	.name = "roundtrip",
	.size = sizeof(struct roundtrip),
	.receives = true,
	.start = roundtrip_start,
	.stop = roundtrip_stop,
	.fini = roundtrip_fini,
	.deliver = roundtrip_deliver,
	.delivered = roundtrip_delivered,
	.report = roundtrip_report,
	.reset = roundtrip_reset,
};
