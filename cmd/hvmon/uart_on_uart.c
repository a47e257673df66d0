/* uart_on_uart.c - a real 16550A does the work of an emulated one.
 *
 * Theory of operation.  When emulation begins the real chip is asked for its
 * mode and for the characters that the guest knows of.  FCR cannot be read: IIR
 * tells whether there are FIFOs, and the trigger is known when FCR was written
 * in the search or there are none.  Where it is not, the device's is left as it
 * is, and the guest's chip has the highest one, as a driver that finds its
 * trigger reached may take so many characters without another look.
 *
 * Before the device is let go, its transmitter runs empty.  The guest goes on
 * meanwhile: what it sends stays in the transmitter of its own chip, which so
 * tells that it is busy, and moves to the device last of all.  Then our driver
 * leaves characters in the device, and the guest goes on until it has read
 * those of its own chip.  Only then are new sequences held off.  One that first
 * waits for its transmitter has that emptied after all, and does not receive
 * meanwhile.
 */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/machine_access.h"

/* Loading: the slots of v->loaded. */

enum {
	LCR,
	MCR,
	SCR,
	IIR,
	MSR,
	/* in later rounds */
	DLL,
	DLM,
	IER,
	LSR = LCR,
	RBR = MCR,
};

static void ask_register(struct virtual *v, struct procedure *p, unsigned reg,
			 unsigned slot)
{
	step_read(p, virtual_register(v, reg), &v->loaded[slot], 1);
}

static uint8_t loaded(const struct virtual *v, unsigned slot)
{
	uint8_t value;

	memcpy(&value, &v->loaded[slot], 1);
	return value;
}

static void set_lcr(struct virtual *v, struct procedure *p, uint8_t lcr)
{
	step_write(p, virtual_register(v, UART_LCR), &lcr, 1);
}

uint8_t uart_looked_lcr(const struct virtual *v)
{
	return loaded(v, LCR);
}

static void uart_look(struct virtual *v, struct procedure *p)
{
	ask_register(v, p, UART_LCR, LCR);
}

static void uart_watch(struct virtual *v, const struct access *a)
{
	struct uart_virtual *s = uart_virtual(v);
	uint32_t i;

	for (i = 0; a->write && i < a->size; i++) {
		if (a->offset + i == UART_LCR) {
			s->chip.lcr = a->data[i];
			s->lcr_seen = true;
		} else if (a->offset + i == UART_FCR) {
			s->seen_fcr = a->data[i];
			s->fcr_seen = true;
		}
	}
}

static void uart_ask(struct virtual *v, struct procedure *p)
{
	ask_register(v, p, UART_LCR, LCR);
	ask_register(v, p, UART_MCR, MCR);
	ask_register(v, p, UART_SCR, SCR);
	ask_register(v, p, UART_IIR, IIR);
	ask_register(v, p, UART_MSR, MSR);
}

static void load_fifos(struct uart_virtual *s, uint8_t iir)
{
	bool enabled = (iir & UART_IIR_FIFOS) == UART_IIR_FIFOS;

	s->fcr_known =
		!enabled || (s->fcr_seen && s->seen_fcr & UART_FCR_ENABLE_FIFO);
	if (!enabled)
		s->chip.fcr = 0;
	else if (s->fcr_known)
		s->chip.fcr = s->seen_fcr &
			      (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
	else
		s->chip.fcr = UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14;
}

/* With nothing in its transmitter the guest's chip may always say so. */
static void load_fresh(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	struct uart *chip = &s->chip;

	uart_init(chip, &uart_guest_ops, v);
	chip->lcr = loaded(v, LCR);
	chip->mcr = loaded(v, MCR);
	chip->scr = loaded(v, SCR);
	chip->msr = loaded(v, MSR);
	chip->modem = uart_loops(chip) ? 0 : chip->msr & 0xf0;
	chip->thre = chip->shifting = true;
	load_fifos(s, loaded(v, IIR));
	s->lcr_seen = true;
	v->record.machine = (uint16_t)v->emulator->start(v);
}

/* What DLAB hides on either side.  From here on the device has 0 there. */
static void ask_latched(struct virtual *v, struct procedure *p)
{
	uint8_t lcr = uart_virtual(v)->chip.lcr;

	set_lcr(v, p, lcr | UART_LCR_DLAB);
	ask_register(v, p, UART_DLL, DLL);
	ask_register(v, p, UART_DLM, DLM);
	set_lcr(v, p, lcr & (uint8_t)~UART_LCR_DLAB);
	ask_register(v, p, UART_IER, IER);
}

static void load_latched(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);

	s->chip.dll = loaded(v, DLL);
	s->chip.dlm = loaded(v, DLM);
	s->chip.ier = s->ier = loaded(v, IER);
}

