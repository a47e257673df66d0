/* messages.c - the workload `messages`: numbered messages of an Ethernet card,
 * one after the other, as fast as it sends or at a rate.
 *
 * Messages to the card itself come back to it: then the workload is done when
 * all came, and bad when one was lost, repeated or corrupted.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/guestd/ether_driver.h"
#include "cmd/guestd/frames.h"
#include "cmd/guestd/guestd.h"
#include "cmd/guestd/pacer.h"
#include "libcore/ether_regs.h"
#include "libcore/fault.h"

struct messages {
	struct workload w;
	struct pacer pacer;
	uint64_t rng, next, refused;
	uint32_t stream;
	bool own; /* to the card itself */
	bool stopped;
	uint64_t start_ns, end_ns;
	struct loop_timer timer;
	struct loop_deferred go_on; /* a sent message begins no other inside */
	uint8_t frame[ETHER_FRAME_MAX];
};

static struct messages *of(struct workload *w)
{
	return (struct messages *)w;
}

static void send_next(void *arg);

static void finish(struct messages *m)
{
	const struct checker *ck = &m->w.guest->checker;

	if (m->next != m->w.spec.count || !m->w.spec.count)
		return;
	if (m->own && !checker_complete(ck) && !m->refused)
		return;
	m->w.bad = m->refused || (m->own && !checker_clean(ck, true));
	workload_done(&m->w);
}

static void on_sent(void *arg, int err)
{
	struct messages *m = arg;

	m->refused += err != 0;
	m->next++;
	m->end_ns = clock_now_ns();
	pacer_take(&m->pacer, 1);
	loop_defer(m->w.guest->program.loop, &m->go_on, send_next, m);
}

static uint32_t draw_size(struct messages *m)
{
	const struct workload_spec *spec = &m->w.spec;
	uint32_t span = spec->size_max - spec->size_min + 1;

	return spec->size_min +
	       (span == 1 ? 0 : (uint32_t)(rng_next(&m->rng) % span));
}

static void send_next(void *arg)
{
	struct messages *m = arg;
	struct workload *w = &m->w;
	const struct frames_info info = {
		.stream = m->stream,
		.sequence = m->next,
		.total = w->spec.count,
		.time_ns = clock_now_ns(),
	};
	uint32_t size;

	if (w->spec.count && m->next == w->spec.count) {
		finish(m);
		return;
	}
	if (!pacer_due(&m->pacer, info.time_ns)) {
		loop_timer_at(w->guest->program.loop, &m->timer,
			      pacer_next_ns(&m->pacer, info.time_ns), send_next,
			      m);
		return;
	}
	size = draw_size(m);
	frames_build(m->frame, size, m->own ? ether_mac(w->card) : w->spec.to,
		     ether_mac(w->card), &info);
	if (ether_send(w->card, m->frame, size, on_sent, m))
		workload_failed(w, STATUS_NOT, "%s sends for somebody else",
				w->card->name);
}

static void messages_start(struct workload *w)
{
	static const uint8_t none[MAC_SIZE];
	struct messages *m = of(w);

	m->own = !memcmp(w->spec.to, none, MAC_SIZE) ||
		 !memcmp(w->spec.to, ether_mac(w->card), MAC_SIZE);
	m->start_ns = clock_now_ns();
	m->rng = w->spec.seed;
	m->stream = (uint32_t)(w->guest->options.vm << 20) |
		    (uint32_t)((m->start_ns >> 10) & 0xfffff);
	pacer_init(&m->pacer, w->spec.rate, m->start_ns);
	send_next(m);
}

static void messages_stop(struct workload *w)
{
	struct messages *m = of(w);

	loop_timer_cancel(&m->timer);
	loop_defer_cancel(&m->go_on);
	if (w->card && !m->stopped)
		ether_forget(w->card);
	m->stopped = true;
}

static void messages_delivered(struct workload *w, struct vf *vf)
{
	(void)vf;
	if (of(w)->own && of(w)->next == w->spec.count)
		finish(of(w));
}

static void messages_report(const struct workload *w, json_t *row)
{
	const struct messages *m = (const struct messages *)w;
	uint64_t ns = m->end_ns - m->start_ns;
	char to[MAC_TEXT_MAX];
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:s, s:I, s:I}", "done", (json_int_t)m->next,
		"of", (json_int_t)w->spec.count, "errors",
		(json_int_t)m->refused, "detail",
		m->own ? "itself" : mac_format(to, w->spec.to), "stream",
		(json_int_t)m->stream, "per_second",
		(json_int_t)(ns ? (double)m->next * 1e9 / (double)ns : 0));
	json_object_update(row, more);
	json_decref(more);
}

const struct workload_ops messages_ops = {
	.name = "messages",
	.size = sizeof(struct messages),
	.card = &ether_card,
	.start = messages_start,
	.stop = messages_stop,
	.delivered = messages_delivered,
	.report = messages_report,
};
