/* drive_serial.c - the monitor's own driver of an Ethernet card that is a serial
 * line: it moves characters between the LAN and the chip that a guest sees.
 *
 * Theory of operation.  One chain runs at a time: characters that came go into
 * the chip as far as it has room, its transmitter is emptied into a message, the
 * message is sent, a receive buffer is lent, and the status is read, which
 * acknowledges it.  It runs again while there is something to do.  Of the two
 * receive buffers one is the card's, so that the other end is heard even while
 * characters are left in the other.
 *
 * A message has what the transmitter held, at most a FIFO full, and the next one
 * leaves when the characters' time on a line of that mode is over and the other
 * end says that it took them: a chip that is full stops the one that sends.  Until
 * then the same message is sent again now and then, and what came already is
 * passed over.  While it is on its way the guest fills the transmitter again.  What
 * else there is to tell, outputs that changed and what was taken, goes with the
 * message on its way or in one without characters.
 *
 * While no other end is known, messages go to all and nobody is waited for, as on
 * a cable that ends nowhere.  The first that is heard is the other end, until it
 * gives no sign of life while it is waited for.  One that does not begin where
 * its last message ended lost characters: the chip shows an overrun.
 */
#include <config.h>

#include <endian.h>

#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/drive.h"
#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/serial_message.h"
#include "libcore/ether.h"

#define TO_ALL    0xffffffffffffull
#define LOOK_NS   NS_PER_MS         /* at least, without an interrupt */
#define RESEND_NS (100 * NS_PER_MS) /* without an answer */
#define TRIES     100               /* without a sign of life */
#define HELLO_NS  NS_PER_S          /* while nobody is heard */

struct chain {
	struct drive drive;
	uint64_t status, rx_size;
};

/* A point that each message passes; it cannot be held. */
static void pass(struct virtual *v, unsigned at)
{
	if (point_armed(v->hv->program->points, at))
		(void)!point(v->hv->program->points, at, NULL, NULL, NULL,
			     "s:s", "device", v->device->name);
}

static uint8_t *buffer(const struct virtual *v, uint32_t at)
{
	return carried_buffers(v->worker) + at;
}

static void write_register(struct procedure *p, struct virtual *v,
			   uint32_t offset, uint64_t value)
{
	value = htole64(value);
	step_write(p, virtual_register(v, offset), &value, sizeof(value));
}

/* Sending. */

/* What the other end is to know of the chip. */
static uint8_t outputs(const struct uart *chip)
{
	uint8_t mcr = uart_outputs(chip);

	return (uint8_t)((mcr & UART_MCR_DTR ? SERIAL_DTR : 0) |
			 (mcr & UART_MCR_RTS ? SERIAL_RTS : 0) |
			 (chip->lcr & UART_LCR_SBC ? SERIAL_BREAK : 0));
}

/* The characters' time on the line is over, and they were taken. */
static bool is_free(const struct serial_line *line)
{
	return line->send == SERIAL_SEND_NONE && !line->waits &&
	       clock_now_ns() >= line->free_ns;
}

/* To tell, besides characters; to an end that is not known, that we are here. */
static bool has_news(const struct uart_virtual *s)
{
	const struct serial_line *line = &s->line;

	return line->tell || line->outputs != outputs(&s->chip) ||
	       (!line->heard && clock_now_ns() >= line->resend_ns);
}

static bool has_something(const struct uart_virtual *s)
{
	const struct uart *chip = &s->chip;

	return has_news(s) ||
	       (chip->tx_n && uart_divisor(chip) && !uart_loops(chip));
}

/* News go with the message that waits, and so does one that was not answered. */
static bool sends_again(const struct uart_virtual *s)
{
	const struct serial_line *line = &s->line;

	return line->send == SERIAL_SEND_NONE && line->waits &&
	       (has_news(s) || clock_now_ns() >= line->resend_ns);
}

