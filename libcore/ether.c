/* ether.c - the idealised Ethernet card as a register machine.
 *
 * Theory of operation.  The writes of CSR A, B and C move the state of sending
 * from start (1) to end (4); in the end state the message is read out of the
 * guest's memory, sent, and the card is at start again.  A write that has no
 * transition is dropped and puts the card back to start; only a message that
 * is on its way is not called back by it.
 *
 * What is received goes to a store first, and from there to the buffer that
 * the driver lends.  A message to the card's own address goes that way too,
 * and while the store is full it stays in the end state: nothing that a card
 * sends to itself is lost.  What comes from the LAN then, is.
 *
 * Memory that the driver shares is read once.
 */
#include <config.h>

#include "libcore/ether.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP 0x01 /* in an address's first byte */

const uint8_t ether_next[ETHER_STATE_N][ETHER_CSR_N] = {
	[ETHER_START][ETHER_A] = ETHER_ADDRESS,
	[ETHER_ADDRESS][ETHER_B] = ETHER_LENGTH,
	[ETHER_LENGTH][ETHER_C] = ETHER_END,
};

int ether_init(struct ether *e, const uint8_t mac[ETHER_MAC_SIZE],
	       const struct ether_ops *ops, void *arg)
{
	memset(e, 0, sizeof(*e));
	e->store = calloc(ETHER_STORE, sizeof(*e->store));
	if (!e->store)
		return -ENOMEM;
	e->ops = ops;
	e->arg = arg;
	memcpy(e->mac, mac, sizeof(e->mac));
	memcpy(e->permanent_mac, mac, sizeof(e->mac));
	e->state = ETHER_START;
	return 0;
}

void ether_fini(struct ether *e)
{
	free(e->store);
	e->store = NULL;
}

static void update_irq(struct ether *e)
{
	bool irq = e->status & e->irq_enable;

	if (irq == e->irq)
		return;
	e->irq = irq;
	e->ops->irq(e->arg, irq);
}

static void raise(struct ether *e, uint64_t status)
{
	e->status |= status;
	update_irq(e);
}

void ether_reset(struct ether *e)
{
	e->state = ETHER_START;
	e->address = e->length = e->destination = 0;
	e->rx_address = e->rx_length = e->rx_size = 0;
	e->first = e->stored = 0;
	memcpy(e->mac, e->permanent_mac, sizeof(e->mac));
	e->status = e->irq_enable = 0;
	update_irq(e);
}

uint64_t ether_mac_value(const uint8_t mac[ETHER_MAC_SIZE])
{
	uint64_t value = 0;
	unsigned i;

	for (i = ETHER_MAC_SIZE; i--;)
		value = value << 8 | mac[i];
	return value;
}

static void set_mac(struct ether *e, uint64_t value)
{
	unsigned i;

	for (i = 0; i < ETHER_MAC_SIZE; i++)
		e->mac[i] = (uint8_t)(value >> 8 * i);
}

/* Receiving. */

static bool store(struct ether *e, const uint8_t *frame, uint32_t size)
{
	struct ether_message *m;

	if (e->stored == ETHER_STORE)
		return false;
	m = &e->store[(e->first + e->stored++) % ETHER_STORE];
	memcpy(m->frame, frame, size);
	m->size = size;
	return true;
}

static void forget_first(struct ether *e)
{
	e->first = (e->first + 1) % ETHER_STORE;
	e->stored--;
}

/* The oldest message into the lent buffer; false: nothing moved. */
static bool hand_over(struct ether *e)
{
	const struct ether_message *m = &e->store[e->first];
	void *to;

	if (!e->stored || !e->rx_length || e->status & ETHER_STATUS_MESSAGE)
		return false;
	if (m->size > e->rx_length) {
		forget_first(e);
		e->dropped++;
		raise(e, ETHER_STATUS_BAD_RX);
		return true;
	}
	to = e->ops->memory(e->arg, e->rx_address, m->size, true);
	e->rx_length = 0;
	if (!to) {
		raise(e, ETHER_STATUS_BAD_RX);
		return false;
	}
	memcpy(to, m->frame, m->size);
	e->ops->tap(e->arg, m->frame, m->size);
	e->rx_size = m->size;
	e->received++;
	forget_first(e);
	raise(e, ETHER_STATUS_MESSAGE);
	return true;
}

void ether_receive(struct ether *e, const uint8_t *frame, uint32_t size)
{
	if (size < ETHER_ADDRESSES + ETHER_MESSAGE_MIN ||
	    size > ETHER_FRAME_MAX)
		return;
	if (!ether_mac_value(e->mac))
		return;
	if (!(frame[0] & GROUP) && memcmp(frame, e->mac, sizeof(e->mac)))
		return;
	if (!store(e, frame, size)) {
		e->dropped++;
		raise(e, ETHER_STATUS_OVERRUN);
	}
	ether_run(e);
}

