/* generator.c - the workload `send`: numbered or plain frames at a rate.
 *
 * While frames are due a poller of the loop sends them in batches; then a
 * timer waits for the next one.  With `depth` frames unfinished the generator
 * waits: no frame is dropped here, the device becomes the pace.  By default
 * that is half the ring, so that what has gathered while the device paused
 * fits a receive ring of that size.  It looks for a while (--poll) whether the
 * device goes on before it asks for an interrupt.  It is done when the device has finished
 * the last entry.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/frames.h"
#include "cmd/guestd/guestd.h"
#include "cmd/guestd/pacer.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/copy.h"
#include "libcore/fault.h"

#define BATCH 64u
/* The other one that is kept for local experiments. */
#define PLAIN_ETHERTYPE 0x88b6

struct generator {
	struct workload w;
	struct pacer pacer;
	uint64_t rng;
	uint32_t stream;
	uint64_t next;       /* number of the next frame */
	uint64_t errors;     /* 1402: the link was not up */
	uint64_t refused_at; /* the VF's tx_errors when it began */
	uint64_t start_ns, end_ns;
	bool erring; /* and it was told */
	bool deep;   /* as many are under way as shall be */
	struct poll_spin spin;
	uint8_t *pattern; /* plain: what every frame is */
	struct vf_waiter waiter;
	struct loop_timer timer;
	struct loop_poller poller;
};

static struct generator *of(struct workload *w)
{
	return (struct generator *)w;
}

static uint64_t refused(const struct generator *gen)
{
	const struct vf *vf = gen->w.vf;

	return vf ? vf->counters.tx_errors - gen->refused_at : 0;
}

static enum loop_poll on_poll(void *arg);

static void go_on(void *arg)
{
	struct generator *gen = arg;

	if (!gen->poller.loop)
		loop_poller_add(gen->w.guest->program.loop, &gen->poller,
				on_poll, gen);
}

static void build_numbered(struct generator *gen, const uint32_t *size,
			   uint32_t n)
{
	struct vf *vf = gen->w.vf;
	struct frames_info info = {
		.stream = gen->stream,
		.sequence = gen->next,
		.total = gen->w.spec.count,
	};
	uint32_t i;

	for (i = 0; i < n; i++, info.sequence++) {
		info.time_ns = clock_now_ns();
		frames_build(vf_send_buffer(vf, i), size[i], gen->w.spec.to,
			     vf->mac, &info);
	}
}

static void build_plain(struct generator *gen, const uint32_t *size, uint32_t n)
{
	const struct vf *vf = gen->w.vf;
	const uint8_t *pattern = gen->pattern;
	uint32_t i;

	for (i = 0; i < n; i++)
		copy_frame(vf_send_buffer(vf, i), pattern, size[i]);
}

static uint32_t draw_size(struct generator *gen)
{
	const struct workload_spec *spec = &gen->w.spec;
	uint32_t span = spec->size_max - spec->size_min + 1;

	if (span == 1)
		return spec->size_min;
	return spec->size_min + (uint32_t)(rng_next(&gen->rng) % span);
}

static void send_error(struct generator *gen, int err)
{
	gen->errors++;
	if (!gen->erring)
		event(gen->w.guest->program.log, "send.error",
		      "s:s, s:s, s:s, s:I", "workload", gen->w.name, "vf",
		      gen->w.vf->name, "why",
		      err == -ENETDOWN ? "link not up" : "forced stop", "next",
		      (json_int_t)gen->next);
	gen->erring = true;
}

/* How many more may be under way; looking is for when it matters. */
static uint32_t depth_left(struct generator *gen, uint32_t want)
{
	struct vf *vf = gen->w.vf;
	uint32_t depth = gen->w.spec.depth ? gen->w.spec.depth : vf->n / 2;
	uint32_t pending = vf->tx.own - vf->tx_reclaimed;

	if (pending + want > depth)
		pending = vf_send_pending(vf);
	return pending < depth ? depth - pending : 0;
}

/* n frames, at most VF_SEND_BURST. */
static void send_burst(struct generator *gen, uint32_t n)
{
	uint32_t size[VF_SEND_BURST], i;

	for (i = 0; i < n; i++)
		size[i] = draw_size(gen);
	if (gen->pattern)
		build_plain(gen, size, n);
	else
		build_numbered(gen, size, n);
	vf_send_put(gen->w.vf, size, n);
	gen->next += n;
}

/* Send up to `n` frames; false: it has to wait. */
static bool send_some(struct generator *gen, uint32_t n)
{
	uint32_t left;
	int got;

	gen->deep = false;
	while (n) {
		got = vf_send_begin_some(gen->w.vf, n);
		if (got == -ENETDOWN || got == -ESHUTDOWN)
			send_error(gen, got);
		/* A full ring is as deep as it can be. */
		gen->deep = got == -ENOBUFS;
		if (got < 0)
			return false;
		gen->erring = false;
		left = depth_left(gen, (uint32_t)got);
		gen->deep = !left;
		if (gen->deep)
			return false;
		if (left > (uint32_t)got)
			left = (uint32_t)got;
		send_burst(gen, left);
		pacer_take(&gen->pacer, left);
		n -= left;
	}
	return true;
}

