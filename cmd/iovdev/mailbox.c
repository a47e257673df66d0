/* mailbox.c - the mailbox of a VF.
 *
 * A request lies in a register until somebody who drives the PF answers it, so
 * it outlives whoever should have.  An answer to another request than the one
 * that lies there is nobody's: the PF driver is interrupted once more.
 */
#include <config.h>

#include "cmd/iovdev/mailbox.h"

#include <string.h>

#include "cmd/iovdev/nic.h"

static uint32_t half(uint64_t value, uint32_t offset)
{
	return (uint32_t)(value >> (offset & 4 ? 32 : 0));
}

static void set_half(uint64_t *value, uint32_t offset, uint32_t to)
{
	if (offset & 4)
		*value = (uint32_t)*value | (uint64_t)to << 32;
	else
		*value = (*value & ~(uint64_t)UINT32_MAX) | to;
}

uint32_t mailbox_read(const struct function *vf, uint32_t offset)
{
	const struct mailbox *m = &vf->mailbox;

	switch (offset) {
	case NIC_MBX_REQUEST:
		return m->request;
	case NIC_MBX_ANSWER:
		return m->answer;
	case NIC_MBX_NOTICES:
		return m->notices;
	case NIC_MBX_LINK:
		return m->answered.up;
	case NIC_MBX_BANDWIDTH_MAX:
	case NIC_MBX_BANDWIDTH_MAX + 4:
		return half(m->answered.max, offset);
	case NIC_MBX_BANDWIDTH:
	case NIC_MBX_BANDWIDTH + 4:
		return half(m->answered.allocated, offset);
	}
	return 0;
}

void mailbox_request(struct function *vf, uint32_t value)
{
	struct mailbox *m = &vf->mailbox;
	struct nic *nic = vf->nic;

	if (!value || value == UINT32_MAX || value == m->request)
		return;
	m->request = value;
	/* One that is replaced before its answer is seen when that comes. */
	if (nic->mbx_pending & nic_bit(vf))
		return;
	nic->mbx_pending |= nic_bit(vf);
	link_raise(nic);
}

uint32_t mailbox_read_block(const struct function *vf, uint32_t offset)
{
	const struct mailbox *m = &vf->mailbox;

	switch (offset) {
	case NIC_PF_VF_MBX:
		return m->request;
	case NIC_PF_VF_ANS_MAX:
	case NIC_PF_VF_ANS_MAX + 4:
		return half(m->next.max, offset);
	case NIC_PF_VF_ANS_BW:
	case NIC_PF_VF_ANS_BW + 4:
		return half(m->next.allocated, offset);
	case NIC_PF_VF_ANS_LINK:
		return m->next.up;
	}
	return 0;
}

static void take_answer(struct function *vf, uint32_t value)
{
	struct mailbox *m = &vf->mailbox;
	struct nic *nic = vf->nic;

	if (!(nic->mbx_pending & nic_bit(vf)))
		return;
	if (value != m->request) {
		link_raise(nic);
		return;
	}
	nic->mbx_pending &= ~nic_bit(vf);
	m->answered = m->next;
	m->answer = value;
	interrupts_fire(vf, NIC_VECTOR_EVENT);
}

bool mailbox_write_block(struct function *vf, uint32_t offset, uint32_t value)
{
	struct mailbox *m = &vf->mailbox;

	switch (offset) {
	case NIC_PF_VF_ANS_MAX:
	case NIC_PF_VF_ANS_MAX + 4:
		set_half(&m->next.max, offset, value);
		return true;
	case NIC_PF_VF_ANS_BW:
	case NIC_PF_VF_ANS_BW + 4:
		set_half(&m->next.allocated, offset, value);
		return true;
	case NIC_PF_VF_ANS_LINK:
		m->next.up = value & 1;
		return true;
	case NIC_PF_VF_ANSWER:
		take_answer(vf, value);
		return true;
	case NIC_PF_VF_NOTIFY:
		m->notices++;
		interrupts_fire(vf, NIC_VECTOR_EVENT);
		return true;
	}
	return false;
}

void mailbox_reset(struct function *vf)
{
	memset(&vf->mailbox, 0, sizeof(vf->mailbox));
	vf->nic->mbx_pending &= ~nic_bit(vf);
}
