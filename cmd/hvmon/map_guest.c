/* map_guest.c - a guest that came after its partition's queues were attached:
 * procedure "map guest".  The root bridge's maps say where it lies, and that
 * it is the partition's. */
#include <config.h>

#include "cmd/hvmon/level1.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/platform.h"

struct map_guest {
	struct procedure p;
	unsigned number; /* of the partition */
	uint32_t level2; /* its VM */
	uint64_t serial;
	struct sup_map *maps; /* rows of the root bridge */
	unsigned n_maps;
	uint64_t address;
	void *memory;
};

static struct map_guest *of(struct procedure *p)
{
	return (struct map_guest *)p;
}

/* As it was when it called; NULL: it is another one now. */
static struct partition *partition_of(struct procedure *p)
{
	struct partition *partition = p->hv->level1.partition[of(p)->number];

	return partition && partition->vm == of(p)->level2 ? partition : NULL;
}

static int map_rows(struct procedure *p)
{
	struct map_guest *m = of(p);

	m->n_maps = PLATFORM_VM_MAX + HCA_PARTITIONS;
	m->maps = calloc(m->n_maps, sizeof(*m->maps));
	if (!m->maps)
		return step_fail(p, -ENOMEM, "no memory");
	step_sup_read(p, SUP_MAPS, m->maps,
		      m->n_maps * (uint32_t)sizeof(*m->maps));
	return STEP_NEXT;
}

static int map_own(struct procedure *p)
{
	struct map_guest *m = of(p);
	const struct partition *partition = partition_of(p);
	const struct sup_map own = { .on = 1, .vm = p->vm };
	unsigned i;

	for (i = 0; partition && i < m->n_maps && m->maps[i].on; i++)
		if (m->maps[i].bdf == partition->vf->bdf &&
		    m->maps[i].vm == p->vm) {
			m->address = m->maps[i].iova;
			step_sup_write(p, SUP_MAPS, &own, sizeof(own), 0);
			return STEP_NEXT;
		}
	return step_fail(p, -ENOENT, "vm%u lies in no partition of vm%u", p->vm,
			 m->level2);
}

static int map_memory(struct procedure *p)
{
	step_region_map(p, PLATFORM_REGION_GUEST + p->vm,
			(uint32_t)vm_memory_size(p, p->vm), &of(p)->memory);
	return STEP_NEXT;
}

static int map_add(struct procedure *p)
{
	struct map_guest *m = of(p);
	struct partition *partition = partition_of(p);
	const struct partition_map map = { .address = m->address,
					   .size = vm_memory_size(p, p->vm),
					   .hva = m->memory,
					   .vm = p->vm };
	int err;

	if (!partition)
		return step_fail(p, -ENOENT, "the partition is gone");
	m->memory = NULL;
	err = partition_memory_add(&partition->memory, &map);
	partition->forwarder.memory.changes = partition->memory.changes;
	return err ? err : STEP_NEXT;
}

static void map_end(struct procedure *p)
{
	if (p->err)
		exception_refuse(p->hv, of(p)->serial, -p->err);
	else
		exception_answer(p->hv, of(p)->serial, NULL, 0);
}

static void map_fini(struct procedure *p)
{
	if (of(p)->memory)
		munmap(of(p)->memory, vm_memory_size(p, p->vm));
	free(of(p)->maps);
}

static const struct step map_steps[] = {
	{ POINT_QUEUES_MAP, map_rows },
	{ POINT_NONE, map_own },
	{ POINT_NONE, map_memory },
	{ POINT_NONE, map_add },
	{ 0, NULL },
};

static const struct procedure_desc map_desc = {
	.name = "map guest",
	.steps = map_steps,
	.end = map_end,
	.fini = map_fini,
};

void map_guest(struct partition *partition, uint32_t vm, uint64_t serial)
{
	struct map_guest *m =
		procedure_new(partition->hv, &map_desc, sizeof(*m));

	procedure_about(&m->p, partition->vf->device);
	m->p.vm = vm;
	m->number = partition->vf->number;
	m->level2 = partition->vm;
	m->serial = serial;
	procedure_start(&m->p, 0);
}
