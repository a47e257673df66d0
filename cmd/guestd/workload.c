/* workload.c - workloads: made, bound to their VF, run, ended. */
#include <config.h>

#include "cmd/guestd/workload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/report.h"
#include "cmd/guestd/vf_driver.h"

#define WORKLOADS_KEPT 64u

static const struct workload_ops *const kinds[] = {
	[WORKLOAD_SEND] = &send_ops,
	[WORKLOAD_REQUESTS] = &requests_ops,
	[WORKLOAD_REPLAY] = &replay_ops,
	[WORKLOAD_SINK] = &sink_ops,
	[WORKLOAD_CAPTURE] = &capture_ops,
	[WORKLOAD_TAP] = &tap_ops,
	[WORKLOAD_ECHO] = &echo_ops,
	[WORKLOAD_ROUNDTRIP] = &roundtrip_ops,
	[WORKLOAD_MESSAGES] = &messages_ops,
	[WORKLOAD_ACCESSES] = &accesses_ops,
	[WORKLOAD_TTY] = &tty_ops,
	[WORKLOAD_BYTES] = &bytes_ops,
	[WORKLOAD_EXCHANGE] = &exchange_ops,
};
_Static_assert(sizeof(kinds) / sizeof(*kinds) == WORKLOAD_KIND_N,
	       "one row a kind");

static const char *const state_names[] = {
	[WORKLOAD_WAITING] = "waiting", [WORKLOAD_RUNNING] = "running",
	[WORKLOAD_DONE] = "done",       [WORKLOAD_STOPPED] = "stopped",
	[WORKLOAD_FAILED] = "failed",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == WORKLOAD_STATE_N,
	       "one name a state");

const char *workload_state_name(enum workload_state state)
{
	return state_names[state];
}

static bool is_live(const struct workload *w)
{
	return w->state == WORKLOAD_WAITING || w->state == WORKLOAD_RUNNING;
}

void workloads_init(struct guest *g)
{
	TAILQ_INIT(&g->workloads.list);
	TAILQ_INIT(&g->workloads.receiving);
}

static void workload_free(struct workload *w)
{
	struct workloads *ws = &w->guest->workloads;

	if (is_live(w))
		w->ops->stop(w);
	if (w->ops->fini)
		w->ops->fini(w);
	ws->receivers -= w->ops->receives;
	ws->n--;
	TAILQ_REMOVE(&ws->list, w, entry);
	if (w->ops->receives)
		TAILQ_REMOVE(&ws->receiving, w, receiving);
	free(w);
}

void workloads_fini(struct guest *g)
{
	struct workloads *ws = &g->workloads;

	while (!TAILQ_EMPTY(&ws->list))
		workload_free(TAILQ_FIRST(&ws->list));
	loop_timer_cancel(&ws->idle);
	loop_defer_cancel(&ws->check);
}

/* --once: the workloads are over, well or not. */
static bool receivers_done(struct guest *g)
{
	struct workloads *ws = &g->workloads;
	const struct checker *ck = &g->checker;
	struct workload *w;
	bool live = false;

	TAILQ_FOREACH (w, &ws->list, entry)
		live = live || (w->ops->receives && is_live(w));
	if (!live)
		return true;
	if (g->options.frames)
		return ws->received >= g->options.frames;
	if (checker_complete(ck))
		return true;
	return ck->last_ns &&
	       clock_now_ns() - ck->last_ns >= g->options.idle_ns;
}

/* The first that could not go on for a reason of its own decides. */
static const struct workload *failed_first(const struct guest *g)
{
	const struct workload *w;

	TAILQ_FOREACH (w, &g->workloads.list, entry)
		if (w->state == WORKLOAD_FAILED && w->status != STATUS_NOT)
			return w;
	return NULL;
}

static void on_check(void *arg)
{
	struct guest *g = arg;
	const struct workload *failed;
	struct workload *w;
	bool bad = false;

	TAILQ_FOREACH (w, &g->workloads.list, entry) {
		if (is_live(w) && !w->ops->receives)
			return;
		bad = bad || w->bad || w->state == WORKLOAD_FAILED;
	}
	if (!receivers_done(g))
		return;
	if (g->workloads.receivers)
		bad = bad || !checker_clean(&g->checker, !g->options.frames);
	report_event(g);
	g->over = true;
	failed = failed_first(g);
	if (failed)
		program_stop(&g->program, failed->status, "%s: %s",
			     g->program.name, failed->why);
	else
		program_stop(&g->program, bad ? STATUS_NOT : STATUS_OK, "%s",
			     "");
}

static void check_later(struct guest *g)
{
	if (g->options.once && g->program.is_ready)
		loop_defer(g->program.loop, &g->workloads.check, on_check, g);
}

static void on_idle(void *arg)
{
	struct guest *g = arg;

	check_later(g);
	loop_timer_in(g->program.loop, &g->workloads.idle,
		      g->options.idle_ns / 4 + NS_PER_MS, on_idle, g);
}

/* Make one, not bound yet. */
static int workload_new(struct guest *g, const struct workload_spec *spec,
			struct workload **out, struct complaint *c)
{
	struct workloads *ws = &g->workloads;
	struct workload *w = calloc(1, kinds[spec->kind]->size);
	int err = 0;

