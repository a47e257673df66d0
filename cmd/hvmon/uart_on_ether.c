/* uart_on_ether.c - an Ethernet card does the work of an emulated 16550A: a serial
 * line over a LAN (iovkit-uart(7)).
 *
 * Theory of operation.  The guest's chip lives in the record, its line is the
 * LAN.  The buffers for a message that is sent and for messages that came lie in
 * vm0's memory; like the record they outlive the hypervisor.  The card's counters
 * tell a new one whether the message on its way has left, and whether one has
 * come: none is sent twice or taken twice, and none is lost.
 */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/serial_message.h"
#include "libcore/ether.h"
#include "libcore/event_log.h"

_Static_assert(UART_BAR_SIZE == ETHER_BAR_SIZE,
	       "the guest's BAR is the card's, with its MSI-X pages");
_Static_assert(ETHER_FRAME_MAX <= SERIAL_RECEIVE_AT(1),
	       "any frame can be received");
_Static_assert(SERIAL_SEND_AT + SERIAL_HEADER + UART_FIFO <=
		       CARRIED_BUFFERS_SIZE,
	       "a FIFO full can be sent");

/* In this order: what happens between two reads is in the status, and not in a
 * counter before. */
static const uint32_t loaded[] = {
	ETHER_SENT,   ETHER_RX_LENGTH, ETHER_RECEIVED,
	ETHER_STATUS, ETHER_RX_SIZE,
};
enum {
	SENT,
	RX_LENGTH,
	RECEIVED,
	STATUS,
	RX_SIZE,
	LOADED_N
};
_Static_assert(sizeof(loaded) / sizeof(*loaded) == LOADED_N, "loaded");
_Static_assert(LOADED_N <= VIRTUAL_LOADED, "loaded");

static uint64_t value_of(const struct virtual *v, unsigned slot)
{
	return le64toh(v->loaded[slot]);
}

static void serial_ask(struct virtual *v, struct procedure *p)
{
	unsigned i;

	for (i = 0; i < LOADED_N; i++)
		step_read(p, virtual_register(v, loaded[i]), &v->loaded[i],
			  sizeof(v->loaded[i]));
}

/* As after a reset: the divisor and the scratch register outlive it, what comes
 * in from the other end too. */
static void make_chip(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	const struct uart was = s->chip;

	uart_init(&s->chip, &uart_guest_ops, v);
	if (s->lcr_seen) {
		s->chip.dll = was.dll;
		s->chip.dlm = was.dlm;
		s->chip.scr = was.scr;
		s->chip.modem = s->chip.msr = was.modem;
	}
	s->lcr_seen = s->fcr_known = true;
}

/* Another one than before, as far as anybody remembers. */
static uint16_t new_stream(uint16_t was)
{
	uint16_t stream = (uint16_t)(clock_now_ns() / NS_PER_US);

	return stream && stream != was ? stream : (uint16_t)(was + 1) | 1;
}

static void load_fresh(struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;

	make_chip(v);
	*line = (struct serial_line){
		.peer = line->peer,
		.sent = value_of(v, SENT),
		.received = value_of(v, RECEIVED),
		.stream = new_stream(line->stream),
		.tell = true,
	};
	v->record.machine = (uint16_t)v->emulator->start(v);
}

/* Whether the message that the former hypervisor issued has left. */
static void load_sending(struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;
	uint64_t status = value_of(v, STATUS);

	if (line->send != SERIAL_SEND_ISSUED)
		return;
	if (value_of(v, SENT) != line->sent || status & ETHER_STATUS_SENT) {
		line->sent++;
		line->send = SERIAL_SEND_NONE;
	} else if (status & ETHER_STATUS_BAD_SEND) {
		line->send = SERIAL_SEND_NONE;
	} else if (ETHER_STATUS_STATE(status) != ETHER_END) {
		line->send = SERIAL_SEND_QUEUED;
	}
}

/* Whether one has come in the buffer that it lent, or did not live to lend. */
static void load_receiving(struct virtual *v)
{
	struct serial_line *line = &uart_virtual(v)->line;

	if (!line->lent)
		return;
	if (value_of(v, RECEIVED) != line->received ||
	    value_of(v, STATUS) & ETHER_STATUS_MESSAGE)
		serial_take_message(v, value_of(v, RX_SIZE));
	else
		line->lent = value_of(v, RX_LENGTH) != 0;
}

/* A card in the middle of a sequence: the one who began it is no more.  A write
 * without a transition sets it back. */
static void set_back(struct virtual *v, struct procedure *p)
{
	unsigned state = ETHER_STATUS_STATE(value_of(v, STATUS));
	uint64_t none = 0;

	if (state == ETHER_ADDRESS || state == ETHER_LENGTH)
		step_write(p, virtual_register(v, ETHER_CSR_A), &none,
			   sizeof(none));
}

static int serial_load(struct virtual *v, struct procedure *p, bool taken_up)
{
	struct uart *chip = &uart_virtual(v)->chip;

	if (taken_up)
		uart_adopt(chip, &uart_guest_ops, v);
	if (value_of(v, STATUS) == UINT64_MAX) {
		if (!taken_up)
			make_chip(v);
		return STEP_NEXT;
	}
	set_back(v, p);
	if (taken_up) {
		load_sending(v);
		load_receiving(v);
	} else {
		load_fresh(v);
	}
	return STEP_NEXT;
}

static void serial_prefer(struct virtual *v, struct procedure *p)
{
	uint64_t all = htole64(ETHER_STATUS_EVENTS);

	step_write(p, virtual_register(v, ETHER_IRQ_ENABLE), &all, sizeof(all));
}

static void serial_was_reset(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	const struct serial_line was = s->line;

	loop_timer_cancel(&v->look);
	make_chip(v);
	s->line = (struct serial_line){
		.peer = was.peer,
		.stream = was.stream,
	};
}

const struct backend uart_on_ether = {
	.emulator = &uart_emulator,
	.real = &ether_emulator,
	.ask = serial_ask,
	.load = serial_load,
	.prefer = serial_prefer,
	.reset = serial_was_reset,
	.drive = serial_drive,
	.wants_drive = serial_wants_drive,
};
