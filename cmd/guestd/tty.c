/* tty.c - the workloads of a UART: `tty`, standard input and output, and
 * `bytes`, a stream whose every byte is known.
 *
 * A tty is done when its input ended, all of it was sent, and nothing has come
 * for as long as --idle says.  The bytes of a stream are sent, and those that
 * come are compared with the same stream, as an echo, a loopback or the other
 * end with the same seed sends it: a byte that is lost, repeated or torn is
 * seen at once and fails the workload.
 */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/uart_driver.h"

#define ROOM 4096u

struct port {
	struct workload w;
	uint8_t mask;
	uint64_t sent, received;
	uint64_t start_ns, end_ns;
	bool drained;
	/* tty */
	struct loop_watch in;
	bool in_watched, in_over;
	uint8_t buffer[ROOM]; /* received, not written */
	size_t n;
	struct loop_watch out;
	struct loop_timer idle;
	struct loop_deferred over;
};

static struct port *of(struct workload *w)
{
	return (struct port *)w;
}

static void on_over(void *arg)
{
	workload_done(&((struct port *)arg)->w);
}

/* Not inside of the driver. */
static void over(struct port *p)
{
	loop_defer(p->w.guest->program.loop, &p->over, on_over, p);
}

static void note(struct port *p)
{
	p->end_ns = clock_now_ns();
}

static void port_start(struct port *p, const struct uart_user *user)
{
	const struct uart_mode *mode = &p->w.spec.uart;

	p->mask = uart_mode_mask(mode);
	p->start_ns = p->end_ns = clock_now_ns();
	uart_use(p->w.card, mode, user, p);
}

static void port_stop(struct workload *w)
{
	struct port *p = of(w);

	loop_watch_del(&p->in);
	loop_watch_del(&p->out);
	loop_timer_cancel(&p->idle);
	loop_defer_cancel(&p->over);
	if (w->card && w->state == WORKLOAD_RUNNING)
		uart_use(w->card, NULL, NULL, NULL);
}

static void port_report(const struct workload *w, json_t *row)
{
	const struct port *p = (const struct port *)w;
	uint64_t ns = p->end_ns - p->start_ns;
	uint64_t bytes = p->sent > p->received ? p->sent : p->received;
	json_t *more;

	more = json_pack(
		"{s:I, s:I, s:I, s:I, s:I}", "done", (json_int_t)bytes, "of",
		(json_int_t)w->spec.count, "sent", (json_int_t)p->sent,
		"received", (json_int_t)p->received, "per_second",
		(json_int_t)(ns ? (double)bytes * 1e9 / (double)ns : 0));
	json_object_update(row, more);
	json_decref(more);
}

/* tty */

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1;
}

static void on_idle(void *arg)
{
	struct port *p = arg;
	uint64_t until = p->end_ns + p->w.guest->options.idle_ns;

	if (!p->in_over || !p->drained)
		return;
	if (clock_now_ns() >= until)
		over(p);
	else
		loop_timer_at(p->w.guest->program.loop, &p->idle, until,
			      on_idle, p);
}

static void on_input(void *arg, uint32_t events)
{
	struct port *p = arg;

	(void)events;
	loop_watch_events(&p->in, 0);
	uart_kick(p->w.card);
}

/* What cannot be watched, a file, is always ready. */
static void await_input(struct port *p)
{
	struct loop *loop = p->w.guest->program.loop;
	int err = 0;

	if (!p->in_watched)
		err = loop_watch_add(loop, &p->in, STDIN_FILENO, EPOLLIN,
				     on_input, p);
	else
		loop_watch_events(&p->in, EPOLLIN);
	p->in_watched = !err;
}

static size_t tty_pull(void *arg, uint8_t *data, size_t max)
{
	struct port *p = arg;
	ssize_t n = 0;

	if (p->in_over)
		return 0;
	if (!is_ready(STDIN_FILENO, POLLIN)) {
		await_input(p);
		return 0;
	}
	n = read(STDIN_FILENO, data, max);
	if (n > 0) {
		p->sent += (uint64_t)n;
		p->drained = false;
		note(p);
		return (size_t)n;
	}
	p->in_over = true;
	loop_watch_del(&p->in);
	return 0;
}

