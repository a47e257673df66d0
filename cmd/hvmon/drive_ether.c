/* drive_ether.c - the monitor's own driver of an Ethernet card: it sends the
 * messages that an emulated one was given.
 *
 * Theory of operation.  One chain runs at a time: send what is queued, read the
 * status, which acknowledges it, and once more when somebody asked meanwhile.
 * The message stays in the guest's memory: the device is assigned to the guest,
 * and what our driver writes are the guest's addresses.  What the status says
 * is passed on to the guest by the emulated one.
 *
 * The device's counter of sent messages tells a new hypervisor whether the
 * message that was on its way has left.
 */
#include <config.h>

#include <endian.h>

#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/drive.h"
#include "cmd/hvmon/emulate_ether.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/ether.h"

struct chain {
	struct drive drive;
	uint64_t status;
};

void ether_update_level(struct virtual *v)
{
	const struct ether_virtual *s = ether_virtual(v);

	virtual_set_level(v, s->status & s->irq_enable);
}

void ether_take_status(struct virtual *v, uint64_t real)
{
	struct ether_virtual *s = ether_virtual(v);
	uint64_t events = real & ETHER_STATUS_EVENTS;

	if (real == UINT64_MAX)
		return; /* nobody answers there */
	/* Only our own writes reach its machine, and they are legal. */
	events &= ~(uint64_t)ETHER_STATUS_ILLEGAL;
	if (!events)
		return;
	if (s->send == ETHER_SEND_ISSUED &&
	    events & (ETHER_STATUS_SENT | ETHER_STATUS_BAD_SEND)) {
		v->own_seen = true;
		s->send = ETHER_SEND_NONE;
		s->sent_before += !!(events & ETHER_STATUS_SENT);
	}
	if (events & (ETHER_STATUS_MESSAGE | ETHER_STATUS_BAD_RX))
		s->lent = 0;
	if (events & ETHER_STATUS_MESSAGE)
		s->size_kept = 0;
	s->status |= events;
	virtual_keep_record(v);
	ether_update_level(v);
	virtual_changed(v);
}

static void write_register(struct procedure *p, struct virtual *v,
			   uint32_t offset, uint64_t value)
{
	value = htole64(value);
	step_write(p, virtual_register(v, offset), &value, sizeof(value));
}

static int chain_run(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	struct virtual *v = c->drive.v;
	struct ether_virtual *s = ether_virtual(v);

	if (!v->device)
		return STEP_DONE;
	ether_take_logged(v);
	if (s->send == ETHER_SEND_QUEUED) {
		s->send = ETHER_SEND_ISSUED;
		virtual_keep_record(v);
		write_register(p, v, ETHER_CSR_A, s->address);
		write_register(p, v, ETHER_CSR_B, s->length);
		write_register(p, v, ETHER_CSR_C, s->destination);
	}
	step_read(p, virtual_register(v, ETHER_STATUS), &c->status,
		  sizeof(c->status));
	return STEP_NEXT;
}

static int chain_take(struct procedure *p)
{
	struct chain *c = (struct chain *)p;
	uint64_t real = le64toh(c->status);

	if (!c->drive.v->device)
		return STEP_DONE;
	/* One that nobody here waits for. */
	if (c->drive.interrupt && !(real & ETHER_STATUS_EVENTS) &&
	    !c->drive.v->own_seen)
		c->drive.v->dropped++;
	ether_take_status(c->drive.v, real);
	return STEP_NEXT;
}

static void chain_end(struct procedure *p)
{
	struct virtual *v = ((struct drive *)p)->v;

	v->driving = false;
	if (!v->device)
		return;
	if (p->err && v->record.phase == VIRTUAL_EMULATING)
		virtual_refused(v, p->why);
	else if (!p->err && (v->drive_again || ether_has_logged(v) ||
			     ether_virtual(v)->send == ETHER_SEND_QUEUED))
		ether_drive(v, v->drive_interrupt);
	virtual_changed(v);
}

static const struct step chain_steps[] = {
	{ POINT_NONE, chain_run },
	{ POINT_NONE, chain_take },
	{ 0, NULL },
};

static const struct procedure_desc chain_desc = {
	.name = "drive ether",
	.steps = chain_steps,
	.end = chain_end,
	.fini = drive_fini,
};

void ether_drive(struct virtual *v, bool interrupt)
{
	drive_begin(v, &chain_desc, sizeof(struct chain), interrupt);
}
