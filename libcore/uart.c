/* uart.c - a 16550A as a register machine.
 *
 * Theory of operation.  Time belongs to the owner: it takes characters out of
 * the transmitter and puts them into the receiver, at the pace of the line or
 * as fast as it can, and says when a character was sent and when characters
 * have waited for too long.  In loopback it puts in what it takes out.
 *
 * The interrupt line is a function of the state (first match of the priorities
 * below), computed after each change.  Errors belong to a character and show
 * in LSR when it has become the oldest; an overrun shows at once.  Without
 * FIFOs the receiver holds one character, which an overrun replaces; with them
 * the new one is lost.
 */
#include <config.h>

#include "libcore/uart.h"

#include <string.h>

#define NS_PER_S       1000000000ull
#define IER_MASK       0x0f
#define MCR_MASK       0x1f
#define MCR_OUTPUTS    0x0f
#define MODEM_MASK     0xf0
#define CHAR_ERRORS    (UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)
#define DIVISOR_RESET  12   /* 9600 baud */
#define LSR_FIFO_ERROR 0x80 /* one of the characters has an error */

static bool has_fifos(const struct uart *u)
{
	return u->fcr & UART_FCR_ENABLE_FIFO;
}

unsigned uart_depth(const struct uart *u)
{
	return has_fifos(u) ? UART_FIFO : 1;
}

static unsigned trigger(const struct uart *u)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return has_fifos(u) ? levels[u->fcr >> 6] : 1;
}

bool uart_loops(const struct uart *u)
{
	return u->mcr & UART_MCR_LOOP;
}

uint32_t uart_divisor(const struct uart *u)
{
	return (uint32_t)u->dlm << 8 | u->dll;
}

unsigned uart_word_bits(const struct uart *u)
{
	return 5u + (u->lcr & 3u);
}

uint64_t uart_char_ns(const struct uart *u)
{
	/* Start bit, word, parity, and in halves the stop bits. */
	uint64_t halves = 2 * (1 + uart_word_bits(u)) + 2;

	if (u->lcr & UART_LCR_PARITY)
		halves += 2;
	if (u->lcr & UART_LCR_STOP)
		halves += uart_word_bits(u) == 5 ? 1 : 2;
	return halves * 8 * uart_divisor(u) * NS_PER_S / UART_CLOCK_HZ;
}

static uint8_t word_mask(const struct uart *u)
{
	return (uint8_t)((1u << uart_word_bits(u)) - 1);
}

/* Interrupts. */

