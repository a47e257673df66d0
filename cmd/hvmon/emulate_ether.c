/* emulate_ether.c - the idealised Ethernet card as an emulated device (spec 05,
 * fig. 3).
 *
 * Theory of operation.  The writes of CSR A, B and C are kept from the device;
 * in the end state they are one message, which our driver sends
 * (drive_ether.c), and the machine is at start again.  The guest is shown the
 * end state until the message has left.  Reads of status go through to the
 * device, so that a guest without interrupts is served as well; what it tells
 * is added to what the guest does not know yet, and goes with this read.  All
 * other registers are the device's.
 */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/emulate_ether.h"
#include "cmd/hvmon/hold.h"
#include "libcore/ether.h"

#define REGISTER 8u

static const char *const state_names[ETHER_STATE_N] = {
	[ETHER_START] = "start",
	[ETHER_ADDRESS] = "address",
	[ETHER_LENGTH] = "length",
	[ETHER_END] = "end",
};

static int ether_input(const struct virtual *v, const struct access *a)
{
	(void)v;
	if (!a->write || a->size != REGISTER)
		return INPUT_NONE;
	switch (a->offset) {
	case ETHER_CSR_A:
		return ETHER_A;
	case ETHER_CSR_B:
		return ETHER_B;
	case ETHER_CSR_C:
		return ETHER_C;
	}
	return INPUT_NONE;
}

static unsigned ether_start(const struct virtual *v)
{
	(void)v;
	return ETHER_START;
}

bool ether_move(struct virtual *v, int csr, uint64_t value)
{
	struct ether_virtual *s = ether_virtual(v);

	if (!virtual_step(v, csr)) {
		s->status |= ETHER_STATUS_ILLEGAL;
		return false;
	}
	if (csr == ETHER_A)
		s->address = value;
	else if (csr == ETHER_B)
		s->length = value;
	else
		s->destination = value & 0xffffffffffff;
	return true;
}

/* Accesses. */

static void passed(struct virtual *v, const struct access *a,
		   const uint8_t *data, int err)
{
	(void)data;
	if (err)
		virtual_refuse(v, a);
	else
		virtual_answer(v, a, NULL);
}

static void refuse_csr(struct virtual *v, const struct access *a,
		       const char *why)
{
	ether_virtual(v)->status |= ETHER_STATUS_ILLEGAL;
	virtual_keep_record(v);
	ether_update_level(v);
	virtual_illegal(v, a, why);
}

static void write_csr(struct virtual *v, const struct access *a, int csr,
		      uint64_t value)
{
	struct ether_virtual *s = ether_virtual(v);

	if (s->send != ETHER_SEND_NONE) {
		refuse_csr(v, a, "a message is on its way");
		return;
	}
	if (!ether_move(v, csr, value)) {
		refuse_csr(v, a, "no transition");
		return;
	}
	if (v->record.machine == ETHER_END) {
		v->record.machine = ETHER_START;
		s->send = ETHER_SEND_QUEUED;
	}
	virtual_keep_record(v);
	virtual_answer(v, a, NULL);
	if (s->send == ETHER_SEND_QUEUED)
		v->backend->drive(v, false);
}

static void write_irq_enable(struct virtual *v, const struct access *a,
			     uint64_t value)
{
	ether_virtual(v)->irq_enable = value & ETHER_STATUS_EVENTS;
	virtual_keep_record(v);
	ether_update_level(v);
	if (v->record.own_mode)
		virtual_answer(v, a, NULL);
	else
		virtual_pass(v, a, passed);
}

/* Of what the device is told: it may be told to another one. */
static void follow_write(struct virtual *v, uint32_t offset, uint64_t value)
{
	struct ether_virtual *s = ether_virtual(v);

	if (offset == ETHER_RX_ADDRESS) {
		s->rx_address = value;
	} else if (offset == ETHER_RX_LENGTH) {
		s->rx_length = value;
		s->lent = value != 0;
		s->receives |= s->lent;
	} else if (offset == ETHER_MAC) {
		s->mac = value & 0xffffffffffff;
	} else {
		return;
	}
	virtual_keep_record(v);
}

