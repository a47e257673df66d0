/* vf_registers.c - the register accesses of each step of a VF's setup. */
#include <config.h>

#include "cmd/guestd/vf_registers.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_receive.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/pci_caps.h"

/* Where MSI messages go on this platform; only the data tells them apart. */
#define MSI_ADDRESS 0xfee00000ull

static const uint32_t vector_of_queue[2] = { NIC_VECTOR_TX, NIC_VECTOR_RX };
static const uint32_t queue_block[2] = { NIC_TX, NIC_RX };

static void op_done(struct vf *vf, int err)
{
	if (err && !vf->op_error)
		vf->op_error = err;
	if (--vf->pending == 0)
		vf_setup_run(vf);
}

static void on_op(void *arg, const struct vfu_reply *reply)
{
	struct vf_op *op = arg;
	struct vf *vf = op->vf;
	const uint8_t *data;
	uint64_t value = 0;

	if (reply->err == -ENOTCONN)
		return;
	if (op->out && !reply->err) {
		data = vfu_reply_data(reply, op->size);
		if (!data) {
			op_done(vf, -EBADMSG);
			return;
		}
		memcpy(&value, data,
		       op->size < sizeof(value) ? op->size : sizeof(value));
		if (op->size > sizeof(value))
			memcpy(op->out, data, op->size);
		else
			*(uint64_t *)op->out = le64toh(value);
		vf->counters.refused += op->out != vf->regs.config &&
					pci_get32(data, 0) == UINT32_MAX;
	}
	op_done(vf, reply->err);
}

/* What was sent counts; what could not be sent is the step's error. */
static void op_sent(struct vf *vf, int err)
{
	if (err < 0 && !vf->op_error)
		vf->op_error = err;
	if (err == 0)
		vf->pending++;
}

static struct vf_op *op_next(struct vf *vf, void *out, uint32_t size)
{
	struct vf_op *op = &vf->ops[vf->n_ops++];

	*op = (struct vf_op){ .vf = vf, .out = out, .size = size };
	return op;
}

static void reg_read(struct vf *vf, uint32_t offset, uint32_t size, void *out)
{
	op_sent(vf, bus_read(&vf->guest->bus, vf->pci.bar0 + offset, size,
			     on_op, op_next(vf, out, size)));
}

static void reg_write32(struct vf *vf, uint32_t offset, uint32_t value)
{
	value = htole32(value);
	op_sent(vf, bus_write(&vf->guest->bus, vf->pci.bar0 + offset, &value,
			      sizeof(value), on_op, op_next(vf, NULL, 0)));
}

static void reg_write64(struct vf *vf, uint32_t offset, uint64_t value)
{
	value = htole64(value);
	op_sent(vf, bus_write(&vf->guest->bus, vf->pci.bar0 + offset, &value,
			      sizeof(value), on_op, op_next(vf, NULL, 0)));
}

static void config_write16(struct vf *vf, uint32_t offset, uint16_t value)
{
	value = htole16(value);
	op_sent(vf,
		bus_write(&vf->guest->bus,
			  platform_guest_config(vf->pci.slot) + offset, &value,
			  sizeof(value), on_op, op_next(vf, NULL, 0)));
}

/* Each access of config space is the hypervisor's to emulate, so it is one. */
void vf_issue_config(struct vf *vf)
{
	uint32_t last = vf->pci.msix_cap ? vf->pci.msix_cap + PCI_MSIX_FLAGS + 1
					 : PCI_STD_HEADER_SIZEOF - 1;
	uint32_t size = last + 1 - PCI_COMMAND;

	op_sent(vf, bus_read(&vf->guest->bus,
			     platform_guest_config(vf->pci.slot) + PCI_COMMAND,
			     size, on_op, op_next(vf, vf->regs.config, size)));
}

void vf_issue_command(struct vf *vf)
{
	const uint16_t want = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if ((vf->pci.command & want) == want)
		return;
	vf->pci.command |= want;
	config_write16(vf, PCI_COMMAND, vf->pci.command);
}

static void read_page(struct vf *vf)
{
	reg_read(vf, 0, VF_PAGE_SIZE, vf->regs.page);
}

