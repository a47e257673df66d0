/* drive_uart.c - the monitor's own driver of a 16550A: it moves characters
 * between the real chip and the one that a guest sees.
 *
 * Theory of operation.  One chain runs at a time: IIR, LSR and MSR are read,
 * characters are taken one by one while there are any and the guest's chip has
 * room, the mode is set if it shall be another one, and the transmitter is
 * filled if it is empty.  It runs again while IIR had a reason, so that the
 * next interrupt is a new rise of the line.
 *
 * In its own mode, which is set with the transmitter idle, it has all
 * interrupts and, where the guest uses FIFOs and its trigger is known, a
 * trigger of its own.  Word, parity, divisor and modem outputs belong to the
 * line and are the guest's in either mode, and so is whether there are FIFOs,
 * as a switch of these forgets characters.  While characters are left in the
 * device, its receiver does not interrupt.  While some are being sent, the
 * driver looks by itself, too: no interrupt tells that the last one has left.
 *
 * While new sequences are held off (710), no more is sent, and once the device
 * has sent what it had, nothing is taken out of it any more: neither characters
 * nor changes of modem lines.  Until then it receives, as the line does not
 * wait.  A guest that urges for its transmitter is served, and does not receive.
 */
#include <config.h>

#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/drive.h"
#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"

#define IER_ALL     (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define CHAR_ERRORS (UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)
#define IIR_REASON  0x0fu
#define MODEM_LINES 0xf0u
#define ABSENT      0xffu
#define LOOK_NS     (500 * NS_PER_US) /* at least */

struct chain {
	struct drive drive;
	uint8_t iir, lsr, msr, rbr;
	bool modem;
};

static bool holds(const struct virtual *v)
{
	return v->hold != HOLD_NONE;
}

bool uart_sends(const struct uart_virtual *s)
{
	const struct uart *chip = &s->chip;

	return uart_divisor(chip) &&
	       (chip->shifting || (uart_loops(chip) && s->more));
}

/* Receiving. */

/* What the device has is for it to tell. */
static bool rests(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);

	return holds(v) && (s->urged || !uart_sends(s));
}

/* Characters stay in the device.  In loopback they are the guest's own. */
static bool leaves(const struct virtual *v)
{
	return rests(v) && !uart_loops(&uart_virtual(v)->chip);
}

static bool has_room(const struct uart *chip)
{
	return chip->rx_n < uart_depth(chip);
}

void uart_take_status(struct virtual *v, uint8_t lsr)
{
	struct uart_virtual *s = uart_virtual(v);

	s->more = !!(lsr & UART_LSR_DR);
	s->chip.errors |= lsr & UART_LSR_OE;
	if (s->more)
		s->errors |= lsr & CHAR_ERRORS;
	if (lsr & UART_LSR_TEMT && s->chip.shifting) {
		uart_sent(&s->chip);
		v->own_seen = true;
	}
	/* The character will be the device's to give, its error ours. */
	if (leaves(v)) {
		s->chip.errors |= s->errors;
		s->errors = 0;
	}
	uart_update(&s->chip);
}

bool uart_may_take(const struct virtual *v, uint8_t lsr)
{
	return lsr & UART_LSR_DR && !leaves(v) &&
	       has_room(&uart_virtual(v)->chip);
}

void uart_ask_char(struct virtual *v, struct procedure *p, void *byte,
		   void *lsr)
{
	uart_virtual(v)->reading = true;
	virtual_keep_record(v);
	step_read(p, virtual_register(v, UART_RX), byte, 1);
	step_read(p, virtual_register(v, UART_LSR), lsr, 1);
}

void uart_take_char(struct virtual *v, uint8_t byte)
{
	struct uart_virtual *s = uart_virtual(v);
	uint8_t errors = s->errors;

	s->reading = false;
	s->errors = 0;
	v->own_seen = true;
	uart_receive(&s->chip, byte, errors);
	virtual_keep_record(v);
}

