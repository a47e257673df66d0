/* exchange.c - the workload `exchange`: numbered messages between two guests'
 * queue pairs of an adapter, and RDMA writes that go before some of them.
 *
 * Both sides send, and check what comes: its owner (the addresses in the frame
 * are those of the two ports), its number (each once, in order), its content,
 * and at a number with a write what lies in the window.  Of requests the next
 * one follows the response to the last.  A port is done when it sent and received
 * `count` messages; queue pairs lose nothing and keep the order, so anything else
 * is an error.
 *
 * With `again` a port that fails is closed and opened anew after a while, both
 * sides then count from 0: what the peer took with it when it died is not lost.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/frames.h"
#include "cmd/guestd/guestd.h"
#include "cmd/guestd/hca_port.h"
#include "cmd/guestd/histogram.h"
#include "cmd/guestd/pacer.h"
#include "libcore/fault.h"
#include "libcore/limiter.h"

#define WRITE_BYTES 64u /* what is written, and its place in the window */

struct exchange;

struct exchange_port {
	struct exchange *x;
	struct hca_port *port; /* NULL: not made, or closed */
	uint8_t own[MAC_SIZE], peer[MAC_SIZE];
	uint64_t next, came;   /* messages */
	uint64_t before;       /* messages that came until it was opened */
	uint64_t posted, sent; /* entries */
	bool wrote;            /* for `next` */
	struct loop_timer again;
	uint64_t asked_ns; /* the last request */
	bool over;
};

struct exchange {
	struct workload w;
	struct exchange_port *port;
	unsigned opened, over;
	struct pacer pacer;
	uint64_t rng;
	uint64_t sent, received, written;
	uint64_t lost, misdelivered, reordered, corrupted;
	uint64_t reopened;
	struct limiter told;   /* events of errors */
	unsigned turn;         /* whose port's is next, when there is a rate */
	struct histogram time; /* of requests */
	uint64_t start_ns, end_ns;
	struct loop_timer timer;
	struct loop_deferred go_on, end;
};

static struct exchange *of(struct workload *w)
{
	return (struct exchange *)w;
}

static void open_next(struct exchange *x);
static void open_again(void *arg);

/* As a frame's address: 02:69:68, partition, service. */
static void address(uint8_t mac[MAC_SIZE], unsigned partition, uint32_t service)
{
	const uint8_t bytes[MAC_SIZE] = { 0x02,
					  0x69,
					  0x68,
					  (uint8_t)partition,
					  (uint8_t)(service >> 8),
					  (uint8_t)service };

	memcpy(mac, bytes, MAC_SIZE);
}

/* The end. */

static uint64_t errors(const struct exchange *x)
{
	return x->lost + x->misdelivered + x->reordered + x->corrupted;
}

static void on_end(void *arg)
{
	struct exchange *x = arg;

	x->w.bad = errors(x);
	workload_done(&x->w);
}

static void check_over(struct exchange_port *ep)
{
	struct exchange *x = ep->x;
	uint64_t count = x->w.spec.count;

	if (ep->over || !count || ep->next < count || ep->came < count ||
	    ep->sent < ep->posted)
		return;
	ep->over = true;
	x->end_ns = clock_now_ns();
	if (++x->over == x->w.spec.queues)
		loop_defer(x->w.guest->program.loop, &x->end, on_end, x);
}

/* Sending. */

static uint32_t places(const struct exchange *x)
{
	/* As many are not looked at yet: in the receive queue, on the way. */
	return 2 * x->w.spec.depth;
}

static bool is_written(const struct exchange *x, uint64_t number)
{
	return x->w.spec.write_every && number % x->w.spec.write_every == 0;
}

static uint32_t draw_size(struct exchange *x)
{
	const struct workload_spec *spec = &x->w.spec;
	uint32_t span = spec->size_max - spec->size_min + 1;

	return spec->size_min +
	       (span == 1 ? 0 : (uint32_t)(rng_next(&x->rng) % span));
}

