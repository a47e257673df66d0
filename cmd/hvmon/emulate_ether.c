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
 *
 * The mode of this card is its interrupt enable.  The monitor prefers all
 * events; the guest's choice is kept and put back.
 */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/emulate_ether.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/machine_access.h"
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

/* 412-418, and what is written is kept from the device; false: there is no
 * transition. */
static bool move(struct virtual *v, int csr, uint64_t value)
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

static void write_device(struct virtual *v, struct procedure *p,
			 uint32_t offset, uint64_t value)
{
	value = htole64(value);
	step_write(p, virtual_register(v, offset), &value, sizeof(value));
}

/* The search. */

static void ether_peek(struct virtual *v, struct procedure *p)
{
	step_read(p, virtual_register(v, ETHER_STATUS), &v->loaded[0],
		  sizeof(v->loaded[0]));
}

static bool ether_peeked(struct virtual *v)
{
	uint64_t status = le64toh(v->loaded[0]);
	uint64_t events = status & ETHER_STATUS_EVENTS;

	if (status == UINT64_MAX)
		return true;
	if (events) {
		ether_virtual(v)->status |= events;
		virtual_keep_record(v);
		virtual_inject(v);
	}
	return ETHER_STATUS_STATE(status) != ETHER_END;
}

static void ether_show(struct virtual *v, const struct access *a, uint8_t *data)
{
	struct ether_virtual *s = ether_virtual(v);
	uint64_t own = htole64(s->status);
	uint8_t byte[sizeof(own)];
	bool seen = false;
	uint32_t i, at;

	memcpy(byte, &own, sizeof(byte));
	for (i = 0; i < a->size; i++) {
		at = a->offset + i - ETHER_STATUS;
		if (at >= sizeof(byte))
			continue;
		seen = true;
		data[i] |= byte[at];
		if (!at && hold_looks_busy(v))
			data[i] &= (uint8_t)~ETHER_STATUS_READY;
	}
	if (!seen || !s->status)
		return;
	s->status = 0;
	virtual_keep_record(v);
}

/* Loading. */

static const uint32_t loaded[] = {
	/* Before and after the status, so that they tell whether the message
	 * on its way was counted; a buffer that was filled before the status
	 * is read is told there, if it was not told already. */
	ETHER_SENT,       ETHER_RX_LENGTH,  ETHER_STATUS, ETHER_SENT,
	ETHER_IRQ_ENABLE, ETHER_CSR_A,      ETHER_CSR_B,  ETHER_CSR_C,
	ETHER_MAC,        ETHER_RX_ADDRESS,
};
enum {
	SENT_BEFORE,
	RX_LENGTH,
	STATUS,
	SENT_AFTER,
	IRQ_ENABLE,
	A,
	B,
	C,
	MAC,
	RX_ADDRESS
};
_Static_assert(sizeof(loaded) / sizeof(*loaded) == VIRTUAL_LOADED, "loaded");

static void ether_ask(struct virtual *v, struct procedure *p)
{
	unsigned i;

	for (i = 0; i < VIRTUAL_LOADED; i++)
		step_read(p, virtual_register(v, loaded[i]), &v->loaded[i],
			  sizeof(v->loaded[i]));
}

/* A device in the middle of a sequence: the one who began it is no more.  A
 * write without a transition sets it back. */
static bool set_back(struct virtual *v, struct procedure *p, uint64_t real)
{
	uint64_t none = 0;

	if (ETHER_STATUS_STATE(real) != ETHER_ADDRESS &&
	    ETHER_STATUS_STATE(real) != ETHER_LENGTH)
		return false;
	step_write(p, virtual_register(v, ETHER_CSR_A), &none, sizeof(none));
	return true;
}

#define RECEIVED (ETHER_STATUS_MESSAGE | ETHER_STATUS_BAD_RX)

static void load_fresh(struct ether_virtual *s, const uint64_t *value)
{
	bool sends = ETHER_STATUS_STATE(value[STATUS]) == ETHER_END;

	s->address = value[A];
	s->length = value[B];
	s->destination = value[C];
	s->irq_enable = value[IRQ_ENABLE] & ETHER_STATUS_EVENTS;
	s->mac = value[MAC];
	s->rx_address = value[RX_ADDRESS];
	s->rx_length = value[RX_LENGTH];
	s->lent = s->rx_length && !(s->status & RECEIVED);
	s->receives = s->rx_address || s->rx_length;
	s->send = sends ? ETHER_SEND_ISSUED : ETHER_SEND_NONE;
	s->sent_before = value[sends ? SENT_BEFORE : SENT_AFTER];
}

