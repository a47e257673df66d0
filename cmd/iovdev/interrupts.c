/* interrupts.c - MSI-X: table, pending bits, masks, eventfds.
 *
 * Theory of operation.  A vector that is raised becomes pending; it fires at
 * once if MSI-X is enabled, neither the function nor the vector is masked,
 * Bus Master Enable is set and its eventfd is known, else when the last of
 * these comes true (pcie6 6.1.4).  A fired vector is no longer pending.
 */
#include <config.h>

#include "cmd/iovdev/interrupts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "libcore/peer_eventfd.h"

#define ALL_VECTORS ((1u << NIC_VECTORS) - 1)

void interrupts_init(struct interrupts *irq)
{
	unsigned i;

	for (i = 0; i < NIC_VECTORS; i++)
		irq->fd[i] = -1;
	interrupts_reset(irq);
}

static void set_fd(struct interrupts *irq, unsigned vector, int fd)
{
	if (irq->fd[vector] >= 0)
		close(irq->fd[vector]);
	irq->fd[vector] = fd;
}

void interrupts_release(struct interrupts *irq)
{
	unsigned i;

	for (i = 0; i < NIC_VECTORS; i++)
		set_fd(irq, i, -1);
	irq->client_mask = 0;
}

void interrupts_reset(struct interrupts *irq)
{
	unsigned i;

	memset(irq->table, 0, sizeof(irq->table));
	for (i = 0; i < NIC_VECTORS; i++)
		irq->table[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	irq->pending = 0;
	irq->enable = irq->function_mask = false;
}

static bool may_fire(const struct function *f, unsigned vector)
{
	const struct interrupts *irq = &f->irq;

	return irq->enable && !irq->function_mask && function_bme(f) &&
	       irq->fd[vector] >= 0 && !(irq->client_mask >> vector & 1) &&
	       !(irq->table[vector].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static void ring(struct interrupts *irq, unsigned vector)
{
	peer_eventfd_raise(irq->fd[vector]);
	irq->fired++;
}

static void fire(struct interrupts *irq, unsigned vector)
{
	ring(irq, vector);
	irq->pending &= ~(1u << vector);
}

bool interrupts_send(struct function *f, uint32_t vector)
{
	if (f->irq.fd[vector] < 0)
		return false;
	ring(&f->irq, vector);
	return true;
}

void interrupts_fire(struct function *f, uint32_t vector)
{
	if (vector >= NIC_VECTORS)
		return;
	f->irq.pending |= 1u << vector;
	if (may_fire(f, vector))
		fire(&f->irq, vector);
}

void interrupts_update(struct function *f)
{
	unsigned i;

	completion_update(f);
	for (i = 0; f->irq.pending && i < NIC_VECTORS; i++)
		if (f->irq.pending >> i & 1 && may_fire(f, i))
			fire(&f->irq, i);
}

/* A wake-up between two owners is not lost: what the old eventfd still held
 * goes to the new one. */
static void assign(struct interrupts *irq, unsigned vector, int *fd)
{
	int old = irq->fd[vector];

	if (old >= 0 && peer_eventfd_take(old))
		peer_eventfd_raise(*fd);
	set_fd(irq, vector, *fd);
	*fd = -1;
}

static int set_eventfds(struct function *f, const struct vfu_irq_set *set,
			int *fds, unsigned n_fds)
{
	struct interrupts *irq = &f->irq;
	unsigned i;

	if (!(set->flags & VFU_IRQ_ACTION_TRIGGER))
		return -ENOTSUP;
	for (i = 0; i < n_fds; i++)
		if (peer_eventfd_accept(fds[i]) < 0)
			return -EINVAL;
	for (i = 0; i < set->count; i++)
		if (n_fds)
			assign(irq, set->start + i, &fds[i]);
		else
			set_fd(irq, set->start + i, -1);
	/* Whoever drives the PF now was not told. */
	if (n_fds && set->start == NIC_VECTOR_EVENT && !f->vf)
		link_raise(f->nic);
	return 0;
}

int interrupts_set(struct function *f, const struct vfu_irq_set *set, int *fds,
		   unsigned n_fds, const uint8_t *data)
{
	struct interrupts *irq = &f->irq;
	uint32_t chosen = 0;
	unsigned i;
	int err = 0;

	for (i = 0; i < set->count; i++)
		if (!(set->flags & VFU_IRQ_DATA_BOOL) || data[i])
			chosen |= 1u << (set->start + i);
	if (!set->count)
		interrupts_release(irq);
	else if (set->flags & VFU_IRQ_DATA_EVENTFD)
		err = set_eventfds(f, set, fds, n_fds);
	else if (set->flags & VFU_IRQ_ACTION_MASK)
		irq->client_mask |= chosen;
	else if (set->flags & VFU_IRQ_ACTION_UNMASK)
		irq->client_mask &= ~chosen;
	else
		irq->pending |= chosen & ALL_VECTORS;
	interrupts_update(f);
	return err;
}

uint32_t interrupts_read(const struct interrupts *irq, uint32_t offset)
{
	uint32_t at = offset - NIC_MSIX_TABLE, value;

	if (at < sizeof(irq->table)) {
		memcpy(&value, (const uint8_t *)irq->table + at, sizeof(value));
		return value;
	}
	return offset == NIC_MSIX_PBA ? irq->pending : 0;
}

bool interrupts_write(struct function *f, uint32_t offset, uint32_t value)
{
	struct interrupts *irq = &f->irq;
	uint32_t at = offset - NIC_MSIX_TABLE;

	if (at >= sizeof(irq->table))
		return false;
	if (at % sizeof(irq->table[0]) == PCI_MSIX_ENTRY_VECTOR_CTRL)
		value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	memcpy((uint8_t *)irq->table + at, &value, sizeof(value));
	interrupts_update(f);
	return true;
}
