/* pci_config.c - a function's config space, device side.
 *
 * Theory of operation.  Each byte has a mask of the bits that software can
 * change and one of those that writing 1 clears, so BAR sizing, reserved bits
 * and status bits need no code.  What has side effects (Command, MSI-X
 * control, Initiate FLR, VF Enable) is compared before and after a write and
 * told by one call each.
 */
#include <config.h>

#include "libcore/pci_config.h"

#include <assert.h>
#include <string.h>

#include "libcore/pci_caps.h"

#define ECAP_START    0x100u
#define MSIX_CAP_SIZE 12u
#define PCIE_CAP_SIZE 0x3cu
#define AER_CAP_SIZE  0x48u
#define ARI_CAP_SIZE  8u
#define MSIX_WRITABLE (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)
#define STATUS_W1C    0xf900u
#define DEVSTA_W1C    0x000fu
#define SRIOV_WRITABLE                                                   \
	(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_INTR | PCI_SRIOV_CTRL_MSE | \
	 PCI_SRIOV_CTRL_ARI)
#define COMMAND_WRITABLE                                                \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | \
	 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE)
#define DEVCTL_WRITABLE                                                     \
	(PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | \
	 PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN |                    \
	 PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_EXT_TAG |                  \
	 PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ)
/* The errors that an endpoint of ours can report (pcie6 7.8.4). */
#define AER_UNCOR                                                            \
	(PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP |        \
	 PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_COMP_ABORT |                    \
	 PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP | \
	 PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP)
#define AER_SEVERITY                                               \
	(PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER | \
	 PCI_ERR_UNC_MALF_TLP)
#define AER_COR                                                          \
	(PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP | \
	 PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT)

/* What a write may set off. */
struct effects {
	uint16_t command, msix, sriov;
};

static bool is_vf(const struct pci_config *cfg)
{
	return pci_get16(cfg->data, PCI_VENDOR_ID) == 0xffff;
}

void pci_config_init(struct pci_config *cfg, const struct pci_identity *id,
		     bool vf, const struct pci_config_ops *ops, void *arg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->ops = ops;
	cfg->arg = arg;
	cfg->cap_next = PCI_STD_HEADER_SIZEOF;
	cfg->ecap_next = ECAP_START;
	pci_put16(cfg->data, PCI_VENDOR_ID, vf ? 0xffff : id->vendor);
	pci_put16(cfg->data, PCI_DEVICE_ID, vf ? 0xffff : id->device);
	pci_put32(cfg->data, PCI_CLASS_REVISION,
		  id->class_code << 8 | id->revision);
	pci_put16(cfg->data, PCI_SUBSYSTEM_VENDOR_ID, id->subvendor);
	pci_put16(cfg->data, PCI_SUBSYSTEM_ID, id->subdevice);
	pci_put16(cfg->data, PCI_STATUS, PCI_STATUS_CAP_LIST);
	pci_put16(cfg->w1c, PCI_STATUS, STATUS_W1C);
	pci_put16(cfg->writable, PCI_COMMAND,
		  vf ? PCI_COMMAND_MASTER : COMMAND_WRITABLE);
	if (!vf) {
		cfg->writable[PCI_CACHE_LINE_SIZE] = 0xff;
		cfg->writable[PCI_INTERRUPT_LINE] = 0xff;
	}
}

static void add_bar_at(struct pci_config *cfg, unsigned offset, uint64_t size,
		       bool is_64)
{
	uint64_t mask = ~(size - 1);

	assert(size >= 4096 && !(size & (size - 1)));
	assert(is_64 || size <= 1u << 31);
	pci_put32(cfg->data, offset, is_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0);
	pci_put32(cfg->writable, offset, (uint32_t)mask);
	if (is_64)
		pci_put32(cfg->writable, offset + 4, (uint32_t)(mask >> 32));
}

void pci_config_add_bar(struct pci_config *cfg, unsigned bar, uint64_t size,
			bool is_64)
{
	assert(bar < (is_64 ? 5 : 6));
	add_bar_at(cfg, PCI_BASE_ADDRESS_0 + 4 * bar, size, is_64);
}

void pci_config_add_interrupt_pin(struct pci_config *cfg, uint8_t pin)
{
	cfg->data[PCI_INTERRUPT_PIN] = pin;
}

static uint16_t add_cap(struct pci_config *cfg, uint8_t id, unsigned size)
{
	uint16_t at = cfg->cap_next;

	assert(at + size <= ECAP_START);
	cfg->data[at + PCI_CAP_LIST_ID] = id;
	cfg->data[cfg->cap_last ? cfg->cap_last + PCI_CAP_LIST_NEXT
				: PCI_CAPABILITY_LIST] = (uint8_t)at;
	cfg->cap_last = at;
	cfg->cap_next = (uint16_t)((at + size + 3u) & ~3u);
	return at;
}

