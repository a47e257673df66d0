/* vf_state.c - the PF's window on what a reset takes from a VF: one block a
 * VF, of which any number is read or written in one access; and the register
 * by which the PF fences its VFs' queues.
 *
 * A hypervisor that resets the PF saves and restores all VFs with one access
 * each, and what it writes takes effect as a whole: Bus Master Enable of the
 * first VF is set when the registers of the last one are there, so nobody
 * sends before all can receive.  Pending bits come back too, so no interrupt
 * is lost, and no guest is woken that has nothing to do.
 */
#include <config.h>

#include "cmd/iovdev/vf_state.h"

#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "libcore/pci_caps.h"

#define BLOCKS_END (NIC_PF_STATE_BASE + NIC_VF_MAX * NIC_PF_STATE_SIZE)

_Static_assert(BLOCKS_END <= NIC_PF_BAR_SIZE, "the window lies in the BAR");
_Static_assert(sizeof(((struct interrupts *)0)->table) ==
		       NIC_STATE_TX - NIC_STATE_VECTORS,
	       "room for the MSI-X table");

bool vf_state_covers(const struct function *f, uint64_t offset)
{
	return !f->vf && offset >= NIC_PF_STATE_BASE && offset < BLOCKS_END;
}

static void put_queue(uint8_t *at, const struct nic_queue *q)
{
	pci_put32(at, NIC_STATE_Q_BASE, (uint32_t)q->base);
	pci_put32(at, NIC_STATE_Q_BASE + 4, (uint32_t)(q->base >> 32));
	pci_put32(at, NIC_STATE_Q_ENTRIES, q->entries);
	pci_put32(at, NIC_STATE_Q_VECTOR, q->vector);
}

static uint32_t enables_of(const struct function *vf)
{
	const struct nic_queue *tx = &vf->queue[NIC_QUEUE_TX];
	const struct nic_queue *rx = &vf->queue[NIC_QUEUE_RX];

	return (tx->enable ? NIC_STATE_TX_ON : 0) |
	       (rx->enable ? NIC_STATE_RX_ON : 0) |
	       (tx->pf_enable ? NIC_STATE_PF_TX_ON : 0) |
	       (rx->pf_enable ? NIC_STATE_PF_RX_ON : 0) |
	       (vf->wait ? NIC_STATE_WAIT : 0);
}

static void save(const struct function *vf, uint8_t block[NIC_PF_STATE_SIZE])
{
	const struct pci_config *config = &vf->config;
	unsigned i;

	memset(block, 0, NIC_PF_STATE_SIZE);
	if (!vf->live)
		return;
	for (i = 0; i < NIC_STATE_TX - NIC_STATE_VECTORS; i += 4)
		pci_put32(block, NIC_STATE_VECTORS + i,
			  interrupts_read(&vf->irq, NIC_MSIX_TABLE + i));
	put_queue(block + NIC_STATE_TX, &vf->queue[NIC_QUEUE_TX]);
	put_queue(block + NIC_STATE_RX, &vf->queue[NIC_QUEUE_RX]);
	memcpy(block + NIC_STATE_MAC, vf->mac, sizeof(vf->mac));
	pci_put32(block, NIC_STATE_ENABLES, enables_of(vf));
	pci_put32(block, NIC_STATE_PENDING, vf->irq.pending);
	pci_put16(block, NIC_STATE_DEVCTL,
		  pci_config_get16(config, config->pcie + PCI_EXP_DEVCTL));
	pci_put16(block, NIC_STATE_MSIX,
		  pci_config_get16(config, config->msix + PCI_MSIX_FLAGS));
	pci_put32(block, NIC_STATE_HELD, function_held(vf));
	pci_put16(block, NIC_STATE_COMMAND,
		  pci_config_get16(config, PCI_COMMAND));
}

static void take_queue(struct nic_queue *q, const uint8_t *at, bool on)
{
	nic_queue_detach(q);
	q->base = pci_get32(at, NIC_STATE_Q_BASE) |
		  (uint64_t)pci_get32(at, NIC_STATE_Q_BASE + 4) << 32;
	q->entries = pci_get32(at, NIC_STATE_Q_ENTRIES);
	q->vector = pci_get32(at, NIC_STATE_Q_VECTOR);
	q->enable = on;
	q->status = QUEUE_OK;
}