	if (!w)
		return complain(c, ENOMEM, "no memory for a workload");
	w->ops = kinds[spec->kind];
	w->guest = g;
	w->spec = *spec;
	if (w->spec.vf.by == VF_SELECT_ANY)
		w->spec.vf = g->options.vf;
	if (w->ops->open)
		err = w->ops->open(w, c);
	if (err < 0) {
		free(w);
		return err;
	}
	snprintf(w->name, sizeof(w->name), "%s%u", w->ops->name, ++ws->made);
	if (!w->spec.group)
		w->spec.group = ws->made;
	TAILQ_INSERT_TAIL(&ws->list, w, entry);
	if (w->ops->receives)
		TAILQ_INSERT_TAIL(&ws->receiving, w, receiving);
	ws->n++;
	ws->receivers += w->ops->receives;
	if (w->ops->receives && g->options.once && !ws->idle.loop)
		on_idle(g);
	*out = w;
	return 0;
}

int workloads_add(struct guest *g, const struct workload_spec *spec,
		  struct workload **out, struct complaint *c)
{
	struct workload *w;
	int err = workload_new(g, spec, &w, c);

	if (err < 0)
		return err;
	if (out)
		*out = w;
	if (g->program.is_ready)
		workloads_bind(g);
	return 0;
}

static bool select_is_any(const struct workload *w)
{
	return w->spec.vf.by == VF_SELECT_ANY;
}

static bool sends_to(const struct workload *w)
{
	return w->spec.kind == WORKLOAD_SEND ||
	       w->spec.kind == WORKLOAD_ROUNDTRIP;
}

/* A frame goes out at the device that it is for, if one VF is there. */
static struct vf *choose_vf(struct guest *g, const struct workload *w)
{
	struct vf *vf;
	unsigned i;

	if (sends_to(w) && select_is_any(w))
		for (i = 0; i < PLATFORM_SLOTS; i++) {
			vf = g->vf[i];
			if (vf && vf->state == VF_UP &&
			    !memcmp(vf->mac, w->spec.to, MAC_SIZE - 1))
				return vf;
		}
	return guest_find_vf(g, &w->spec.vf);
}

static bool group_has_vf(struct guest *g, unsigned group, const struct vf *vf)
{
	struct workload *w;

	TAILQ_FOREACH (w, &g->workloads.list, entry)
		if (w->spec.group == group &&
		    (w->vf == vf || (w->spec.vf.by == VF_SELECT_SLOT &&
				     w->spec.vf.slot == vf->pci.slot)))
			return true;
	return false;
}

/* Requests without a VF are for every VF: one workload each, made behind the
 * first one. */
static void spread_requests(struct guest *g, const struct workload *from)
{
	struct workload_spec spec = from->spec;
	struct workload *w;
	struct complaint c;
	unsigned i;

	spec.vf.by = VF_SELECT_SLOT;
	for (i = 0; i < PLATFORM_SLOTS; i++) {
		if (!g->vf[i] || g->vf[i]->state != VF_UP ||
		    group_has_vf(g, spec.group, g->vf[i]))
			continue;
		spec.vf.slot = i;
		if (workload_new(g, &spec, &w, &c) < 0)
			return;
	}
}

const char *workload_function(const struct workload *w)
{
	if (w->card)
		return w->card->name;
	return w->vf ? w->vf->name : "all";
}

static void workload_start(struct workload *w)
{
	w->state = WORKLOAD_RUNNING;
	event(w->guest->program.log, "workload.started", "s:s, s:s, s:s",
	      "workload", w->name, "kind", w->ops->name, "vf",
	      workload_function(w));
	if (w->ops->start)
		w->ops->start(w);
}

/* The VF or card that it waits for, if that is there. */
static void bind(struct guest *g, struct workload *w)
{
	if (w->ops->card) {
		w->card = guest_find_card(g, w->ops->card, &w->spec.vf);
		if (w->card)
			workload_start(w);
		return;
	}
	w->vf = choose_vf(g, w);
	if (!w->vf)
		return;
	/* These take the frames of all VFs. */
	if (select_is_any(w) && w->ops->receives &&
	    w->spec.kind != WORKLOAD_TAP && !sends_to(w))
		w->vf = NULL;
	workload_start(w);
}

void workloads_bind(struct guest *g)
{
	struct workload *w;

	/* More may come at the end meanwhile. */
	TAILQ_FOREACH (w, &g->workloads.list, entry) {
		if (w->state == WORKLOAD_WAITING)
			bind(g, w);
		if (w->spec.kind == WORKLOAD_REQUESTS && select_is_any(w) &&
		    is_live(w))
			spread_requests(g, w);
	}
	check_later(g);
}

unsigned workloads_stop(struct guest *g, const char *name)
{
	struct workload *w;
	unsigned n = 0;

	TAILQ_FOREACH (w, &g->workloads.list, entry) {
		if (!is_live(w) || (name && strcmp(name, w->name) != 0))
			continue;
		w->ops->stop(w);
		w->state = WORKLOAD_STOPPED;
		report_workload(w, "workload.stopped");
		n++;
	}
	if (n)
		check_later(g);
	return n;
}