void uart_take_modem(struct virtual *v, uint8_t msr)
{
	struct uart *chip = &uart_virtual(v)->chip;

	if (uart_loops(chip))
		return; /* its own lines */
	chip->msr |= msr & UART_MSR_ANY_DELTA;
	uart_set_modem(chip, msr & MODEM_LINES);
}

/* The mode. */

static void write_register(struct procedure *p, struct virtual *v, unsigned reg,
			   uint8_t value)
{
	step_write(p, virtual_register(v, reg), &value, 1);
}

static uint8_t wanted_ier(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	uint8_t ier = s->preferred ? IER_ALL : s->chip.ier;

	return s->more ? ier & (uint8_t)~UART_IER_RDI : ier;
}

static uint8_t wanted_fcr(const struct uart_virtual *s)
{
	if (s->preferred && s->chip.fcr & UART_FCR_ENABLE_FIFO)
		return UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8;
	return s->chip.fcr;
}

static void set_ier(struct procedure *p, struct virtual *v, uint8_t ier)
{
	uart_virtual(v)->ier = ier;
	write_register(p, v, UART_IER, ier);
}

static void set_line(struct procedure *p, struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	uint8_t lcr = s->chip.lcr & (uint8_t)~UART_LCR_DLAB;

	write_register(p, v, UART_LCR, lcr | UART_LCR_DLAB);
	write_register(p, v, UART_DLL, s->chip.dll);
	write_register(p, v, UART_DLM, s->chip.dlm);
	write_register(p, v, UART_LCR, lcr);
	write_register(p, v, UART_MCR, s->chip.mcr);
	if (s->fcr_known)
		write_register(p, v, UART_FCR, wanted_fcr(s) | s->clear);
	s->stale = s->clear = false;
}

/* Sending. */

/* In loopback what is sent needs room in the device's receiver. */
static bool is_free(const struct virtual *v, uint8_t lsr)
{
	const struct uart_virtual *s = uart_virtual(v);

	if (uart_loops(&s->chip))
		return lsr & UART_LSR_TEMT && !s->more;
	return lsr & UART_LSR_THRE;
}

/* While sequences are held off they wait here, until the device is let go. */
static bool waits(const struct virtual *v)
{
	return holds(v) && !uart_virtual(v)->urged;
}

/* With divisor 0 they wait here, so that not twice as many are taken; and in
 * the device while sequences are held off. */
static bool may_send(const struct virtual *v, uint8_t lsr)
{
	const struct uart *chip = &uart_virtual(v)->chip;

	if (!chip->tx_n || !is_free(v, lsr))
		return false;
	return uart_divisor(chip) ? !waits(v) : holds(v);
}

/* They count as sent before they are: none is sent twice. */
static void send(struct procedure *p, struct virtual *v)
{
	struct uart *chip = &uart_virtual(v)->chip;
	unsigned i, n, depth = uart_depth(chip);
	uint8_t byte[UART_FIFO];

	for (n = 0; n < depth && chip->tx_n; n++)
		byte[n] = (uint8_t)uart_move(chip);
	virtual_keep_record(v);
	for (i = 0; i < n; i++)
		write_register(p, v, UART_TX, byte[i]);
}

void uart_give(struct virtual *v, struct procedure *p)
{
	struct uart_virtual *s = uart_virtual(v);

	loop_timer_cancel(&v->look);
	v->record.own_mode = 0;
	s->preferred = s->more = false;
	s->given = true;
	virtual_keep_record(v);
	/* The line falls, and rises for what the guest has to learn. */
	set_ier(p, v, 0);
	set_line(p, v);
	write_register(p, v, UART_SCR, s->chip.scr);
	send(p, v);
	set_ier(p, v, s->chip.ier);
}

/* The chain. */

static bool is_over(const struct virtual *v)
{
	return !v->device || v->record.phase != VIRTUAL_EMULATING ||
	       uart_virtual(v)->given;
}

static int chain_look(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;

	if (is_over(v))
		return STEP_DONE;
	step_read(p, virtual_register(v, UART_IIR), &c->iir, 1);
	step_read(p, virtual_register(v, UART_LSR), &c->lsr, 1);
	c->modem = !rests(v);
	if (c->modem)
		step_read(p, virtual_register(v, UART_MSR), &c->msr, 1);
	return STEP_NEXT;
}

