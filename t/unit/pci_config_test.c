/* pci_config_test.c - config space: header, sizing, masks, resets, and what
 * lspci makes of it. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/pci_caps.h"
#include "libcore/pci_config.h"
#include "t/unit/unit.h"

struct seen {
	unsigned commands, flrs, msixs, enables;
	uint16_t command;
	bool msix, masked, vf_enable;
	unsigned num_vfs;
};

static void on_command(void *arg, uint16_t command)
{
	struct seen *seen = arg;

	seen->commands++;
	seen->command = command;
}

static void on_flr(void *arg)
{
	((struct seen *)arg)->flrs++;
}

static void on_msix(void *arg, bool enable, bool function_mask)
{
	struct seen *seen = arg;

	seen->msixs++;
	seen->msix = enable;
	seen->masked = function_mask;
}

static void on_vf_enable(void *arg, bool enable, unsigned num_vfs)
{
	struct seen *seen = arg;

	seen->enables++;
	seen->vf_enable = enable;
	seen->num_vfs = num_vfs;
}

static const struct pci_config_ops ops = {
	.command = on_command,
	.flr = on_flr,
	.msix = on_msix,
	.vf_enable = on_vf_enable,
};

static const struct pci_identity identity = {
	.vendor = 0x1b36,
	.device = 0x10f0,
	.subvendor = 0x1b36,
	.subdevice = 1,
	.class_code = 0x020000,
	.revision = 2,
};

static void make_pf(struct pci_config *cfg, struct seen *seen)
{
	static const uint64_t vf_bars[6] = { 0x4000, 0, 0x10000 };

	memset(seen, 0, sizeof(*seen));
	pci_config_init(cfg, &identity, false, &ops, seen);
	pci_config_add_bar(cfg, 0, 0x10000, true);
	pci_config_add_bar(cfg, 2, 0x1000, false);
	pci_config_add_pcie(cfg);
	pci_config_add_msix(cfg, 4, 0, 0x2000, 0, 0x3000);
	pci_config_add_aer(cfg);
	pci_config_add_ari(cfg, 0);
	pci_config_add_sriov(cfg, 0x10f1, 64, 1, 1, vf_bars, 1);
	pci_config_seal(cfg);
}

static void make_vf(struct pci_config *cfg, struct seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	pci_config_init(cfg, &identity, true, &ops, seen);
	pci_config_add_pcie(cfg);
	pci_config_add_msix(cfg, 4, 0, 0x2000, 0, 0x3000);
	pci_config_add_aer(cfg);
	pci_config_add_ari(cfg, 0);
	pci_config_seal(cfg);
}

static void put16(struct pci_config *cfg, uint32_t offset, uint16_t value)
{
	uint8_t data[2];

	pci_put16(data, 0, value);
	pci_config_write(cfg, offset, data, sizeof(data));
}

static void put32(struct pci_config *cfg, uint32_t offset, uint32_t value)
{
	uint8_t data[4];

	pci_put32(data, 0, value);
	pci_config_write(cfg, offset, data, sizeof(data));
}

static void test_sizing(void)
{
	struct pci_config cfg;
	struct seen seen;
	uint32_t low, high;
	bool wide;

	make_pf(&cfg, &seen);
	put32(&cfg, PCI_BASE_ADDRESS_0, UINT32_MAX);
	put32(&cfg, PCI_BASE_ADDRESS_1, UINT32_MAX);
	put32(&cfg, PCI_BASE_ADDRESS_2, UINT32_MAX);
	put32(&cfg, PCI_BASE_ADDRESS_3, UINT32_MAX);
	low = pci_config_get32(&cfg, PCI_BASE_ADDRESS_0);
	high = pci_config_get32(&cfg, PCI_BASE_ADDRESS_1);
	CHECK_INT(low, 0xffff0004);
	CHECK_INT(pci_bar_size(low, high), 0x10000);
	CHECK_INT(pci_bar_size(pci_config_get32(&cfg, PCI_BASE_ADDRESS_2), 0),
		  0x1000);
	CHECK_INT(pci_config_get32(&cfg, PCI_BASE_ADDRESS_3), 0);
	CHECK_INT(pci_bar_size(0, 0), 0);
	CHECK_INT(pci_bar_size(UINT32_MAX, UINT32_MAX), 0);
	put32(&cfg, PCI_BASE_ADDRESS_0, 0x50012345);
	put32(&cfg, PCI_BASE_ADDRESS_1, 0x12);
	CHECK_INT(pci_read_bar(cfg.data, PCI_BASE_ADDRESS_0, 0, &wide),
		  0x1250010000);
	CHECK(wide);
	put32(&cfg, cfg.sriov + PCI_SRIOV_BAR, UINT32_MAX);
	put32(&cfg, cfg.sriov + PCI_SRIOV_BAR + 4, UINT32_MAX);
	CHECK_INT(
		pci_bar_size(
			pci_config_get32(&cfg, cfg.sriov + PCI_SRIOV_BAR),
			pci_config_get32(&cfg, cfg.sriov + PCI_SRIOV_BAR + 4)),
		0x4000);
}

static void test_read_only(void)
{
	struct pci_config cfg;
	struct seen seen;
	uint8_t ones[PCI_CONFIG_SIZE];

	make_pf(&cfg, &seen);
	memset(ones, 0xff, sizeof(ones));
	pci_config_write(&cfg, 0, ones, sizeof(ones));
	CHECK_INT(pci_config_get16(&cfg, PCI_VENDOR_ID), 0x1b36);
	CHECK_INT(pci_config_get32(&cfg, PCI_CLASS_REVISION), 0x02000002);
	CHECK_INT(pci_config_get16(&cfg, PCI_COMMAND), 0x546);
	CHECK_INT(seen.flrs, 1);
	CHECK_INT(seen.enables, 1);
	CHECK_INT(seen.num_vfs, 0); /* ffff is over TotalVFs: not taken */
	CHECK_INT(pci_config_get16(&cfg, cfg.pcie + PCI_EXP_DEVCTL) &
			  PCI_EXP_DEVCTL_BCR_FLR,
		  0);
	pci_config_reset(&cfg);
	CHECK(!memcmp(cfg.data, cfg.initial, sizeof(cfg.data)));
	CHECK_INT(seen.enables, 1);
}

