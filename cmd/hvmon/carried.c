/* carried.c - a device whose guest sees another kind than it is.
 *
 * Theory of operation.  The root bridge shows the device as its VM's, as any
 * other one; its registers are denied for as long as the VM has it.  What our
 * driver and the device exchange lies in vm0's memory, which the device reaches
 * beside its VM's at an address of its own.  The kind that the guest sees is the
 * option's, or the record's when a former hypervisor left one; config space
 * shows it (config_overlay.h), and what is the driver's there, Bus Master Enable
 * and MSI-X Enable, is not the guest's.
 */
#include <config.h>

#include "cmd/hvmon/carried.h"

#include <errno.h>

#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/own_interrupt.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

/* Behind the records in the device's room. */
#define BUFFERS_AT 0xa000u
_Static_assert(VIRTUAL_ROOM_AT + 2 * sizeof(struct virtual_record) <=
		       BUFFERS_AT,
	       "the record of a virtual device comes before");
_Static_assert(BUFFERS_AT + CARRIED_BUFFERS_SIZE <= CONNECTION_ROOM_AT,
	       "that of connections comes next");

/* vm0's memory as such a device sees it: no VM's memory is that large. */
#define IOVA (1ull << 40)

/* Kinds. */

const struct emulator *device_kind(const struct device *device)
{
	return emulator_find(pci_get16(device->config, PCI_VENDOR_ID),
			     pci_get16(device->config, PCI_DEVICE_ID));
}

const struct emulator *device_shown(const struct device *device)
{
	return device->carried ? device->carried : device_kind(device);
}

const struct backend *device_backend(const struct device *device)
{
	return backend_find(device_shown(device), device_kind(device));
}

int carried_take(struct device *device, struct complaint *why)
{
	const struct connection *c = connection_find(device->hv, device->name);
	const struct emulator *kind = device_kind(device);

	device->carried = c && c->shown != kind ? c->shown : NULL;
	if (!device->carried)
		return 0;
	if (!device->single || !kind)
		return complain(why, EINVAL,
				"%s is of a kind that is not emulated",
				device->name);
	if (!device_backend(device))
		return complain(why, EINVAL,
				"%s is incompatible: no %s can be carried out "
				"on a real %s",
				device->name, device->carried->name,
				kind->name);
	if (!carried_buffers(device))
		return complain(why, EINVAL,
				"VM 0's memory has no room for the buffers of "
				"%s",
				device->name);
	return 0;
}

void carried_take_up(struct device *device)
{
	const struct emulator *kind = device_kind(device);
	struct virtual_record record;

	if (!device->single || !kind || !virtual_read_record(device, &record) ||
	    !emulator_by_number(record.emulator))
		return;
	connection_get(device)->shown = emulator_by_number(record.emulator);
}

void carried_refuse(struct device *device)
{
	event(device->hv->program->log, "carried.refused", "s:s, s:s, s:s",
	      "device", device->name, "kind", device_kind(device)->name,
	      "wished", device_shown(device)->name);
	connection_get(device)->shown = NULL;
	device->carried = NULL;
}

/* The device. */

uint8_t *carried_buffers(const struct device *device)
{
	uint8_t *room = device_room(device);

	return room ? room + BUFFERS_AT : NULL;
}

uint64_t carried_buffers_iova(const struct device *device)
{
	return IOVA + RESET_ROOM_OFFSET(device->bdf >> 8) + BUFFERS_AT;
}

static struct sup_map map_of(const struct device *device, bool on)
{
	return (struct sup_map){
		.bdf = device->bdf,
		.on = on,
		.vm = PLATFORM_HYPERVISOR,
		.iova = IOVA,
	};
}

void step_carried_give(struct procedure *p, struct device *device)
{
	const struct sup_map map = map_of(device, true);

	if (!device->carried)
		return;
	step_sup_write(p, SUP_MAPS, &map, sizeof(map), 0);
	if (device->virtual)
		return;
	virtual_new(device, VIRTUAL_LOADING)->record.own_mode = 1;
	virtual_keep_record(device->virtual);
	step_own_interrupt(p, device);
}

void step_carried_away(struct procedure *p, const struct device *device)
{
	const struct sup_map map = map_of(device, false);

	if (device->single && device_kind(device))
		step_sup_write(p, SUP_MAPS, &map, sizeof(map), STEP_MAY_FAIL);
}

void step_carried_enable(struct procedure *p, const struct device *device)
{
	step_own_command(p, device, true);
	if (device->whole.msix)
		step_own_vector(p, device);
}
