/* pcap_io.c - the workloads `replay` (-r) and `capture` (-w).
 *
 * A replay sends what it reads and never drops at the sender: a full ring
 * makes it wait.  It goes as fast as the ring, at a rate, or as captured.  A
 * capture whose reader is slow lets frames wait in the receive ring.
 */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/pacer.h"
#include "cmd/guestd/vf_receive.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/pcap_stream.h"

#define BATCH    64u
#define RETRY_NS NS_PER_MS

struct replay {
	struct workload w;
	struct pcap_reader *reader;
	struct pcap_frame frame; /* the next one, when `have` */
	bool have, ended;
	struct pacer pacer;
	uint64_t start_ns, first_ns; /* our clock, the capture's */
	uint64_t read, sent, bytes, skipped;
	uint64_t refused_at;
	struct vf_waiter waiter;
	struct loop_timer timer;
	struct loop_poller poller;
};

static struct replay *replay_of(struct workload *w)
{
	return (struct replay *)w;
}

static enum loop_poll on_poll(void *arg);

static void go_on(void *arg)
{
	struct replay *r = arg;

	if (r->w.state == WORKLOAD_RUNNING && !r->poller.loop &&
	    !r->waiter.vf && !r->timer.loop)
		loop_poller_add(r->w.guest->program.loop, &r->poller, on_poll,
				r);
}

/* 1: r->frame is the next; 0: none now, or none any more. */
static int fetch(struct replay *r)
{
	struct complaint c = { "" };
	int got;

	if (r->have)
		return 1;
	if (r->ended)
		return 0;
	got = pcap_reader_next(r->reader, &r->frame, &c);
	if (got == 1) {
		r->have = true;
		r->read++;
		if (r->read == 1) {
			r->first_ns = r->frame.time_ns;
			r->start_ns = clock_now_ns();
		}
		return 1;
	}
	if (got < 0)
		r->ended = true;
	if (got < 0 && got != -ENODATA)
		workload_failed(&r->w, STATUS_DATA, "%s: %s", r->w.spec.path,
				c.text);
	return 0;
}

/* When the next frame may go; 0: now. */
static uint64_t due_ns(struct replay *r)
{
	uint64_t now_ns, due;

	if (!r->w.spec.timing && !r->w.spec.rate)
		return 0;
	now_ns = clock_now_ns();
	if (!r->w.spec.timing)
		return pacer_due(&r->pacer, now_ns)
			       ? 0
			       : pacer_next_ns(&r->pacer, now_ns);
	/* Clocks of captures may go back. */
	due = r->start_ns;
	if (r->frame.time_ns > r->first_ns)
		due += r->frame.time_ns - r->first_ns;
	return due > now_ns ? due : 0;
}

static bool fits(struct replay *r)
{
	if (r->frame.size >= NIC_FRAME_MIN &&
	    r->frame.size <= r->w.vf->buffers.size &&
	    r->frame.size <= NIC_FRAME_MAX)
		return true;
	if (!r->skipped++)
		event(r->w.guest->program.log, "replay.skipped",
		      "s:s, s:I, s:i", "workload", r->w.name, "frame",
		      (json_int_t)r->read, "size", r->frame.size);
	return false;
}

/* 0: go on; -EAGAIN: nothing to send now; -EBUSY: it waits for the VF or the
 * time. */
static int send_one(struct replay *r)
{
	struct vf *vf = r->w.vf;
	uint64_t due;
	uint8_t *to;

	if (!fetch(r))
		return -EAGAIN;
	if (!fits(r)) {
		r->have = false;
		return 0;
	}
	due = due_ns(r);
	if (due) {
		loop_timer_at(r->w.guest->program.loop, &r->timer, due, go_on,
			      r);
		return -EBUSY;
	}
	if (vf_send_begin(vf, &to) < 0) {
		vf_send_wait(vf, &r->waiter);
		return -EBUSY;
	}
	memcpy(to, r->frame.data, r->frame.size);
	vf_send_commit(vf, r->frame.size);
	pacer_take(&r->pacer, 1);
	r->sent++;
	r->bytes += r->frame.size;
	r->have = false;
	return 0;
}

static uint64_t refused(const struct replay *r)
{
	return r->w.vf ? r->w.vf->counters.tx_errors - r->refused_at : 0;
}

static void finish(struct replay *r)
{
	if (!vf_send_completed(r->w.vf)) {
		vf_send_wait(r->w.vf, &r->waiter);
		return;
	}
	r->w.bad = r->skipped || refused(r);
	workload_done(&r->w);
}

static enum loop_poll on_poll(void *arg)
{
	struct replay *r = arg;
	unsigned n;
	int err = 0;