static void test_w1c(void)
{
	struct pci_config cfg;
	struct seen seen;
	unsigned aer;

	make_pf(&cfg, &seen);
	aer = pci_find_ecap(cfg.data, PCI_EXT_CAP_ID_ERR);
	CHECK_INT(aer, 0x100);
	pci_put32(cfg.data, aer + PCI_ERR_UNCOR_STATUS,
		  PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_UNSUP);
	put32(&cfg, aer + PCI_ERR_UNCOR_STATUS, PCI_ERR_UNC_UNSUP);
	CHECK_INT(pci_config_get32(&cfg, aer + PCI_ERR_UNCOR_STATUS),
		  PCI_ERR_UNC_COMP_TIME);
	pci_put16(cfg.data, PCI_STATUS,
		  PCI_STATUS_CAP_LIST | PCI_STATUS_SIG_SYSTEM_ERROR);
	put16(&cfg, PCI_STATUS, 0xffff);
	CHECK_INT(pci_config_get16(&cfg, PCI_STATUS), PCI_STATUS_CAP_LIST);
}

static void test_effects(void)
{
	struct pci_config cfg;
	struct seen seen;

	make_pf(&cfg, &seen);
	put16(&cfg, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	put16(&cfg, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	CHECK_INT(seen.commands, 1);
	CHECK_INT(seen.command, 6);
	put16(&cfg, cfg.msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	CHECK(seen.msix && !seen.masked);
	/* One byte is enough for each. */
	pci_config_write(&cfg, cfg.msix + PCI_MSIX_FLAGS + 1u, "\xc0", 1);
	CHECK(seen.msix && seen.masked);
	CHECK_INT(seen.msixs, 2);
	pci_config_write(&cfg, cfg.pcie + PCI_EXP_DEVCTL + 1u, "\x80", 1);
	CHECK_INT(seen.flrs, 1);
	put16(&cfg, cfg.pcie + PCI_EXP_DEVCTL, 0x2810);
	CHECK_INT(seen.flrs, 1);
}

static void test_num_vfs(void)
{
	struct pci_config cfg;
	struct seen seen;
	struct pci_sriov sriov;

	make_pf(&cfg, &seen);
	put16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF, 65);
	CHECK_INT(pci_config_get16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF), 0);
	put16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF, 5);
	put16(&cfg, cfg.sriov + PCI_SRIOV_CTRL,
	      PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	CHECK(seen.vf_enable);
	CHECK_INT(seen.num_vfs, 5);
	put16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF, 9);
	CHECK(pci_read_sriov(cfg.data, &sriov));
	CHECK_INT(sriov.num_vfs, 5);
	CHECK_INT(sriov.total_vfs, 64);
	CHECK_INT(sriov.initial_vfs, 64);
	CHECK_INT(sriov.vf_device, 0x10f1);
	CHECK(sriov.vf_enable && sriov.vf_mse);
	CHECK_INT(pci_vf_bdf(0x100, &sriov, 64), 0x140);
	put16(&cfg, cfg.sriov + PCI_SRIOV_CTRL, 0);
	CHECK(!seen.vf_enable);
	put16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF, 9);
	CHECK_INT(pci_config_get16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF), 9);
}