/* What IIR tells, without the FIFO bits. */
static uint8_t reason(const struct uart *u)
{
	if (u->ier & UART_IER_RLSI && u->errors)
		return UART_IIR_RLSI;
	if (u->ier & UART_IER_RDI && u->rx_n >= trigger(u))
		return UART_IIR_RDI;
	if (u->ier & UART_IER_RDI && u->timeout)
		return UART_IIR_RX_TIMEOUT;
	if (u->ier & UART_IER_THRI && u->thre)
		return UART_IIR_THRI;
	if (u->ier & UART_IER_MSI && u->msr & UART_MSR_ANY_DELTA)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_irq(struct uart *u)
{
	bool irq = reason(u) != UART_IIR_NO_INT;

	if (irq == u->irq)
		return;
	u->irq = irq;
	u->ops->irq(u->arg, irq);
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t value = reason(u);

	if (value == UART_IIR_THRI)
		u->thre = false;
	update_irq(u);
	return has_fifos(u) ? value | UART_IIR_FIFOS : value;
}

void uart_update(struct uart *u)
{
	update_irq(u);
}

void uart_adopt(struct uart *u, const struct uart_ops *ops, void *arg)
{
	u->ops = ops;
	u->arg = arg;
	u->irq = false;
	update_irq(u);
}

/* The modem's lines. */

static void set_msr(struct uart *u, uint8_t lines)
{
	uint8_t changed = (u->msr ^ lines) & MODEM_MASK;

	/* Of RI only the end is told. */
	if (lines & UART_MSR_RI)
		changed &= (uint8_t)~UART_MSR_RI;
	u->msr =
		(uint8_t)((u->msr & UART_MSR_ANY_DELTA) | lines | changed >> 4);
	update_irq(u);
}
_Static_assert(UART_MSR_DCTS == UART_MSR_CTS >> 4 &&
		       UART_MSR_DDSR == UART_MSR_DSR >> 4 &&
		       UART_MSR_TERI == UART_MSR_RI >> 4 &&
		       UART_MSR_DDCD == UART_MSR_DCD >> 4,
	       "each change lies four bits below its line");

static uint8_t looped_lines(uint8_t mcr)
{
	return (uint8_t)((mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
			 (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			 (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
			 (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static void update_modem(struct uart *u)
{
	set_msr(u, uart_loops(u) ? looped_lines(u->mcr) : u->modem);
}

void uart_set_modem(struct uart *u, uint8_t lines)
{
	u->modem = lines & MODEM_MASK;
	update_modem(u);
}

uint8_t uart_outputs(const struct uart *u)
{
	return uart_loops(u) ? 0 : u->mcr & MCR_OUTPUTS;
}

static void write_mcr(struct uart *u, uint8_t value)
{
	u->mcr = value & MCR_MASK;
	update_modem(u);
	u->ops->kick(u->arg);
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t value = u->msr;

	u->msr &= MODEM_MASK;
	update_irq(u);
	return value;
}

/* The receiver. */

/* The oldest character shows its errors. */
static void show_oldest(struct uart *u)
{
	struct uart_char *c = &u->rx[u->rx_first];

	if (!u->rx_n)
		return;
	u->errors |= c->errors;
	c->errors = 0;
}

static void put(struct uart *u, struct uart_char c)
{
	if (u->rx_n == uart_depth(u)) {
		u->errors |= UART_LSR_OE;
		u->overruns++;
		if (has_fifos(u))
			return;
		u->rx_n = 0;
	}
	u->rx[(u->rx_first + u->rx_n++) % UART_FIFO] = c;
	if (u->rx_n == 1)
		show_oldest(u);
}

void uart_receive(struct uart *u, uint8_t byte, uint8_t errors)
{
	struct uart_char c = { byte & word_mask(u), errors & CHAR_ERRORS };

	u->received++;
	put(u, c);
	update_irq(u);
}

static uint8_t read_rbr(struct uart *u)
{
	u->timeout = false;
	if (u->rx_n) {
		u->scratch = u->rx[u->rx_first].byte;
		u->rx_first = (u->rx_first + 1) % UART_FIFO;
		u->rx_n--;
		show_oldest(u);
	}
	update_irq(u);
	u->ops->kick(u->arg);
	return u->scratch;
}

unsigned uart_room(const struct uart *u)
{
	if (uart_loops(u) || !uart_divisor(u))
		return 0;
	return uart_depth(u) - u->rx_n;
}

bool uart_waits(const struct uart *u)
{
	return has_fifos(u) && u->rx_n && u->rx_n < trigger(u) && !u->timeout;
}

void uart_timeout(struct uart *u)
{
	if (uart_waits(u))
		u->timeout = true;
	update_irq(u);
}

static void clear_rx(struct uart *u)
{
	u->rx_n = 0;
	u->timeout = false;
}

/* The line's status. */

static bool holds_error(const struct uart *u)
{
	unsigned i;

	for (i = 0; i < u->rx_n; i++)
		if (u->rx[(u->rx_first + i) % UART_FIFO].errors)
			return true;
	return u->rx_n && u->errors & CHAR_ERRORS;
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t value = u->errors;

	if (u->rx_n)
		value |= UART_LSR_DR;
	if (!u->tx_n)
		value |= UART_LSR_THRE;
	if (!u->tx_n && !u->shifting)
		value |= UART_LSR_TEMT;
	if (has_fifos(u) && holds_error(u))
		value |= LSR_FIFO_ERROR;
	u->errors = 0;
	update_irq(u);
	return value;
}

/* The transmitter. */

static void tx_empty(struct uart *u)
{
	u->thre = true;
	update_irq(u);
}

static void clear_tx(struct uart *u)
{
	if (!u->tx_n)
		return;
	u->tx_n = 0;
	tx_empty(u);
}

/* A character too many is lost, as on the chip: the last one is replaced. */
static void write_thr(struct uart *u, uint8_t byte)
{
	if (u->tx_n == uart_depth(u))
		u->tx_n--;
	u->tx[(u->tx_first + u->tx_n++) % UART_FIFO] = byte & word_mask(u);
	u->thre = false;
	update_irq(u);
	u->ops->kick(u->arg);
}

static uint8_t pop(struct uart *u)
{
	uint8_t byte = u->tx[u->tx_first];

	u->tx_first = (u->tx_first + 1) % UART_FIFO;
	if (!--u->tx_n)
		tx_empty(u);
	return byte;
}

int uart_take(struct uart *u)
{
	if (!u->tx_n || u->shifting || !uart_divisor(u))
		return -1;
	/* During a break the line is held and nothing gets through. */
	while (u->lcr & UART_LCR_SBC && u->tx_n) {
		pop(u);
		u->broken++;
	}
	if (!u->tx_n)
		return -1;
	u->shifting = true;
	u->sent++;
	return pop(u);
}

void uart_sent(struct uart *u)
{
	u->shifting = false;
}

int uart_move(struct uart *u)
{
	if (!u->tx_n)
		return -1;
	u->shifting = true;
	u->sent++;
	return pop(u);
}

/* Registers. */

static void write_ier(struct uart *u, uint8_t value)
{
	uint8_t old = u->ier;

	u->ier = value & IER_MASK;
	if (u->ier & ~old & UART_IER_THRI && !u->tx_n)
		u->thre = true;
	update_irq(u);
}

static void write_fcr(struct uart *u, uint8_t value)
{
	bool changes = (u->fcr ^ value) & UART_FCR_ENABLE_FIFO;

	if (changes || value & UART_FCR_CLEAR_RCVR)
		clear_rx(u);
	if (changes || value & UART_FCR_CLEAR_XMIT)
		clear_tx(u);
	/* Without the FIFOs the other bits cannot be programmed. */
	u->fcr = value & UART_FCR_ENABLE_FIFO
			 ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT |
				    UART_FCR_TRIGGER_MASK)
			 : 0;
	update_irq(u);
	u->ops->kick(u->arg);
}

static void write_lcr(struct uart *u, uint8_t value)
{
	bool starts_break = value & ~u->lcr & UART_LCR_SBC;

	u->lcr = value;
	if (starts_break && uart_loops(u))
		uart_receive(u, 0, UART_LSR_BI | UART_LSR_FE);
	u->ops->kick(u->arg);
}

uint8_t uart_read(struct uart *u, unsigned reg)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? u->dll : read_rbr(u);
	case UART_IER:
		return dlab ? u->dlm : u->ier;
	case UART_IIR:
		return read_iir(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return read_lsr(u);
	case UART_MSR:
		return read_msr(u);
	}
	return u->scr;
}

static void write_divisor(struct uart *u, uint8_t *half, uint8_t value)
{
	*half = value;
	u->ops->kick(u->arg);
}

void uart_write(struct uart *u, unsigned reg, uint8_t value)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			write_divisor(u, &u->dll, value);
		else
			write_thr(u, value);
		break;
	case UART_IER:
		if (dlab)
			write_divisor(u, &u->dlm, value);
		else
			write_ier(u, value);
		break;
	case UART_FCR:
		write_fcr(u, value);
		break;
	case UART_LCR:
		write_lcr(u, value);
		break;
	case UART_MCR:
		write_mcr(u, value);
		break;
	case UART_SCR:
		u->scr = value;
		break;
	}
}

void uart_reset(struct uart *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = 0;
	u->errors = 0;
	u->thre = u->timeout = u->shifting = false;
	u->rx_n = u->tx_n = 0;
	u->msr = u->modem;
	update_irq(u);
}

void uart_init(struct uart *u, const struct uart_ops *ops, void *arg)
{
	memset(u, 0, sizeof(*u));
	u->ops = ops;
	u->arg = arg;
	u->dll = DIVISOR_RESET;
}