	for (n = 0; n < BATCH && err == 0; n++)
		err = send_one(r);
	vf_send_flush(r->w.vf);
	if (err == 0)
		return LOOP_WORKED;
	loop_poller_del(&r->poller);
	if (err == -EAGAIN && r->ended && r->w.state == WORKLOAD_RUNNING)
		finish(r);
	return LOOP_IDLE;
}

static int replay_open(struct workload *w, struct complaint *c)
{
	struct replay *r = replay_of(w);

	return pcap_reader_open(&r->reader, w->guest->program.loop,
				w->spec.path, go_on, r, c);
}

static void replay_start(struct workload *w)
{
	struct replay *r = replay_of(w);

	r->waiter = (struct vf_waiter){ .fn = go_on, .arg = r };
	r->refused_at = w->vf->counters.tx_errors;
	pacer_init(&r->pacer, w->spec.rate, clock_now_ns());
	go_on(r);
}

static void replay_stop(struct workload *w)
{
	struct replay *r = replay_of(w);

	loop_poller_del(&r->poller);
	loop_timer_cancel(&r->timer);
	vf_send_unwait(&r->waiter);
	pcap_reader_close(r->reader);
	r->reader = NULL;
}

static void replay_report(const struct workload *w, json_t *row)
{
	const struct replay *r = (const struct replay *)w;
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:s, s:I, s:I, s:I}", "done", (json_int_t)r->sent,
		"errors", (json_int_t)(r->skipped + refused(r)), "detail",
		w->spec.path, "bytes", (json_int_t)r->bytes, "skipped",
		(json_int_t)r->skipped, "refused", (json_int_t)refused(r));
	json_object_update(row, more);
	json_decref(more);
}

const struct workload_ops replay_ops = {
	.name = "replay",
	.size = sizeof(struct replay),
	.open = replay_open,
	.start = replay_start,
	.stop = replay_stop,
	.report = replay_report,
};

struct capture {
	struct workload w;
	struct pcap_writer *writer;
	uint64_t written, dropped;
	uint64_t epoch_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	struct vf *blocked[PLATFORM_SLOTS];
	struct loop_timer retry;
};

static struct capture *capture_of(struct workload *w)
{
	return (struct capture *)w;
}

/* The reader of the pipe has enough, or the disk is full. */
static void on_closed(void *arg)
{
	struct capture *cap = arg;
	int err = cap->writer ? pcap_writer_error(cap->writer) : 0;

	if (err == -EPIPE)
		workload_done(&cap->w);
	else if (err)
		workload_failed(&cap->w, STATUS_INTERNAL, "%s: %s",
				cap->w.spec.path, strerror(-err));
}

static int capture_open(struct workload *w, struct complaint *c)
{
	struct capture *cap = capture_of(w);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	cap->epoch_ns = (uint64_t)now.tv_sec * NS_PER_S +
			(uint64_t)now.tv_nsec - clock_now_ns();
	return pcap_writer_open(&cap->writer, w->guest->program.loop,
				w->spec.path, -1, on_closed, cap, c);
}

static void on_retry(void *arg)
{
	struct capture *cap = arg;
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		if (cap->blocked[i])
			vf_receive_kick(cap->blocked[i]);
		cap->blocked[i] = NULL;
	}
}

static bool capture_room(struct workload *w, struct vf *vf)
{
	struct capture *cap = capture_of(w);

	if (pcap_writer_has_room(cap->writer))
		return true;
	cap->blocked[vf->pci.slot] = vf;
	if (!cap->retry.loop)
		loop_timer_in(w->guest->program.loop, &cap->retry, RETRY_NS,
			      on_retry, cap);
	return false;
}

static void capture_deliver(struct workload *w, struct vf *vf, uint32_t *buffer,
			    uint32_t size, uint64_t now_ns)
{
	struct capture *cap = capture_of(w);

	if (pcap_writer_put(cap->writer, buffer_hva(&vf->buffers, *buffer),
			    size, now_ns + cap->epoch_ns))
		cap->written++;
	else
		cap->dropped++;
}

static void capture_stop(struct workload *w)
{
	struct capture *cap = capture_of(w);

	loop_timer_cancel(&cap->retry);
	/* What waits for it goes on without it. */
	w->state = WORKLOAD_STOPPED;
	on_retry(cap);
	pcap_writer_close(cap->writer);
	cap->writer = NULL;
}

static void capture_report(const struct workload *w, json_t *row)
{
	const struct capture *cap = (const struct capture *)w;
	json_t *more;

	more = json_pack("{s:I, s:I, s:s}", "done", (json_int_t)cap->written,
			 "errors", (json_int_t)cap->dropped, "detail",
			 w->spec.path);
	json_object_update(row, more);
	json_decref(more);
}

const struct workload_ops capture_ops = {
	.name = "capture",
	.size = sizeof(struct capture),
	.receives = true,
	.open = capture_open,
	.stop = capture_stop,
	.room = capture_room,
	.deliver = capture_deliver,
	.report = capture_report,
};