static void test_vf(void)
{
	struct pci_config cfg;
	struct seen seen;
	struct pci_sriov sriov;

	make_vf(&cfg, &seen);
	CHECK_INT(pci_config_get32(&cfg, 0), UINT32_MAX);
	put16(&cfg, PCI_COMMAND, 0xffff);
	CHECK_INT(pci_config_get16(&cfg, PCI_COMMAND), PCI_COMMAND_MASTER);
	put32(&cfg, PCI_BASE_ADDRESS_0, UINT32_MAX);
	CHECK_INT(pci_config_get32(&cfg, PCI_BASE_ADDRESS_0), 0);
	CHECK(!pci_read_sriov(cfg.data, &sriov));
	CHECK(pci_find_cap(cfg.data, PCI_CAP_ID_MSIX));
	CHECK(pci_find_cap(cfg.data, PCI_CAP_ID_EXP));
}

static void test_loops(void)
{
	struct pci_config cfg;
	struct seen seen;
	struct pci_sriov sriov;

	make_pf(&cfg, &seen);
	cfg.data[cfg.msix + PCI_CAP_LIST_NEXT] = (uint8_t)cfg.pcie;
	CHECK_INT(pci_find_cap(cfg.data, PCI_CAP_ID_VPD), 0);
	cfg.data[cfg.msix + PCI_CAP_LIST_NEXT] = 0x04;
	CHECK_INT(pci_find_cap(cfg.data, PCI_CAP_ID_VPD), 0);
	pci_put32(cfg.data, cfg.sriov, 0x10000000u | 1u << 16 | 1u);
	CHECK_INT(pci_find_ecap(cfg.data, 0x7777), 0);
	/* A capability that does not fit into the space. */
	pci_put32(cfg.data, 0x100, 0xff810001u);
	pci_put32(cfg.data, 0xff8, PCI_EXT_CAP_ID_SRIOV);
	CHECK(!pci_read_sriov(cfg.data, &sriov));
	memset(cfg.data, 0xff, sizeof(cfg.data));
	CHECK_INT(pci_find_ecap(cfg.data, 1), 0);
	CHECK_INT(pci_find_cap(cfg.data, 1), 0);
}

