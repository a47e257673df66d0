/* device.c - the devices on the bus. */
#include <config.h>

#include "cmd/hvmon/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"

static const char *const state_names[DEVICE_STATE_N] = {
	[DEVICE_AWAY] = "away",
	[DEVICE_STARTING] = "starting",
	[DEVICE_READY] = "ready",
	[DEVICE_FAILED] = "failed",
};

const char *device_state_name(enum device_state state)
{
	return state_names[state];
}

struct device *device_find(struct hvmon *hv, uint16_t pf_bdf)
{
	struct device *device;

	TAILQ_FOREACH (device, &hv->devices, entry)
		if (device->bdf == pf_bdf)
			return device;
	return NULL;
}

struct device *device_find_name(struct hvmon *hv, const char *name)
{
	struct device *device;

	TAILQ_FOREACH (device, &hv->devices, entry)
		if (!strcmp(device->name, name))
			return device;
	return NULL;
}

/* The lowest index that no device has. */
static unsigned free_index(const struct hvmon *hv)
{
	const struct device *device;
	uint32_t taken = 0;
	unsigned i;

	TAILQ_FOREACH (device, &hv->devices, entry)
		taken |= 1u << device->index;
	for (i = 0; i < DEVICE_MAX && (taken & (1u << i)); i++)
		;
	return i;
}

static void insert_by_bus(struct hvmon *hv, struct device *device)
{
	struct device *next;

	TAILQ_FOREACH (next, &hv->devices, entry)
		if (next->bdf > device->bdf)
			break;
	if (next)
		TAILQ_INSERT_BEFORE(next, device, entry);
	else
		TAILQ_INSERT_TAIL(&hv->devices, device, entry);
}

struct device *device_get(struct hvmon *hv, uint16_t pf_bdf, const char *name)
{
	struct device *device = device_find(hv, pf_bdf);
	unsigned i, index = free_index(hv);

	if (!device) {
		if (index == DEVICE_MAX)
			return NULL;
		device = calloc(1, sizeof(*device));
		if (!device)
			abort();
		device->hv = hv;
		device->bdf = pf_bdf;
		device->index = index;
		device->event_fd = device->completion_fd = -1;
		device->own_irq_fd = -1;
		STAILQ_INIT(&device->kept);
		device->whole.device = device;
		device->whole.bdf = pf_bdf;
		for (i = 0; i < FUNCTION_VF_MAX; i++) {
			device->vf[i].device = device;
			device->vf[i].number = i + 1;
		}
		insert_by_bus(hv, device);
	}
	if (name)
		strlcpy(device->name, name, sizeof(device->name));
	else if (!device->name[0])
		snprintf(device->name, sizeof(device->name), "bus%u",
			 (unsigned)pf_bdf >> 8);
	return device;
}

void devices_fini(struct hvmon *hv)
{
	struct device *device;

	while ((device = TAILQ_FIRST(&hv->devices))) {
		TAILQ_REMOVE(&hv->devices, device, entry);
		free(device->record);
		free(device);
	}
}

bool device_find_bdf(struct hvmon *hv, uint16_t bdf, struct device **device,
		     struct vf **vf)
{
	struct device *d;
	unsigned i;

	TAILQ_FOREACH (d, &hv->devices, entry) {
		*device = d;
		*vf = NULL;
		if (d->bdf == bdf)
			return true;
		for (i = 0; i < d->num_vfs; i++) {
			if (d->vf[i].bdf != bdf)
				continue;
			*vf = &d->vf[i];
			return true;
		}
	}
	return false;
}

struct vf *vf_find(struct hvmon *hv, const struct function_name *name)
{
	struct device *device = device_find_name(hv, name->device);

	if (!device || name->vf > device->num_vfs)
		return NULL;
	if (!name->vf)
		return device->single ? &device->whole : NULL;
	return &device->vf[name->vf - 1];
}

void vf_name(const struct vf *vf, struct function_name *name)
{
	strlcpy(name->device, vf->device->name, sizeof(name->device));
	name->vf = vf->number;
}

char *vf_format(char *buf, const struct vf *vf)
{
	struct function_name name;

	vf_name(vf, &name);
	return function_name_format(buf, FUNCTION_NAME_MAX, &name);
}

bool vf_is_there(const struct vf *vf)
{
	return vf && vf->device->state == DEVICE_READY;
}

uint64_t vf_bar_address(const struct vf *vf, unsigned bar)
{
	if (!vf->number)
		return vf->device->bar[bar];
	return vf->device->vf_bar[bar] +
	       (vf->number - 1) * vf->device->vf_bar_size[bar];
}

uint64_t device_lane(const struct device *device)
{
	return device_vf_lane(device) | device_pf_lane(device);
}

uint64_t device_vf_lane(const struct device *device)
{
	return 1ull << device->index;
}

uint64_t device_pf_lane(const struct device *device)
{
	return 1ull << (DEVICE_MAX + device->index);
}
_Static_assert(2 * DEVICE_MAX <= 64, "two lanes a device");

void device_set_vfs(struct device *device, unsigned num_vfs)
{
	unsigned i;

	if (num_vfs > FUNCTION_VF_MAX)
		num_vfs = FUNCTION_VF_MAX;
	device->num_vfs = num_vfs;
	for (i = 0; i < num_vfs; i++)
		device->vf[i].bdf =
			pci_vf_bdf(device->bdf, &device->sriov, i + 1);
}
