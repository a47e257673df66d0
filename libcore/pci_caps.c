/* pci_caps.c - capabilities, BARs and SR-IOV out of a config space snapshot.
 *
 * The snapshot comes from a device that may lie: every offset is checked and
 * every walk is bounded.
 */
#include <config.h>

#include "libcore/pci_caps.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define CONFIG_SIZE  4096u
#define LEGACY_SIZE  256u
#define CAPS_MAX     48u  /* 192 bytes of 4-byte capabilities */
#define ECAPS_MAX    960u /* 3,840 bytes of 4-byte capabilities */
#define BAR_IO_MASK  3u
#define BAR_MEM_MASK 15u

uint16_t pci_get16(const uint8_t *config, unsigned offset)
{
	uint16_t value;

	memcpy(&value, config + offset, sizeof(value));
	return le16toh(value);
}

uint32_t pci_get32(const uint8_t *config, unsigned offset)
{
	uint32_t value;

	memcpy(&value, config + offset, sizeof(value));
	return le32toh(value);
}

void pci_put16(uint8_t *config, unsigned offset, uint16_t value)
{
	value = htole16(value);
	memcpy(config + offset, &value, sizeof(value));
}

void pci_put32(uint8_t *config, unsigned offset, uint32_t value)
{
	value = htole32(value);
	memcpy(config + offset, &value, sizeof(value));
}

unsigned pci_find_cap(const uint8_t config[4096], uint8_t id)
{
	unsigned at, left;

	if (!(pci_get16(config, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	at = config[PCI_CAPABILITY_LIST] & ~3u;
	for (left = CAPS_MAX; left && at >= PCI_STD_HEADER_SIZEOF; left--) {
		if (config[at + PCI_CAP_LIST_ID] == id)
			return at;
		at = config[at + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

unsigned pci_find_ecap(const uint8_t config[4096], uint16_t id)
{
	unsigned at = LEGACY_SIZE, left;
	uint32_t header;

	for (left = ECAPS_MAX; left && at >= LEGACY_SIZE; left--) {
		header = pci_get32(config, at);
		if (!header || header == UINT32_MAX)
			return 0;
		if (PCI_EXT_CAP_ID(header) == id)
			return at;
		at = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

uint64_t pci_read_bar(const uint8_t *config, unsigned first_bar, unsigned i,
		      bool *is_64)
{
	uint32_t low = pci_get32(config, first_bar + 4 * i);
	bool wide;

	wide = !(low & PCI_BASE_ADDRESS_SPACE_IO) && i < 5 &&
	       (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
		       PCI_BASE_ADDRESS_MEM_TYPE_64;
	if (is_64)
		*is_64 = wide;
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return low & ~BAR_IO_MASK;
	if (!wide)
		return low & ~BAR_MEM_MASK;
	return (uint64_t)pci_get32(config, first_bar + 4 * i + 4) << 32 |
	       (low & ~BAR_MEM_MASK);
}

uint64_t pci_bar_size(uint32_t low, uint32_t high)
{
	uint64_t mask;

	/* All ones is what a function that is not there reads as. */
	if (!low || low == UINT32_MAX)
		return 0;
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return (uint32_t)(~(low & ~BAR_IO_MASK) + 1);
	mask = low & ~BAR_MEM_MASK;
	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
	    PCI_BASE_ADDRESS_MEM_TYPE_64)
		mask |= (uint64_t)high << 32;
	else
		mask |= (uint64_t)UINT32_MAX << 32;
	return mask ? ~mask + 1 : 0;
}

bool pci_read_sriov(const uint8_t config[4096], struct pci_sriov *sriov)
{
	unsigned cap = pci_find_ecap(config, PCI_EXT_CAP_ID_SRIOV), i;
	uint16_t control;
	bool wide;

	if (!cap || cap + PCI_EXT_CAP_SRIOV_SIZEOF > CONFIG_SIZE)
		return false;
	control = pci_get16(config, cap + PCI_SRIOV_CTRL);
	memset(sriov, 0, sizeof(*sriov));
	sriov->cap = cap;
	sriov->total_vfs = pci_get16(config, cap + PCI_SRIOV_TOTAL_VF);
	sriov->initial_vfs = pci_get16(config, cap + PCI_SRIOV_INITIAL_VF);
	sriov->num_vfs = pci_get16(config, cap + PCI_SRIOV_NUM_VF);
	sriov->offset = pci_get16(config, cap + PCI_SRIOV_VF_OFFSET);
	sriov->stride = pci_get16(config, cap + PCI_SRIOV_VF_STRIDE);
	sriov->vf_device = pci_get16(config, cap + PCI_SRIOV_VF_DID);
	sriov->vf_enable = control & PCI_SRIOV_CTRL_VFE;
	sriov->vf_mse = control & PCI_SRIOV_CTRL_MSE;
	for (i = 0; i < PCI_SRIOV_NUM_BARS; i += wide ? 2 : 1)
		sriov->vf_bar[i] =
			pci_read_bar(config, cap + PCI_SRIOV_BAR, i, &wide);
	return true;
}

uint16_t pci_vf_bdf(uint16_t pf_bdf, const struct pci_sriov *sriov, unsigned n)
{
	return (uint16_t)(pf_bdf + sriov->offset + sriov->stride * (n - 1));
}

int pci_dump_lspci(FILE *out, uint16_t bdf, const char *text,
		   const uint8_t config[4096])
{
	unsigned row, i;

	fprintf(out, "0000:%02x:%02x.%x %s\n", bdf >> 8, bdf >> 3 & 0x1f,
		bdf & 7u, text);
	for (row = 0; row < CONFIG_SIZE; row += 16) {
		fprintf(out, "%02x:", row);
		for (i = 0; i < 16; i++)
			fprintf(out, " %02x", config[row + i]);
		fputc('\n', out);
	}
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}
