/* uart_driver.h - the driver of a 16550A. */
#ifndef IOVKIT_GUESTD_UART_DRIVER_H
#define IOVKIT_GUESTD_UART_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/guestd/card.h"
#include "libcore/complaint.h"
#include "libcore/uart_regs.h"

/* How the line is driven. */
struct uart_mode {
	uint8_t lcr;      /* word, parity, stop */
	uint16_t divisor; /* of 115200 baud */
	bool polling;     /* without interrupts */
	bool loop;        /* UART_MCR_LOOP */
};
#define UART_MODE_DEFAULT                           \
	{                                           \
		.lcr = UART_LCR_WLEN8, .divisor = 1 \
	}

/* Who uses the port. */
struct uart_user {
	/* Up to max bytes to send; returns how many. */
	size_t (*pull)(void *arg, uint8_t *data, size_t max);
	/* Bytes that can be taken. */
	size_t (*room)(void *arg);
	void (*push)(void *arg, const uint8_t *data, size_t n);
	/* Nothing is left to pull and the transmitter is empty. */
	void (*drained)(void *arg);
};

/* "8n1", "7e2"...; -EINVAL with *c. */
int uart_mode_parse(const char *text, struct uart_mode *mode,
		    struct complaint *c) __attribute__((warn_unused_result));
uint8_t uart_mode_mask(const struct uart_mode *mode);

/* Program the mode and serve this user; NULL ends that. */
void uart_use(struct card *card, const struct uart_mode *mode,
	      const struct uart_user *user, void *arg);
/* There is more to pull, or room again. */
void uart_kick(struct card *card);

#endif
