/* liar.c - answers of a device that cannot be trusted; see liar.h
 *
 * Its config space has the outlines of a NIC's with VFs, so that others go on
 * to believe the rest: sizes, numbers of VFs and vectors, chains that loop,
 * registers that do not keep what was written to them.
 */
#include <config.h>

#include "t/tool/liar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"

#define MSIX_CAP  0x40u
#define PCIE_CAP  0x60u
#define SRIOV_CAP 0x100u

struct liar {
	struct peer *peer;
	uint64_t random;
	uint8_t config[4096];
	uint8_t out[VFU_MAX_DATA + 4096];
};

static uint64_t draw(struct liar *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

static void fill(struct liar *l, size_t from, size_t to)
{
	for (; from < to; from++)
		l->out[from] = (uint8_t)(draw(l) >> 24);
}

/* Small, or anything. */
static uint16_t lie_number(struct liar *l)
{
	uint64_t random = draw(l);

	return (uint16_t)(random & 1 ? random >> 8 & 7 : random >> 8);
}

static void make_config(struct liar *l)
{
	uint8_t *c = l->config;

	fill(l, 0, sizeof(l->config));
	memcpy(c, l->out, sizeof(l->config));
	pci_put16(c, PCI_VENDOR_ID, NIC_VENDOR_ID);
	pci_put16(c, PCI_DEVICE_ID, NIC_PF_DEVICE);
	c[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	pci_put16(c, PCI_STATUS, PCI_STATUS_CAP_LIST);
	c[PCI_CAPABILITY_LIST] = MSIX_CAP;
	c[MSIX_CAP] = PCI_CAP_ID_MSIX;
	c[MSIX_CAP + 1] = draw(l) & 1 ? PCIE_CAP : (uint8_t)draw(l);
	c[PCIE_CAP] = PCI_CAP_ID_EXP;
	c[PCIE_CAP + 1] = draw(l) & 1 ? 0 : MSIX_CAP;
	pci_put32(c, SRIOV_CAP,
		  PCI_EXT_CAP_ID_SRIOV | 1u << 16 |
			  (uint32_t)(draw(l) & 0xffc) << 20);
	pci_put16(c, SRIOV_CAP + PCI_SRIOV_INITIAL_VF, lie_number(l));
	pci_put16(c, SRIOV_CAP + PCI_SRIOV_TOTAL_VF, lie_number(l));
	pci_put16(c, SRIOV_CAP + PCI_SRIOV_VF_OFFSET, lie_number(l));
	pci_put16(c, SRIOV_CAP + PCI_SRIOV_VF_STRIDE, lie_number(l));
	pci_put16(c, SRIOV_CAP + PCI_SRIOV_CTRL, (uint16_t)draw(l) & 0x1f);
}

static size_t lie_version(struct liar *l)
{
	const struct vfu_version version = { VFU_MAJOR, VFU_MINOR };

	memcpy(l->out, &version, sizeof(version));
	return sizeof(version);
}

/* Wild, or near the truth. */
static uint64_t lie_size(struct liar *l)
{
	uint64_t random = draw(l);

	return random & 1 ? random : 4096ull << (random >> 8 & 7);
}

static size_t lie_region(struct liar *l)
{
	struct vfu_region_info info;

	memcpy(&info, l->peer->payload, sizeof(info));
	info.size = lie_size(l);
	if (info.index == VFU_REGION_CONFIG && draw(l) & 7)
		info.size = sizeof(l->config);
	info.flags = (uint32_t)draw(l) & 7;
	memcpy(l->out, &info, sizeof(info));
	return sizeof(info);
}

static size_t lie_irqs(struct liar *l)
{
	struct vfu_irq_info info;

	memcpy(&info, l->peer->payload, sizeof(info));
	info.count = (uint32_t)lie_size(l);
	memcpy(l->out, &info, sizeof(info));
	return sizeof(info);
}

static size_t lie_doorbells(struct liar *l)
{
	struct vfu_io_fds info;
	struct vfu_io_fd sub;
	uint32_t i;

	memcpy(&info, l->peer->payload, sizeof(info));
	info.count = draw(l) & 15;
	info.argsz = (uint32_t)(sizeof(info) + info.count * sizeof(sub));
	memcpy(l->out, &info, sizeof(info));
	fill(l, sizeof(info), info.argsz);
	for (i = 0; i < info.count; i += 2) {
		sub = (struct vfu_io_fd){ .offset = draw(l) & 0xffff,
					  .size = 4,
					  .fd_index = draw(l) & 3 };
		memcpy(l->out + sizeof(info) + i * sizeof(sub), &sub,
		       sizeof(sub));
	}
	while (l->peer->n_fds < (draw(l) & 3))
		l->peer->fds[l->peer->n_fds++] = eventfd(0, EFD_CLOEXEC);
	return info.argsz;
}

static size_t lie_read(struct liar *l)
{
	struct vfu_region_access access;

	memcpy(&access, l->peer->payload, sizeof(access));
	memcpy(l->out, &access, sizeof(access));
	if (access.region == VFU_REGION_CONFIG &&
	    access.offset < sizeof(l->config) &&
	    access.count <= sizeof(l->config) - access.offset)
		memcpy(l->out + sizeof(access), l->config + access.offset,
		       access.count);
	else
		fill(l, sizeof(access), sizeof(access) + access.count);
	return sizeof(access) + access.count;
}

/* Half of the bytes are kept. */
static size_t lie_write(struct liar *l)
{
	const uint8_t *data =
		l->peer->payload + sizeof(struct vfu_region_access);
	struct vfu_region_access access;
	uint32_t i;

	memcpy(&access, l->peer->payload, sizeof(access));
	memcpy(l->out, &access, sizeof(access));
	for (i = 0; access.region == VFU_REGION_CONFIG && i < access.count &&
		    access.offset + i < sizeof(l->config);
	     i++)
		if (draw(l) & 1)
			l->config[access.offset + i] = data[i];
	return sizeof(access);
}

static size_t lie(struct liar *l)
{
	switch (l->peer->header.command) {
	case VFU_VERSION:
		return lie_version(l);
	case VFU_GET_REGION_INFO:
		return lie_region(l);
	case VFU_GET_IRQ_INFO:
		return lie_irqs(l);
	case VFU_GET_REGION_IO_FDS:
		return lie_doorbells(l);
	case VFU_REGION_READ:
		return lie_read(l);
	case VFU_REGION_WRITE:
		return lie_write(l);
	case VFU_GET_INFO:
		fill(l, 0, sizeof(struct vfu_device_info));
		return sizeof(struct vfu_device_info);
	default:
		return 0;
	}
}

static int answer(struct liar *l, unsigned malformed)
{
	size_t size = lie(l);

	if (malformed && l->peer->header.command != VFU_VERSION &&
	    draw(l) % malformed == 0) {
		size = draw(l) % (size + 64);
		if (draw(l) & 1)
			return peer_answer(l->peer, (int)(draw(l) & 0xffff),
					   NULL, 0);
	}
	return peer_answer(l->peer, 0, l->out, size);
}

int liar_serve(struct peer *peer, uint64_t seed, unsigned malformed)
{
	struct liar *l = calloc(1, sizeof(*l));
	int err = 0;

	if (!l)
		return -ENOMEM;
	l->peer = peer;
	l->random = seed * 0x9e3779b97f4a7c15ull + 1;
	make_config(l);
	while (!err) {
		err = peer_listen(peer);
		if (!err && !(peer->header.flags & VFU_FLAG_NO_REPLY))
			err = answer(l, malformed);
	}
	free(l);
	return err;
}