static size_t tty_room(void *arg)
{
	return ROOM - ((struct port *)arg)->n;
}

static void on_output(void *arg, uint32_t events);

static void write_out(struct port *p)
{
	ssize_t n = 0;

	if (p->n && is_ready(STDOUT_FILENO, POLLOUT))
		n = write(STDOUT_FILENO, p->buffer, p->n);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		workload_failed(&p->w, STATUS_NOT, "standard output: %s",
				strerror(errno));
		return;
	}
	if (n > 0) {
		p->n -= (size_t)n;
		memmove(p->buffer, p->buffer + n, p->n);
	}
	if (p->n && !p->out.loop)
		(void)!loop_watch_add(p->w.guest->program.loop, &p->out,
				      STDOUT_FILENO, EPOLLOUT, on_output, p);
	else if (!p->n)
		loop_watch_del(&p->out);
}

static void on_output(void *arg, uint32_t events)
{
	struct port *p = arg;

	(void)events;
	write_out(p);
	if (p->w.state == WORKLOAD_RUNNING)
		uart_kick(p->w.card);
}

static void tty_push(void *arg, const uint8_t *data, size_t n)
{
	struct port *p = arg;

	if (n > ROOM - p->n) /* the driver asked for room */
		n = ROOM - p->n;
	memcpy(p->buffer + p->n, data, n);
	p->n += n;
	p->received += n;
	note(p);
	write_out(p);
}

static void tty_drained(void *arg)
{
	struct port *p = arg;

	p->drained = true;
	on_idle(p);
}

static const struct uart_user tty_user = {
	.pull = tty_pull,
	.room = tty_room,
	.push = tty_push,
	.drained = tty_drained,
};

static void tty_start(struct workload *w)
{
	port_start(of(w), &tty_user);
}

const struct workload_ops tty_ops = {
	.name = "tty",
	.size = sizeof(struct port),
	.card = &uart_card,
	.start = tty_start,
	.stop = port_stop,
	.report = port_report,
};

/* bytes */

static uint8_t byte_at(const struct port *p, uint64_t i)
{
	uint64_t x = (p->w.spec.seed + i / 8 + 1) * 0x9e3779b97f4a7c15ull;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 32;
	return (uint8_t)(x >> 8 * (i % 8)) & p->mask;
}

static bool sends(const struct port *p)
{
	return p->w.spec.way != BYTES_CHECK;
}

static bool checks(const struct port *p)
{
	return p->w.spec.way != BYTES_SEND;
}

static size_t bytes_pull(void *arg, uint8_t *data, size_t max)
{
	struct port *p = arg;
	uint64_t left = p->w.spec.count ? p->w.spec.count - p->sent : max;
	size_t i, n = left < max ? (size_t)left : max;

	if (!sends(p))
		return 0;
	for (i = 0; i < n; i++)
		data[i] = byte_at(p, p->sent++);
	note(p);
	return n;
}

static size_t bytes_room(void *arg)
{
	(void)arg;
	return ROOM;
}

static void bytes_push(void *arg, const uint8_t *data, size_t n)
{
	struct port *p = arg;
	size_t i;

	if (!checks(p) || p->w.state != WORKLOAD_RUNNING)
		return;
	note(p);
	for (i = 0; i < n; i++, p->received++) {
		if (data[i] == byte_at(p, p->received))
			continue;
		workload_failed(&p->w, STATUS_NOT,
				"byte %llu is 0x%02x and not 0x%02x",
				(unsigned long long)p->received, data[i],
				byte_at(p, p->received));
		return;
	}
	if (p->w.spec.count && p->received >= p->w.spec.count)
		over(p);
}

static void bytes_drained(void *arg)
{
	struct port *p = arg;

	if (!checks(p) && p->w.spec.count)
		over(p);
}

static const struct uart_user bytes_user = {
	.pull = bytes_pull,
	.room = bytes_room,
	.push = bytes_push,
	.drained = bytes_drained,
};

static void bytes_start(struct workload *w)
{
	port_start(of(w), &bytes_user);
}

const struct workload_ops bytes_ops = {
	.name = "bytes",
	.size = sizeof(struct port),
	.card = &uart_card,
	.start = bytes_start,
	.stop = port_stop,
	.report = port_report,
};
