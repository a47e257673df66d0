/* registers.c - BAR 0 of PF and VFs (nic_regs.h, iovkit-nic(7)). */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "cmd/iovdev/vf_state.h"

#define NIC_VERSION_VALUE 1u
#define QUEUE_BLOCK       0x40u

static uint32_t half(uint64_t value, uint32_t offset)
{
	return (uint32_t)(value >> (offset & 4 ? 32 : 0));
}

static uint32_t mac_low(const uint8_t mac[6])
{
	return mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 |
	       (uint32_t)mac[3] << 24;
}

static uint32_t mac_high(const uint8_t mac[6])
{
	return mac[4] | (uint32_t)mac[5] << 8;
}

static struct nic_queue *queue_at(struct function *f, uint32_t offset,
				  uint32_t *within)
{
	if (!f->vf)
		return NULL;
	*within = offset - NIC_TX;
	if (*within < QUEUE_BLOCK)
		return &f->queue[NIC_QUEUE_TX];
	*within = offset - NIC_RX;
	return *within < QUEUE_BLOCK ? &f->queue[NIC_QUEUE_RX] : NULL;
}

static uint32_t read_queue(const struct nic_queue *q, uint32_t offset)
{
	switch (offset) {
	case NIC_Q_BASE:
	case NIC_Q_BASE + 4:
		return half(q->base, offset);
	case NIC_Q_ENTRIES:
		return q->entries;
	case NIC_Q_ENABLE:
		return q->enable;
	case NIC_Q_STATUS:
		return q->status;
	case NIC_Q_WRITE_INDEX:
		return nic_queue_write_index(q);
	case NIC_Q_READ_INDEX:
		return nic_queue_read_index(q);
	case NIC_Q_VECTOR:
		return q->vector;
	case NIC_Q_FRAMES:
	case NIC_Q_FRAMES + 4:
		return half(q->frames, offset);
	case NIC_Q_BYTES:
	case NIC_Q_BYTES + 4:
		return half(q->bytes, offset);
	case NIC_Q_DROPPED:
	case NIC_Q_DROPPED + 4:
		return half(q->dropped, offset);
	case NIC_Q_ERRORS:
	case NIC_Q_ERRORS + 4:
		return half(q->errors, offset);
	}
	return 0;
}

static bool write_queue(struct nic_queue *q, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case NIC_Q_BASE:
		q->base = (q->base & ~(uint64_t)UINT32_MAX) | value;
		return true;
	case NIC_Q_BASE + 4:
		q->base = (uint32_t)q->base | (uint64_t)value << 32;
		return true;
	case NIC_Q_ENTRIES:
		q->entries = value;
		return true;
	case NIC_Q_ENABLE:
		nic_queue_enable(q, value);
		return true;
	case NIC_Q_VECTOR:
		q->vector = value;
		return true;
	}
	return false;
}

/* The VF whose block in the PF's BAR has this offset, or NULL. */
static struct function *block_at(struct function *pf, uint32_t offset,
				 uint32_t *within)
{
	uint32_t i = (offset - NIC_PF_VF_BASE) / NIC_PF_VF_SIZE;

	if (pf->vf || offset < NIC_PF_VF_BASE || i >= pf->nic->n_vfs)
		return NULL;
	*within = (offset - NIC_PF_VF_BASE) % NIC_PF_VF_SIZE;
	return pf->nic->vf[i];
}

static uint32_t queue_state(const struct function *vf)
{
	const struct nic_queue *tx = &vf->queue[NIC_QUEUE_TX];
	const struct nic_queue *rx = &vf->queue[NIC_QUEUE_RX];
	uint32_t state = vf->bme ? NIC_QSTATE_BME : 0;

	if (tx->enable && (!vf->bme || (tx->attached && queue_enabled(&tx->q))))
		state |= NIC_QSTATE_TX_ON;
	if (rx->enable && (!vf->bme || (rx->attached && queue_enabled(&rx->q))))
		state |= NIC_QSTATE_RX_ON;
	return state;
}

