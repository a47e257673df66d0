/* uart_test.c - the 16550A as a register machine. */
#include <config.h>

#include <string.h>

#include "libcore/uart.h"
#include "t/unit/unit.h"

struct chip {
	struct uart u;
	bool irq;
	unsigned irqs, kicks;
};

static void on_irq(void *arg, bool level)
{
	struct chip *c = arg;

	CHECK(level != c->irq);
	c->irq = level;
	c->irqs += level;
}

static void on_kick(void *arg)
{
	((struct chip *)arg)->kicks++;
}

static const struct uart_ops ops = { .irq = on_irq, .kick = on_kick };

static void chip_make(struct chip *c)
{
	memset(c, 0, sizeof(*c));
	uart_init(&c->u, &ops, c);
	uart_write(&c->u, UART_LCR, UART_LCR_WLEN8);
}

static void set_divisor(struct chip *c, uint16_t divisor)
{
	uint8_t lcr = uart_read(&c->u, UART_LCR);

	uart_write(&c->u, UART_LCR, lcr | UART_LCR_DLAB);
	uart_write(&c->u, UART_DLL, (uint8_t)divisor);
	uart_write(&c->u, UART_DLM, (uint8_t)(divisor >> 8));
	uart_write(&c->u, UART_LCR, lcr);
}

static uint8_t lsr(struct chip *c)
{
	return uart_read(&c->u, UART_LSR);
}

static uint8_t iir(struct chip *c)
{
	return uart_read(&c->u, UART_IIR);
}

static void fifos(struct chip *c, uint8_t trigger)
{
	uart_write(&c->u, UART_FCR, UART_FCR_ENABLE_FIFO | trigger);
}

static void test_reset(void)
{
	struct chip c;

	chip_make(&c);
	CHECK_INT(uart_read(&c.u, UART_IER), 0);
	CHECK_INT(iir(&c), UART_IIR_NO_INT);
	uart_init(&c.u, &ops, &c);
	CHECK_INT(uart_read(&c.u, UART_LCR), 0);
	CHECK_INT(uart_read(&c.u, UART_MCR), 0);
	CHECK_INT(lsr(&c), UART_LSR_THRE | UART_LSR_TEMT);
	uart_write(&c.u, UART_SCR, 0x5a);
	uart_write(&c.u, UART_IER, 0xff);
	uart_write(&c.u, UART_MCR, 0xff);
	CHECK_INT(uart_read(&c.u, UART_IER), 0x0f);
	CHECK_INT(uart_read(&c.u, UART_MCR), 0x1f);
	uart_write(&c.u, UART_LSR, 0xff); /* nothing can be written there */
	uart_write(&c.u, UART_MSR, 0xff);
	set_divisor(&c, 0x1234);
	CHECK_INT(uart_divisor(&c.u), 0x1234);
	uart_reset(&c.u);
	CHECK(!c.irq);
	CHECK_INT(uart_read(&c.u, UART_IER), 0);
	CHECK_INT(uart_read(&c.u, UART_SCR), 0x5a);
	CHECK_INT(uart_divisor(&c.u), 0x1234);
	CHECK_INT(lsr(&c), UART_LSR_THRE | UART_LSR_TEMT);
}

/* Every word length, parity and stop: what goes through, how long it takes. */
static void test_modes(void)
{
	unsigned lcr, bits, halves;
	struct chip c;

	chip_make(&c);
	set_divisor(&c, 12);
	for (lcr = 0; lcr < 0x40; lcr++) {
		uart_write(&c.u, UART_LCR, (uint8_t)lcr);
		CHECK_INT(uart_read(&c.u, UART_LCR), lcr);
		bits = 5 + (lcr & 3);
		CHECK_INT(uart_word_bits(&c.u), bits);
		uart_write(&c.u, UART_TX, 0xff);
		CHECK_INT(uart_take(&c.u), (1u << bits) - 1);
		uart_sent(&c.u);
		uart_receive(&c.u, 0xff, 0);
		CHECK_INT(uart_read(&c.u, UART_RX), (1u << bits) - 1);
		halves = 2 + 2 * bits + (lcr & UART_LCR_PARITY ? 2 : 0) +
			 (lcr & UART_LCR_STOP ? (bits == 5 ? 3 : 4) : 2);
		/* 9600 baud */
		CHECK_INT(uart_char_ns(&c.u) / 1000,
			  halves * 1000000 / 9600 / 2);
	}
}

