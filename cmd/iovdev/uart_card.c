/* uart_card.c - `--type uart`: a 16550A (iovkit-uart(7)) as a device with one
 * function and one line.
 *
 * Theory of operation.  What the chip does is libcore/uart.c; this is its
 * shift registers and clock.  Not paced, characters leave and come in as fast
 * as the line lets them, and what the receiver has no room for stays in the
 * line.  Paced, each takes its time by divisor and mode, and a receiver that is
 * not emptied in time overruns.  What left the transmitter and the line did
 * not take yet waits here, and keeps the next one in the transmitter.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/interrupt_line.h"
#include "cmd/iovdev/msix_pages.h"
#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/uart_line.h"
#include "libcore/uart.h"

#define TIMEOUT_CHARS 4
#define CARRIER       (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct uart_card {
	struct nic *nic;
	struct uart uart;
	struct uart_line *line;
	struct loop_deferred pump;
	struct loop_timer timeout; /* of characters below the trigger */
	uint64_t came;             /* when it was armed, so many had, ... */
	unsigned waited;           /* ... and so many were there */
	struct loop_timer tx, rx;  /* paced: one is on its way */
	uint8_t out[UART_FIFO];    /* sent, not taken by the line */
	unsigned n_out;
};

static bool is_paced(const struct uart_card *card)
{
	return card->nic->options->paced;
}

/* Out of the chip. */

static void emit(struct uart_card *card, uint8_t byte)
{
	if (uart_loops(&card->uart))
		uart_receive(&card->uart, byte, 0);
	else
		card->out[card->n_out++] = byte;
}

/* Whether the line took all. */
static bool flush(struct uart_card *card)
{
	size_t n;

	if (!card->n_out)
		return true;
	n = uart_line_write(card->line, card->out, card->n_out);
	card->n_out -= (unsigned)n;
	memmove(card->out, card->out + n, card->n_out);
	return !card->n_out;
}

static void pump(void *arg);

static void on_shifted(void *arg)
{
	struct uart_card *card = arg;

	uart_sent(&card->uart);
	pump(card);
}

static void send_one(struct uart_card *card)
{
	int byte;

	if (card->tx.loop)
		return;
	byte = uart_take(&card->uart);
	if (byte < 0)
		return;
	emit(card, (uint8_t)byte);
	(void)flush(card);
	loop_timer_in(card->nic->loop, &card->tx, uart_char_ns(&card->uart),
		      on_shifted, card);
}

/* All that the line takes; once it does not, it calls. */
static void send_all(struct uart_card *card)
{
	int byte = 0;

	while (byte >= 0 && flush(card)) {
		while (card->n_out < UART_FIFO &&
		       (byte = uart_take(&card->uart)) >= 0) {
			emit(card, (uint8_t)byte);
			uart_sent(&card->uart);
		}
	}
	(void)flush(card);
}

static void tell_stopped(struct uart_card *card)
{
	struct function *f = card->nic->pf;
	uint64_t suppressed;

	if (uart_divisor(&card->uart) || !card->uart.tx_n)
		return;
	if (function_tells(f, &suppressed))
		event(card->nic->log, "uart.stopped", "s:s, s:s, s:I",
		      "function", f->name, "why", "divisor 0", "suppressed",
		      (json_int_t)suppressed);
}

/* Into the chip. */

static unsigned room(const struct uart_card *card)
{
	const struct uart *u = &card->uart;

	if (!is_paced(card))
		return uart_room(u);
	return !card->rx.loop && !uart_loops(u) && uart_divisor(u);
}

static void on_timeout(void *arg)
{
	uart_timeout(&((struct uart_card *)arg)->uart);
}

/* Restarted by every character that comes or is read, and by nothing else. */
static void set_timeout(struct uart_card *card)
{
	const struct uart *u = &card->uart;

	if (!uart_waits(u) || !uart_divisor(u)) {
		loop_timer_cancel(&card->timeout);
		return;
	}
	if (card->timeout.loop && card->came == u->received &&
	    card->waited == u->rx_n)
		return;
	card->came = u->received;
	card->waited = u->rx_n;
	loop_timer_in(card->nic->loop, &card->timeout,
		      TIMEOUT_CHARS * uart_char_ns(u), on_timeout, card);
}

static void on_received(void *arg)
{
	pump(arg);
}

static void on_readable(void *arg)
{
	struct uart_card *card = arg;
	uint8_t data[UART_FIFO];
	size_t i, n;

	n = room(card);
	n = n ? uart_line_read(card->line, data, n) : 0;
	for (i = 0; i < n; i++)
		uart_receive(&card->uart, data[i], 0);
	if (n && is_paced(card))
		loop_timer_in(card->nic->loop, &card->rx,
			      uart_char_ns(&card->uart), on_received, card);
	set_timeout(card);
	uart_line_want(card->line, room(card));
}