static uint32_t read_block(struct function *vf, uint32_t offset)
{
	const struct nic_queue *tx = &vf->queue[NIC_QUEUE_TX];
	const struct nic_queue *rx = &vf->queue[NIC_QUEUE_RX];

	switch (offset) {
	case NIC_PF_VF_MAC_LOW:
		return mac_low(vf->mac);
	case NIC_PF_VF_MAC_HIGH:
		return mac_high(vf->mac);
	case NIC_PF_VF_TX_ENABLE:
		return tx->pf_enable;
	case NIC_PF_VF_RX_ENABLE:
		return rx->pf_enable;
	case NIC_PF_VF_TX_WRITE:
		return nic_queue_write_index(tx);
	case NIC_PF_VF_TX_READ:
		return nic_queue_read_index(tx);
	case NIC_PF_VF_RX_WRITE:
		return nic_queue_write_index(rx);
	case NIC_PF_VF_RX_READ:
		return nic_queue_read_index(rx);
	case NIC_PF_VF_QSTATE:
		return queue_state(vf);
	case NIC_PF_VF_HELD:
		return function_held(vf);
	case NIC_PF_VF_WAIT:
		return vf->wait;
	case NIC_PF_VF_WRITTEN:
	case NIC_PF_VF_WRITTEN + 4:
		return half(rx->written, offset);
	case NIC_PF_VF_LINK:
		link_read(vf);
		return vf->link.now.up;
	case NIC_PF_VF_BW_MAX:
	case NIC_PF_VF_BW_MAX + 4:
		return half(vf->link.now.max, offset);
	case NIC_PF_VF_BW:
	case NIC_PF_VF_BW + 4:
		return half(vf->link.now.allocated, offset);
	}
	return mailbox_read_block(vf, offset);
}

/* The PF's enable; switching off is answered when nothing is in hand. */
static void set_pf_enable(struct function *pf, struct function *vf,
			  enum nic_queue_kind kind, bool on)
{
	struct nic_queue *q = &vf->queue[kind];

	q->pf_enable = on;
	if (!on && nic_queue_held(q))
		pf->wait_quiet = q;
	else if (on && kind == NIC_QUEUE_TX)
		nic_tx_kick(vf);
	if (kind == NIC_QUEUE_RX)
		nic_tx_unstall(pf->nic);
}

static bool take_mac(struct function *vf, uint32_t high)
{
	uint8_t mac[6] = {
		vf->mac_low[0], vf->mac_low[1], vf->mac_low[2],
		vf->mac_low[3], (uint8_t)high,  (uint8_t)(high >> 8)
	};
	static const uint8_t none[6];

	if (mac[0] & 1 || !memcmp(mac, none, sizeof(mac)))
		return false;
	memcpy(vf->mac, mac, sizeof(mac));
	if (vf->live) {
		switch_set_mac(vf->nic, vf->vf, vf->mac);
		interrupts_fire(vf, NIC_VECTOR_EVENT);
	}
	return true;
}

static bool write_block(struct function *pf, struct function *vf,
			uint32_t offset, uint32_t value)
{
	switch (offset) {
	case NIC_PF_VF_MAC_LOW:
		value = htole32(value);
		memcpy(vf->mac_low, &value, sizeof(value));
		return true;
	case NIC_PF_VF_MAC_HIGH:
		return take_mac(vf, value);
	case NIC_PF_VF_TX_ENABLE:
		set_pf_enable(pf, vf, NIC_QUEUE_TX, value & 1);
		return true;
	case NIC_PF_VF_RX_ENABLE:
		set_pf_enable(pf, vf, NIC_QUEUE_RX, value & 1);
		return true;
	case NIC_PF_VF_WAIT:
		vf->wait = value & 1;
		nic_tx_unstall(pf->nic);
		return true;
	}
	return mailbox_write_block(vf, offset, value);
}

/* Link and bandwidth, why the PF interrupts, and who masters the bus. */
static uint32_t read_pf(struct function *pf, uint32_t offset)
{
	const struct link_values *now = &pf->link.now;
	const struct nic *nic = pf->nic;

	switch (offset) {
	case NIC_STATUS:
		link_read(pf);
		return now->up ? NIC_STATUS_LINK_UP : 0;
	case NIC_BANDWIDTH_MAX:
	case NIC_BANDWIDTH_MAX + 4:
		return half(now->max, offset);
	case NIC_BANDWIDTH:
	case NIC_BANDWIDTH + 4:
		return half(now->allocated, offset);
	case NIC_PF_LINK_CHANGED:
	case NIC_PF_LINK_CHANGED + 4:
		return half(nic->link_changed, offset);
	case NIC_PF_MBX_PENDING:
	case NIC_PF_MBX_PENDING + 4:
		return half(nic->mbx_pending, offset);
	case NIC_PF_CHANGED:
		return nic->pf_changed;
	case NIC_PF_MASTERS:
	case NIC_PF_MASTERS + 4:
		return vf_masters_read(pf, 8 * (offset - NIC_PF_MASTERS));
	}
	return 0;
}

