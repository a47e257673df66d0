/* ether_on_ether.c - a real Ethernet card does the work of an emulated one.
 *
 * Theory of operation.  Loading reads what the guest had programmed, which stays
 * where it is; taken up, the card's counter of sent messages and its receive
 * length tell what a former hypervisor did not live to see.  The card's mode is
 * its interrupt enable.  The monitor prefers all events; the guest's choice is
 * kept and put back.
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
	if (!ether_move(v, (int)(l->offset / REGISTER), le64toh(l->value)))
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

const struct backend ether_on_ether = {
	.emulator = &ether_emulator,
	.real = &ether_emulator,
	.peek = ether_peek,
	.peeked = ether_peeked,
	.show = ether_show,
	.ask = ether_ask,
	.load = ether_load,
	.prefer = ether_prefer,
	.loaded = ether_loaded,
	.reset = ether_was_reset,
	.drive = ether_drive_now,
	.is_done = ether_is_done,
	.is_quiet = ether_is_quiet,
	.may_part = ether_may_part,
	.part = ether_part,
	.has_parted = ether_has_parted,
	.lost = ether_lost,
	.restore = ether_restore,
};
