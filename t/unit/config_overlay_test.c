/* config_overlay_test.c - unit tests of what a guest sees of config space. */
#include <config.h>

#include <string.h>

#include <linux/pci_regs.h>

#include "cmd/hvmon/config_overlay.h"
#include "libcore/pci_caps.h"
#include "t/unit/unit.h"

#define PCIE_AT 0x40u

static struct config_overlay overlay(void)
{
	return (struct config_overlay){
		.vendor = 0x1b36,
		.device = 0x10f1,
		.bar_gpa = { 0x50100000, 0, 0x50104000 },
		.bar_size = { 0x4000, 0, 0x1000 },
		.bar_is_64 = { true },
		.pcie = PCIE_AT,
	};
}

/* A VF's own config space: no IDs, no BARs. */
static void vf_config(uint8_t config[256])
{
	memset(config, 0, 256);
	pci_put32(config, PCI_VENDOR_ID, 0xffffffff);
	pci_put16(config, PCI_COMMAND, PCI_COMMAND_MASTER);
	pci_put16(config, PCI_STATUS, PCI_STATUS_CAP_LIST);
}

static void test_read(void)
{
	struct config_overlay o = overlay();
	uint8_t config[256];

	vf_config(config);
	config_overlay_read(&o, 0, config, sizeof(config));
	CHECK_INT(pci_get16(config, PCI_VENDOR_ID), 0x1b36);
	CHECK_INT(pci_get16(config, PCI_DEVICE_ID), 0x10f1);
	CHECK_INT(pci_get16(config, PCI_COMMAND), PCI_COMMAND_MASTER);
	CHECK_INT(pci_get16(config, PCI_STATUS), PCI_STATUS_CAP_LIST);
	CHECK_INT(pci_get32(config, PCI_BASE_ADDRESS_0), 0x50100004);
	CHECK_INT(pci_get32(config, PCI_BASE_ADDRESS_1), 0);
	CHECK_INT(pci_get32(config, PCI_BASE_ADDRESS_2), 0x50104000);
	CHECK_INT(pci_get32(config, PCI_BASE_ADDRESS_3), 0);
}