static uint16_t add_ecap(struct pci_config *cfg, uint16_t id, unsigned version,
			 unsigned size)
{
	uint16_t at = cfg->ecap_next;
	uint32_t header;

	assert(at + size <= PCI_CONFIG_SIZE);
	pci_put32(cfg->data, at, id | version << 16);
	if (cfg->ecap_last) {
		header = pci_get32(cfg->data, cfg->ecap_last);
		pci_put32(cfg->data, cfg->ecap_last,
			  header | (uint32_t)at << 20);
	}
	cfg->ecap_last = at;
	cfg->ecap_next = (uint16_t)((at + size + 7u) & ~7u);
	return at;
}

void pci_config_add_pcie(struct pci_config *cfg)
{
	uint16_t at = add_cap(cfg, PCI_CAP_ID_EXP, PCIE_CAP_SIZE);
	uint8_t *data = cfg->data;

	cfg->pcie = at;
	pci_put16(data, at + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	pci_put32(data, at + PCI_EXP_DEVCAP,
		  PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER |
			  PCI_EXP_DEVCAP_EXT_TAG);
	pci_put32(data, at + PCI_EXP_LNKCAP,
		  PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4 | 1 << 22);
	pci_put32(data, at + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
	if (is_vf(cfg)) /* what the PF decides for its VFs is zero here */
		return;
	pci_put16(data, at + PCI_EXP_DEVCTL,
		  PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
			  PCI_EXP_DEVCTL_READRQ_512B);
	pci_put16(data, at + PCI_EXP_LNKSTA,
		  PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
	pci_put16(data, at + PCI_EXP_LNKCTL2, 1);
	pci_put16(cfg->writable, at + PCI_EXP_DEVCTL, DEVCTL_WRITABLE);
	pci_put16(cfg->w1c, at + PCI_EXP_DEVSTA, DEVSTA_W1C);
	pci_put16(cfg->writable, at + PCI_EXP_LNKCTL,
		  PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
}

void pci_config_add_msix(struct pci_config *cfg, unsigned vectors,
			 unsigned table_bar, uint32_t table_offset,
			 unsigned pba_bar, uint32_t pba_offset)
{
	uint16_t at = add_cap(cfg, PCI_CAP_ID_MSIX, MSIX_CAP_SIZE);

	assert(vectors >= 1 && vectors <= 2048);
	cfg->msix = at;
	pci_put16(cfg->data, at + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
	pci_put16(cfg->writable, at + PCI_MSIX_FLAGS, MSIX_WRITABLE);
	pci_put32(cfg->data, at + PCI_MSIX_TABLE, table_offset | table_bar);
	pci_put32(cfg->data, at + PCI_MSIX_PBA, pba_offset | pba_bar);
}

void pci_config_add_aer(struct pci_config *cfg)
{
	uint16_t at = add_ecap(cfg, PCI_EXT_CAP_ID_ERR, 2, AER_CAP_SIZE);

	pci_put32(cfg->w1c, at + PCI_ERR_UNCOR_STATUS, AER_UNCOR);
	pci_put32(cfg->w1c, at + PCI_ERR_COR_STATUS, AER_COR);
	if (is_vf(cfg))
		return;
	pci_put32(cfg->writable, at + PCI_ERR_UNCOR_MASK, AER_UNCOR);
	pci_put32(cfg->data, at + PCI_ERR_UNCOR_SEVER, AER_SEVERITY);
	pci_put32(cfg->writable, at + PCI_ERR_UNCOR_SEVER, AER_UNCOR);
	pci_put32(cfg->data, at + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT);
	pci_put32(cfg->writable, at + PCI_ERR_COR_MASK, AER_COR);
}

void pci_config_add_ari(struct pci_config *cfg, unsigned next_function)
{
	uint16_t at = add_ecap(cfg, PCI_EXT_CAP_ID_ARI, 1, ARI_CAP_SIZE);

	pci_put16(cfg->data, at + PCI_ARI_CAP, (uint16_t)(next_function << 8));
}

void pci_config_add_sriov(struct pci_config *cfg, uint16_t vf_device,
			  unsigned total_vfs, unsigned offset, unsigned stride,
			  const uint64_t vf_bar_size[6], unsigned is_64_mask)
{
	uint16_t at = add_ecap(cfg, PCI_EXT_CAP_ID_SRIOV, 1,
			       PCI_EXT_CAP_SRIOV_SIZEOF);
	unsigned i;

	cfg->sriov = at;
	/* 2: ARI Capable Hierarchy Preserved */
	pci_put32(cfg->data, at + PCI_SRIOV_CAP, 2);
	pci_put16(cfg->writable, at + PCI_SRIOV_CTRL, SRIOV_WRITABLE);
	pci_put16(cfg->data, at + PCI_SRIOV_INITIAL_VF, (uint16_t)total_vfs);
	pci_put16(cfg->data, at + PCI_SRIOV_TOTAL_VF, (uint16_t)total_vfs);
	pci_put16(cfg->writable, at + PCI_SRIOV_NUM_VF, 0xffff);
	pci_put16(cfg->data, at + PCI_SRIOV_VF_OFFSET, (uint16_t)offset);
	pci_put16(cfg->data, at + PCI_SRIOV_VF_STRIDE, (uint16_t)stride);
	pci_put16(cfg->data, at + PCI_SRIOV_VF_DID, vf_device);
	pci_put32(cfg->data, at + PCI_SRIOV_SUP_PGSIZE, 1); /* 4 KiB */
	pci_put32(cfg->data, at + PCI_SRIOV_SYS_PGSIZE, 1);
	for (i = 0; i < PCI_SRIOV_NUM_BARS; i++)
		if (vf_bar_size[i])
			add_bar_at(cfg, at + PCI_SRIOV_BAR + 4 * i,
				   vf_bar_size[i], is_64_mask >> i & 1);
}

void pci_config_seal(struct pci_config *cfg)
{
	memcpy(cfg->initial, cfg->data, sizeof(cfg->initial));
	cfg->used = PCI_CONFIG_SIZE;
	while (cfg->used && !cfg->data[cfg->used - 1] &&
	       !cfg->writable[cfg->used - 1] && !cfg->w1c[cfg->used - 1])
		cfg->used--;
}

void pci_config_reset(struct pci_config *cfg)
{
	memcpy(cfg->data, cfg->initial, cfg->used);
}

void pci_config_read(const struct pci_config *cfg, uint32_t offset, void *data,
		     uint32_t count)
{
	memcpy(data, cfg->data + offset, count);
}

uint16_t pci_config_get16(const struct pci_config *cfg, uint32_t offset)
{
	return pci_get16(cfg->data, offset);
}

uint32_t pci_config_get32(const struct pci_config *cfg, uint32_t offset)
{
	return pci_get32(cfg->data, offset);
}

static struct effects effects_of(const struct pci_config *cfg)
{
	struct effects e = { 0 };

	e.command = pci_get16(cfg->data, PCI_COMMAND);
	if (cfg->msix)
		e.msix = pci_get16(cfg->data, cfg->msix + PCI_MSIX_FLAGS) &
			 MSIX_WRITABLE;
	if (cfg->sriov)
		e.sriov = pci_get16(cfg->data, cfg->sriov + PCI_SRIOV_CTRL) &
			  PCI_SRIOV_CTRL_VFE;
	return e;
}

static void write_bytes(struct pci_config *cfg, uint32_t offset,
			const uint8_t *from, uint32_t count)
{
	uint8_t can, clears, old;
	uint32_t i;

	for (i = 0; i < count; i++) {
		can = cfg->writable[offset + i];
		clears = cfg->w1c[offset + i] & from[i];
		old = cfg->data[offset + i] & (uint8_t)~clears;
		cfg->data[offset + i] =
			(uint8_t)((old & ~can) | (from[i] & can));
	}
}

/* NumVFs is locked while VF Enable is set, and never above TotalVFs: writing
 * either is undefined in the standard (sriov 3.3.7); here it is ignored. */
static void settle_num_vfs(struct pci_config *cfg, bool enabled, uint16_t old)
{
	unsigned at = cfg->sriov + PCI_SRIOV_NUM_VF;
	unsigned total = pci_get16(cfg->data, cfg->sriov + PCI_SRIOV_TOTAL_VF);

	if (enabled || pci_get16(cfg->data, at) > total)
		pci_put16(cfg->data, at, old);
}

/* Whether this write has Initiate FLR set; the bit itself reads as 0. */
static bool initiates_flr(const struct pci_config *cfg, uint32_t offset,
			  const uint8_t *from, uint32_t count)
{
	uint32_t at = cfg->pcie + PCI_EXP_DEVCTL + 1u;

	return cfg->pcie && offset <= at && at - offset < count &&
	       (from[at - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8);
}

void pci_config_write(struct pci_config *cfg, uint32_t offset, const void *data,
		      uint32_t count)
{
	const struct pci_config_ops *ops = cfg->ops;
	struct effects old = effects_of(cfg), new;
	bool flr = initiates_flr(cfg, offset, data, count);
	uint16_t num_vfs = 0;

	if (cfg->sriov)
		num_vfs = pci_get16(cfg->data, cfg->sriov + PCI_SRIOV_NUM_VF);
	write_bytes(cfg, offset, data, count);
	if (cfg->sriov)
		settle_num_vfs(cfg, old.sriov, num_vfs);
	new = effects_of(cfg);
	if (new.command != old.command && ops->command)
		ops->command(cfg->arg, new.command);
	if (new.msix != old.msix && ops->msix)
		ops->msix(cfg->arg, new.msix &PCI_MSIX_FLAGS_ENABLE,
			  new.msix &PCI_MSIX_FLAGS_MASKALL);
	if (new.sriov != old.sriov && ops->vf_enable)
		ops->vf_enable(
			cfg->arg, new.sriov,
			pci_get16(cfg->data, cfg->sriov + PCI_SRIOV_NUM_VF));
	if (flr && ops->flr)
		ops->flr(cfg->arg);
}