static void test_divisor(void)
{
	struct chip c;

	chip_make(&c);
	set_divisor(&c, 1);
	CHECK_INT(uart_char_ns(&c.u), 10000000000ull / 115200);
	set_divisor(&c, 0);
	CHECK_INT(uart_char_ns(&c.u), 0);
	CHECK_INT(uart_room(&c.u), 0);
	uart_write(&c.u, UART_TX, 'x');
	CHECK_INT(uart_take(&c.u), -1);
	CHECK_INT(lsr(&c), 0);
	set_divisor(&c, 1);
	CHECK_INT(uart_take(&c.u), 'x');
	CHECK_INT(lsr(&c), UART_LSR_THRE);
	uart_sent(&c.u);
	CHECK_INT(lsr(&c), UART_LSR_THRE | UART_LSR_TEMT);
}

/* Without FIFOs: one character each way. */
static void test_single(void)
{
	struct chip c;

	chip_make(&c);
	CHECK_INT(uart_room(&c.u), 1);
	uart_write(&c.u, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	uart_receive(&c.u, 'a', 0);
	CHECK_INT(uart_room(&c.u), 0);
	CHECK(c.irq);
	CHECK_INT(iir(&c), UART_IIR_RDI);
	uart_receive(&c.u, 'b', 0); /* replaces it */
	CHECK_INT(iir(&c), UART_IIR_RLSI);
	CHECK_INT(lsr(&c),
		  UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
	CHECK_INT(iir(&c), UART_IIR_RDI);
	CHECK_INT(uart_read(&c.u, UART_RX), 'b');
	CHECK(!c.irq);
	CHECK(!(lsr(&c) & UART_LSR_DR));
	uart_write(&c.u, UART_TX, 'x');
	uart_write(&c.u, UART_TX, 'y'); /* one too many */
	CHECK_INT(uart_take(&c.u), 'y');
	CHECK_INT(uart_take(&c.u), -1);
}

static void test_triggers(void)
{
	static const struct {
		uint8_t bits;
		unsigned level;
	} triggers[] = {
		{ UART_FCR_TRIGGER_1, 1 },
		{ UART_FCR_TRIGGER_4, 4 },
		{ UART_FCR_TRIGGER_8, 8 },
		{ UART_FCR_TRIGGER_14, 14 },
	};
	struct chip c;
	unsigned t, i;

	chip_make(&c);
	uart_write(&c.u, UART_IER, UART_IER_RDI);
	for (t = 0; t < 4; t++) {
		fifos(&c, triggers[t].bits | UART_FCR_CLEAR_RCVR);
		for (i = 1; i < triggers[t].level; i++) {
			uart_receive(&c.u, (uint8_t)i, 0);
			CHECK(!c.irq);
			CHECK(uart_waits(&c.u));
		}
		uart_receive(&c.u, (uint8_t)i, 0);
		CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_RDI);
		CHECK(!uart_waits(&c.u));
		CHECK_INT(uart_read(&c.u, UART_RX), 1);
		CHECK(!c.irq);
	}
	/* Timeout: below the trigger, and until the next read. */
	uart_timeout(&c.u);
	CHECK(c.irq);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_RX_TIMEOUT);
	CHECK(!uart_waits(&c.u));
	uart_receive(&c.u, 15, 0);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_RDI); /* 14 again */
	CHECK_INT(uart_read(&c.u, UART_RX), 2);
	CHECK(!c.irq);
	CHECK(uart_waits(&c.u));
	for (i = 3; i <= 15; i++)
		CHECK_INT(uart_read(&c.u, UART_RX), i);
	uart_timeout(&c.u); /* nothing is there */
	CHECK(!c.irq);
}

static void test_fifos(void)
{
	struct chip c;
	unsigned i;

	chip_make(&c);
	fifos(&c, 0);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_NO_INT);
	CHECK_INT(uart_room(&c.u), UART_FIFO);
	for (i = 0; i < UART_FIFO + 1; i++)
		uart_receive(&c.u, (uint8_t)i, 0);
	CHECK(lsr(&c) & UART_LSR_OE); /* the last one is lost */
	for (i = 0; i < UART_FIFO; i++)
		CHECK_INT(uart_read(&c.u, UART_RX), i);
	CHECK(!(lsr(&c) & UART_LSR_DR));
	for (i = 0; i < UART_FIFO; i++)
		uart_write(&c.u, UART_TX, (uint8_t)i);
	CHECK_INT(uart_take(&c.u), 0);
	CHECK_INT(uart_take(&c.u), -1); /* one at a time */
	CHECK(!(lsr(&c) & UART_LSR_THRE));
	for (i = 1; i < UART_FIFO; i++) {
		uart_sent(&c.u);
		CHECK_INT(uart_take(&c.u), i);
	}
	CHECK_INT(lsr(&c), UART_LSR_THRE);
	/* Cleared by the bits, and by switching the FIFOs. */
	uart_receive(&c.u, 1, 0);
	uart_write(&c.u, UART_TX, 1);
	fifos(&c, UART_FCR_CLEAR_RCVR);
	CHECK_INT(lsr(&c), 0);
	fifos(&c, UART_FCR_CLEAR_XMIT);
	CHECK_INT(lsr(&c), UART_LSR_THRE);
	uart_receive(&c.u, 1, 0);
	uart_write(&c.u, UART_FCR,
		   UART_FCR_TRIGGER_14); /* without the enable */
	CHECK_INT(lsr(&c), UART_LSR_THRE);
	CHECK_INT(iir(&c), UART_IIR_NO_INT);
	CHECK_INT(uart_room(&c.u), 1);
}