static bool write_pf(struct function *pf, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case NIC_PF_LINK_CHANGED:
		link_clear(pf->nic, value);
		return true;
	case NIC_PF_LINK_CHANGED + 4:
		link_clear(pf->nic, (uint64_t)value << 32);
		return true;
	case NIC_PF_CHANGED:
		link_clear_pf(pf->nic, value);
		return true;
	case NIC_PF_MASTERS:
	case NIC_PF_MASTERS + 4:
		vf_masters_write(pf, 8 * (offset - NIC_PF_MASTERS), value);
		return true;
	}
	return false;
}

static uint32_t read_one(struct function *f, uint32_t offset)
{
	struct nic_queue *q;
	struct function *vf;
	uint32_t within;

	if (offset >= NIC_MSIX_TABLE && offset < NIC_PF_VF_BASE)
		return interrupts_read(&f->irq, offset);
	q = queue_at(f, offset, &within);
	if (q)
		return read_queue(q, within);
	vf = block_at(f, offset, &within);
	if (vf)
		return read_block(vf, within);
	switch (offset) {
	case NIC_ID:
		return NIC_ID_VALUE;
	case NIC_VERSION:
		return NIC_VERSION_VALUE;
	case NIC_SCRATCH:
		return f->scratch;
	case NIC_MAC_LOW:
		return mac_low(f->mac);
	case NIC_MAC_HIGH:
		return mac_high(f->mac);
	case NIC_RESETS:
		return f->resets;
	case NIC_COMPLETION:
		return f->completion.armed;
	case NIC_PF_NUM_VFS:
		return f->vf ? 0 : f->num_vfs;
	}
	/* Of its link a VF knows what it is told. */
	return f->vf ? mailbox_read(f, offset) : read_pf(f, offset);
}

/* False: nothing there can be written. */
static bool write_one(struct function *f, uint32_t offset, uint32_t value)
{
	struct nic_queue *q;
	struct function *vf;
	uint32_t within;

	if (offset >= NIC_MSIX_TABLE && offset < NIC_PF_VF_BASE)
		return interrupts_write(f, offset, value);
	q = queue_at(f, offset, &within);
	if (q)
		return write_queue(q, within, value);
	vf = block_at(f, offset, &within);
	if (vf)
		return write_block(f, vf, within, value);
	if (offset == NIC_SCRATCH) {
		f->scratch = value;
		return true;
	}
	if (offset == NIC_COMPLETION)
		return completion_write(f, value);
	if (offset == NIC_PF_RESET && !f->vf && value == NIC_PF_RESET_KEY) {
		f->todo |= TODO_FLR;
		return true;
	}
	if (!f->vf)
		return write_pf(f, offset, value);
	if (offset == NIC_MBX_REQUEST) {
		mailbox_request(f, value);
		return true;
	}
	return doorbells_write(f, offset);
}

void registers_read(struct function *f, uint64_t offset, uint8_t *data,
		    uint32_t count)
{
	uint32_t at = (uint32_t)offset, value, skip, n;

	if (vf_state_covers(f, offset)) {
		vf_states_read(f, offset, data, count);
		return;
	}
	while (count) {
		skip = at & 3;
		n = 4 - skip < count ? 4 - skip : count;
		value = htole32(read_one(f, at - skip));
		memcpy(data, (const uint8_t *)&value + skip, n);
		at += n;
		data += n;
		count -= n;
	}
}

void registers_write(struct function *f, uint64_t offset, const uint8_t *data,
		     uint32_t count)
{
	uint32_t at = (uint32_t)offset, value;
	bool wide = count > NIC_WIDE; /* read-only ones are passed over */

	if (vf_state_covers(f, offset)) {
		f->refused += !vf_states_write(f, offset, data, count);
		return;
	}
	if ((at | count) & 3) {
		f->refused++;
		return;
	}
	for (; count; count -= 4, at += 4, data += 4) {
		memcpy(&value, data, sizeof(value));
		if (!write_one(f, at, le32toh(value)) && !wide)
			f->refused++;
	}
}