static unsigned take_characters(struct uart *chip, uint8_t *to)
{
	unsigned n = 0;
	int byte;

	while (n < uart_depth(chip) && !uart_loops(chip) &&
	       (byte = uart_take(chip)) >= 0) {
		to[n++] = (uint8_t)byte;
		uart_sent(chip);
	}
	chip->shifting = n;
	return n;
}

/* The characters in the buffer get their header. */
static void put_header(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	struct serial_line *line = &s->line;
	const uint8_t now = outputs(&s->chip);
	const struct serial_message m = {
		/* A break is told when it begins. */
		.flags = now & (uint8_t) ~(line->outputs & SERIAL_BREAK),
		.n = line->n,
		.stream = line->stream,
		.first = line->out - line->n,
		.heard = line->heard,
		.taken = line->in - line->rx_left,
	};

	serial_message_put(buffer(v, SERIAL_SEND_AT), &m);
	line->outputs = now;
	line->tell = false;
	line->send = SERIAL_SEND_QUEUED;
	line->resend_ns = clock_now_ns() + (line->heard ? RESEND_NS : HELLO_NS);
}

/* Out of the chip into the buffer: with the record it is there, or in neither. */
static void make_message(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	struct serial_line *line = &s->line;

	line->n = (uint16_t)take_characters(
		&s->chip, buffer(v, SERIAL_SEND_AT) + SERIAL_HEADER);
	line->out += line->n;
	line->waits = line->n && line->heard;
	line->tries = 0;
	line->free_ns = clock_now_ns() + line->n * uart_char_ns(&s->chip);
	put_header(v);
}

static void set_carrier(struct virtual *v, uint16_t heard)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (line->heard != heard)
		event(v->hv->program->log, "serial.carrier", "s:s, s:b",
		      "device", v->device->name, "on", heard != 0);
	line->heard = heard;
	if (heard)
		return;
	line->peer = 0;
	line->waits = false;
	uart_set_modem(&uart_virtual(v)->chip, 0);
}

static void send_again(struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (clock_now_ns() >= line->resend_ns && line->tries++ == TRIES)
		set_carrier(v, 0);
	else
		put_header(v);
}

static void issue(struct procedure *p, struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;

	line->send = SERIAL_SEND_ISSUED;
	virtual_keep_record(v);
	pass(v, POINT_SERIAL_SEND);
	write_register(p, v, ETHER_CSR_A,
		       carried_buffers_iova(v->worker) + SERIAL_SEND_AT);
	write_register(p, v, ETHER_CSR_B, SERIAL_HEADER + line->n);
	write_register(p, v, ETHER_CSR_C, line->peer ? line->peer : TO_ALL);
}

static void take_sent(struct virtual *v, uint64_t events)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (line->send != SERIAL_SEND_ISSUED ||
	    !(events & (ETHER_STATUS_SENT | ETHER_STATUS_BAD_SEND)))
		return;
	v->own_seen = true;
	line->send = SERIAL_SEND_NONE;
	line->sent += !!(events & ETHER_STATUS_SENT);
}

/* The transmitter has nothing on its way any more. */
static void finish_sending(struct uart_virtual *s)
{
	struct uart *chip = &s->chip;

	if (chip->shifting && is_free(&s->line))
		uart_sent(chip);
	if (!s->busy_shown || chip->shifting || chip->tx_n)
		return;
	s->busy_shown = false;
	chip->thre = true;
	uart_update(chip);
}

/* What is sent in loopback is received, and nothing else is. */
static bool may_loop(const struct uart *chip)
{
	return uart_loops(chip) && chip->tx_n && uart_divisor(chip) &&
	       !chip->shifting && chip->rx_n < uart_depth(chip);
}

static void loop_back(struct uart *chip)
{
	int byte;

	while (may_loop(chip) && (byte = uart_take(chip)) >= 0) {
		uart_sent(chip);
		uart_receive(chip, (uint8_t)byte, 0);
	}
}

/* Receiving. */