static void write_access(struct virtual *v, const struct access *a)
{
	int csr = ether_input(v, a);
	uint64_t value;

	if (a->size != REGISTER || a->offset % REGISTER) {
		virtual_illegal(v, a, "no register");
		return;
	}
	memcpy(&value, a->data, sizeof(value));
	value = le64toh(value);
	if (csr != INPUT_NONE) {
		write_csr(v, a, csr, value);
	} else if (a->offset == ETHER_IRQ_ENABLE) {
		write_irq_enable(v, a, value);
	} else {
		follow_write(v, a->offset, value);
		virtual_pass(v, a, passed);
	}
}

/* What the guest reads, which acknowledges it. */
static uint64_t read_status(struct virtual *v, uint64_t real)
{
	struct ether_virtual *s = ether_virtual(v);
	unsigned state = v->record.machine;
	uint64_t value;

	if (real == UINT64_MAX)
		return real;
	ether_take_status(v, real);
	/* Only of a message that will be told as sent. */
	if (s->send != ETHER_SEND_NONE || v->n_kept || v->record.n_log)
		state = ETHER_END;
	value = s->status | (uint64_t)state << 8;
	if (state != ETHER_END && !hold_looks_busy(v))
		value |= ETHER_STATUS_READY;
	s->status = 0;
	virtual_keep_record(v);
	ether_update_level(v);
	return value;
}

/* Registers that are not the device's; false: it is. */
static bool read_register(struct virtual *v, uint32_t offset, uint64_t *value)
{
	const struct ether_virtual *s = ether_virtual(v);

	switch (offset) {
	case ETHER_CSR_A:
		*value = s->address;
		return true;
	case ETHER_CSR_B:
		*value = s->length;
		return true;
	case ETHER_CSR_C:
		*value = s->destination;
		return true;
	case ETHER_IRQ_ENABLE:
		*value = s->irq_enable;
		return true;
	case ETHER_RX_SIZE:
		if (s->size_kept)
			*value = s->rx_size;
		return s->size_kept;
	case ETHER_STATUS:
		*value = read_status(v, *value);
		return true;
	}
	return false;
}

/* The device answered whole registers; the guest may have asked for less. */
static void read_done(struct virtual *v, const struct access *a,
		      const uint8_t *data, int err)
{
	struct access asked = *a;
	uint64_t value;
	uint32_t at;

	if (err) {
		virtual_refuse(v, a);
		return;
	}
	memcpy(asked.data, data, a->size);
	for (at = 0; at < a->size; at += REGISTER) {
		memcpy(&value, data + at, sizeof(value));
		value = le64toh(value);
		if (!read_register(v, a->offset + at, &value))
			continue;
		value = htole64(value);
		memcpy(asked.data + at, &value, sizeof(value));
	}
	asked.size = a->asked;
	virtual_answer(v, &asked, asked.data + a->skip);
}

static void read_access(struct virtual *v, const struct access *a)
{
	struct access whole = *a;
	uint64_t value;

	whole.skip = a->offset % REGISTER;
	whole.asked = a->size;
	whole.offset -= whole.skip;
	whole.size =
		(whole.skip + a->size + REGISTER - 1) / REGISTER * REGISTER;
	if (whole.size > REGISTER || whole.offset == ETHER_STATUS ||
	    !read_register(v, whole.offset, &value)) {
		virtual_pass(v, &whole, read_done);
		return;
	}
	value = htole64(value);
	virtual_answer(v, a, (const uint8_t *)&value + whole.skip);
}

static void ether_access(struct virtual *v, const struct access *a)
{
	if (a->write)
		write_access(v, a);
	else
		read_access(v, a);
}

const struct emulator ether_emulator = {
	.name = "ether",
	.vendor = ETHER_VENDOR_ID,
	.device = ETHER_DEVICE,
	.class_code = ETHER_CLASS,
	.regs_bytes = 0x1000,
	.machine = {
		.n_states = ETHER_STATE_N,
		.n_inputs = ETHER_CSR_N,
		.next = &ether_next[0][0],
		.names = state_names,
		.starts = 1u << ETHER_START,
		.ends = 1u << ETHER_END,
	},
	.input = ether_input,
	.start = ether_start,
	.access = ether_access,
};