/* The log that a former hypervisor left. */

/* One write of it; true: it completes a message. */
static bool follow(struct virtual *v, const struct virtual_logged *l)
{
	if (!move(v, (int)(l->offset / REGISTER), le64toh(l->value)))
		return false;
	if (v->record.machine != ETHER_END)
		return false;
	v->record.machine = ETHER_START;
	return true;
}

/* The guest's registers follow it to the end of its next message; false: there
 * is no whole one, and the guest goes on with the rest. */
static bool follow_log(struct virtual *v)
{
	struct virtual_record *r = &v->record;
	bool whole = false;
	uint16_t n = 0;

	while (n < r->n_log && !whole)
		whole = follow(v, &r->log[n++]);
	r->n_log -= n;
	memmove(r->log, r->log + n, r->n_log * sizeof(*r->log));
	return whole;
}

/* As many messages as the device counted, and the one it has. */
static void forget_done(struct virtual *v, uint64_t n)
{
	if (!v->record.n_replayed)
		return;
	while (n-- && follow_log(v))
		;
}

void ether_take_logged(struct virtual *v)
{
	struct ether_virtual *s = ether_virtual(v);

	if (!ether_has_logged(v))
		return;
	if (follow_log(v))
		s->send = ETHER_SEND_QUEUED;
	virtual_keep_record(v);
	ether_update_level(v);
	if (!v->record.n_log)
		virtual_run_kept(v);
}

/* What the former hypervisor did not live to see. */
static void load_taken_up(struct virtual *v, const uint64_t *value)
{
	bool sends = ETHER_STATUS_STATE(value[STATUS]) == ETHER_END;
	struct ether_virtual *s = ether_virtual(v);

	/* Nothing of the log is done before our own message. */
	if (s->send == ETHER_SEND_NONE)
		forget_done(v, value[SENT_AFTER] - s->sent_before + sends);
	v->record.n_replayed = 0;
	if (s->send == ETHER_SEND_ISSUED && !sends) {
		if (value[SENT_AFTER] != s->sent_before)
			s->status |= ETHER_STATUS_SENT;
		s->send =
			s->status & (ETHER_STATUS_SENT | ETHER_STATUS_BAD_SEND)
				? ETHER_SEND_NONE
				: ETHER_SEND_QUEUED;
	}
	s->sent_before = value[sends ? SENT_BEFORE : SENT_AFTER];
	/* The last one of the log that was done. */
	if (sends && s->send == ETHER_SEND_NONE)
		s->send = ETHER_SEND_ISSUED;
	if (s->status & RECEIVED)
		s->lent = 0;
	if (s->lent && !value[RX_LENGTH] && !s->hand_over) {
		s->lent = 0;
		s->status |= ETHER_STATUS_MESSAGE;
	}
}

static int ether_load(struct virtual *v, struct procedure *p, bool taken_up)
{
	struct ether_virtual *s = ether_virtual(v);
	uint64_t value[VIRTUAL_LOADED], events;
	unsigned i;

	for (i = 0; i < VIRTUAL_LOADED; i++)
		value[i] = le64toh(v->loaded[i]);
	if (value[STATUS] == UINT64_MAX)
		return STEP_NEXT;
	events = value[STATUS] & ETHER_STATUS_EVENTS;
	if (taken_up || p->round)
		events &= ~(uint64_t)ETHER_STATUS_ILLEGAL;
	s->status |= events;
	if (p->round < 2 && set_back(v, p, value[STATUS])) {
		ether_ask(v, p);
		return STEP_AGAIN;
	}
	if (taken_up)
		load_taken_up(v, value);
	else
		load_fresh(s, value);
	return STEP_NEXT;
}

/* What another device had, or this one before it was silenced. */
static void take_over(struct virtual *v, struct procedure *p)
{
	const struct ether_virtual *s = ether_virtual(v);

	if (!v->record.own_mode)
		write_device(v, p, ETHER_IRQ_ENABLE, s->irq_enable);
	write_device(v, p, ETHER_MAC, s->mac);
	if (!s->hand_over)
		return;
	write_device(v, p, ETHER_RX_ADDRESS, s->rx_address);
	write_device(v, p, ETHER_RX_LENGTH, s->lent ? s->rx_length : 0);
}