static void tell_lost(struct virtual *v, uint32_t expected, uint32_t first)
{
	uint64_t suppressed;

	uart_virtual(v)->chip.errors |= UART_LSR_OE;
	uart_update(&uart_virtual(v)->chip);
	if (limiter_pass(&v->complaints, clock_now_ns(), &suppressed))
		event(v->hv->program->log, "serial.lost", "s:s, s:I, s:I, s:I",
		      "device", v->device->name, "expected",
		      (json_int_t)expected, "first", (json_int_t)first,
		      "suppressed", (json_int_t)suppressed);
}

static void take_flags(struct uart *chip, uint8_t flags)
{
	uint8_t modem = 0;

	/* The cable crosses them. */
	if (flags & SERIAL_DTR)
		modem |= UART_MSR_DSR | UART_MSR_DCD;
	if (flags & SERIAL_RTS)
		modem |= UART_MSR_CTS;
	uart_set_modem(chip, modem);
	if (flags & SERIAL_BREAK && uart_room(chip))
		uart_receive(chip, 0, UART_LSR_BI | UART_LSR_FE);
}

/* What the other end took. */
static void take_answer(struct serial_line *line,
			const struct serial_message *m)
{
	line->tries = 0;
	if (m->heard == line->stream && m->taken == line->out)
		line->waits = false;
}

/* Its characters are the next ones, or came already, or others before them were
 * lost.  While some are left none are taken: it will send them again. */
static bool takes_characters(struct virtual *v, const struct serial_message *m)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (!m->n)
		return false;
	if (line->rx_left || (int32_t)(m->first - line->in) < 0) {
		/* It did not hear so, or wants a sign of life; what waits here
		 * is sent again anyway. */
		line->tell |= !line->waits;
		return false;
	}
	if (m->first != line->in)
		tell_lost(v, line->in, m->first);
	line->in = m->first + m->n;
	return true;
}

static void take_characters_of(struct virtual *v,
			       const struct serial_message *m, uint64_t from)
{
	struct uart_virtual *s = uart_virtual(v);
	struct serial_line *line = &s->line;

	/* The end of another line. */
	if (line->heard && from != line->peer)
		return;
	line->peer = from;
	if (m->stream != line->heard) {
		set_carrier(v, m->stream);
		line->in = m->first;
		line->tell = true;
	}
	take_flags(&s->chip, m->flags);
	take_answer(line, m);
	if (!takes_characters(v, m))
		return;
	line->rx_at = ETHER_ADDRESSES + SERIAL_HEADER;
	line->rx_left = m->n;
	line->buffer ^= 1;
}

void serial_take_message(struct virtual *v, uint64_t size)
{
	struct serial_line *line = &uart_virtual(v)->line;
	const uint8_t *frame = buffer(v, SERIAL_RECEIVE_AT(line->buffer));
	struct serial_message m;

	v->own_seen = true;
	line->received++;
	line->lent = false;
	if (size >= ETHER_ADDRESSES && size <= ETHER_FRAME_MAX &&
	    serial_message_get(frame + ETHER_ADDRESSES, size - ETHER_ADDRESSES,
			       &m))
		take_characters_of(v, &m,
				   ether_mac_value(frame + ETHER_MAC_SIZE));
}

/* As many as there is room for. */
static void pour(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	struct serial_line *line = &s->line;
	const uint8_t *frame = buffer(v, SERIAL_RECEIVE_AT(line->buffer ^ 1u));

	if (!line->rx_left)
		return;
	for (; line->rx_left && uart_room(&s->chip); line->rx_left--)
		uart_receive(&s->chip, frame[line->rx_at++], 0);
	line->tell |= !line->rx_left;
	if (!line->rx_left)
		uart_timeout(&s->chip); /* no more of them comes now */
}

static void lend(struct procedure *p, struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;

	line->lent = true;
	virtual_keep_record(v);
	write_register(p, v, ETHER_RX_ADDRESS,
		       carried_buffers_iova(v->worker) +
			       SERIAL_RECEIVE_AT(line->buffer));
	write_register(p, v, ETHER_RX_LENGTH, ETHER_FRAME_MAX);
}

