/* attach_queues.c - a partition's host queues become the machine's (1012,
 * 1014): procedure "attach queues".
 *
 * The partition's hypervisor allocated them and wrote them into the record
 * (demux.h).  What is there already is done again, so a hypervisor that comes
 * anew, on either level, does the same as the first one.
 */
#include <config.h>

#include "cmd/hvmon/level1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_record.h"
#include "libcore/platform.h"

/* Verbs of the machine: a byte for each host queue, and each event signals. */
#define VERBS (2u * DEMUX_HOST_N)

struct attach_queues {
	struct procedure p;
	struct vf *vf;
	uint64_t serial;
	struct partition *partition; /* until it is in the table */
	void *record;                /* memory of level 2's VM */
	struct demux_tables tables;
	struct demux_host_queue host[DEMUX_HOST_N];
	uint8_t status[VERBS][8];
	unsigned n_verbs;
	struct sup_map *maps; /* rows of the root bridge */
	void **guest;         /* memories, by row */
	unsigned n_maps;
};

static struct attach_queues *of(struct procedure *p)
{
	return (struct attach_queues *)p;
}

/* vm's memory, for the processors of vm0. */
static struct sup_map own_map(uint32_t vm)
{
	return (struct sup_map){ .on = 1, .vm = vm, .by = PLATFORM_HYPERVISOR };
}

/* The PF reaches vm0's memory, where the summary bytes are. */
static int attach_memory(struct procedure *p)
{
	const struct sup_assign assign = { .bdf = p->device->bdf,
					   .vm = PLATFORM_HYPERVISOR };
	const struct sup_map map = own_map(p->vm);
	int err = forward_open(p->hv);

	if (err)
		return step_fail(p, err, "an eventfd: %s", strerror(-err));
	if (vm_memory_size(p, p->vm) < DEMUX_RECORD_AT + DEMUX_RECORD_SIZE)
		return step_fail(p, -ENOENT, "vm%u has no room for a record",
				 p->vm);
	step_sup_write(p, SUP_MAPS, &map, sizeof(map), 0);
	step_sup_write(p, SUP_ASSIGN, &assign, sizeof(assign), 0);
	step_own_irq(p, platform_irq(p->device->index, LEVEL1_VECTOR),
		     p->hv->level1.irq_fd);
	return STEP_NEXT;
}

static int attach_map(struct procedure *p)
{
	step_region_map(p, PLATFORM_REGION_GUEST + p->vm,
			(uint32_t)vm_memory_size(p, p->vm), &of(p)->record);
	return STEP_NEXT;
}

static void verb(struct attach_queues *a, uint32_t eq, unsigned attribute,
		 uint64_t value)
{
	uint64_t bar = a->p.device->bar[0];
	uint64_t verb = htole64(hca_verb(HCA_STORE, attribute, eq));

	value = htole64(value);
	step_write(&a->p, bar + HCA_VALUE, &value, sizeof(value));
	step_write(&a->p, bar + HCA_VERB, &verb, sizeof(verb));
	step_read(&a->p, bar + HCA_STATUS, a->status[a->n_verbs++], 8);
}

static uint64_t psb_address(const struct device *device, unsigned byte)
{
	return RESET_ROOM_OFFSET(device->bdf >> 8) + LEVEL1_PSB_AT + byte;
}

/* 1012, 1014 */
static int attach_bytes(struct procedure *p)
{
	struct attach_queues *a = of(p);
	unsigned i, byte[DEMUX_HOST_N] = { a->vf->number, 0 };
	int err = demux_open(&a->tables, a->record, vm_memory_size(p, p->vm));

	if (err)
		return step_fail(p, err, "vm%u has no record", p->vm);
	memcpy(a->host, a->tables.record->host, sizeof(a->host));
	if (!a->host[DEMUX_TYPE1].eq || a->host[DEMUX_TYPE1].isc >= HCA_ISCS)
		return step_fail(p, -ENOENT, "vm%u has no type 1 queue", p->vm);
	for (i = 0; i < DEMUX_HOST_N; i++) {
		if (!a->host[i].eq)
			continue;
		verb(a, a->host[i].eq, HCA_PSB,
		     psb_address(p->device, byte[i]));
		verb(a, a->host[i].eq, HCA_HOST, 1);
	}
	return STEP_NEXT;
}

/* Those who the partition's function reaches. */
static int attach_maps(struct procedure *p)
{
	struct attach_queues *a = of(p);
	uint32_t most = PLATFORM_VM_MAX + HCA_PARTITIONS;
	unsigned i;

	for (i = 0; i < a->n_verbs; i++)
		if (pci_get32(a->status[i], 0) != HCA_OK)
			return step_fail(p, -EIO,
					 "the adapter refuses a byte of vm%u",
					 p->vm);
	a->maps = calloc(most, sizeof(*a->maps));
	a->guest = calloc(most, sizeof(*a->guest));
	if (!a->maps || !a->guest)
		return step_fail(p, -ENOMEM, "no memory");
	a->n_maps = most;
	step_sup_read(p, SUP_MAPS, a->maps, most * sizeof(*a->maps));
	return STEP_NEXT;
}

static int attach_guests(struct procedure *p)
{
	struct attach_queues *a = of(p);
	struct sup_map *own;
	unsigned i, n = 0;

	for (i = 0; i < a->n_maps && a->maps[i].on; i++)
		if (a->maps[i].bdf == a->vf->bdf)
			a->maps[n++] = a->maps[i];
	a->n_maps = n;
	own = calloc(n + 1, sizeof(*own));
	if (!own)
		return step_fail(p, -ENOMEM, "no memory");
	for (i = 0; i < n; i++)
		own[i] = own_map(a->maps[i].vm);
	step_sup_write(p, SUP_MAPS, own, n * (uint32_t)sizeof(*own), 0);
	free(own);
	return STEP_NEXT;
}