/* The last frame was sent: done when the device has finished it. */
static void finish(struct generator *gen)
{
	if (!vf_send_completed(gen->w.vf)) {
		vf_send_wait(gen->w.vf, &gen->waiter);
		return;
	}
	gen->w.bad = refused(gen) > 0;
	workload_done(&gen->w);
}

/* The device may go on at any moment. */
static bool spins(struct generator *gen)
{
	struct guest *g = gen->w.guest;

	return gen->deep && poll_spins(&gen->spin, &g->options.poll,
				       loop_now_ns(g->program.loop));
}

static enum loop_poll on_poll(void *arg)
{
	struct generator *gen = arg;
	const struct workload_spec *spec = &gen->w.spec;
	uint64_t now_ns = clock_now_ns();
	uint64_t n = pacer_due(&gen->pacer, now_ns);
	uint64_t before = gen->next;
	bool go;

	if (spec->count && n > spec->count - gen->next)
		n = spec->count - gen->next;
	go = send_some(gen, n < BATCH ? (uint32_t)n : BATCH);
	vf_send_flush(gen->w.vf);
	gen->end_ns = now_ns;
	if (gen->next != before)
		poll_found(&gen->spin, &gen->w.guest->options.poll,
			   loop_now_ns(gen->w.guest->program.loop));
	if (go && n >= BATCH)
		return LOOP_WORKED;
	if (!go && spins(gen))
		return gen->next != before ? LOOP_WORKED : LOOP_SPINS;
	loop_poller_del(&gen->poller);
	if (!go)
		vf_send_wait(gen->w.vf, &gen->waiter);
	else if (spec->count && gen->next == spec->count)
		finish(gen);
	else
		loop_timer_at(gen->w.guest->program.loop, &gen->timer,
			      pacer_next_ns(&gen->pacer, now_ns), go_on, gen);
	return LOOP_IDLE;
}

/* Fixed bytes behind both addresses. */
static bool make_pattern(struct generator *gen)
{
	const struct workload_spec *spec = &gen->w.spec;
	uint32_t i;

	gen->pattern = malloc(spec->size_max);
	if (!gen->pattern)
		return false;
	memcpy(gen->pattern, spec->to, MAC_SIZE);
	memcpy(gen->pattern + MAC_SIZE, gen->w.vf->mac, MAC_SIZE);
	gen->pattern[2 * MAC_SIZE] = PLAIN_ETHERTYPE >> 8;
	gen->pattern[2 * MAC_SIZE + 1] = PLAIN_ETHERTYPE & 0xff;
	for (i = 2 * MAC_SIZE + 2; i < spec->size_max; i++)
		gen->pattern[i] = (uint8_t)i;
	return true;
}

static void generator_start(struct workload *w)
{
	struct generator *gen = of(w);
	struct vf *vf = w->vf;

	if (w->spec.size_max > vf->buffers.size) {
		workload_failed(w, STATUS_NOT,
				"frames of %u bytes do not fit buffers of "
				"%u (--buffer)",
				w->spec.size_max, vf->buffers.size);
		return;
	}
	if (w->spec.plain && !make_pattern(gen)) {
		workload_failed(w, STATUS_NOT, "no memory");
		return;
	}
	gen->start_ns = clock_now_ns();
	gen->rng = w->spec.seed;
	/* The VM in front; the rest tells one run from another. */
	gen->stream = (uint32_t)(w->guest->options.vm << 20) |
		      (uint32_t)((gen->start_ns >> 10) & 0xfffff);
	gen->refused_at = vf->counters.tx_errors;
	gen->waiter = (struct vf_waiter){ .fn = go_on, .arg = gen };
	pacer_init(&gen->pacer, w->spec.rate, gen->start_ns);
	event(w->guest->program.log, "send.started", "s:s, s:s, s:I, s:I",
	      "workload", w->name, "vf", vf->name, "stream",
	      (json_int_t)gen->stream, "count", (json_int_t)w->spec.count);
	go_on(gen);
}

static void generator_stop(struct workload *w)
{
	struct generator *gen = of(w);

	loop_poller_del(&gen->poller);
	loop_timer_cancel(&gen->timer);
	vf_send_unwait(&gen->waiter);
}

static void generator_fini(struct workload *w)
{
	free(of(w)->pattern);
}

static void generator_report(const struct workload *w, json_t *row)
{
	const struct generator *gen = (const struct generator *)w;
	uint64_t ns = gen->end_ns - gen->start_ns;
	char to[MAC_TEXT_MAX];
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "done",
		(json_int_t)gen->next, "of", (json_int_t)w->spec.count,
		"errors", (json_int_t)(gen->errors + refused(gen)), "detail",
		mac_format(to, w->spec.to), "stream", (json_int_t)gen->stream,
		"refused", (json_int_t)refused(gen), "per_second",
		(json_int_t)(ns ? (double)gen->next * 1e9 / (double)ns : 0));
	json_object_update(row, more);
	json_decref(more);
}

static void generator_reset(struct workload *w)
{
	of(w)->errors = 0;
	if (w->vf)
		of(w)->refused_at = w->vf->counters.tx_errors;
}

const struct workload_ops send_ops = {
	.name = "send",
	.size = sizeof(struct generator),
	.start = generator_start,
	.stop = generator_stop,
	.fini = generator_fini,
	.report = generator_report,
	.reset = generator_reset,
};