static int chain_receive(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;

	if (is_over(v) || (c->lsr == ABSENT && c->iir == ABSENT))
		return STEP_DONE;
	if (p->round)
		uart_take_char(v, c->rbr);
	else if (c->modem)
		uart_take_modem(v, c->msr);
	uart_take_status(v, c->lsr);
	if (!uart_may_take(v, c->lsr))
		return STEP_NEXT;
	uart_ask_char(v, p, &c->rbr, &c->lsr);
	return STEP_AGAIN;
}

static int chain_send(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;
	struct uart_virtual *s = uart_virtual(v);

	if (is_over(v))
		return STEP_DONE;
	if (v->record.own_mode && !s->preferred && c->lsr & UART_LSR_TEMT)
		s->preferred = s->stale = true;
	virtual_keep_record(v);
	if (s->stale)
		set_line(p, v);
	if (may_send(v, c->lsr))
		send(p, v);
	if (s->ier != wanted_ier(v))
		set_ier(p, v, wanted_ier(v));
	return STEP_NEXT;
}

/* Whether there is another reason behind this one, as far as is known. */
static bool has_more(const struct chain *c)
{
	const struct uart_virtual *s = uart_virtual(c->drive.v);

	switch (c->iir & IIR_REASON) {
	case UART_IIR_NO_INT:
		return false;
	case UART_IIR_RDI:
	case UART_IIR_RX_TIMEOUT:
		return !s->more;
	case UART_IIR_MSI:
		return c->modem;
	}
	return true;
}

static void on_look(void *arg)
{
	uart_drive(arg, false);
}

/* What comes of it for the guest, and when to look again. */
static void settle(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	struct uart *chip = &s->chip;
	uint64_t ns = uart_char_ns(chip);

	uart_timeout(chip); /* no more of them comes now */
	s->urged &= holds(v);
	if (s->busy_shown && !hold_looks_busy(v) && !chip->tx_n) {
		s->busy_shown = false;
		chip->thre = true;
		uart_update(chip);
	}
	virtual_keep_record(v);
	if ((chip->tx_n || chip->shifting) && ns)
		loop_timer_in(v->hv->program->loop, &v->look,
			      ns > LOOK_NS ? ns : LOOK_NS, on_look, v);
}

static void chain_end(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;
	bool again;

	v->driving = false;
	if (is_over(v))
		return;
	if (p->err) {
		virtual_refused(v, p->why);
		virtual_changed(v);
		return;
	}
	if (c->drive.interrupt && c->iir & UART_IIR_NO_INT && !v->own_seen)
		v->dropped++;
	again = v->drive_again || has_more(c) || uart_wants_drive(v);
	settle(v);
	if (c->iir != ABSENT && again)
		uart_drive(v, v->drive_interrupt);
	virtual_changed(v);
}

static const struct step chain_steps[] = {
	{ POINT_NONE, chain_look },
	{ POINT_NONE, chain_receive },
	{ POINT_NONE, chain_send },
	{ 0, NULL },
};

static const struct procedure_desc chain_desc = {
	.name = "drive uart",
	.steps = chain_steps,
	.end = chain_end,
	.fini = drive_fini,
};

bool uart_wants_drive(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	const struct uart *chip = &s->chip;

	if (s->given)
		return false;
	return s->stale || s->ier != wanted_ier(v) ||
	       (chip->tx_n && !chip->shifting && uart_divisor(chip) &&
		!waits(v)) ||
	       (s->more && !leaves(v) && has_room(chip));
}

void uart_drive(struct virtual *v, bool interrupt)
{
	struct uart_virtual *s = uart_virtual(v);

	if (s->given && holds(v))
		return;       /* it is as good as the guest's */
	s->stale |= s->given; /* it was not let go */
	s->given = false;
	if (!v->driving)
		loop_timer_cancel(&v->look);
	drive_begin(v, &chain_desc, sizeof(struct chain), interrupt);
}
