/* setup.c - setting one device up: BARs, VFs, driver, allocated VFs.
 *
 * Everything goes through config space, as firmware and an operating system
 * would do it: header, sizes by all ones, addresses, command register, then
 * SR-IOV.  NumVFs and the ARI hierarchy are set before First VF Offset and VF
 * Stride are read, since both may depend on them (sriov 3.3.9, 3.3.10).
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/successors.h"
#include "cmd/hvmon/takeback.h"
#include "cmd/hvmon/vf_quiet.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

#define ALL_ONES  0xffffffffu
#define PAGE_4KIB 1u /* System Page Size: bit n is 2^(n + 12) */

struct setup {
	struct procedure p;
	uint8_t bars[24], vf_bars[24]; /* as they read after all ones */
	struct vf_configs configs;
};

static int setup_claim(struct procedure *p)
{
	p->device->state = DEVICE_STARTING;
	p->device->adopted = false;
	step_claim(p, p->device);
	return STEP_NEXT;
}

static int setup_header(struct procedure *p)
{
	step_config_read(p, p->device->bdf, 0, p->device->config,
			 PCI_CONFIG_SIZE);
	return STEP_NEXT;
}

static void size_bars(struct procedure *p, unsigned first, uint8_t into[24])
{
	unsigned i;

	for (i = 0; i < 6; i++)
		step_config_write32(p, p->device->bdf, first + 4 * i, ALL_ONES);
	step_config_read(p, p->device->bdf, first, into, 24);
}

