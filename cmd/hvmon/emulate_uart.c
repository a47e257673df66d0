/* emulate_uart.c - a 16550A as an emulated device (spec 05).
 *
 * Theory of operation.  The guest sees a chip of its own (libcore/uart.c),
 * whose line is the backend's: our driver moves characters between the two.
 * Each write of THR or read of RBR is a sequence; so is a change of the divisor,
 * from DLAB 1 to DLAB 0, in whatever order its halves are written.  Other
 * accesses change no state.
 *
 * A guest that polls without interrupts is served by its reads of LSR, MSR or IIR:
 * each that finds nothing lets our driver look.
 */
#include <config.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/emulate_uart.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"

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

static unsigned uart_start(const struct virtual *v)
{
	const struct uart_virtual *s = uart_virtual(v);
	uint8_t lcr = s->lcr_seen ? s->chip.lcr : uart_looked_lcr(v);

	return lcr & UART_LCR_DLAB ? LATCH : READY;
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

const struct uart_ops uart_guest_ops = { .irq = on_irq, .kick = on_kick };

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
void uart_write_byte(struct virtual *v, uint32_t reg, uint8_t value)
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
 * our driver has none either.  One that has them reads IIR until it says so. */
static bool finds_nothing(const struct virtual *v, uint32_t reg, uint8_t value)
{
	switch (reg) {
	case UART_IIR:
		return value & UART_IIR_NO_INT && !v->interrupts;
	case UART_LSR:
		return !(value & UART_LSR_DR);
	}
	return reg == UART_MSR;
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
			uart_write_byte(v, a->offset + i, a->data[i]);
			continue;
		}
		data[i] = read_byte(v, a->offset + i);
		looks |= finds_nothing(v, a->offset + i, data[i]);
	}
	note_look(v, a);
	virtual_keep_record(v);
	virtual_answer(v, a, a->write ? NULL : data);
	if (a->write)
		tell_stopped(v);
	if ((looks && !v->driving) || v->backend->wants_drive(v))
		v->backend->drive(v, false);
}

const struct emulator uart_emulator = {
	.name = "uart",
	.vendor = UART_VENDOR_ID,
	.device = UART_DEVICE,
	.class_code = UART_CLASS,
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
	.access = uart_access,
};