void vf_issue_identify(struct vf *vf)
{
	read_page(vf);
	reg_read(vf, vf->pci.msix_table, VF_TABLE_SIZE, vf->regs.table);
}

uint32_t vf_register(const struct vf *vf, uint32_t offset)
{
	return pci_get32(vf->regs.page, offset);
}

uint64_t vf_register64(const struct vf *vf, uint32_t offset)
{
	return vf_register(vf, offset) | (uint64_t)vf_register(vf, offset + 4)
						 << 32;
}

bool vf_is_running(const struct vf *vf)
{
	unsigned i;

	for (i = 0; i < VF_VECTORS; i++)
		if (pci_get32(vf->regs.table,
			      i * PCI_MSIX_ENTRY_SIZE +
				      PCI_MSIX_ENTRY_VECTOR_CTRL) &
		    PCI_MSIX_ENTRY_CTRL_MASKBIT)
			return false;
	return vf->n && vf_register(vf, NIC_TX + NIC_Q_ENABLE) == 1 &&
	       vf_register(vf, NIC_RX + NIC_Q_ENABLE) == 1 &&
	       vf_register64(vf, NIC_TX + NIC_Q_BASE) == vf->tx_gpa &&
	       vf_register64(vf, NIC_RX + NIC_Q_BASE) == vf->rx_gpa &&
	       vf_register(vf, NIC_TX + NIC_Q_VECTOR) == NIC_VECTOR_TX &&
	       vf_register(vf, NIC_RX + NIC_Q_VECTOR) == NIC_VECTOR_RX &&
	       (vf->pci.msix_control & PCI_MSIX_FLAGS_ENABLE) &&
	       !(vf->pci.msix_control & PCI_MSIX_FLAGS_MASKALL);
}

static void doorbell_take(int *to, const struct vfu_io_fd *sub,
			  const struct vfu_reply *reply)
{
	if (sub->type != VFU_IO_FD_IOEVENTFD || sub->fd_index >= reply->n_fds ||
	    reply->fds[sub->fd_index] < 0)
		return;
	if (*to >= 0)
		close(*to);
	*to = reply->fds[sub->fd_index];
	reply->fds[sub->fd_index] = -1;
}

/* Which of these doorbells are this VF's; how many there were. */
static uint32_t doorbells_take(struct vf *vf, const struct vfu_reply *reply)
{
	struct vfu_io_fds head;
	struct vfu_io_fd sub;
	size_t at = sizeof(head);
	uint32_t i;

	if (reply->err || reply->size < sizeof(head))
		return 0;
	memcpy(&head, reply->payload, sizeof(head));
	for (i = 0; i < head.count && at + sizeof(sub) <= reply->size; i++) {
		memcpy(&sub, reply->payload + at, sizeof(sub));
		at += sizeof(sub);
		if (sub.offset == vf->pci.bar0 + NIC_DOORBELL_TX)
			doorbell_take(&vf->doorbell_tx, &sub, reply);
		else if (sub.offset == vf->pci.bar0 + NIC_DOORBELL_RX)
			doorbell_take(&vf->doorbell_rx, &sub, reply);
	}
	return i;
}

static void ask_doorbells(struct vf *vf);

/* Doorbells that are eventfds; without them the register does.  Those of all
 * VFs come part by part. */
static void on_io_fds(void *arg, const struct vfu_reply *reply)
{
	struct vf *vf = arg;

	if (reply->err == -ENOTCONN)
		return;
	if (doorbells_take(vf, reply) == VFU_MAX_FDS &&
	    (vf->doorbell_tx < 0 || vf->doorbell_rx < 0) &&
	    ++vf->doorbell_part < PLATFORM_DOORBELL_PARTS)
		ask_doorbells(vf);
	op_done(vf, 0);
}

static void ask_doorbells(struct vf *vf)
{
	op_sent(vf,
		vfu_client_io_fds(vf->guest->bus.client,
				  PLATFORM_REGION_DOORBELLS + vf->doorbell_part,
				  on_io_fds, vf));
}