static void ether_prefer(struct virtual *v, struct procedure *p)
{
	uint64_t all = htole64(ETHER_STATUS_EVENTS);

	if (v->record.own_mode)
		step_write(p, virtual_register(v, ETHER_IRQ_ENABLE), &all,
			   sizeof(all));
	if (ether_virtual(v)->silenced || ether_virtual(v)->hand_over)
		take_over(v, p);
}

static void ether_restore(struct virtual *v, struct procedure *p)
{
	uint64_t guests = htole64(ether_virtual(v)->irq_enable);

	/* What the guest changes from here on goes to the device. */
	v->record.own_mode = 0;
	virtual_keep_record(v);
	step_write(p, virtual_register(v, ETHER_IRQ_ENABLE), &guests,
		   sizeof(guests));
}

static void ether_was_reset(struct virtual *v)
{
	memset(ether_virtual(v), 0, sizeof(struct ether_virtual));
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
	if (!move(v, csr, value)) {
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
		ether_drive(v, false);
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

static void ether_drive_now(struct virtual *v, bool interrupt)
{
	ether_update_level(v);
	ether_drive(v, interrupt);
}

/* Devirtualisation. */

static bool ether_is_done(const struct virtual *v)
{
	return ether_virtual(v)->send == ETHER_SEND_NONE;
}

/* A guest that wants to know some events only is not waited for because of
 * others; one that polls wants to know all. */
static bool ether_is_quiet(const struct virtual *v)
{
	const struct ether_virtual *s = ether_virtual(v);
	uint64_t wanted = s->irq_enable ? s->irq_enable : ETHER_STATUS_EVENTS;

	return !v->driving && !(s->status & wanted);
}

/* Another device. */

/* While a buffer is lent, no message lies in the card's store. */
static bool ether_may_part(const struct virtual *v)
{
	const struct ether_virtual *s = ether_virtual(v);

	return s->lent || !s->receives;
}

static void ether_part(struct virtual *v, struct procedure *p)
{
	ether_virtual(v)->silenced = true;
	virtual_keep_record(v);
	write_device(v, p, ETHER_MAC, 0);
	write_device(v, p, ETHER_IRQ_ENABLE, 0);
	step_read(p, virtual_register(v, ETHER_RX_SIZE), &v->loaded[RX_LENGTH],
		  sizeof(uint64_t));
	step_read(p, virtual_register(v, ETHER_STATUS), &v->loaded[STATUS],
		  sizeof(uint64_t));
}

static bool ether_has_parted(struct virtual *v)
{
	struct ether_virtual *s = ether_virtual(v);

	ether_take_status(v, le64toh(v->loaded[STATUS]));
	if (!ether_may_part(v))
		return false;
	if (!s->size_kept)
		s->rx_size = le64toh(v->loaded[RX_LENGTH]);
	s->size_kept = s->hand_over = true;
	return true;
}

static void ether_loaded(struct virtual *v)
{
	struct ether_virtual *s = ether_virtual(v);

	if (!s->silenced && !s->hand_over)
		return;
	s->silenced = s->hand_over = false;
	virtual_keep_record(v);
}

/* Nobody knows whether it sent what it had. */
static void ether_lost(struct virtual *v)
{
	struct ether_virtual *s = ether_virtual(v);

	if (s->send == ETHER_SEND_ISSUED) {
		s->send = ETHER_SEND_NONE;
		s->status |= ETHER_STATUS_BAD_SEND;
	}
	s->hand_over = true;
}

const struct emulator ether_emulator = {
	.name = "ether",
	.vendor = ETHER_VENDOR_ID,
	.device = ETHER_DEVICE,
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
	.peek = ether_peek,
	.peeked = ether_peeked,
	.show = ether_show,
	.ask = ether_ask,
	.load = ether_load,
	.prefer = ether_prefer,
	.loaded = ether_loaded,
	.reset = ether_was_reset,
	.access = ether_access,
	.drive = ether_drive_now,
	.is_done = ether_is_done,
	.is_quiet = ether_is_quiet,
	.may_part = ether_may_part,
	.part = ether_part,
	.has_parted = ether_has_parted,
	.lost = ether_lost,
	.restore = ether_restore,
};
