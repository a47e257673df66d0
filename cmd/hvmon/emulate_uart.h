/* emulate_uart.h - an emulated 16550A and the driver behind it. */
#ifndef IOVKIT_HVMON_EMULATE_UART_H
#define IOVKIT_HVMON_EMULATE_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/uart.h"

/* A message to the other end of a serial line. */
enum serial_send {
	SERIAL_SEND_NONE,
	SERIAL_SEND_QUEUED, /* it lies in the buffer */
	SERIAL_SEND_ISSUED, /* the card has it, or is about to */
};

/* The line of one that is carried out on an Ethernet card. */
struct serial_line {
	uint64_t peer;           /* address of the other end; 0: not known */
	uint64_t sent, received; /* of the card's counters, what is noted */
	uint64_t free_ns;        /* when the next message may leave */
	uint64_t resend_ns;      /* when this one does again */
	uint32_t out, in;        /* numbers of the next characters */
	uint16_t stream, heard;  /* ours; the other end's, 0: none */
	uint16_t n;              /* characters of the message in the buffer */
	uint16_t rx_at, rx_left; /* of the received one, what is left */
	uint8_t send;            /* enum serial_send */
	uint8_t lent;            /* a receive buffer is: */
	uint8_t buffer;          /* this one; the other has what is left */
	uint8_t waits;           /* the other end did not take it yet */
	uint8_t tries;           /* without a sign of life */
	uint8_t tell;            /* there is something to tell */
	uint8_t outputs;         /* as they were told */
};

/* In the record (virtual_state()).  Whoever takes it up is the chip's owner. */
struct uart_virtual {
	struct uart chip;   /* as the guest sees it; holds the guest's mode */
	uint8_t lcr_seen;   /* chip.lcr is the guest's (search) */
	uint8_t fcr_seen;   /* so is seen_fcr (search) */
	uint8_t seen_fcr;   /* which cannot be read */
	uint8_t fcr_known;  /* chip.fcr is the guest's, trigger included */
	uint8_t stale;      /* the device's mode is to be set */
	uint8_t clear;      /* and these FIFOs cleared (UART_FCR_CLEAR_*) */
	uint8_t preferred;  /* our own mode is set */
	uint8_t given;      /* the guest's mode is put back (before 720) */
	uint8_t ier;        /* the device's */
	uint8_t reading;    /* a character was asked for */
	uint8_t errors;     /* of the one that the device shows next */
	uint8_t more;       /* the device has one that is left there */
	uint8_t busy_shown; /* the guest was told so instead of THRE */
	uint8_t looked;     /* at LSR, though it is to go on with more (710) */
	uint8_t urged;      /* twice, and nothing else: it waits for THRE */
	struct serial_line line; /* uart_on_ether.c only */
};
_Static_assert(sizeof(struct uart_virtual) <= VIRTUAL_STATE_MAX, "state");

static inline struct uart_virtual *uart_virtual(const struct virtual *v)
{
	return virtual_state(v);
}

/* The guest's chip (emulate_uart.c). */

/* Of the chip in the record; arg is the struct virtual. */
extern const struct uart_ops uart_guest_ops;
/* The guest writes one register: the machine and the chip follow. */
void uart_write_byte(struct virtual *v, uint32_t reg, uint8_t value);

/* A real one behind it (uart_on_uart.c). */

/* LCR as it was before the search; 0: not known. */
uint8_t uart_looked_lcr(const struct virtual *v);
/* 710: the guest has to take something first. */
bool uart_goes_on(const struct virtual *v);

/* An Ethernet card behind it (uart_on_ether.c, drive_serial.c). */

/* In the buffers (carried.h): two to receive, one to send. */
#define SERIAL_RECEIVE_AT(i) ((i)*0x2400u)
#define SERIAL_SEND_AT       SERIAL_RECEIVE_AT(2)

/* Send and receive what can be. */
void serial_drive(struct virtual *v, bool interrupt);
bool serial_wants_drive(const struct virtual *v);
/* The message in the receive buffer, a frame of so many bytes, is the guest's. */
void serial_take_message(struct virtual *v, uint64_t size);

/* The driver of a real one (drive_uart.c). */

/* Set the mode, send and receive what can be. */
void uart_drive(struct virtual *v, bool interrupt);
/* Whether that would do something. */
bool uart_wants_drive(const struct virtual *v);
/* Whether something is on its way out of the device, or back in loopback. */
bool uart_sends(const struct uart_virtual *s);
/* The guest's mode is the device's again, with what waits to be sent, and the
 * driver does no more. */
void uart_give(struct virtual *v, struct procedure *p);

/* One character after the other: what LSR said; may the next one be taken;
 * ask for it, and for LSR behind it; it is there. */
void uart_take_status(struct virtual *v, uint8_t lsr);
bool uart_may_take(const struct virtual *v, uint8_t lsr);
void uart_ask_char(struct virtual *v, struct procedure *p, void *byte,
		   void *lsr);
void uart_take_char(struct virtual *v, uint8_t byte);
/* What MSR said. */
void uart_take_modem(struct virtual *v, uint8_t msr);

#endif