/* Sending. */

static void sent(struct ether *e, uint64_t status)
{
	e->state = ETHER_START;
	e->sent += status == ETHER_STATUS_SENT;
	raise(e, status);
}

/* The frame that CSR A, B and C describe; false: there is none. */
static bool make_frame(struct ether *e)
{
	const void *message;
	unsigned i;

	if (e->length < ETHER_MESSAGE_MIN || e->length > ETHER_MESSAGE_MAX)
		return false;
	message = e->ops->memory(e->arg, e->address, e->length, false);
	if (!message)
		return false;
	for (i = 0; i < ETHER_MAC_SIZE; i++)
		e->frame[i] = (uint8_t)(e->destination >> 8 * i);
	memcpy(e->frame + ETHER_MAC_SIZE, e->mac, sizeof(e->mac));
	memcpy(e->frame + ETHER_ADDRESSES, message, e->length);
	/* What was truncated meanwhile is no message. */
	return e->ops->memory(e->arg, e->address, e->length, false);
}

/* Send the message of the end state; false: nothing moved. */
static bool send_message(struct ether *e)
{
	uint32_t size = ETHER_ADDRESSES + (uint32_t)e->length;
	uint64_t mac = ether_mac_value(e->mac);
	bool own = mac && e->destination == mac;

	if (e->state != ETHER_END || (own && e->stored == ETHER_STORE))
		return false;
	if (!make_frame(e)) {
		sent(e, ETHER_STATUS_BAD_SEND);
		return true;
	}
	e->ops->tap(e->arg, e->frame, size);
	if (own)
		(void)store(e, e->frame, size);
	else
		e->ops->send(e->arg, e->frame, size);
	sent(e, ETHER_STATUS_SENT);
	return true;
}

void ether_run(struct ether *e)
{
	bool moved = true;

	if (e->running)
		return;
	e->running = true;
	while (moved && e->ops->may_dma(e->arg)) {
		moved = send_message(e);
		moved |= hand_over(e);
	}
	e->running = false;
}

/* Registers. */

static uint64_t read_status(struct ether *e)
{
	uint64_t value = e->status | (uint64_t)e->state << 8;

	if (e->state != ETHER_END)
		value |= ETHER_STATUS_READY;
	e->status = 0;
	update_irq(e);
	ether_run(e);
	return value;
}

uint64_t ether_read(struct ether *e, uint32_t offset)
{
	switch (offset & ~7u) {
	case ETHER_CSR_A:
		return e->address;
	case ETHER_CSR_B:
		return e->length;
	case ETHER_CSR_C:
		return e->destination;
	case ETHER_STATUS:
		return read_status(e);
	case ETHER_RX_ADDRESS:
		return e->rx_address;
	case ETHER_RX_LENGTH:
		return e->rx_length;
	case ETHER_RX_SIZE:
		return e->rx_size;
	case ETHER_MAC:
		return ether_mac_value(e->mac);
	case ETHER_IRQ_ENABLE:
		return e->irq_enable;
	case ETHER_ID:
		return ETHER_ID_VALUE;
	case ETHER_SENT:
		return e->sent;
	case ETHER_RECEIVED:
		return e->received;
	case ETHER_DROPPED:
		return e->dropped;
	}
	return 0;
}

static void write_csr(struct ether *e, enum ether_csr csr, uint64_t value)
{
	enum ether_state next = ether_next[e->state][csr];

	if (!next) {
		e->ops->illegal(e->arg, e->state, csr);
		if (e->state != ETHER_END)
			e->state = ETHER_START;
		raise(e, ETHER_STATUS_ILLEGAL);
		return;
	}
	e->state = next;
	if (csr == ETHER_A)
		e->address = value;
	else if (csr == ETHER_B)
		e->length = value;
	else
		e->destination = value & 0xffffffffffff;
	ether_run(e);
}

bool ether_write(struct ether *e, uint32_t offset, uint64_t value)
{
	switch (offset) {
	case ETHER_CSR_A:
		write_csr(e, ETHER_A, value);
		return true;
	case ETHER_CSR_B:
		write_csr(e, ETHER_B, value);
		return true;
	case ETHER_CSR_C:
		write_csr(e, ETHER_C, value);
		return true;
	case ETHER_RX_ADDRESS:
		e->rx_address = value;
		return true;
	case ETHER_RX_LENGTH:
		e->rx_length = value;
		ether_run(e);
		return true;
	case ETHER_MAC:
		set_mac(e, value);
		return true;
	case ETHER_IRQ_ENABLE:
		e->irq_enable = value & ETHER_STATUS_EVENTS;
		update_irq(e);
		return true;
	}
	return false;
}