static void take_received(struct virtual *v, uint64_t events, uint64_t size)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (events & ETHER_STATUS_BAD_RX)
		line->lent = false;
	if (!(events & ETHER_STATUS_MESSAGE))
		return;
	pass(v, POINT_SERIAL_RECEIVE);
	if (line->lent)
		serial_take_message(v, size);
	else
		line->received++; /* lent by nobody whom we know */
}

/* The chain. */

static bool is_over(const struct virtual *v)
{
	return !v->device || v->record.phase != VIRTUAL_EMULATING;
}

static int chain_run(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;
	struct uart_virtual *s = uart_virtual(v);

	if (is_over(v))
		return STEP_DONE;
	finish_sending(s);
	loop_back(&s->chip);
	pour(v);
	if (is_free(&s->line) && has_something(s))
		make_message(v);
	else if (sends_again(s))
		send_again(v);
	virtual_keep_record(v);
	if (s->line.send == SERIAL_SEND_QUEUED)
		issue(p, v);
	if (!s->line.lent)
		lend(p, v);
	step_read(p, virtual_register(v, ETHER_STATUS), &c->status,
		  sizeof(c->status));
	step_read(p, virtual_register(v, ETHER_RX_SIZE), &c->rx_size,
		  sizeof(c->rx_size));
	return STEP_NEXT;
}

static int chain_take(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	uint64_t status = le64toh(c->status);
	struct virtual *v = c->drive.v;

	if (is_over(v) || status == UINT64_MAX)
		return STEP_DONE;
	pass(v, POINT_SERIAL_STATUS);
	if (c->drive.interrupt && !(status & ETHER_STATUS_EVENTS) &&
	    !v->own_seen)
		v->dropped++;
	take_sent(v, status);
	take_received(v, status, le64toh(c->rx_size));
	pour(v);
	finish_sending(uart_virtual(v));
	virtual_keep_record(v);
	return STEP_NEXT;
}

static void on_look(void *arg)
{
	serial_drive(arg, false);
}

/* What no interrupt tells: that a character's time is over, that nobody answers,
 * or that a guest has masked the card's. */
static void look_later(struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	const struct serial_line *line = &s->line;
	uint64_t now = clock_now_ns(), at = line->free_ns, ns = LOOK_NS;

	if (line->heard && !s->chip.shifting && !line->waits &&
	    !has_something(s) && line->send == SERIAL_SEND_NONE)
		return;
	if ((line->waits || !line->heard) && line->send == SERIAL_SEND_NONE)
		at = line->resend_ns;
	if (s->chip.shifting && !line->waits)
		at = line->free_ns;
	if (at > now + LOOK_NS)
		ns = at - now;
	loop_timer_in(v->hv->program->loop, &v->look, ns, on_look, v);
}

static void chain_end(struct procedure *p)
{
	struct virtual *v = ((struct drive *)p)->v;
	bool absent = le64toh(((struct chain *)p)->status) == UINT64_MAX;

	v->driving = false;
	if (is_over(v))
		return;
	if (p->err) {
		virtual_refused(v, p->why);
		return;
	}
	if (!absent && (v->drive_again || serial_wants_drive(v)))
		serial_drive(v, v->drive_interrupt);
	else if (!absent)
		look_later(v);
	virtual_changed(v);
}

static const struct step chain_steps[] = {
	{ POINT_NONE, chain_run },
	{ POINT_NONE, chain_take },
	{ 0, NULL },
};

static const struct procedure_desc chain_desc = {
	.name = "drive serial",
	.steps = chain_steps,
	.end = chain_end,
	.fini = drive_fini,
};

bool serial_wants_drive(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);

	return s->line.send == SERIAL_SEND_QUEUED || !s->line.lent ||
	       sends_again(s) || may_loop(&s->chip) ||
	       (s->line.rx_left && uart_room(&s->chip)) ||
	       (is_free(&s->line) && (s->chip.shifting || has_something(s)));
}

void serial_drive(struct virtual *v, bool interrupt)
{
	if (!v->driving)
		loop_timer_cancel(&v->look);
	drive_begin(v, &chain_desc, sizeof(struct chain), interrupt);
}