static int attach_guest_maps(struct procedure *p)
{
	struct attach_queues *a = of(p);
	unsigned i;

	for (i = 0; i < a->n_maps; i++)
		step_region_map(p, PLATFORM_REGION_GUEST + a->maps[i].vm,
				(uint32_t)vm_memory_size(p, a->maps[i].vm),
				&a->guest[i]);
	return STEP_NEXT;
}

static int attach_route(struct procedure *p)
{
	const struct attach_queues *a = of(p);
	const struct sup_route route = {
		.bdf = a->vf->bdf,
		.vector = (uint16_t)a->host[DEMUX_TYPE1].isc,
		.vm = PLATFORM_HYPERVISOR,
		.irq = platform_irq(p->device->index, LEVEL1_VECTOR),
		.in_use = 1,
	};

	step_sup_write(p, SUP_ROUTES, &route, sizeof(route), 0);
	return STEP_NEXT;
}

/* Takes the memory, whatever comes of it. */
static int add_map(struct procedure *p, struct partition *partition,
		   uint32_t vm, uint64_t address, void **hva)
{
	const struct partition_map map = { .address = address,
					   .size = vm_memory_size(p, vm),
					   .hva = *hva,
					   .vm = vm };

	*hva = NULL;
	return partition_memory_add(&partition->memory, &map);
}

static int attach_start(struct procedure *p)
{
	struct attach_queues *a = of(p);
	struct partition *partition = calloc(1, sizeof(*partition));
	struct demux_memory view = { .at = partition_memory_at };
	unsigned i;
	int err;

	if (!partition)
		return step_fail(p, -ENOMEM, "no memory");
	detach_queues(p->hv, a->vf->number);
	p->hv->level1.partition[a->vf->number] = partition;
	p->hv->level1.device = p->device;
	partition->hv = p->hv;
	partition->vf = a->vf;
	partition->vm = p->vm;
	err = add_map(p, partition, p->vm, 0, &a->record);
	for (i = 0; i < a->n_maps && !err; i++)
		err = add_map(p, partition, a->maps[i].vm, a->maps[i].iova,
			      &a->guest[i]);
	view.arg = &partition->memory;
	view.changes = partition->memory.changes;
	if (!err)
		err = demux_forwarder_init(&partition->forwarder, &a->tables,
					   &view, forward_told, partition);
	if (err) {
		detach_queues(p->hv, a->vf->number);
		return step_fail(p, err, "vm%u has no type 1 queue", p->vm);
	}
	forward_begin(partition);
	return STEP_NEXT;
}

static void attach_end(struct procedure *p)
{
	const struct attach_queues *a = of(p);
	char vm[VM_NAME_MAX], name[FUNCTION_NAME_MAX];

	if (p->err)
		event(p->hv->program->log, "queues.refused",
		      "s:s, s:s, s:i, s:s", "function", vf_format(name, a->vf),
		      "vm", vm_format(vm, p->vm), "errno", -p->err, "why",
		      p->why);
	else
		event(p->hv->program->log, "queues.attached", "s:s, s:s, s:i",
		      "function", vf_format(name, a->vf), "vm",
		      vm_format(vm, p->vm), "guests", (int)a->n_maps);
	if (p->err)
		exception_refuse(p->hv, a->serial, -p->err);
	else
		exception_answer(p->hv, a->serial, NULL, 0);
}

static void attach_fini(struct procedure *p)
{
	struct attach_queues *a = of(p);
	unsigned i;

	if (a->record)
		munmap(a->record, vm_memory_size(p, p->vm));
	for (i = 0; a->guest && i < a->n_maps; i++)
		if (a->guest[i])
			munmap(a->guest[i], vm_memory_size(p, a->maps[i].vm));
	free(a->maps);
	free(a->guest);
}

static const struct step attach_steps[] = {
	{ POINT_QUEUES_MEMORY, attach_memory },
	{ POINT_NONE, attach_map },
	{ POINT_QUEUES_1012, attach_bytes },
	{ POINT_QUEUES_GUESTS, attach_maps },
	{ POINT_NONE, attach_guests },
	{ POINT_NONE, attach_guest_maps },
	{ POINT_QUEUES_ROUTE, attach_route },
	{ POINT_QUEUES_START, attach_start },
	{ 0, NULL },
};

static const struct procedure_desc attach_desc = {
	.name = "attach queues",
	.steps = attach_steps,
	.end = attach_end,
	.fini = attach_fini,
};

void attach_queues(struct vf *vf, uint32_t vm, uint64_t serial)
{
	struct attach_queues *a =
		procedure_new(vf->device->hv, &attach_desc, sizeof(*a));

	procedure_about(&a->p, vf->device);
	vf_format(a->p.function, vf);
	a->p.vm = vm;
	a->vf = vf;
	a->serial = serial;
	procedure_start(&a->p, device_vf_lane(vf->device));
}

void detach_queues(struct hvmon *hv, unsigned number)
{
	struct partition *p = hv->level1.partition[number];

	if (!p)
		return;
	hv->level1.partition[number] = NULL;
	demux_forwarder_fini(&p->forwarder);
	partition_memory_clear(&p->memory);
	free(p);
}