/* The next entry's frame. */
static void build(struct exchange_port *ep, uint32_t size)
{
	const struct frames_info info = {
		.stream = ep->own[3],
		.sequence = ep->next,
		.total = ep->x->w.spec.count,
		.time_ns = clock_now_ns(),
	};

	frames_build(hca_port_buffer(ep->port), size, ep->peer, ep->own, &info);
	ep->posted++;
}

static void post(struct exchange_port *ep)
{
	struct exchange *x = ep->x;
	uint32_t size;

	if (is_written(x, ep->next) && !ep->wrote) {
		build(ep, WRITE_BYTES);
		hca_port_write(ep->port, WRITE_BYTES,
			       ep->next % places(x) * WRITE_BYTES);
		ep->wrote = true;
		x->written++;
		return;
	}
	size = draw_size(x);
	build(ep, size);
	hca_port_send(ep->port, size);
	ep->wrote = false;
	ep->next++;
	ep->asked_ns = clock_now_ns();
	x->sent++;
	pacer_take(&x->pacer, 1);
}

static void on_go_on(void *arg);

static bool may_send(const struct exchange_port *ep)
{
	const struct workload_spec *spec = &ep->x->w.spec;

	if (!ep->port || (spec->count && ep->next == spec->count))
		return false;
	switch (spec->role) {
	case EXCHANGE_REQUEST:
		return ep->next == ep->came;
	case EXCHANGE_RESPOND:
		return ep->next < ep->came;
	case EXCHANGE_BOTH:
		break;
	}
	return true;
}

/* What it may, with a rate one entry: the others want their turn.  How many, or
 * -1: the rate says later. */
static int pump(struct exchange_port *ep, uint64_t now_ns)
{
	struct exchange *x = ep->x;
	int n = 0;

	while (may_send(ep) && hca_port_room(ep->port) &&
	       (!n || !x->w.spec.rate)) {
		if (!pacer_due(&x->pacer, now_ns))
			return -1;
		post(ep);
		n++;
	}
	if (ep->port)
		hca_port_ring(ep->port);
	return n;
}

/* A turn of each; false: the rate says later. */
static bool pump_all(struct exchange *x, uint64_t now_ns, bool *any)
{
	unsigned i;
	int n;

	*any = false;
	for (i = 0; i < x->opened && x->w.state == WORKLOAD_RUNNING; i++) {
		if (x->turn >= x->opened)
			x->turn = 0;
		n = pump(&x->port[x->turn], now_ns);
		if (n < 0)
			return false;
		*any |= n > 0;
		x->turn++;
	}
	return true;
}

static void on_timer(void *arg)
{
	struct exchange *x = arg;

	loop_defer(x->w.guest->program.loop, &x->go_on, on_go_on, x);
}

static void on_go_on(void *arg)
{
	struct exchange *x = arg;
	uint64_t now_ns = clock_now_ns();
	bool due, any;

	do {
		due = pump_all(x, now_ns, &any);
	} while (due && any && x->w.spec.rate);
	if (!due)
		loop_timer_at(x->w.guest->program.loop, &x->timer,
			      pacer_next_ns(&x->pacer, now_ns), on_timer, x);
}

static void go_on(struct exchange *x)
{
	loop_defer(x->w.guest->program.loop, &x->go_on, on_go_on, x);
}

/* Receiving. */

static bool is_mine(const struct exchange_port *ep, const uint8_t *frame)
{
	return !memcmp(frame, ep->own, MAC_SIZE) &&
	       !memcmp(frame + MAC_SIZE, ep->peer, MAC_SIZE);
}

/* Count what is not as it should be, and tell: it must outlive this process. */
static void wrong(struct exchange_port *ep, uint64_t *counter, uint64_t count,
		  const char *why, uint64_t number)
{
	struct exchange *x = ep->x;
	struct guest *g = x->w.guest;
	uint64_t suppressed;

	*counter += count;
	if (!limiter_pass(&x->told, loop_now_ns(g->program.loop), &suppressed))
		return;
	event(g->program.log, "exchange.error", "s:s, s:i, s:s, s:I, s:I, s:I",
	      "workload", x->w.name, "port", (int)(ep - x->port), "why", why,
	      "number", (json_int_t)number, "expected", (json_int_t)ep->came,
	      "suppressed", (json_int_t)suppressed);
}

