/* emulate_ether.h - an emulated Ethernet card and the driver behind it. */
#ifndef IOVKIT_HVMON_EMULATE_ETHER_H
#define IOVKIT_HVMON_EMULATE_ETHER_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/virtual.h"

/* A message of the guest. */
enum ether_send {
	ETHER_SEND_NONE,
	ETHER_SEND_QUEUED, /* its sequence is complete */
	ETHER_SEND_ISSUED, /* the device has it, or is about to */
};

/* In the record (virtual_state()). */
struct ether_virtual {
	uint64_t address, length, destination; /* CSR A, B, C */
	uint64_t status;      /* events that the guest has not read */
	uint64_t irq_enable;  /* the guest's */
	uint64_t sent_before; /* the device's counter before this message */
	uint64_t mac;
	uint64_t rx_address, rx_length; /* of the buffer that was lent last */
	uint64_t rx_size;               /* where size_kept */
	uint32_t send;                  /* enum ether_send */
	uint8_t lent;      /* a receive buffer is, and no message came */
	uint8_t receives;  /* one was lent since the reset */
	uint8_t size_kept; /* the last message came to another device */
	uint8_t hand_over; /* the device is to be given what another one had */
	uint8_t silenced;  /* it may have no address (part) */
};
_Static_assert(sizeof(struct ether_virtual) <= VIRTUAL_STATE_MAX, "state");

static inline struct ether_virtual *ether_virtual(const struct virtual *v)
{
	return virtual_state(v);
}

/* 412-418, and what is written is kept from the device; false: there is no
 * transition (emulate_ether.c). */
bool ether_move(struct virtual *v, int csr, uint64_t value);

/* The next message that a former hypervisor logged, if it is its turn, is queued
 * (ether_on_ether.c). */
void ether_take_logged(struct virtual *v);
/* Whether there is one. */
static inline bool ether_has_logged(const struct virtual *v)
{
	return v->record.n_log && !v->record.n_replayed &&
	       v->hold == HOLD_NONE &&
	       ether_virtual(v)->send == ETHER_SEND_NONE;
}

/* The driver (drive_ether.c). */

/* Send what is queued, look at the status. */
void ether_drive(struct virtual *v, bool interrupt);
/* What the device's status register said, which is gone there now. */
void ether_take_status(struct virtual *v, uint64_t real);
/* The interrupt line follows what changed. */
void ether_update_level(struct virtual *v);

#endif
