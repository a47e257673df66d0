/* emulate_uart.c - a 16550A as an emulated device (spec 05).
 *
 * Theory of operation.  The guest sees a chip of its own (libcore/uart.c),
 * whose line is the real one: our driver (drive_uart.c) moves characters
 * between the two, and what the guest programs is programmed there.  Each
 * write of THR or read of RBR is a sequence; so is a change of the divisor,
 * from DLAB 1 to DLAB 0, in whatever order its halves are written.  Other
 * accesses change no state.
 *
 * When emulation begins the real chip is asked for its mode and for the
 * characters that the guest knows of.  FCR cannot be read: IIR tells whether
 * there are FIFOs, and the trigger is known when FCR was written in the search
 * or there are none.  Where it is not, the device's is left as it is, and the
 * guest's chip has the highest one, as a driver that finds its trigger reached
 * may take so many characters without another look.
 *
 * A guest that polls without interrupts is served by its reads of status: each
 * that finds nothing lets our driver look.
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

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"

/* The machine. */

enum state {
	READY = 1, /* DLAB 0 */
	DONE,
	LATCH, /* DLAB 1 */
	LOW,   /* and DLL is written */
	HIGH,  /* and DLM */
	DIVISOR,
	STATE_N
};

enum input {
	READ_DATA, /* RBR; DLL */
	WRITE_DATA,
	ENABLE, /* write of IER; DLM */
	DLAB_1, /* write of LCR */
	DLAB_0,
	OTHER, /* write of FCR, MCR or SCR */
	INPUT_N
};

static const uint8_t next[STATE_N][INPUT_N] = {
	[READY] = { DONE, DONE, READY, LATCH, READY, READY },
	[LATCH] = { LATCH, LOW, HIGH, LATCH, DONE, LATCH },
	[LOW] = { LOW, LOW, DIVISOR, LOW, DONE, LOW },
	[HIGH] = { HIGH, DIVISOR, HIGH, HIGH, DONE, HIGH },
	[DIVISOR] = { DIVISOR, DIVISOR, DIVISOR, DIVISOR, DONE, DIVISOR },
};

static const char *const state_names[STATE_N] = {
	[READY] = "start", [DONE] = "end",  [LATCH] = "latch",
	[LOW] = "low",     [HIGH] = "high", [DIVISOR] = "divisor",
};

static int input_at(uint32_t reg, bool write, uint8_t value)
{
	if (!write)
		return reg == UART_RX ? READ_DATA : INPUT_NONE;
	switch (reg) {
	case UART_TX:
		return WRITE_DATA;
	case UART_IER:
		return ENABLE;
	case UART_LCR:
		return value & UART_LCR_DLAB ? DLAB_1 : DLAB_0;
	case UART_FCR:
	case UART_MCR:
	case UART_SCR:
		return OTHER;
	}
	return INPUT_NONE;
}

/* A wide access is one to each register; its first input is what counts. */
static int uart_input(const struct virtual *v, const struct access *a)
{
	int input = INPUT_NONE;
	uint32_t i;

	(void)v;
	for (i = 0; i < a->size && input == INPUT_NONE; i++)
		input = input_at(a->offset + i, a->write, a->data[i]);
	return input;
}

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

