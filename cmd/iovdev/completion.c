/* completion.c - the completion-interrupt register (spec 01, a610-a630).
 *
 * Theory of operation.  Register operations are executed in order, so when
 * the write is executed all earlier ones are complete; what may be left are
 * entries that the queues took.  Those are counted down in the order in which
 * they are finished; later entries do not put the interrupt off.  It says
 * something about the function and not to its guest, so neither MSI-X Enable
 * nor masks nor Bus Master Enable keep it back.
 */
#include <config.h>

#include "cmd/iovdev/completion.h"

#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_rx.h"

bool completion_write(struct function *f, uint32_t value)
{
	struct completion *c = &f->completion;
	unsigned i;

	if (!(value & NIC_COMPLETION_ARM)) {
		completion_reset(f);
		return !value;
	}
	if ((value & ~NIC_COMPLETION_ARM) >= NIC_VECTORS)
		return false;
	c->armed = value;
	for (i = 0; i < NIC_QUEUE_N; i++)
		c->left[i] = part(&f->nic->program->parts, PART_BARRIER)
				     ? nic_queue_held(&f->queue[i])
				     : 0;
	if (f->vf && f->nic->dirty & nic_bit(f))
		nic_rx_flush(f->nic);
	completion_update(f);
	return true;
}

void completion_finished(struct nic_queue *q, uint32_t k)
{
	uint32_t *left = &q->function->completion.left[q->kind];

	*left -= k < *left ? k : *left;
}

void completion_update(struct function *f)
{
	struct completion *c = &f->completion;

	if (!c->armed || c->left[NIC_QUEUE_TX] || c->left[NIC_QUEUE_RX])
		return;
	if (interrupts_send(f, c->armed & ~NIC_COMPLETION_ARM))
		c->armed = 0;
}

void completion_reset(struct function *f)
{
	memset(&f->completion, 0, sizeof(f->completion));
}