/* What a former hypervisor logged.  What it was about to do at the device is
 * not done again: no character is sent twice. */
static void follow_log(struct virtual *v)
{
	struct virtual_record *r = &v->record;
	const struct virtual_logged *l;
	uint8_t byte[sizeof(l->value)];
	unsigned i, k;

	for (i = r->n_replayed; i < r->n_log; i++) {
		l = &r->log[i];
		memcpy(byte, &l->value, sizeof(byte));
		for (k = 0; k < l->size && k < sizeof(byte); k++)
			uart_write_byte(v, l->offset + k, byte[k]);
	}
	r->n_log = r->n_replayed = 0;
}

/* The former hypervisor may have died anywhere: a character that it had asked
 * for is as lost as by an overrun, and the device's mode is set again. */
static void load_taken_up(struct virtual *v, struct procedure *p)
{
	struct uart_virtual *s = uart_virtual(v);

	if (s->reading)
		s->chip.errors |= UART_LSR_OE;
	s->reading = s->given = s->urged = false;
	s->stale = true;
	uart_adopt(&s->chip, &uart_guest_ops, v);
	follow_log(v);
	uart_take_modem(v, loaded(v, MSR));
	set_lcr(v, p, s->chip.lcr & (uint8_t)~UART_LCR_DLAB);
}

static int load_chars(struct virtual *v, struct procedure *p)
{
	uart_take_status(v, loaded(v, LSR));
	if (!uart_may_take(v, loaded(v, LSR)))
		return STEP_NEXT;
	uart_ask_char(v, p, &v->loaded[RBR], &v->loaded[LSR]);
	return STEP_AGAIN;
}

static int uart_load(struct virtual *v, struct procedure *p, bool taken_up)
{
	bool absent = loaded(v, LCR) == 0xff && loaded(v, MCR) == 0xff;

	if (!p->round) {
		if (absent) {
			uart_adopt(&uart_virtual(v)->chip, &uart_guest_ops, v);
			return STEP_NEXT;
		}
		if (taken_up) {
			load_taken_up(v, p);
		} else {
			load_fresh(v);
			ask_latched(v, p);
		}
		ask_register(v, p, UART_LSR, LSR);
		return STEP_AGAIN;
	}
	if (p->round > 1)
		uart_take_char(v, loaded(v, RBR));
	else if (!taken_up)
		load_latched(v);
	return load_chars(v, p);
}

static void uart_was_reset(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);

	memset(s, 0, sizeof(*s));
	s->lcr_seen = true; /* it is 0 */
	loop_timer_cancel(&v->look);
}

/* Devirtualisation. */

bool uart_goes_on(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	const struct uart *chip = &s->chip;

	if (chip->rx_n || s->reading)
		return true;
	if (uart_sends(s) && (!s->urged || uart_loops(chip)))
		return true;
	return (chip->ier & UART_IER_RLSI && chip->errors) ||
	       (chip->ier & UART_IER_MSI && chip->msr & UART_MSR_ANY_DELTA);
}

/* What waits for ever because of divisor 0 waits in the device as well. */
static bool uart_is_done(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);

	return !s->stale && !uart_sends(s) &&
	       (!s->chip.tx_n || (uart_divisor(&s->chip) && !s->urged));
}

/* A guest that stands still at an access takes no more: it had everything but
 * errors of characters that are still in the device. */
static bool uart_is_quiet(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);

	if (v->driving || s->reading || s->chip.rx_n)
		return false;
	return v->n_kept || !uart_goes_on(v);
}

const struct backend uart_on_uart = {
	.emulator = &uart_emulator,
	.real = &uart_emulator,
	.look = uart_look,
	.watch = uart_watch,
	.ask = uart_ask,
	.load = uart_load,
	.reset = uart_was_reset,
	.drive = uart_drive,
	.wants_drive = uart_wants_drive,
	.is_done = uart_is_done,
	.is_quiet = uart_is_quiet,
	.goes_on = uart_goes_on,
	.restore = uart_give,
};