void vf_issue_connect(struct vf *vf)
{
	struct vfu_client *client = vf->guest->bus.client;
	int fds[VF_VECTORS];
	unsigned i;

	for (i = 0; i < VF_VECTORS; i++)
		fds[i] = vf->irq[i].fd;
	if (!vf->irqs_wired)
		op_sent(vf, vfu_client_set_irqs(client, VFU_IRQ_MSIX,
						platform_irq(vf->pci.slot, 0),
						VF_VECTORS, fds, VF_VECTORS,
						on_op, op_next(vf, NULL, 0)));
	vf->irqs_wired = true;
	vf->doorbell_part = 0;
	ask_doorbells(vf);
}

void vf_issue_program(struct vf *vf)
{
	const uint64_t base[2] = { vf->tx_gpa, vf->rx_gpa };
	uint32_t entry;
	unsigned i;

	for (i = 0; i < 2; i++) {
		reg_write32(vf, queue_block[i] + NIC_Q_ENABLE, 0);
		reg_write64(vf, queue_block[i] + NIC_Q_BASE, base[i]);
		reg_write32(vf, queue_block[i] + NIC_Q_ENTRIES, vf->n);
		reg_write32(vf, queue_block[i] + NIC_Q_VECTOR,
			    vector_of_queue[i]);
	}
	for (i = 0; i < VF_VECTORS; i++) {
		entry = vf->pci.msix_table + i * PCI_MSIX_ENTRY_SIZE;
		reg_write64(vf, entry + PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS);
		reg_write32(vf, entry + PCI_MSIX_ENTRY_DATA,
			    platform_irq(vf->pci.slot, i));
		reg_write32(vf, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	}
}

void vf_issue_msix(struct vf *vf)
{
	vf->pci.msix_control |= PCI_MSIX_FLAGS_ENABLE;
	vf->pci.msix_control &= (uint16_t)~PCI_MSIX_FLAGS_MASKALL;
	config_write16(vf, vf->pci.msix_cap + PCI_MSIX_FLAGS,
		       vf->pci.msix_control);
}

void vf_issue_enable(struct vf *vf)
{
	reg_write32(vf, NIC_RX + NIC_Q_ENABLE, 1);
	reg_write32(vf, NIC_TX + NIC_Q_ENABLE, 1);
}

void vf_issue_ask(struct vf *vf)
{
	/* A notice that comes after this makes the answer an old one. */
	read_page(vf);
	if (++vf->request == UINT32_MAX || !vf->request)
		vf->request = 1;
	reg_write32(vf, NIC_MBX_REQUEST, vf->request);
	vf->counters.link_queries++;
	if (!vf->asked_ns)
		vf->asked_ns = clock_now_ns();
}

void vf_issue_answer(struct vf *vf)
{
	read_page(vf);
}

static void on_irq(void *arg, uint32_t events)
{
	struct vf_irq *irq = arg;
	struct vf *vf = irq->vf;
	uint64_t count;

	(void)events;
	if (read(irq->fd, &count, sizeof(count)) != sizeof(count))
		return;
	switch (irq - vf->irq) {
	case NIC_VECTOR_EVENT:
		vf->counters.link_interrupts += count;
		vf_link_interrupt(vf);
		break;
	case NIC_VECTOR_RX:
		vf->counters.rx_interrupts += count;
		vf_receive_kick(vf);
		break;
	case NIC_VECTOR_TX:
		vf->counters.tx_interrupts += count;
		vf_send_kick(vf);
		break;
	}
}

int vf_irqs_init(struct vf *vf)
{
	unsigned i;
	int err;

	for (i = 0; i < VF_VECTORS; i++) {
		vf->irq[i].vf = vf;
		vf->irq[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vf->irq[i].fd < 0)
			return -errno;
		err = loop_watch_add(vf->guest->program.loop, &vf->irq[i].watch,
				     vf->irq[i].fd, EPOLLIN, on_irq,
				     &vf->irq[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

void vf_irqs_fini(struct vf *vf)
{
	unsigned i;

	for (i = 0; i < VF_VECTORS; i++) {
		loop_watch_del(&vf->irq[i].watch);
		if (vf->irq[i].fd >= 0)
			close(vf->irq[i].fd);
		vf->irq[i].fd = -1;
	}
}
