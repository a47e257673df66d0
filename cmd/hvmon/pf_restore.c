/* pf_restore.c - a PF as it was before its reset: the addresses, the VFs and
 * what its driver had set are known, so nothing is sized or looked for. */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/reset_procedure.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"

#define PAGE_4KIB 1u /* System Page Size: bit n is 2^(n + 12) */

static void put_bars(uint8_t registers[24], const uint64_t address[6],
		     const bool is_64[6])
{
	unsigned i;

	memset(registers, 0, 24);
	for (i = 0; i < 6; i++) {
		pci_put32(registers, 4 * i, (uint32_t)address[i]);
		if (!is_64[i] || i == 5)
			continue;
		pci_put32(registers, 4 * i + 4, (uint32_t)(address[i] >> 32));
		i++;
	}
}

static void restore_vfs(struct procedure *p, const struct device *d)
{
	unsigned cap = d->sriov.cap;
	uint8_t bars[24];

	step_config_write16(p, d->bdf, cap + PCI_SRIOV_CTRL,
			    PCI_SRIOV_CTRL_ARI);
	step_config_write32(p, d->bdf, cap + PCI_SRIOV_SYS_PGSIZE, PAGE_4KIB);
	step_config_write16(p, d->bdf, cap + PCI_SRIOV_NUM_VF,
			    (uint16_t)d->num_vfs);
	put_bars(bars, d->vf_bar, d->vf_bar_is_64);
	step_config_write(p, d->bdf, cap + PCI_SRIOV_BAR, bars, sizeof(bars));
	/* Answered when the VFs are there. */
	step_config_write16(p, d->bdf, cap + PCI_SRIOV_CTRL,
			    PCI_SRIOV_CTRL_ARI | PCI_SRIOV_CTRL_VFE |
				    PCI_SRIOV_CTRL_MSE);
}

static void restore(struct procedure *p)
{
	const struct device *d = p->device;
	unsigned msix = pci_find_cap(d->config, PCI_CAP_ID_MSIX);
	uint8_t bars[24];

	put_bars(bars, d->bar, d->bar_is_64);
	step_config_write(p, d->bdf, PCI_BASE_ADDRESS_0, bars, sizeof(bars));
	step_config_write16(p, d->bdf, PCI_COMMAND,
			    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
				    PCI_COMMAND_INTX_DISABLE);
	if (d->has_driver && msix)
		step_config_write16(p, d->bdf, msix + PCI_MSIX_FLAGS,
				    PCI_MSIX_FLAGS_ENABLE);
	if (d->num_vfs)
		restore_vfs(p, d);
}

/* It follows the look at the PF at once, and counts if the PF was found reset;
 * otherwise the reset may throw it away. */
int pf_restore(struct procedure *p)
{
	int ret;

	if (!reset_of(p)->is_pf)
		return STEP_NEXT;
	ret = flr_settled(p);
	if (ret != STEP_AGAIN)
		return ret;
	if (p->round)
		flr_poll(p);
	restore(p);
	return STEP_AGAIN;
}

void pf_transmit(struct procedure *p, bool on)
{
	struct device *d = p->device;
	unsigned i;

	for (i = 0; i < d->num_vfs; i++)
		if (vf_block(&d->vf[i]) && vf_is_allocated(p->hv, &d->vf[i]))
			step_write32(p,
				     vf_block(&d->vf[i]) + NIC_PF_VF_TX_ENABLE,
				     on);
}

/* What it had set of the VFs comes back with their states. */
int pf_restore_driver(struct procedure *p)
{
	struct device *d = p->device;

	if (reset_of(p)->is_pf && d->has_driver)
		step_write32(p,
			     d->bar[0] + NIC_MSIX_TABLE +
				     PCI_MSIX_ENTRY_VECTOR_CTRL,
			     0);
	return STEP_FLOW;
}