/* What real lspci says about the space; freed by the caller. */
static char *lspci_of(const struct pci_config *cfg)
{
	char path[] = "/tmp/iovkit-lspci-XXXXXX", command[128];
	char *text = calloc(1, 65536);
	size_t n;
	FILE *f;

	f = fdopen(mkstemp(path), "w");
	CHECK_INT(pci_dump_lspci(f, 0x0100, "text", cfg->data), 0);
	CHECK_INT(fclose(f), 0);
	snprintf(command, sizeof(command), "lspci -F %s -vvv -n 2>&1", path);
	f = popen(command, "r");
	n = fread(text, 1, 65535, f);
	CHECK_INT(pclose(f), 0);
	CHECK(n > 0);
	unlink(path);
	return text;
}

static void test_lspci(void)
{
	struct pci_config cfg;
	struct seen seen;
	char *text;

	if (system("command -v lspci >/dev/null 2>&1")) {
		printf("# no lspci here\n");
		return;
	}
	make_pf(&cfg, &seen);
	put32(&cfg, PCI_BASE_ADDRESS_0, 0x50000000);
	put32(&cfg, cfg.sriov + PCI_SRIOV_BAR, 0x51000000);
	put16(&cfg, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	put16(&cfg, cfg.sriov + PCI_SRIOV_NUM_VF, 7);
	put16(&cfg, cfg.sriov + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE);
	text = lspci_of(&cfg);
	CHECK_HAS(text, "01:00.0 0200: 1b36:10f0");
	CHECK_HAS(text, "FLReset+");
	CHECK_HAS(text, "MSI-X: Enable- Count=4 Masked-");
	CHECK_HAS(text, "Advanced Error Reporting");
	CHECK_HAS(text, "Alternative Routing-ID Interpretation (ARI)");
	CHECK_HAS(text, "Single Root I/O Virtualization (SR-IOV)");
	CHECK_HAS(text, "IOVCtl:\tEnable+");
	CHECK_HAS(text, "Initial VFs: 64, Total VFs: 64, Number of VFs: 7");
	CHECK_HAS(text, "VF offset: 1, stride: 1, Device ID: 10f1");
	CHECK_HAS(text, "Region 0: Memory at 0000000051000000 (64-bit");
	CHECK(!strstr(text, "chain looped"));
	CHECK(!strstr(text, "Capability ID 0x"));
	CHECK(!strstr(text, "unknown"));
	free(text);
	make_vf(&cfg, &seen);
	pci_put32(cfg.data, 0, 0x10f11b36); /* as the bridge shows it */
	text = lspci_of(&cfg);
	CHECK_HAS(text, "FLReset+");
	CHECK_HAS(text, "MSI-X: Enable-");
	CHECK(!strstr(text, "chain looped"));
	CHECK(!strstr(text, "Capability ID 0x"));
	free(text);
}

static void test_dump(void)
{
	uint8_t config[4096] = { 0x36, 0x1b };
	FILE *full = fopen("/dev/full", "w");
	char *text = NULL;
	size_t size, rows = 0;
	const char *at;
	FILE *f;

	f = open_memstream(&text, &size);
	CHECK_INT(pci_dump_lspci(f, 0x0109, "nic0/vf9", config), 0);
	fclose(f);
	CHECK_HAS(text, "0000:01:01.1 nic0/vf9\n00: 36 1b 00");
	CHECK_HAS(text, "\nff0: 00");
	for (at = text; (at = strchr(at, '\n')); at++)
		rows++;
	CHECK_INT(rows, 258);
	free(text);
	setvbuf(full, NULL, _IONBF, 0);
	CHECK_INT(pci_dump_lspci(full, 0, "x", config), -EIO);
	fclose(full);
}

static const struct unit_case cases[] = {
	{ "sizing", test_sizing },   { "read_only", test_read_only },
	{ "w1c", test_w1c },         { "effects", test_effects },
	{ "num_vfs", test_num_vfs }, { "vf", test_vf },
	{ "loops", test_loops },     { "lspci", test_lspci },
	{ "dump", test_dump },       { NULL, NULL },
};

const struct unit_suite pci_config_suite = { "pci_config", cases };