static void on_writable(void *arg)
{
	struct uart_card *card = arg;

	loop_defer(card->nic->loop, &card->pump, pump, card);
}

static void on_carrier(void *arg, bool on)
{
	struct uart_card *card = arg;

	uart_set_modem(&card->uart, on ? CARRIER : 0);
	event(card->nic->log, "line.carrier", "s:s, s:b", "function",
	      card->nic->pf->name, "on", on);
}

static const struct uart_line_ops line_ops = {
	.readable = on_readable,
	.writable = on_writable,
	.carrier = on_carrier,
};

static void pump(void *arg)
{
	struct uart_card *card = arg;

	if (!is_paced(card))
		send_all(card);
	else if (flush(card))
		send_one(card);
	tell_stopped(card);
	set_timeout(card);
	uart_line_want(card->line, room(card));
}

static void on_irq(void *arg, bool level)
{
	interrupt_line_set(((struct uart_card *)arg)->nic->pf, level);
}

static void on_kick(void *arg)
{
	struct uart_card *card = arg;

	loop_defer(card->nic->loop, &card->pump, pump, card);
}

static const struct uart_ops uart_ops = {
	.irq = on_irq,
	.kick = on_kick,
};

/* As a device. */

/* Where the pty's name goes: beside the PF's socket. */
static int link_path(const struct nic *nic, char buf[PATH_MAX])
{
	char dir[PATH_MAX];
	int n;

	if (nic->socket_path[0])
		n = snprintf(buf, PATH_MAX, "%s.tty", nic->socket_path);
	else
		n = snprintf(buf, PATH_MAX, "%s/tty",
			     machine_path(&nic->program->machine, dir, "dev/%s",
					  nic->device));
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int start(struct nic *nic, struct complaint *c)
{
	struct uart_card *card = calloc(1, sizeof(*card));
	char link[PATH_MAX];

	nic->card = card;
	if (!card)
		return complain(c, ENOMEM, "no memory");
	card->nic = nic;
	uart_init(&card->uart, &uart_ops, card);
	if (link_path(nic, link))
		return complain(c, ENAMETOOLONG, "%s: name too long",
				nic->device);
	on_kick(card);
	return uart_line_open(&card->line, nic->loop, nic->options->line, link,
			      &line_ops, card, c);
}

static void stop(struct nic *nic)
{
	struct uart_card *card = nic->card;

	if (!card)
		return;
	if (card->line)
		(void)flush(card);
	uart_line_close(card->line);
	loop_defer_cancel(&card->pump);
	loop_timer_cancel(&card->timeout);
	loop_timer_cancel(&card->tx);
	loop_timer_cancel(&card->rx);
	free(card);
	nic->card = NULL;
}

static struct uart *uart_of(struct function *f)
{
	return &((struct uart_card *)f->nic->card)->uart;
}

/* A wide access is one to each register, in order. */
static void read_registers(struct function *f, uint64_t offset, uint8_t *data,
			   uint32_t count)
{
	if (msix_pages_read(f, offset, data, count))
		return;
	for (; count; offset++, data++, count--)
		*data = offset < UART_REGS
				? uart_read(uart_of(f), (unsigned)offset)
				: 0;
}

static void write_registers(struct function *f, uint64_t offset,
			    const uint8_t *data, uint32_t count)
{
	if (msix_pages_write(f, offset, data, count))
		return;
	for (; count; offset++, data++, count--) {
		if (offset < UART_REGS)
			uart_write(uart_of(f), (unsigned)offset, *data);
		else
			f->refused++;
	}
}

static void reset(struct function *f)
{
	struct uart_card *card = f->nic->card;

	loop_timer_cancel(&card->tx);
	uart_reset(&card->uart);
	pump(card);
}

/* What comes in besides bytes: a control method. */

static void do_line(void *arg, struct control_call *call, json_t *params)
{
	static const struct {
		const char *name;
		uint8_t errors;
	} kinds[] = {
		{ "break", UART_LSR_BI | UART_LSR_FE },
		{ "framing", UART_LSR_FE },
		{ "parity", UART_LSR_PE },
	};
	const char *kind = control_string(params, "error", "");
	struct nic *nic = arg;
	struct uart_card *card = nic->card;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i].name))
			continue;
		uart_receive(&card->uart, 0, kinds[i].errors);
		set_timeout(card);
		control_reply(call, json_pack("{s:s, s:s}", "function",
					      nic->pf->name, "error", kind));
		return;
	}
	control_fail(call, RPC_PARAMS,
		     "no error '%.32s' (break, framing or parity)", kind);
}