static unsigned uart_start(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	uint8_t lcr = s->lcr_seen ? s->chip.lcr : loaded(v, LCR);

	return lcr & UART_LCR_DLAB ? LATCH : READY;
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

static void on_irq(void *arg, bool level)
{
	virtual_set_level(arg, level);
}

/* Whoever accesses it drives. */
static void on_kick(void *arg)
{
	(void)arg;
}

static const struct uart_ops ops = { .irq = on_irq, .kick = on_kick };

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

	uart_init(chip, &ops, v);
	chip->lcr = loaded(v, LCR);
	chip->mcr = loaded(v, MCR);
	chip->scr = loaded(v, SCR);
	chip->msr = loaded(v, MSR);
	chip->modem = uart_loops(chip) ? 0 : chip->msr & 0xf0;
	chip->thre = chip->shifting = true;
	load_fifos(s, loaded(v, IIR));
	s->lcr_seen = true;
	v->record.machine = (uint16_t)uart_start(v);
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

static void write_byte(struct virtual *v, uint32_t reg, uint8_t value);

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
			write_byte(v, l->offset + k, byte[k]);
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
	uart_adopt(&s->chip, &ops, v);
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
			uart_adopt(&uart_virtual(v)->chip, &ops, v);
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

/* Accesses. */

/* An end state is a start state again. */
static void step(struct virtual *v, int input)
{
	if (input == INPUT_NONE)
		return;
	(void)virtual_step(v, input);
	if (v->record.machine == DONE)
		v->record.machine = READY;
}

static void write_fcr(struct uart_virtual *s, uint8_t value)
{
	uint8_t clear = UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT;

	if ((s->chip.fcr ^ value) & UART_FCR_ENABLE_FIFO)
		s->clear = clear;
	s->clear |= value & clear;
	s->fcr_known = s->stale = true;
	uart_write(&s->chip, UART_FCR, value);
}

/* The divisor is set when its sequence ends. */
static void write_byte(struct virtual *v, uint32_t reg, uint8_t value)
{
	struct uart_virtual *s = uart_virtual(v);

	step(v, input_at(reg, true, value));
	if (reg == UART_FCR)
		write_fcr(s, value);
	else if (reg == UART_LCR)
		s->chip.lcr = value; /* a break is the real one's */
	else if (reg < UART_REGS)
		uart_write(&s->chip, reg, value);
	if (reg == UART_MCR || (reg == UART_LCR && !(value & UART_LCR_DLAB)))
		s->stale = true;
}

/* Nothing may be sent while sequences are held off, or no clock runs. */
static uint8_t read_lsr(struct virtual *v)
{
	struct uart_virtual *s = uart_virtual(v);
	uint8_t value = uart_read(&s->chip, UART_LSR);
	uint8_t empty = UART_LSR_THRE | UART_LSR_TEMT;

	if (!hold_looks_busy(v) &&
	    (!s->chip.shifting || uart_divisor(&s->chip)))
		return value;
	s->busy_shown |= !!(value & empty);
	return value & (uint8_t)~empty;
}

static uint8_t read_byte(struct virtual *v, uint32_t reg)
{
	step(v, input_at(reg, false, 0));
	if (reg == UART_LSR)
		return read_lsr(v);
	return reg < UART_REGS ? uart_read(&uart_virtual(v)->chip, reg) : 0;
}

/* A guest that finds nothing may be one that does without interrupts, and then
 * our driver has none either. */
static bool finds_nothing(uint32_t reg, uint8_t value)
{
	return reg == UART_MSR || (reg == UART_LSR && !(value & UART_LSR_DR));
}

static void tell_stopped(struct virtual *v)
{
	const struct uart *chip = &uart_virtual(v)->chip;
	uint64_t suppressed;

	if (!chip->tx_n || uart_divisor(chip))
		return;
	if (limiter_pass(&v->complaints, clock_now_ns(), &suppressed))
		event(v->hv->program->log, "virtual.stopped", "s:s, s:s, s:I",
		      "device", v->device->name, "why", "divisor 0",
		      "suppressed", (json_int_t)suppressed);
}

static bool uart_goes_on(const struct virtual *v)
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

/* A guest that has to go on, but does nothing except look whether it may send.
 */
static void note_look(struct virtual *v, const struct access *a)
{
	struct uart_virtual *s = uart_virtual(v);
	bool waits = v->hold != HOLD_NONE && s->chip.tx_n && !uart_sends(s) &&
		     uart_goes_on(v);
	bool looks = waits && !a->write && a->offset == UART_LSR;

	s->urged |= looks && s->looked;
	s->looked = looks || (s->looked && !a->write && a->offset == UART_IIR);
}

static void uart_access(struct virtual *v, const struct access *a)
{
	uint8_t data[ACCESS_MAX];
	bool looks = false;
	uint32_t i;

	for (i = 0; i < a->size; i++) {
		if (a->write) {
			write_byte(v, a->offset + i, a->data[i]);
			continue;
		}
		data[i] = read_byte(v, a->offset + i);
		looks |= finds_nothing(a->offset + i, data[i]);
	}
	note_look(v, a);
	virtual_keep_record(v);
	virtual_answer(v, a, a->write ? NULL : data);
	if (a->write)
		tell_stopped(v);
	if ((looks && !v->driving) || uart_wants_drive(v))
		uart_drive(v, false);
}

/* Devirtualisation. */

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

const struct emulator uart_emulator = {
	.name = "uart",
	.vendor = UART_VENDOR_ID,
	.device = UART_DEVICE,
	.regs_bytes = 0x1000,
	.machine = {
		.n_states = STATE_N,
		.n_inputs = INPUT_N,
		.next = &next[0][0],
		.names = state_names,
		.starts = 1u << READY,
		.ends = 1u << DONE,
	},
	.input = uart_input,
	.start = uart_start,
	.look = uart_look,
	.watch = uart_watch,
	.ask = uart_ask,
	.load = uart_load,
	.reset = uart_was_reset,
	.access = uart_access,
	.drive = uart_drive,
	.is_done = uart_is_done,
	.is_quiet = uart_is_quiet,
	.goes_on = uart_goes_on,
	.restore = uart_give,
};
