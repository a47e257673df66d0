/* config_overlay.c - what a guest sees in its VF's config space that is not
 * what the VF itself shows. */
#include <config.h>

#include "cmd/hvmon/config_overlay.h"

#include <linux/pci_regs.h>

#include "libcore/pci_caps.h"

#define BAR_FIRST PCI_BASE_ADDRESS_0
#define BAR_END   (PCI_BASE_ADDRESS_5 + 4u)
/* Vendor and device; BARs; ROM BAR: not the VF's. */
#define ID_END       4u
#define ROM_FIRST    PCI_ROM_ADDRESS
#define ROM_END      (PCI_ROM_ADDRESS + 4u)
#define FLR_BYTE_BIT (PCI_EXP_DEVCTL_BCR_FLR >> 8)
/* In the upper byte of the command register. */
#define INTX_DISABLE (PCI_COMMAND_INTX_DISABLE >> 8)
#define MSIX_ENABLES ((PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8)

/* What BAR register i reads as. */
static uint32_t bar_register(const struct config_overlay *o, unsigned i)
{
	bool upper = i > 0 && o->bar_is_64[i - 1] && o->bar_size[i - 1];
	unsigned bar = upper ? i - 1 : i;
	uint64_t value;

	if (!o->bar_size[bar])
		return 0;
	value = o->sizing & (1u << i) ? ~(o->bar_size[bar] - 1)
				      : o->bar_gpa[bar];
	if (upper)
		return (uint32_t)(value >> 32);
	return ((uint32_t)value & ~0xfu) |
	       (o->bar_is_64[bar] ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0);
}

/* The enables of a carried one's MSI-X capability. */
static bool is_msix(const struct config_overlay *o, uint32_t at)
{
	return o->carried && o->msix && at == o->msix + PCI_MSIX_FLAGS + 1u;
}

/* What tells the kind of a carried one. */
static bool is_identity(const struct config_overlay *o, uint32_t at)
{
	return o->carried &&
	       ((at >= PCI_CLASS_REVISION && at < PCI_CLASS_REVISION + 4u) ||
		(at >= PCI_SUBSYSTEM_VENDOR_ID &&
		 at < PCI_SUBSYSTEM_VENDOR_ID + 4u));
}

static bool is_emulated(uint32_t at)
{
	return at < ID_END || (at >= BAR_FIRST && at < BAR_END) ||
	       (at >= ROM_FIRST && at < ROM_END);
}

/* The byte of an emulated register. */
static uint8_t emulated_byte(const struct config_overlay *o, uint32_t at)
{
	uint32_t word = 0;

	if (at < ID_END ||
	    (is_identity(o, at) && at >= PCI_SUBSYSTEM_VENDOR_ID))
		word = (uint32_t)o->device << 16 | o->vendor;
	else if (is_identity(o, at))
		word = o->class_revision;
	else if (at >= BAR_FIRST && at < BAR_END)
		word = bar_register(o, (at - BAR_FIRST) / 4);
	return (uint8_t)(word >> (at % 4 * 8));
}

static uint8_t set_bit(uint8_t value, uint8_t bit, bool on)
{
	return on ? value | bit : value & (uint8_t)~bit;
}

/* The low byte of the command register as the guest shall see it, of one that
 * reads as `command`. */
static uint8_t shown_command(const struct config_overlay *o, uint8_t command)
{
	if (o->memory_space || o->whole)
		command = set_bit(command, PCI_COMMAND_MEMORY, o->memory_space);
	if (o->carried)
		command = set_bit(command, PCI_COMMAND_MASTER, o->bus_master);
	return command;
}

/* The same of its high byte. */
static uint8_t shown_command_high(const struct config_overlay *o, uint8_t high)
{
	return o->whole ? set_bit(high, INTX_DISABLE, o->intx_disable) : high;
}

void config_overlay_read(const struct config_overlay *overlay, uint32_t offset,
			 uint8_t *data, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size && offset + i < PCI_CFG_SPACE_SIZE; i++) {
		if (is_emulated(offset + i) || is_identity(overlay, offset + i))
			data[i] = emulated_byte(overlay, offset + i);
		else if (offset + i == PCI_COMMAND)
			data[i] = shown_command(overlay, data[i]);
		else if (offset + i == PCI_COMMAND + 1u)
			data[i] = shown_command_high(overlay, data[i]);
		else if (is_msix(overlay, offset + i))
			data[i] = (data[i] & (uint8_t)~MSIX_ENABLES) |
				  overlay->msix_enables;
	}
}

/* BAR registers are sized by whole words; bytes change nothing. */
static void write_bars(struct config_overlay *o, uint32_t offset,
		       const uint8_t *data, uint32_t size)
{
	unsigned i;
	uint32_t at;

	for (i = 0; i < 6; i++) {
		at = BAR_FIRST + 4 * i;
		if (at < offset || at + 4 > offset + size)
			continue;
		if (pci_get32(data, at - offset) == 0xffffffff)
			o->sizing |= 1u << i;
		else
			o->sizing &= ~(1u << i);
	}
}

bool config_overlay_resets(const struct config_overlay *overlay,
			   uint32_t offset, const uint8_t *data, uint32_t size)
{
	uint32_t at = overlay->pcie + PCI_EXP_DEVCTL + 1u;

	return overlay->pcie && at >= offset && at < offset + size &&
	       data[at - offset] & FLR_BYTE_BIT;
}

unsigned config_overlay_write(struct config_overlay *overlay, uint32_t offset,
			      uint8_t *data, uint32_t size,
			      struct config_run runs[CONFIG_RUNS_MAX],
			      bool *flr)
{
	uint32_t i, at;
	unsigned n = 0;
	bool open = false;

	*flr = config_overlay_resets(overlay, offset, data, size);
	write_bars(overlay, offset, data, size);
	for (i = 0; i < size; i++) {
		at = offset + i;
		if (is_msix(overlay, at))
			overlay->msix_enables = data[i] & MSIX_ENABLES;
		if (is_emulated(at) || is_msix(overlay, at)) {
			open = false;
			continue;
		}
		if (at == PCI_COMMAND) {
			overlay->memory_space = data[i] & PCI_COMMAND_MEMORY;
			overlay->bus_master = data[i] & PCI_COMMAND_MASTER;
			data[i] = set_bit(data[i], PCI_COMMAND_MEMORY,
					  overlay->whole);
			if (overlay->carried)
				data[i] |= PCI_COMMAND_MASTER;
		}
		if (at == PCI_COMMAND + 1u && overlay->whole) {
			overlay->intx_disable = data[i] & INTX_DISABLE;
			data[i] |= INTX_DISABLE;
		}
		if (!open)
			runs[n++] = (struct config_run){ at, 0 };
		open = true;
		runs[n - 1].size++;
	}
	if (*flr)
		config_overlay_reset(overlay);
	return n;
}

void config_overlay_reset(struct config_overlay *overlay)
{
	overlay->memory_space = false;
	overlay->bus_master = false;
	overlay->intx_disable = false;
	overlay->sizing = 0;
	overlay->msix_enables = 0;
}
