/* pci_probe.c - looks at the config space of the guest's slots.
 *
 * Each slot is one read of 4,096 bytes, all at once; what a slot shows is
 * taken from that snapshot, which is not kept.
 */
#include <config.h>

#include "cmd/guestd/pci_probe.h"

#include <errno.h>

#include "libcore/pci_caps.h"
#include "libcore/pci_config.h"

void pci_probe_init(struct pci_probe *probe, struct bus_link *link,
		    const struct pci_probe_ops *ops, void *arg)
{
	unsigned i;

	*probe = (struct pci_probe){ .link = link, .ops = ops, .arg = arg };
	for (i = 0; i < PLATFORM_SLOTS; i++)
		probe->reads[i] =
			(struct pci_probe_read){ .probe = probe, .slot = i };
}

static void slot_parse(struct pci_slot *s, const uint8_t *config)
{
	uint32_t table;

	s->vendor = pci_get16(config, PCI_VENDOR_ID);
	s->device = pci_get16(config, PCI_DEVICE_ID);
	s->present = s->vendor != 0xffff;
	if (!s->present)
		return;
	s->command = pci_get16(config, PCI_COMMAND);
	s->bar0 = pci_read_bar(config, PCI_BASE_ADDRESS_0, 0, NULL);
	s->pcie_cap = (uint16_t)pci_find_cap(config, PCI_CAP_ID_EXP);
	s->msix_cap = (uint16_t)pci_find_cap(config, PCI_CAP_ID_MSIX);
	if (!s->msix_cap)
		return;
	s->msix_control = pci_get16(config, s->msix_cap + PCI_MSIX_FLAGS);
	table = pci_get32(config, s->msix_cap + PCI_MSIX_TABLE);
	s->msix_in_bar0 = (table & PCI_MSIX_TABLE_BIR) == 0;
	s->msix_table = table & PCI_MSIX_TABLE_OFFSET;
}

static void read_done(struct pci_probe *probe)
{
	if (--probe->pending)
		return;
	if (probe->again)
		pci_probe_start(probe);
	else
		probe->ops->done(probe->arg);
}

static void on_config(void *arg, const struct vfu_reply *reply)
{
	struct pci_probe_read *read = arg;
	struct pci_probe *probe = read->probe;
	struct pci_slot slot = { .slot = read->slot };
	const uint8_t *config = vfu_reply_data(reply, PCI_CONFIG_SIZE);

	if (reply->err == -ENOTCONN)
		return;
	if (config) {
		slot_parse(&slot, config);
		probe->ops->slot(probe->arg, &slot);
	} else {
		probe->ops->failed(probe->arg, read->slot,
				   reply->err ? reply->err : -EBADMSG);
	}
	read_done(probe);
}

void pci_probe_start(struct pci_probe *probe)
{
	unsigned i;
	int err;

	probe->again = probe->pending > 0;
	if (probe->again)
		return;
	/* One more than the reads, so that a refusal here ends nothing. */
	probe->pending = 1;
	for (i = 0; i < PLATFORM_SLOTS; i++) {
		probe->pending++;
		err = bus_read(probe->link, platform_guest_config(i),
			       PCI_CONFIG_SIZE, on_config, &probe->reads[i]);
		if (err == 0)
			continue;
		probe->pending--;
		probe->ops->failed(probe->arg, i, err);
	}
	read_done(probe);
}