/* An access may begin and end inside a register. */
static void test_read_part(void)
{
	struct config_overlay o = overlay();
	uint8_t part[3] = { 0xaa, 0xaa, 0xaa };

	config_overlay_read(&o, 2, part, 3);
	CHECK_INT(part[0], 0xf1);
	CHECK_INT(part[1], 0x10);
	CHECK_INT(part[2], 0xaa);
	o.memory_space = true;
	part[2] = PCI_COMMAND_MASTER;
	config_overlay_read(&o, 2, part, 3);
	CHECK_INT(part[2], PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
}

static unsigned write32(struct config_overlay *o, uint32_t at, uint32_t value)
{
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[4];
	bool flr;

	pci_put32(data, 0, value);
	return config_overlay_write(o, at, data, 4, runs, &flr);
}

static void test_sizing(void)
{
	struct config_overlay o = overlay();
	uint8_t bars[24] = { 0 };

	CHECK_INT(write32(&o, PCI_BASE_ADDRESS_0, 0xffffffff), 0);
	CHECK_INT(write32(&o, PCI_BASE_ADDRESS_1, 0xffffffff), 0);
	CHECK_INT(write32(&o, PCI_BASE_ADDRESS_2, 0xffffffff), 0);
	CHECK_INT(write32(&o, PCI_BASE_ADDRESS_3, 0xffffffff), 0);
	config_overlay_read(&o, PCI_BASE_ADDRESS_0, bars, sizeof(bars));
	CHECK_INT(pci_bar_size(pci_get32(bars, 0), pci_get32(bars, 4)), 0x4000);
	CHECK_INT(pci_bar_size(pci_get32(bars, 8), 0), 0x1000);
	CHECK_INT(pci_get32(bars, 12), 0);
	/* The address comes back whatever is written. */
	write32(&o, PCI_BASE_ADDRESS_0, 0x12340000);
	write32(&o, PCI_BASE_ADDRESS_1, 0);
	config_overlay_read(&o, PCI_BASE_ADDRESS_0, bars, sizeof(bars));
	CHECK_INT(pci_get32(bars, 0), 0x50100004);
	CHECK_INT(pci_get32(bars, 4), 0);
}

static void test_command(void)
{
	struct config_overlay o = overlay();
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[2];
	bool flr;

	pci_put16(data, 0, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	CHECK_INT(config_overlay_write(&o, PCI_COMMAND, data, 2, runs, &flr),
		  1);
	CHECK_INT(pci_get16(data, 0), PCI_COMMAND_MASTER);
	CHECK_INT(runs[0].offset, PCI_COMMAND);
	CHECK_INT(runs[0].size, 2);
	CHECK(o.memory_space);
	CHECK(!flr);
}

/* One write over everything goes on in pieces. */
static void test_runs(void)
{
	struct config_overlay o = overlay();
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[256] = { 0 };
	bool flr;

	CHECK_INT(config_overlay_write(&o, 0, data, sizeof(data), runs, &flr),
		  3);
	CHECK_INT(runs[0].offset, 4);
	CHECK_INT(runs[0].size, 12);
	CHECK_INT(runs[1].offset, 0x28);
	CHECK_INT(runs[1].size, 8);
	CHECK_INT(runs[2].offset, 0x34);
	CHECK_INT(runs[2].size, 256 - 0x34);
	CHECK(!flr);
}

static void test_flr(void)
{
	struct config_overlay o = overlay();
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[2];
	bool flr;

	o.memory_space = true;
	o.sizing = 1;
	pci_put16(data, 0, PCI_EXP_DEVCTL_BCR_FLR);
	CHECK_INT(config_overlay_write(&o, PCIE_AT + PCI_EXP_DEVCTL, data, 2,
				       runs, &flr),
		  1);
	CHECK(flr);
	CHECK(!o.memory_space);
	CHECK_INT(o.sizing, 0);
	CHECK_INT(pci_get16(data, 0), PCI_EXP_DEVCTL_BCR_FLR);
}

/* INTA of a whole function is never enabled, whatever its guest sees. */
static void test_intx_disable(void)
{
	struct config_overlay o = overlay();
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[2];
	bool flr;

	o.whole = true;
	pci_put16(data, 0, PCI_COMMAND_INTX_DISABLE);
	config_overlay_read(&o, PCI_COMMAND, data, 2);
	CHECK_INT(pci_get16(data, 0), 0);
	pci_put16(data, 0, PCI_COMMAND_INTX_DISABLE);
	CHECK_INT(config_overlay_write(&o, PCI_COMMAND, data, 2, runs, &flr),
		  1);
	config_overlay_read(&o, PCI_COMMAND, data, 2);
	CHECK_INT(pci_get16(data, 0), PCI_COMMAND_INTX_DISABLE);
	config_overlay_reset(&o);
	config_overlay_read(&o, PCI_COMMAND, data, 2);
	CHECK_INT(pci_get16(data, 0), 0);
	data[0] = 0;
	CHECK_INT(
		config_overlay_write(&o, PCI_COMMAND + 1, data, 1, runs, &flr),
		1);
	CHECK_INT(data[0], PCI_COMMAND_INTX_DISABLE >> 8);
}

/* What tells its kind is another one's, and the driver's enables stay. */
static void test_carried(void)
{
	struct config_overlay o = overlay();
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t config[256], data[2];
	bool flr;

	o.whole = o.carried = true;
	o.class_revision = 0x07000201;
	o.msix = 0x60;
	memset(config, 0xff, sizeof(config));
	config_overlay_read(&o, 0, config, sizeof(config));
	CHECK_INT(pci_get32(config, PCI_CLASS_REVISION), 0x07000201);
	CHECK_INT(pci_get32(config, PCI_SUBSYSTEM_VENDOR_ID), 0x10f11b36);
	CHECK_INT(pci_get16(config, PCI_COMMAND),
		  0xffff & ~(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY |
			     PCI_COMMAND_INTX_DISABLE));
	CHECK_INT(pci_get16(config, 0x62), 0x3fff);
	pci_put16(data, 0, 0);
	CHECK_INT(config_overlay_write(&o, PCI_COMMAND, data, 2, runs, &flr),
		  1);
	CHECK_INT(pci_get16(data, 0), PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY |
					      PCI_COMMAND_INTX_DISABLE);
	pci_put16(data, 0, PCI_MSIX_FLAGS_ENABLE);
	CHECK_INT(config_overlay_write(&o, 0x62, data, 2, runs, &flr), 1);
	CHECK_INT(runs[0].size, 1);
	memset(config, 0, sizeof(config));
	config_overlay_read(&o, 0, config, sizeof(config));
	CHECK_INT(pci_get16(config, 0x62), PCI_MSIX_FLAGS_ENABLE);
	config_overlay_reset(&o);
	CHECK_INT(o.msix_enables, 0);
}

static const struct unit_case cases[] = {
	{ "read", test_read },
	{ "read_part", test_read_part },
	{ "sizing", test_sizing },
	{ "command", test_command },
	{ "runs", test_runs },
	{ "flr", test_flr },
	{ "intx_disable", test_intx_disable },
	{ "carried", test_carried },
	{ NULL },
};

const struct unit_suite config_overlay_suite = { "config_overlay", cases };