void workloads_reset(struct guest *g)
{
	struct workload *w;

	g->workloads.received = 0;
	TAILQ_FOREACH (w, &g->workloads.list, entry)
		if (w->ops->reset)
			w->ops->reset(w);
}

void workloads_prune(struct guest *g)
{
	struct workload *w, *next;

	for (w = TAILQ_FIRST(&g->workloads.list); w; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (g->workloads.n >= WORKLOADS_KEPT && !is_live(w) &&
		    (!w->ops->idle || w->ops->idle(w)))
			workload_free(w);
	}
}

static bool takes(const struct workload *w, const struct vf *vf)
{
	return w->state == WORKLOAD_RUNNING && (!w->vf || w->vf == vf);
}

bool workloads_have_room(struct guest *g, struct vf *vf)
{
	struct workload *w;

	TAILQ_FOREACH (w, &g->workloads.receiving, receiving)
		if (takes(w, vf) && w->ops->room)
			return false;
	return true;
}

bool workloads_room(struct guest *g, struct vf *vf)
{
	struct workload *w;

	TAILQ_FOREACH (w, &g->workloads.receiving, receiving)
		if (takes(w, vf) && w->ops->room && !w->ops->room(w, vf))
			return false;
	return true;
}

struct delivery workloads_begin(struct guest *g, struct vf *vf, uint64_t now_ns)
{
	struct delivery d = { .guest = g, .vf = vf, .now_ns = now_ns };
	struct workload *w;
	unsigned n = 0;

	TAILQ_FOREACH (w, &g->workloads.receiving, receiving)
		if (takes(w, vf) && w->ops->deliver) {
			d.only = w;
			n++;
		}
	if (n != 1 || g->options.frames)
		d.only = NULL;
	return d;
}

/* Flooded frames for somebody else are not judged. */
static inline void judge(const struct delivery *d, const uint8_t *frame,
			 uint32_t size)
{
	struct checker *ck = &d->guest->checker;

	if (frames_are_foreign(frame, size) ||
	    (!mac_is_group(frame) && memcmp(frame, d->vf->mac, MAC_SIZE) != 0))
		checker_foreign(ck, d->now_ns);
	else
		checker_frame(ck, frame, size, d->now_ns);
}

static void deliver_to_all(const struct delivery *d, uint32_t *buffer,
			   uint32_t size)
{
	struct guest *g = d->guest;
	struct workload *w, *echo = NULL;

	TAILQ_FOREACH (w, &g->workloads.receiving, receiving) {
		if (!takes(w, d->vf))
			continue;
		/* It changes the frame: after the others. */
		if (w->spec.kind == WORKLOAD_ECHO)
			echo = w;
		else if (w->ops->deliver)
			w->ops->deliver(w, d->vf, buffer, size, d->now_ns);
	}
	if (echo)
		echo->ops->deliver(echo, d->vf, buffer, size, d->now_ns);
}

void workloads_deliver(const struct delivery *d, uint32_t *buffer,
		       uint32_t size)
{
	struct guest *g = d->guest;

	judge(d, buffer_hva(&d->vf->buffers, *buffer), size);
	if (!g->workloads.receivers)
		return;
	if (g->options.frames && g->workloads.received >= g->options.frames)
		return;
	if (!d->only)
		deliver_to_all(d, buffer, size);
	else if (d->only->state == WORKLOAD_RUNNING)
		d->only->ops->deliver(d->only, d->vf, buffer, size, d->now_ns);
	g->workloads.received++;
}

void workloads_delivered(struct guest *g, struct vf *vf)
{
	struct workload *w;

	if (!g->workloads.receivers)
		return;
	TAILQ_FOREACH (w, &g->workloads.receiving, receiving)
		if (takes(w, vf) && w->ops->delivered)
			w->ops->delivered(w, vf);
	if (g->options.once && receivers_done(g))
		check_later(g);
}

/* Frames of cards are checked like those of VFs. */
void workloads_message(struct guest *g, struct card *card,
		       const uint8_t mac[MAC_SIZE], const uint8_t *frame,
		       uint32_t size)
{
	struct workload *w;

	if (mac_is_group(frame) || !memcmp(frame, mac, MAC_SIZE))
		checker_frame(&g->checker, frame, size, clock_now_ns());
	else
		checker_foreign(&g->checker, clock_now_ns());
	TAILQ_FOREACH (w, &g->workloads.list, entry)
		if (w->card == card && w->state == WORKLOAD_RUNNING &&
		    w->ops->delivered)
			w->ops->delivered(w, NULL);
}

void workload_done(struct workload *w)
{
	w->ops->stop(w);
	w->state = WORKLOAD_DONE;
	report_workload(w, "workload.done");
	check_later(w->guest);
}

void workload_failed(struct workload *w, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	w->ops->stop(w);
	w->state = WORKLOAD_FAILED;
	w->status = status;
	report_workload(w, "workload.failed");
	check_later(w->guest);
}