/* All but its Command register. */
static void load(struct function *vf, const uint8_t block[NIC_PF_STATE_SIZE])
{
	uint32_t enables = pci_get32(block, NIC_STATE_ENABLES);
	struct pci_config *config = &vf->config;
	unsigned i;

	for (i = 0; i < NIC_STATE_TX - NIC_STATE_VECTORS; i += 4)
		(void)interrupts_write(vf, NIC_MSIX_TABLE + i,
				       pci_get32(block, NIC_STATE_VECTORS + i));
	take_queue(&vf->queue[NIC_QUEUE_TX], block + NIC_STATE_TX,
		   enables & NIC_STATE_TX_ON);
	take_queue(&vf->queue[NIC_QUEUE_RX], block + NIC_STATE_RX,
		   enables & NIC_STATE_RX_ON);
	vf->queue[NIC_QUEUE_TX].pf_enable = enables & NIC_STATE_PF_TX_ON;
	vf->queue[NIC_QUEUE_RX].pf_enable = enables & NIC_STATE_PF_RX_ON;
	vf->wait = enables & NIC_STATE_WAIT;
	vf->irq.pending |=
		pci_get32(block, NIC_STATE_PENDING) & ((1u << NIC_VECTORS) - 1);
	sriov_restore_mac(vf, block + NIC_STATE_MAC);
	/* FLR is not among the bits of a state. */
	pci_config_write(config, config->pcie + PCI_EXP_DEVCTL,
			 (uint8_t[]){ block[NIC_STATE_DEVCTL],
				      block[NIC_STATE_DEVCTL + 1] & 0x7f },
			 2);
	pci_config_write(config, config->msix + PCI_MSIX_FLAGS,
			 block + NIC_STATE_MSIX, 2);
}

/* The live VF whose block lies at this offset, or NULL. */
static struct function *vf_of(const struct function *pf, uint64_t offset)
{
	uint64_t i = (offset - NIC_PF_STATE_BASE) / NIC_PF_STATE_SIZE;

	return i < pf->num_vfs ? pf->nic->vf[i] : NULL;
}

void vf_states_read(const struct function *pf, uint64_t offset, uint8_t *data,
		    uint32_t count)
{
	uint32_t skip = (uint32_t)(offset % NIC_PF_STATE_SIZE), n;
	uint8_t block[NIC_PF_STATE_SIZE];
	const struct function *vf;

	for (; count; count -= n, data += n, offset += n, skip = 0) {
		n = NIC_PF_STATE_SIZE - skip;
		if (n > count)
			n = count;
		vf = vf_of(pf, offset);
		memset(block, 0, sizeof(block));
		if (vf)
			save(vf, block);
		memcpy(data, block + skip, n);
	}
}

bool vf_states_write(struct function *pf, uint64_t offset, const uint8_t *data,
		     uint32_t count)
{
	unsigned i, n = count / NIC_PF_STATE_SIZE, queues = 0;
	struct nic *nic = pf->nic;
	struct function *vf;

	if (!n || offset % NIC_PF_STATE_SIZE || count % NIC_PF_STATE_SIZE)
		return false;
	offset = (offset - NIC_PF_STATE_BASE) / NIC_PF_STATE_SIZE;
	if (offset >= pf->num_vfs)
		return true;
	if (n > pf->num_vfs - offset)
		n = pf->num_vfs - (unsigned)offset;
	for (i = 0; i < n; i++)
		load(nic->vf[offset + i], data + i * NIC_PF_STATE_SIZE);
	nic->loading = true;
	for (i = 0; i < n; i++) {
		vf = nic->vf[offset + i];
		pci_config_write(
			&vf->config, PCI_COMMAND,
			data + i * NIC_PF_STATE_SIZE + NIC_STATE_COMMAND, 2);
		queues += vf->queue[NIC_QUEUE_TX].attached;
		queues += vf->queue[NIC_QUEUE_RX].attached;
	}
	nic->loading = false;
	nic_tx_unstall(nic);
	event(nic->log, "vf.loaded", "s:s, s:i, s:i, s:i", "function", pf->name,
	      "first", (int)offset + 1, "vfs", (int)n, "queues", (int)queues);
	return true;
}

uint32_t vf_masters_read(const struct function *pf, unsigned first)
{
	uint32_t masters = 0;
	unsigned i;

	for (i = first; i < pf->num_vfs && i < first + 32; i++)
		if (pf->nic->vf[i]->bme)
			masters |= 1u << (i - first);
	return masters;
}

void vf_masters_write(struct function *pf, unsigned first, uint32_t masters)
{
	struct function *vf;
	uint16_t command;
	unsigned i;

	for (i = first; i < pf->num_vfs && i < first + 32; i++) {
		vf = pf->nic->vf[i];
		if (!vf->bme || masters >> (i - first) & 1)
			continue;
		command = pci_config_get16(&vf->config, PCI_COMMAND) &
			  ~PCI_COMMAND_MASTER;
		pci_config_write(&vf->config, PCI_COMMAND,
				 (uint8_t[]){ (uint8_t)command,
					      (uint8_t)(command >> 8) },
				 2);
	}
}