/* All five reasons at once leave in the order of their priorities. */
static void test_priorities(void)
{
	struct chip c;

	chip_make(&c);
	fifos(&c, UART_FCR_TRIGGER_4);
	uart_write(&c.u, UART_IER, 0x0f);
	CHECK(c.irq); /* the transmitter is empty */
	uart_set_modem(&c.u, UART_MSR_CTS);
	uart_receive(&c.u, 0, UART_LSR_PE);
	uart_timeout(&c.u);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_RLSI);
	CHECK(lsr(&c) & UART_LSR_PE);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_RX_TIMEOUT);
	CHECK_INT(uart_read(&c.u, UART_RX), 0);
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_THRI); /* and clears */
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_MSI);
	CHECK(c.irq);
	CHECK_INT(uart_read(&c.u, UART_MSR), UART_MSR_CTS | UART_MSR_DCTS);
	CHECK(!c.irq);
	CHECK_INT(c.irqs, 1); /* the line was a level all the time */
	CHECK_INT(iir(&c), UART_IIR_FIFOS | UART_IIR_NO_INT);
}

static void test_thre(void)
{
	struct chip c;

	chip_make(&c);
	uart_write(&c.u, UART_IER, UART_IER_THRI);
	CHECK_INT(iir(&c), UART_IIR_THRI);
	CHECK(!c.irq);
	uart_write(&c.u, UART_TX, 'x');
	CHECK(!c.irq);
	CHECK_INT(uart_take(&c.u), 'x');
	CHECK(c.irq);
	uart_write(&c.u, UART_TX, 'y'); /* clears it as well */
	CHECK(!c.irq);
	uart_write(&c.u, UART_IER, 0);
	uart_sent(&c.u);
	CHECK_INT(uart_take(&c.u), 'y');
	CHECK(!c.irq);
	uart_write(&c.u, UART_IER, UART_IER_THRI); /* enabling raises */
	CHECK(c.irq);
}

/* Errors show when their character is the oldest. */
static void test_errors(void)
{
	struct chip c;

	chip_make(&c);
	fifos(&c, UART_FCR_TRIGGER_8);
	uart_write(&c.u, UART_IER, UART_IER_RLSI);
	uart_receive(&c.u, 'a', 0);
	uart_receive(&c.u, 'b', UART_LSR_FE);
	uart_receive(&c.u, 0, UART_LSR_BI | UART_LSR_FE | UART_LSR_DR);
	CHECK(!c.irq);
	CHECK_INT(lsr(&c) & ~(UART_LSR_THRE | UART_LSR_TEMT),
		  UART_LSR_DR | 0x80);
	CHECK_INT(uart_read(&c.u, UART_RX), 'a');
	CHECK(c.irq);
	CHECK_INT(lsr(&c) & 0x9e, UART_LSR_FE | 0x80);
	CHECK(!c.irq);
	CHECK_INT(lsr(&c) & 0x9e, 0x80); /* the break is behind it */
	CHECK_INT(uart_read(&c.u, UART_RX), 'b');
	CHECK_INT(lsr(&c) & 0x9e, UART_LSR_BI | UART_LSR_FE | 0x80);
	CHECK_INT(lsr(&c) & 0x9e, 0);
	CHECK_INT(uart_read(&c.u, UART_RX), 0);
}

