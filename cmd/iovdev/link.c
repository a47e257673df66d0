/* link.c - the link operation unit (spec 02: 601, 602, 701, 702).
 *
 * Theory of operation.  Every function has a physical link of its own, which
 * an operator moves; no reset does.  The PF driver learns of a change by an
 * interrupt and a bit.  The interrupt is as good as a level: while a bit is
 * set or a mailbox waits, it is raised again for whoever drives the PF next.
 * A bit cannot be cleared by somebody who has not read the last change.
 *
 * The allocated bandwidth is enforced on transmit: each frame takes its time
 * on the wire, and a queue that was silent may run ahead a little.
 */
#include <config.h>

#include "cmd/iovdev/link.h"

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"

#define TICKS    64u /* a nanosecond */
#define AHEAD_NS NS_PER_MS

void link_init(struct link *link)
{
	link->now = (struct link_values){ .up = true };
}

void link_raise(struct nic *nic)
{
	if (nic->pf_changed || nic->link_changed || nic->mbx_pending)
		interrupts_fire(nic->pf, NIC_VECTOR_EVENT);
}

static bool pass(struct function *f, unsigned index)
{
	return point(f->nic->program->points, index, NULL, NULL, NULL, "s:s",
		     "function", f->name) != POINT_FAIL;
}

/* 601; 602 is passed once the PF driver can see it. */
static void tell(struct function *f)
{
	struct nic *nic = f->nic;

	f->link.unread = true;
	if (!pass(f, POINT_LINK_601))
		return;
	if (f->vf)
		nic->link_changed |= nic_bit(f);
	else
		nic->pf_changed = true;
	if (pass(f, POINT_LINK_602))
		link_raise(nic);
}

void link_set(struct function *f, const struct link_values *values)
{
	struct link_values *now = &f->link.now;
	bool rate =
		values->allocated != now->allocated || values->max != now->max;

	if (!rate && values->up == now->up)
		return;
	*now = *values;
	if (rate)
		f->link.next = 0;
	event(f->nic->log, "link.set", "s:s, s:b, s:I, s:I", "function",
	      f->name, "up", now->up, "bandwidth_max", (json_int_t)now->max,
	      "bandwidth", (json_int_t)now->allocated);
	tell(f);
	if (f->vf)
		nic_tx_kick(f);
	nic_tx_unstall(f->nic); /* who waits for it as a receiver */
}

void link_read(struct function *f)
{
	struct points *points = f->nic->program->points;

	if (point_armed(points, POINT_LINK_701))
		(void)pass(f, POINT_LINK_701);
	f->link.unread = false;
	if (point_armed(points, POINT_LINK_702))
		(void)pass(f, POINT_LINK_702);
}

void link_clear_pf(struct nic *nic, uint32_t bits)
{
	if (bits & 1 && !nic->pf->link.unread)
		nic->pf_changed = false;
	else if (bits & 1)
		link_raise(nic);
}

void link_clear(struct nic *nic, uint64_t bits)
{
	unsigned i;

	for (i = 0; i < nic->n_vfs; i++)
		if (!nic->vf[i]->link.unread)
			nic->link_changed &= ~(bits & nic_bit(nic->vf[i]));
	if (nic->link_changed & bits)
		link_raise(nic);
}

static uint64_t rate(const struct link *link)
{
	const struct link_values *now = &link->now;

	return now->allocated ? now->allocated : now->max;
}

bool link_is_limited(const struct function *f)
{
	return rate(&f->link) != 0;
}

uint64_t link_busy_until(const struct function *f, uint64_t now_ns)
{
	const struct link *link = &f->link;

	if (!rate(link) || link->next <= now_ns * TICKS)
		return 0;
	/* Half of what it may run ahead comes in one go. */
	return link->next / TICKS + AHEAD_NS / 2;
}

void link_take(struct function *f, uint32_t size, uint64_t now_ns)
{
	uint64_t bps = rate(&f->link), least = (now_ns - AHEAD_NS) * TICKS;

	if (!bps)
		return;
	if (f->link.next < least)
		f->link.next = least;
	f->link.next += (uint64_t)size * 8 * NS_PER_S * TICKS / bps;
}
