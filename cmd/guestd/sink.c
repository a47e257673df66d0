/* sink.c - the workload `sink`: reads every byte of what comes, into a buffer
 * of its own, and counts it. */
#include <config.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_driver.h"
#include "libcore/copy.h"
#include "libcore/nic_regs.h"

struct sink {
	struct workload w;
	uint64_t frames, bytes;
	uint64_t first_ns, last_ns;
	uint8_t copy[NIC_FRAME_MAX];
};

static struct sink *of(struct workload *w)
{
	return (struct sink *)w;
}

static void sink_deliver(struct workload *w, struct vf *vf, uint32_t *buffer,
			 uint32_t size, uint64_t now_ns)
{
	struct sink *s = of(w);

	/* No frame is larger, but buffers may be. */
	if (size <= sizeof(s->copy))
		copy_frame(s->copy, buffer_hva(&vf->buffers, *buffer), size);
	s->frames++;
	s->bytes += size;
	if (!s->first_ns)
		s->first_ns = now_ns;
	s->last_ns = now_ns;
}

static void sink_stop(struct workload *w)
{
	(void)w;
}

static void sink_report(const struct workload *w, json_t *row)
{
	const struct sink *s = (const struct sink *)w;
	const struct checker *ck = &w->guest->checker;
	struct checker_counts sum = checker_totals(ck);
	uint64_t ns = s->last_ns - s->first_ns;
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:I, s:I}", "done", (json_int_t)sum.received,
		"errors", (json_int_t)(sum.lost + sum.repeated + ck->corrupted),
		"frames", (json_int_t)s->frames, "bytes", (json_int_t)s->bytes,
		"per_second",
		(json_int_t)(ns ? (double)s->frames * 1e9 / (double)ns : 0));
	json_object_update(row, more);
	json_decref(more);
}

static void sink_reset(struct workload *w)
{
	struct sink *s = of(w);

	s->frames = s->bytes = s->first_ns = s->last_ns = 0;
}

const struct workload_ops sink_ops = {
	.name = "sink",
	.size = sizeof(struct sink),
	.receives = true,
	.stop = sink_stop,
	.deliver = sink_deliver,
	.report = sink_report,
	.reset = sink_reset,
};