static int setup_size(struct procedure *p)
{
	struct setup *s = (struct setup *)p;
	struct device *device = p->device;
	const uint8_t *config = device->config;

	if (pci_get16(config, PCI_VENDOR_ID) == 0xffff)
		return step_fail(p, -ENODEV, "%s does not answer", p->function);
	if ((config[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		return step_fail(p, -ENOTSUP, "%s has header type %u",
				 p->function, config[PCI_HEADER_TYPE] & 0x7fu);
	/* What decodes must not be sized. */
	step_config_write16(p, device->bdf, PCI_COMMAND, 0);
	size_bars(p, PCI_BASE_ADDRESS_0, s->bars);
	memset(&device->sriov, 0, sizeof(device->sriov));
	device->single = !pci_read_sriov(config, &device->sriov);
	if (!device->single)
		size_bars(p, device->sriov.cap + PCI_SRIOV_BAR, s->vf_bars);
	return STEP_NEXT;
}

/* Sizes from six BAR registers that read back after all ones. */
static void take_sizes(const uint8_t registers[24], uint64_t size[6],
		       bool is_64[6])
{
	uint32_t low, high;
	unsigned i;

	memset(size, 0, 6 * sizeof(*size));
	memset(is_64, 0, 6 * sizeof(*is_64));
	for (i = 0; i < 6; i++) {
		low = pci_get32(registers, 4 * i);
		if (low & PCI_BASE_ADDRESS_SPACE_IO)
			continue; /* no I/O space here */
		is_64[i] = i < 5 && (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
					    PCI_BASE_ADDRESS_MEM_TYPE_64;
		high = is_64[i] ? pci_get32(registers, 4 * i + 4) : 0;
		size[i] = pci_bar_size(low, high);
		if (is_64[i])
			i++;
	}
}

/* Give BARs addresses and write them; `count` of each size lie in a row. */
static int assign_bars(struct procedure *p, unsigned first, unsigned what,
		       const uint64_t size[6], const bool is_64[6],
		       unsigned count, uint64_t address[6])
{
	struct device *device = p->device;
	unsigned i;
	int err;

	memset(address, 0, 6 * sizeof(*address));
	for (i = 0; i < 6; i++) {
		if (!size[i] || !count)
			continue;
		err = address_layout_assign(&p->hv->mmio, size[i] * count,
					    size[i], device, what + i,
					    &address[i]);
		if (err)
			return step_fail(p, err,
					 "no room for BAR %u of %s (%llu "
					 "bytes)",
					 i, p->function,
					 (unsigned long long)size[i] * count);
		step_config_write32(p, device->bdf, first + 4 * i,
				    (uint32_t)address[i]);
		if (is_64[i])
			step_config_write32(p, device->bdf, first + 4 * i + 4,
					    (uint32_t)(address[i] >> 32));
	}
	return 0;
}

static int setup_assign(struct procedure *p)
{
	struct setup *s = (struct setup *)p;
	struct device *d = p->device;
	unsigned num_vfs = d->sriov.initial_vfs;
	int err;

	take_sizes(s->bars, d->bar_size, d->bar_is_64);
	take_sizes(s->vf_bars, d->vf_bar_size, d->vf_bar_is_64);
	if (num_vfs > p->hv->max_vfs)
		num_vfs = p->hv->max_vfs;
	if (num_vfs > FUNCTION_VF_MAX)
		num_vfs = FUNCTION_VF_MAX;
	d->num_vfs = num_vfs;
	err = assign_bars(p, PCI_BASE_ADDRESS_0, 0, d->bar_size, d->bar_is_64,
			  1, d->bar);
	/* Addresses are for all VFs that there may be (sriov 3.3.14). */
	if (!err && num_vfs)
		err = assign_bars(p, d->sriov.cap + PCI_SRIOV_BAR,
				  ADDRESS_VF_BAR, d->vf_bar_size,
				  d->vf_bar_is_64, d->sriov.total_vfs,
				  d->vf_bar);
	return err ? err : STEP_NEXT;
}

/* Bus Master Enable is for the PF's interrupt; that of a single function is
 * its guest's. */
static int setup_command(struct procedure *p)
{
	step_config_write16(
		p, p->device->bdf, PCI_COMMAND,
		PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE |
			(p->device->single ? 0 : PCI_COMMAND_MASTER));
	return STEP_NEXT;
}

static int setup_num_vfs(struct procedure *p)
{
	const struct device *d = p->device;
	unsigned cap = d->sriov.cap;

	if (!d->num_vfs)
		return STEP_NEXT;
	step_config_write16(p, d->bdf, cap + PCI_SRIOV_CTRL,
			    PCI_SRIOV_CTRL_ARI);
	step_config_write32(p, d->bdf, cap + PCI_SRIOV_SYS_PGSIZE, PAGE_4KIB);
	step_config_write16(p, d->bdf, cap + PCI_SRIOV_NUM_VF,
			    (uint16_t)d->num_vfs);
	step_config_read(p, d->bdf, 0, p->device->config, PCI_CONFIG_SIZE);
	return STEP_NEXT;
}

/* Answered when the VFs are there. */
static int setup_vf_enable(struct procedure *p)
{
	struct device *d = p->device;
	unsigned wanted = d->num_vfs;

	if (!wanted)
		return STEP_NEXT;
	if (!pci_read_sriov(d->config, &d->sriov) ||
	    d->sriov.num_vfs != wanted || !d->sriov.offset ||
	    (wanted > 1 && !d->sriov.stride))
		return step_fail(p, -EIO, "%s does not take %u VFs",
				 p->function, wanted);
	device_set_vfs(d, wanted);
	step_config_write16(p, d->bdf, d->sriov.cap + PCI_SRIOV_CTRL,
			    PCI_SRIOV_CTRL_ARI | PCI_SRIOV_CTRL_VFE |
				    PCI_SRIOV_CTRL_MSE);
	return STEP_NEXT;
}

static int setup_vfs(struct procedure *p)
{
	struct setup *s = (struct setup *)p;

	step_read_vf_configs(p, p->device, &s->configs);
	return STEP_NEXT;
}

static int setup_driver(struct procedure *p)
{
	struct setup *s = (struct setup *)p;
	int err = vf_configs_take(p, p->device, &s->configs);

	if (err)
		return err;
	step_pf_driver(p, p->device);
	return STEP_NEXT;
}

static int setup_give(struct procedure *p)
{
	vf_set_of_device(&p->vfs, p->device);
	step_successors_of(p, p->device);
	step_guard_pf(p, p->device, SUP_ROW_DENIED);
	step_virtual_wished(p, p->device);
	if (!connection_is_open(p->device))
		step_give(p, p->device, &p->vfs, false);
	step_management_rows(p, p->device);
	return STEP_NEXT;
}

static int setup_inject(struct procedure *p)
{
	/* Accesses of the guests' config spaces are let through from here. */
	p->device->state = DEVICE_READY;
	successors_fill(p->device);
	vfs_forget_config(p);
	step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static void setup_end(struct procedure *p)
{
	device_started(p, p->device);
}

static const struct step setup_steps[] = {
	{ POINT_ENUMERATE_CLAIM, setup_claim },
	{ POINT_ENUMERATE_HEADER, setup_header },
	{ POINT_ENUMERATE_SIZE, setup_size },
	{ POINT_ENUMERATE_ASSIGN, setup_assign },
	{ POINT_ENUMERATE_COMMAND, setup_command },
	{ POINT_ENUMERATE_NUM_VFS, setup_num_vfs },
	{ POINT_ENUMERATE_VF_ENABLE, setup_vf_enable },
	{ POINT_ENUMERATE_VFS, setup_vfs },
	{ POINT_ENUMERATE_DRIVER, setup_driver },
	{ POINT_ENUMERATE_GIVE, setup_give },
	{ POINT_ENUMERATE_INJECT, setup_inject },
	{ 0, NULL },
};

static const struct procedure_desc setup_desc = {
	.name = "set up",
	.steps = setup_steps,
	.end = setup_end,
};

void step_setup(struct procedure *p, struct device *device)
{
	struct setup *s = procedure_new(p->hv, &setup_desc, sizeof(*s));

	procedure_about(&s->p, device);
	procedure_call(p, &s->p);
}