/* What the message's number says lies in the window. */
static void check_window(struct exchange_port *ep, uint64_t number)
{
	const uint8_t *window = hca_port_window(ep->port);
	struct exchange *x = ep->x;
	struct frames_info info;

	window += number % places(x) * WRITE_BYTES;
	if (frames_parse(window, WRITE_BYTES, &info) != FRAMES_GOOD)
		wrong(ep, &x->corrupted, 1, "window corrupted", number);
	else if (!is_mine(ep, window))
		wrong(ep, &x->misdelivered, 1, "window misdelivered", number);
	else if (info.sequence != number)
		wrong(ep, &x->reordered, 1, "window reordered", info.sequence);
}

static void check_order(struct exchange_port *ep, uint64_t number)
{
	struct exchange *x = ep->x;

	if (number < ep->came) {
		wrong(ep, &x->reordered, 1, "reordered", number);
	} else if (number > ep->came) {
		wrong(ep, &x->lost, number - ep->came, "lost", number);
		ep->came = number; /* what follows a gap is in order again */
	}
}

static void on_message(void *arg, const uint8_t *data, uint32_t size)
{
	struct exchange_port *ep = arg;
	struct exchange *x = ep->x;
	struct frames_info info;

	x->received++;
	if (frames_parse(data, size, &info) != FRAMES_GOOD) {
		wrong(ep, &x->corrupted, 1, "corrupted", 0);
	} else if (!is_mine(ep, data)) {
		wrong(ep, &x->misdelivered, 1, "misdelivered", info.sequence);
	} else {
		check_order(ep, info.sequence);
		if (is_written(x, info.sequence))
			check_window(ep, info.sequence);
	}
	ep->came++;
	if (x->w.spec.role == EXCHANGE_REQUEST)
		histogram_add(&x->time, clock_now_ns() - ep->asked_ns);
	if (x->w.spec.role != EXCHANGE_BOTH)
		go_on(x);
	check_over(ep);
}

static void on_sent(void *arg)
{
	struct exchange_port *ep = arg;

	ep->sent++;
	check_over(ep);
	go_on(ep->x);
}

static void on_failed(void *arg, const char *why)
{
	struct exchange_port *ep = arg;
	const struct workload_spec *spec = &ep->x->w.spec;

	/* What its peer ends when all is done is no failure. */
	if (ep->over)
		return;
	if (spec->again_ns)
		loop_timer_in(ep->x->w.guest->program.loop, &ep->again,
			      spec->again_ns, open_again, ep);
	else
		workload_failed(&ep->x->w, STATUS_NOT, "port %u: %s",
				(unsigned)(ep - ep->x->port), why);
}

/* Ports are made one after the other. */

static void on_up(void *arg)
{
	struct exchange_port *ep = arg;
	struct exchange *x = ep->x;

	go_on(x);
	if (ep == &x->port[x->opened - 1])
		open_next(x);
}

static const struct hca_port_ops port_ops = {
	.up = on_up,
	.message = on_message,
	.sent = on_sent,
	.failed = on_failed,
};

static int open_port(struct exchange_port *ep)
{
	struct exchange *x = ep->x;
	const struct workload_spec *spec = &x->w.spec;
	uint32_t i = (uint32_t)(ep - x->port);
	const struct hca_port_spec port = {
		.service = spec->service + i,
		.peer = hca_address(spec->partition, spec->peer_service + i),
		.depth = spec->depth,
		.size = spec->size_max > WRITE_BYTES ? spec->size_max
						     : WRITE_BYTES,
		.window = places(x) * WRITE_BYTES,
		.own_eq = spec->own_eq,
		.delay_ns = spec->delay_ns,
	};

	address(ep->own, hca_partition_of(x->w.card), port.service);
	address(ep->peer, spec->partition, spec->peer_service + i);
	return hca_port_open(x->w.card, &port, &port_ops, ep, &ep->port);
}

static void open_next(struct exchange *x)
{
	struct exchange_port *ep = &x->port[x->opened];
	int err;

	if (x->opened == x->w.spec.queues)
		return;
	ep->x = x;
	err = open_port(ep);
	if (err)
		workload_failed(&x->w, STATUS_INTERNAL, "port %u: %s",
				x->opened, strerror(-err));
	else
		x->opened++;
}

