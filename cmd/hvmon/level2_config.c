/* level2_config.c - a guest's config space: a function of the adapter as its
 * partition has one, which is nowhere but here. */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/platform.h"

#define MSIX_TABLE 0x2000u
#define MSIX_PBA   0x3000u

static const struct pci_config_ops config_ops = { NULL };

void level2_config_init(struct level2_guest *guest)
{
	const struct pci_identity id = {
		.vendor = HCA_VENDOR_ID,
		.device = HCA_VF_DEVICE,
		.subvendor = HCA_VENDOR_ID,
		.subdevice = HCA_VF_DEVICE,
		.class_code = HCA_CLASS,
	};
	struct pci_config *cfg = &guest->config;

	pci_config_init(cfg, &id, true, &config_ops, guest);
	pci_config_add_pcie(cfg);
	pci_config_add_msix(cfg, HCA_ISCS, 0, MSIX_TABLE, 0, MSIX_PBA);
	pci_config_add_aer(cfg);
	pci_config_add_ari(cfg, 0);
	pci_config_seal(cfg);
	guest->overlay = (struct config_overlay){
		.vendor = HCA_VENDOR_ID,
		.device = HCA_VF_DEVICE,
		.bar_gpa = { LEVEL2_BAR },
		.bar_size = { HCA_VF_BAR_SIZE },
		.bar_is_64 = { true },
		.pcie = cfg->pcie,
	};
	memset(guest->msix, 0, sizeof(guest->msix));
}

void level2_config_adopt(struct level2_guest *guest)
{
	struct pci_config *cfg = &guest->config;
	const struct level2_guest_row *row = guest->row;

	pci_config_write(cfg, PCI_COMMAND, &row->command, sizeof(row->command));
	pci_config_write(cfg, cfg->msix + PCI_MSIX_FLAGS, &row->msix,
			 sizeof(row->msix));
	guest->overlay.memory_space = row->command & PCI_COMMAND_MEMORY;
	guest->overlay.bus_master = row->command & PCI_COMMAND_MASTER;
}

static void keep(struct level2_guest *guest)
{
	const struct pci_config *cfg = &guest->config;
	struct level2_guest_row *row = guest->row;

	row->command = pci_config_get16(cfg, PCI_COMMAND);
	if (guest->overlay.memory_space)
		row->command |= PCI_COMMAND_MEMORY;
	row->msix = pci_config_get16(cfg, cfg->msix + PCI_MSIX_FLAGS);
}

/* Initiate FLR: all that it has is freed before that is answered. */
struct flr {
	struct procedure p;
	struct level2_guest *guest;
	uint64_t serial;
};

static int flr_free(struct procedure *p)
{
	step_level2_free_all(p, ((struct flr *)p)->guest);
	return STEP_NEXT;
}

static void flr_end(struct procedure *p)
{
	struct level2_guest *guest = ((struct flr *)p)->guest;

	if (p->hv->stopping)
		return;
	pci_config_reset(&guest->config);
	config_overlay_reset(&guest->overlay);
	keep(guest);
	level2_verb_done(guest, ((struct flr *)p)->serial, HCA_OK, 0);
}

static const struct step flr_steps[] = {
	{ POINT_NONE, flr_free },
	{ 0, NULL },
};

static const struct procedure_desc flr_desc = {
	.name = "guest FLR",
	.steps = flr_steps,
	.end = flr_end,
};

static void start_flr(struct level2_guest *guest, uint64_t serial)
{
	struct flr *flr = procedure_new(guest->l->hv, &flr_desc, sizeof(*flr));

	flr->guest = guest;
	flr->serial = serial;
	flr->p.vm = guest->vm;
	guest->busy = true;
	guest->l->running = true;
	procedure_start(&flr->p, 0);
}

static void do_write(struct level2_guest *guest, const struct sup_exception *ex,
		     uint32_t offset)
{
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[SUP_DATA_MAX];
	unsigned i, n;
	bool flr;

	memcpy(data, ex->data, ex->size);
	n = config_overlay_write(&guest->overlay, offset, data, ex->size, runs,
				 &flr);
	for (i = 0; i < n; i++)
		pci_config_write(&guest->config, runs[i].offset,
				 &data[runs[i].offset - offset], runs[i].size);
	keep(guest);
	if (flr)
		start_flr(guest, ex->serial);
	else
		exception_done(guest->l->hv, ex, NULL);
}

void level2_config_access(struct level2_guest *guest,
			  const struct sup_exception *ex)
{
	uint64_t at = ex->gpa - platform_guest_config(LEVEL2_SLOT);
	uint32_t offset = (uint32_t)at;
	uint8_t data[SUP_DATA_MAX];

	if (!ex->size || at >= PCI_CONFIG_SIZE ||
	    ex->size > PCI_CONFIG_SIZE - at) {
		exception_unsupported(guest->l->hv, ex);
		return;
	}
	if (ex->flags & SUP_EX_WRITE) {
		do_write(guest, ex, offset);
		return;
	}
	pci_config_read(&guest->config, offset, data, ex->size);
	config_overlay_read(&guest->overlay, offset, data, ex->size);
	exception_done(guest->l->hv, ex, data);
}