static void test_modem(void)
{
	static const uint8_t all =
		UART_MSR_CTS | UART_MSR_DSR | UART_MSR_RI | UART_MSR_DCD;
	struct chip c;

	chip_make(&c);
	uart_write(&c.u, UART_IER, UART_IER_MSI);
	uart_set_modem(&c.u, all);
	CHECK(c.irq);
	/* Of RI the end counts, not the beginning. */
	CHECK_INT(uart_read(&c.u, UART_MSR),
		  all | UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	CHECK_INT(uart_read(&c.u, UART_MSR), all);
	uart_set_modem(&c.u, all); /* nothing moved */
	CHECK(!c.irq);
	uart_set_modem(&c.u, all & ~UART_MSR_RI);
	CHECK_INT(uart_read(&c.u, UART_MSR),
		  (all & ~UART_MSR_RI) | UART_MSR_TERI);
	uart_set_modem(&c.u, 0);
	CHECK_INT(uart_read(&c.u, UART_MSR),
		  UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	uart_write(&c.u, UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	CHECK_INT(uart_outputs(&c.u), UART_MCR_DTR | UART_MCR_RTS);
}

static void test_loopback(void)
{
	static const struct {
		uint8_t mcr, msr;
	} lines[] = {
		{ UART_MCR_DTR, UART_MSR_DSR },
		{ UART_MCR_RTS, UART_MSR_CTS },
		{ UART_MCR_OUT1, UART_MSR_RI },
		{ UART_MCR_OUT2, UART_MSR_DCD },
	};
	struct chip c;
	unsigned i;

	chip_make(&c);
	uart_set_modem(&c.u, UART_MSR_DCD);
	for (i = 0; i < 4; i++) {
		uart_write(&c.u, UART_MCR, UART_MCR_LOOP | lines[i].mcr);
		CHECK_INT(uart_read(&c.u, UART_MSR) & 0xf0, lines[i].msr);
		CHECK_INT(uart_outputs(&c.u), 0);
	}
	CHECK(uart_loops(&c.u));
	CHECK_INT(uart_room(&c.u), 0); /* the line is cut off */
	uart_write(&c.u, UART_LCR, UART_LCR_WLEN8 | UART_LCR_SBC);
	CHECK_INT(lsr(&c) & 0x1f, UART_LSR_DR | UART_LSR_BI | UART_LSR_FE);
	CHECK_INT(uart_read(&c.u, UART_RX), 0);
	uart_write(&c.u, UART_LCR, UART_LCR_WLEN8);
	uart_write(&c.u, UART_MCR, 0);
	CHECK_INT(uart_read(&c.u, UART_MSR) & 0xf0, UART_MSR_DCD);
	CHECK_INT(uart_room(&c.u), 1);
}

/* While the line is held nothing gets through. */
static void test_break(void)
{
	struct chip c;

	chip_make(&c);
	fifos(&c, 0);
	uart_write(&c.u, UART_LCR, UART_LCR_WLEN8 | UART_LCR_SBC);
	uart_write(&c.u, UART_TX, 'x');
	uart_write(&c.u, UART_TX, 'y');
	CHECK_INT(uart_take(&c.u), -1);
	CHECK_INT(lsr(&c), UART_LSR_THRE | UART_LSR_TEMT);
	CHECK_INT(c.u.broken, 2);
	uart_write(&c.u, UART_LCR, UART_LCR_WLEN8);
	uart_write(&c.u, UART_TX, 'z');
	CHECK_INT(uart_take(&c.u), 'z');
}

/* Characters that another chip sends, without a clock here. */
static void test_move(void)
{
	struct chip c, d;

	chip_make(&c);
	CHECK_INT(uart_depth(&c.u), 1);
	fifos(&c, UART_FCR_TRIGGER_8);
	CHECK_INT(uart_depth(&c.u), UART_FIFO);
	set_divisor(&c, 0);
	uart_write(&c.u, UART_IER, UART_IER_THRI);
	uart_write(&c.u, UART_TX, 'x');
	uart_write(&c.u, UART_TX, 'y');
	CHECK_INT(c.irq, false);
	CHECK_INT(uart_take(&c.u), -1);
	CHECK_INT(uart_move(&c.u), 'x');
	CHECK_INT(uart_move(&c.u), 'y');
	CHECK_INT(uart_move(&c.u), -1);
	CHECK_INT(c.irq, true);
	CHECK_INT(lsr(&c), UART_LSR_THRE);
	uart_sent(&c.u);
	CHECK_INT(lsr(&c), UART_LSR_THRE | UART_LSR_TEMT);

	/* Its copy has another owner, who is told the line. */
	memset(&d, 0, sizeof(d));
	d.u = c.u;
	uart_adopt(&d.u, &ops, &d);
	CHECK_INT(d.irq, true);
	CHECK_INT(iir(&d) & 0xf, UART_IIR_THRI);
	CHECK_INT(d.irq, false);
	d.u.thre = true;
	uart_update(&d.u);
	CHECK_INT(d.irq, true);
	CHECK_INT(c.irqs, 2); /* empty when enabled, and when moved */
}

static const struct unit_case cases[] = {
	{ "reset", test_reset },
	{ "modes", test_modes },
	{ "divisor", test_divisor },
	{ "single", test_single },
	{ "triggers", test_triggers },
	{ "fifos", test_fifos },
	{ "priorities", test_priorities },
	{ "thre", test_thre },
	{ "errors", test_errors },
	{ "modem", test_modem },
	{ "loopback", test_loopback },
	{ "break", test_break },
	{ "move", test_move },
	{ NULL, NULL },
};

const struct unit_suite uart_suite = { "uart", cases };