/* Its failure is some time ago: the adapter has let go of most by now.  What it
 * has not makes the new one fail, which is tried again. */
static void open_again(void *arg)
{
	struct exchange_port *ep = arg;
	struct exchange *x = ep->x;
	struct hca_port *port = ep->port;

	ep->port = NULL;
	if (port)
		hca_port_close(port);
	ep->before += ep->came;
	ep->next = ep->came = ep->posted = ep->sent = 0;
	ep->wrote = false;
	x->reopened++;
	if (open_port(ep))
		on_failed(ep, "no memory");
}

static void exchange_start(struct workload *w)
{
	struct exchange *x = of(w);

	x->port = calloc(w->spec.queues, sizeof(*x->port));
	if (!x->port) {
		workload_failed(w, STATUS_INTERNAL, "no memory");
		return;
	}
	x->start_ns = clock_now_ns();
	x->rng = w->spec.seed;
	pacer_init(&x->pacer, w->spec.rate, x->start_ns);
	if (w->spec.delay_ns)
		hca_set_delay(w->card, w->spec.delay_ns);
	open_next(x);
}

static void exchange_stop(struct workload *w)
{
	struct exchange *x = of(w);
	struct hca_port *port;
	unsigned i;

	loop_timer_cancel(&x->timer);
	loop_defer_cancel(&x->go_on);
	loop_defer_cancel(&x->end);
	for (i = 0; i < x->opened; i++) {
		port = x->port[i].port;
		loop_timer_cancel(&x->port[i].again);
		x->port[i].port = NULL;
		if (port)
			hca_port_close(port);
	}
}

static void exchange_fini(struct workload *w)
{
	histogram_fini(&of(w)->time);
	free(of(w)->port);
}

/* Messages of the port that had the fewest. */
static uint64_t least(const struct exchange *x)
{
	uint64_t n = x->opened == x->w.spec.queues ? UINT64_MAX : 0;
	unsigned i;

	for (i = 0; i < x->opened && x->port; i++)
		if (x->port[i].before + x->port[i].came < n)
			n = x->port[i].before + x->port[i].came;
	return n;
}

static void exchange_report(const struct workload *w, json_t *row)
{
	const struct exchange *x = (const struct exchange *)w;
	uint64_t ns = x->end_ns - x->start_ns;
	uint64_t of_all = w->spec.count * w->spec.queues;
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:I}",
		"done", (json_int_t)x->sent, "of", (json_int_t)of_all, "errors",
		(json_int_t)errors(x), "lost", (json_int_t)x->lost, "reopened",
		(json_int_t)x->reopened, "least", (json_int_t)least(x),
		"detail",
		json_sprintf("%u/%u: received %llu, written %llu, "
			     "misdelivered %llu, reordered %llu, "
			     "corrupted %llu",
			     (unsigned)w->spec.partition,
			     (unsigned)w->spec.peer_service,
			     (unsigned long long)x->received,
			     (unsigned long long)x->written,
			     (unsigned long long)x->misdelivered,
			     (unsigned long long)x->reordered,
			     (unsigned long long)x->corrupted),
		"received", (json_int_t)x->received, "written",
		(json_int_t)x->written, "misdelivered",
		(json_int_t)x->misdelivered, "reordered",
		(json_int_t)x->reordered, "corrupted", (json_int_t)x->corrupted,
		"p50_ns", (json_int_t)histogram_quantile(&x->time, 500),
		"p99_ns", (json_int_t)histogram_quantile(&x->time, 990),
		"per_second",
		(json_int_t)(x->end_ns ? (double)x->sent * 1e9 / (double)ns
				       : 0));
	json_object_update(row, more);
	json_decref(more);
}

const struct workload_ops exchange_ops = {
	.name = "exchange",
	.size = sizeof(struct exchange),
	.card = &hca_card,
	.start = exchange_start,
	.stop = exchange_stop,
	.fini = exchange_fini,
	.report = exchange_report,
};
