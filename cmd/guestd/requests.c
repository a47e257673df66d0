/* requests.c - the workload `requests`: register reads kept outstanding.
 *
 * Each is a non-posted request: guest, root bridge, device and back.  One
 * that is answered with all ones was refused (the function is away, or its
 * address is); it does not count and is issued again when the VF is back, or
 * after a rest, one at a time.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/histogram.h"
#include "cmd/guestd/pacer.h"
#include "cmd/guestd/vf_send.h"

#define REST_NS (100 * NS_PER_MS)

struct request {
	struct requests *owner;
	uint64_t start_ns;
	struct request *next; /* free */
};

struct requests {
	struct workload w;
	struct pacer pacer;
	struct request *all, *free;
	uint64_t outstanding;
	uint64_t answered, refused, reissued, errors;
	uint64_t owed;  /* refused ones that were not issued again yet */
	uint64_t ended; /* answered and errors, counters not reset */
	bool resting;   /* refused: probe with one at a time */
	bool stopped;
	struct histogram latency;
	uint64_t start_ns, end_ns;
	struct vf_waiter waiter;
	struct loop_timer timer;
	struct loop_deferred over;
};

static struct requests *of(struct workload *w)
{
	return (struct requests *)w;
}

static void requests_run(struct requests *rq);

static void on_time(void *arg)
{
	struct requests *rq = arg;

	vf_send_unwait(&rq->waiter);
	requests_run(rq);
}

static void on_back(void *arg)
{
	struct requests *rq = arg;

	loop_timer_cancel(&rq->timer);
	requests_run(rq);
}

static void rest(struct requests *rq)
{
	rq->resting = true;
	if (rq->outstanding)
		return;
	vf_wait(rq->w.vf, &rq->waiter);
	loop_timer_in(rq->w.guest->program.loop, &rq->timer, REST_NS, on_time,
		      rq);
}

static void on_over(void *arg)
{
	struct requests *rq = arg;

	rq->w.bad = rq->errors > 0;
	workload_done(&rq->w);
}

static void count_answer(struct requests *rq, const struct vfu_reply *reply,
			 uint64_t start_ns)
{
	const uint8_t *data = vfu_reply_data(reply, sizeof(uint32_t));
	uint32_t value = 0;

	if (data)
		memcpy(&value, data, sizeof(value));
	if (data && value == UINT32_MAX) {
		rq->refused++;
		rq->owed++;
		rest(rq);
		return;
	}
	rq->ended++;
	if (!data) {
		rq->errors++;
		rest(rq);
		return;
	}
	rq->resting = false;
	rq->answered++;
	rq->end_ns = clock_now_ns();
	histogram_add(&rq->latency, rq->end_ns - start_ns);
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct request *r = arg;
	struct requests *rq = r->owner;

	if (reply->err == -ENOTCONN)
		return;
	rq->outstanding--;
	r->next = rq->free;
	rq->free = r;
	if (rq->stopped)
		return;
	count_answer(rq, reply, r->start_ns);
	if (!rq->resting || rq->outstanding == 0)
		requests_run(rq);
}

static bool issue(struct requests *rq)
{
	struct request *r = rq->free;
	int err;

	r->start_ns = clock_now_ns();
	err = bus_read(&rq->w.guest->bus, rq->w.vf->pci.bar0 + rq->w.spec.reg,
		       sizeof(uint32_t), on_reply, r);
	if (err < 0)
		return false;
	rq->free = r->next;
	rq->outstanding++;
	if (rq->owed) {
		rq->owed--;
		rq->reissued++;
	}
	pacer_take(&rq->pacer, 1);
	return true;
}

/* How many may be outstanding now. */
static uint64_t depth_now(const struct requests *rq)
{
	const struct workload_spec *spec = &rq->w.spec;
	uint64_t depth = rq->resting ? 1 : spec->depth;

	if (spec->count && depth > spec->count - rq->ended)
		depth = spec->count - rq->ended;
	return depth;
}

static void requests_run(struct requests *rq)
{
	struct loop *loop = rq->w.guest->program.loop;
	uint64_t depth = depth_now(rq), due, now_ns;

	if (!depth && !rq->outstanding) {
		loop_defer(loop, &rq->over, on_over, rq);
		return;
	}
	if (rq->w.vf->state != VF_UP) {
		rest(rq);
		return;
	}
	/* A timer runs: it is resting or paced. */
	if (rq->timer.loop || rq->outstanding >= depth)
		return;
	now_ns = rq->w.spec.rate ? clock_now_ns() : 0;
	due = pacer_due(&rq->pacer, now_ns);
	while (due && rq->outstanding < depth && rq->free) {
		if (!issue(rq)) {
			rest(rq);
			return;
		}
		due--;
	}
	if (!due)
		loop_timer_at(loop, &rq->timer,
			      pacer_next_ns(&rq->pacer, now_ns), on_time, rq);
}

static void requests_start(struct workload *w)
{
	struct requests *rq = of(w);
	uint32_t i;

	rq->all = calloc(w->spec.depth, sizeof(*rq->all));
	if (!rq->all) {
		workload_failed(w, STATUS_NOT, "no memory for %u requests",
				w->spec.depth);
		return;
	}
	for (i = 0; i < w->spec.depth; i++) {
		rq->all[i].owner = rq;
		rq->all[i].next = rq->free;
		rq->free = &rq->all[i];
	}
	rq->waiter = (struct vf_waiter){ .fn = on_back, .arg = rq };
	rq->start_ns = clock_now_ns();
	pacer_init(&rq->pacer, w->spec.rate, rq->start_ns);
	requests_run(rq);
}

static void requests_stop(struct workload *w)
{
	struct requests *rq = of(w);

	rq->stopped = true;
	loop_timer_cancel(&rq->timer);
	loop_defer_cancel(&rq->over);
	vf_send_unwait(&rq->waiter);
}

/* Not before the last answer: it still points here. */
static bool requests_idle(const struct workload *w)
{
	return ((const struct requests *)w)->outstanding == 0;
}

static void requests_fini(struct workload *w)
{
	free(of(w)->all);
	histogram_fini(&of(w)->latency);
}

static void requests_report(const struct workload *w, json_t *row)
{
	const struct requests *rq = (const struct requests *)w;
	uint64_t ns = rq->end_ns - rq->start_ns;
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:I}",
		"done", (json_int_t)rq->answered, "of",
		(json_int_t)w->spec.count, "errors", (json_int_t)rq->errors,
		"detail",
		json_sprintf("register 0x%x, depth %u", w->spec.reg,
			     w->spec.depth),
		"answered", (json_int_t)rq->answered, "refused",
		(json_int_t)rq->refused, "reissued", (json_int_t)rq->reissued,
		"owed", (json_int_t)rq->owed, "outstanding",
		(json_int_t)rq->outstanding, "latency",
		histogram_to_json(&rq->latency), "per_second",
		(json_int_t)(rq->answered && ns
				     ? (double)rq->ended * 1e9 / (double)ns
				     : 0));
	json_object_update(row, more);
	json_decref(more);
}

static void requests_reset(struct workload *w)
{
	struct requests *rq = of(w);

	rq->answered = rq->refused = rq->reissued = rq->errors = 0;
	histogram_reset(&rq->latency);
}

const struct workload_ops requests_ops = {
	.name = "requests",
	.size = sizeof(struct requests),
	.start = requests_start,
	.stop = requests_stop,
	.idle = requests_idle,
	.fini = requests_fini,
	.report = requests_report,
	.reset = requests_reset,
};