static void do_modem(void *arg, struct control_call *call, json_t *params)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} lines[] = {
		{ "cts", UART_MSR_CTS },
		{ "dsr", UART_MSR_DSR },
		{ "ri", UART_MSR_RI },
		{ "dcd", UART_MSR_DCD },
	};
	struct nic *nic = arg;
	struct uart *u = &((struct uart_card *)nic->card)->uart;
	uint8_t modem = u->modem;
	const char *state;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		state = control_string(params, lines[i].name, NULL);
		if (!state)
			continue;
		if (strcmp(state, "on") && strcmp(state, "off")) {
			control_fail(call, RPC_PARAMS, "modem: %s is on or off",
				     lines[i].name);
			return;
		}
		modem &= (uint8_t)~lines[i].bit;
		modem |= strcmp(state, "on") ? 0 : lines[i].bit;
	}
	uart_set_modem(u, modem);
	control_reply(call, json_pack("{s:s, s:i}", "function", nic->pf->name,
				      "msr", (int)u->msr));
}

static const struct control_param line_params[] = {
	{ "error", 's', false, "break, framing or parity" },
	{ NULL },
};

static const struct control_param modem_params[] = {
	{ "cts", 's', true, "on or off, as the next ones" },
	{ "dsr", 's', true, "data set ready" },
	{ "ri", 's', true, "ring indicator" },
	{ "dcd", 's', true, "data carrier detect" },
	{ NULL },
};

static const struct control_method commands[] = {
	{ "line", "let a character come in with this error", do_line,
	  line_params },
	{ "modem", "move the modem's lines, until the next carrier", do_modem,
	  modem_params },
	{ NULL },
};

static json_t *mode_json(const struct uart *u)
{
	char parity = 'N';

	if (u->lcr & UART_LCR_PARITY)
		parity = u->lcr & UART_LCR_SPAR   ? 'S'
			 : u->lcr & UART_LCR_EPAR ? 'E'
						  : 'O';
	return json_sprintf("%u%c%d", uart_word_bits(u), parity,
			    u->lcr & UART_LCR_STOP ? 2 : 1);
}

static json_t *uart_rows(void *arg)
{
	const struct nic *nic = arg;
	const struct uart_card *card = nic->card;
	const struct uart *u = &card->uart;
	uint32_t divisor = uart_divisor(u);
	json_t *rows = json_array();

	json_array_append_new(
		rows,
		json_pack("{s:s, s:s, s:b, s:i, s:o, s:b, s:i, s:i, s:i, s:i, "
			  "s:i, s:b, s:I, s:I, s:I, s:I}",
			  "function", nic->pf->name, "line",
			  card->line->kind->name, "carrier",
			  card->line->in >= 0, "baud",
			  divisor ? (int)(UART_CLOCK_HZ / 16 / divisor) : 0,
			  "mode", mode_json(u), "fifos",
			  u->fcr & UART_FCR_ENABLE_FIFO, "ier", (int)u->ier,
			  "mcr", (int)u->mcr, "msr", (int)u->msr, "rx",
			  (int)u->rx_n, "tx", (int)u->tx_n, "irq", u->irq,
			  "sent", (json_int_t)u->sent, "received",
			  (json_int_t)u->received, "overruns",
			  (json_int_t)u->overruns, "lost",
			  (json_int_t)card->line->lost));
	return rows;
}

static const struct control_column uart_columns[] = {
	{ "function", "FUNCTION" },
	{ "line", "LINE" },
	{ "carrier", "CARRIER" },
	{ "baud", "BAUD" },
	{ "mode", "MODE" },
	{ "fifos", "FIFOS" },
	{ "rx", "RX" },
	{ "tx", "TX" },
	{ "irq", "IRQ" },
	{ "sent", "SENT" },
	{ "received", "RECEIVED" },
	{ "overruns", "OVERRUNS" },
	{ "lost", "LOST" },
	{ NULL, NULL },
};

static const struct control_table tables[] = {
	{ "device-uart", "the chip's mode, state and counters", uart_columns,
	  uart_rows },
	{ NULL, NULL, NULL, NULL },
};

const struct device_type uart_type = {
	.name = "uart",
	.has_line = true,
	.vendor = UART_VENDOR_ID,
	.device = UART_DEVICE,
	.class_code = UART_CLASS,
	.bar_size = UART_BAR_SIZE,
	.vectors = 1,
	.intx = true,
	.commands = commands,
	.tables = tables,
	.start = start,
	.stop = stop,
	.read = read_registers,
	.write = write_registers,
	.reset = reset,
};
