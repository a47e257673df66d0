/* uart.h - a 16550A as a register machine: what a device is, and what
 * emulates one. */
#ifndef IOVKIT_UART_H
#define IOVKIT_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/uart_regs.h"

struct uart_ops {
	/* The interrupt line changed. */
	void (*irq)(void *arg, bool level);
	/* There may be something to take, or room to receive, or another
	 * clock; not while it is read or written. */
	void (*kick)(void *arg);
};

struct uart_char {
	uint8_t byte, errors; /* UART_LSR_BRK_ERROR_BITS */
};

struct uart {
	const struct uart_ops *ops;
	void *arg;
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	uint8_t errors;  /* UART_LSR_*E, _BI: cleared by reading LSR */
	bool thre;       /* its interrupt is pending */
	bool timeout;    /* that of characters below the trigger is */
	bool shifting;   /* a character is on its way out */
	uint8_t modem;   /* UART_MSR_CTS..DCD as they come in */
	uint8_t scratch; /* receive buffer register */
	bool irq;
	struct uart_char rx[UART_FIFO];
	uint8_t tx[UART_FIFO];
	unsigned rx_first, rx_n, tx_first, tx_n;
	uint64_t sent, received, overruns, broken;
};

/* ops and arg outlive it. */
void uart_init(struct uart *u, const struct uart_ops *ops, void *arg);
/* Master reset: registers but the divisor, the scratch register and what
 * comes in from the modem. */
void uart_reset(struct uart *u);

/* Its state was copied from another one: these are its owner, who is told the
 * interrupt line if it is active. */
void uart_adopt(struct uart *u, const struct uart_ops *ops, void *arg);
/* Fields were changed: the interrupt line follows. */
void uart_update(struct uart *u);

/* Registers; reg is below UART_REGS. */
uint8_t uart_read(struct uart *u, unsigned reg);
void uart_write(struct uart *u, unsigned reg, uint8_t value);

/* The transmitter: the next character that leaves, or -1: none, or none can
 * (divisor 0).  It is on its way until uart_sent(). */
int uart_take(struct uart *u);
void uart_sent(struct uart *u);
/* The same for another chip, which sends what it is given: without regard to
 * divisor, break and what is on its way.  -1: none. */
int uart_move(struct uart *u);
/* The receiver: a character comes in, with UART_LSR_PE, _FE, _BI. */
void uart_receive(struct uart *u, uint8_t byte, uint8_t errors);
/* How many it has room for; 0 in loopback and with divisor 0. */
unsigned uart_room(const struct uart *u);
/* Of each FIFO; 1 without them. */
unsigned uart_depth(const struct uart *u);
/* Characters wait below the trigger for the driver or for more to come. */
bool uart_waits(const struct uart *u);
/* They waited for four character times without a read or another one. */
void uart_timeout(struct uart *u);
/* What comes in from the modem: UART_MSR_CTS, _DSR, _RI, _DCD. */
void uart_set_modem(struct uart *u, uint8_t lines);
/* Whether the transmitter feeds the receiver. */
bool uart_loops(const struct uart *u);

/* The time that a character takes; 0: with divisor 0, none moves. */
uint64_t uart_char_ns(const struct uart *u);
/* 5 to 8. */
unsigned uart_word_bits(const struct uart *u);
uint32_t uart_divisor(const struct uart *u);
/* DTR, RTS, OUT1, OUT2 as in UART_MCR; in loopback they are inactive. */
uint8_t uart_outputs(const struct uart *u);

#endif
