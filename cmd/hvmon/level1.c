/* level1.c - calls of partitions' hypervisors, and adoption: a hypervisor that
 * comes anew finds the partitions that it is to serve by the maps that the
 * former one had of their memory. */
#include <config.h>

#include "cmd/hvmon/level1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/demux.h"
#include "libcore/platform.h"

static bool is_adapter(const struct device *device)
{
	return pci_get16(device->config, PCI_VENDOR_ID) == HCA_VENDOR_ID &&
	       pci_get16(device->config, PCI_DEVICE_ID) == HCA_PF_DEVICE &&
	       device->bar_size[0] >= HCA_PF_BAR_SIZE;
}

void level1_init(struct hvmon *hv)
{
	hv->level1.irq_fd = -1;
}

void level1_close(struct hvmon *hv)
{
	unsigned i;

	forward_close(hv);
	for (i = 1; i <= HCA_PARTITIONS; i++)
		detach_queues(hv, i);
}

/* The partition's function that the VM has; NULL: none. */
static struct vf *partition_vf(struct hvmon *hv, uint32_t vm)
{
	const struct vf_allocation *row;
	struct vf *vf;

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		vf = row->vm == vm ? vf_find(hv, &row->vf) : NULL;
		if (vf && vf->number && vf->number <= HCA_PARTITIONS &&
		    vf_is_there(vf) && is_adapter(vf->device))
			return vf;
	}
	return NULL;
}

/* 0: it will be answered; or -errno. */
static int take_call(struct hvmon *hv, const struct sup_exception *exception,
		     const struct demux_call *call)
{
	struct vf *vf = partition_vf(hv, exception->vm);
	struct partition *partition;

	if (!vf)
		return -ENOENT;
	partition = hv->level1.partition[vf->number];
	if (hv->level1.device && hv->level1.device != vf->device)
		return -EBUSY; /* one adapter */
	if (call->what == DEMUX_CALL_ATTACH && !call->vm) {
		attach_queues(vf, exception->vm, exception->serial);
		return 0;
	}
	if (call->what == DEMUX_CALL_MAP && !partition) {
		/* The maps are looked at when it attaches. */
		exception_done(hv, exception, NULL);
		return 0;
	}
	if (!partition || partition->vm != exception->vm)
		return -ENOENT;
	if (call->what == DEMUX_CALL_MAP) {
		map_guest(partition, call->vm, exception->serial);
		return 0;
	}
	if (call->what != DEMUX_CALL_DETACH || call->vm)
		return -EINVAL;
	detach_queues(hv, vf->number);
	exception_done(hv, exception, NULL);
	return 0;
}

bool level1_takes(struct hvmon *hv, const struct sup_exception *exception)
{
	struct demux_call call;
	int err = -EINVAL;

	if (hv->level != 1 || exception->gpa != PLATFORM_HOST_QUEUES)
		return false;
	if (exception->flags & SUP_EX_WRITE &&
	    exception->size == sizeof(call)) {
		memcpy(&call, exception->data, sizeof(call));
		err = take_call(hv, exception, &call);
	}
	if (err)
		exception_fail(hv, exception, -err);
	return true;
}

/* The procedure "adopt queues". */

struct adopt_queues {
	struct procedure p;
	struct sup_map *maps;
	unsigned n_maps;
};

static int adopt_read(struct procedure *p)
{
	struct adopt_queues *a = (struct adopt_queues *)p;

	a->n_maps = PLATFORM_VM_MAX + HCA_PARTITIONS;
	a->maps = calloc(a->n_maps, sizeof(*a->maps));
	if (!a->maps)
		return step_fail(p, -ENOMEM, "no memory");
	step_sup_read(p, SUP_MAPS, a->maps,
		      a->n_maps * (uint32_t)sizeof(*a->maps));
	return STEP_NEXT;
}

static int adopt_attach(struct procedure *p)
{
	const struct adopt_queues *a = (struct adopt_queues *)p;
	const struct sup_map *map;
	struct vf *vf;
	unsigned i;

	for (i = 0; i < a->n_maps && a->maps[i].on; i++) {
		map = &a->maps[i];
		vf = !map->bdf && map->by == PLATFORM_HYPERVISOR
			     ? partition_vf(p->hv, map->vm)
			     : NULL;
		if (vf && !p->hv->level1.partition[vf->number])
			attach_queues(vf, map->vm, 0);
	}
	return STEP_NEXT;
}

static void adopt_fini(struct procedure *p)
{
	free(((struct adopt_queues *)p)->maps);
}

static const struct step adopt_steps[] = {
	{ POINT_NONE, adopt_read },
	{ POINT_NONE, adopt_attach },
	{ 0, NULL },
};

static const struct procedure_desc adopt_desc = {
	.name = "adopt queues",
	.steps = adopt_steps,
	.fini = adopt_fini,
};

void level1_started(struct device *device)
{
	struct adopt_queues *a;

	if (device->hv->level != 1 || !is_adapter(device))
		return;
	a = procedure_new(device->hv, &adopt_desc, sizeof(*a));
	procedure_about(&a->p, device);
	procedure_start(&a->p, 0);
}
