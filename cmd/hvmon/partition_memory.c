/* partition_memory.c - maps of a partition's memory, by address. */
#include <config.h>

#include "cmd/hvmon/partition_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/hvmon.h"

/* Index of the first map that ends behind address. */
static unsigned place_of(const struct partition_memory *m, uint64_t address)
{
	unsigned low = 0, high = m->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (address - m->map[middle].address < m->map[middle].size ||
		    address < m->map[middle].address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void *partition_memory_at(void *arg, uint64_t address, uint64_t size)
{
	const struct partition_memory *m = arg;
	unsigned i = place_of(m, address);
	uint64_t into;

	if (i == m->n || address < m->map[i].address)
		return NULL;
	into = address - m->map[i].address;
	return size <= m->map[i].size - into ? m->map[i].hva + into : NULL;
}

static void drop(struct partition_memory *m, unsigned i)
{
	munmap(m->map[i].hva, m->map[i].size);
	m->vms[m->map[i].vm / 64] &= ~(1ull << m->map[i].vm % 64);
	m->n--;
	memmove(&m->map[i], &m->map[i + 1], (m->n - i) * sizeof(*m->map));
	m->changes++;
}

static void drop_vm(struct partition_memory *m, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < m->n; i++)
		if (m->map[i].vm == vm) {
			drop(m, i);
			return;
		}
}

int partition_memory_add(struct partition_memory *m,
			 const struct partition_map *map)
{
	struct partition_map *bigger;
	unsigned i;

	if (partition_memory_has(m, map->vm))
		drop_vm(m, map->vm);
	bigger = reallocarray(m->map, m->n + 1, sizeof(*bigger));
	if (!bigger) {
		munmap(map->hva, map->size);
		return -ENOMEM;
	}
	m->map = bigger;
	i = place_of(m, map->address);
	memmove(&m->map[i + 1], &m->map[i], (m->n - i) * sizeof(*m->map));
	m->map[i] = *map;
	m->vms[map->vm / 64] |= 1ull << map->vm % 64;
	m->n++;
	m->changes++;
	return 0;
}

void partition_memory_clear(struct partition_memory *m)
{
	while (m->n)
		drop(m, m->n - 1);
	free(m->map);
	m->map = NULL;
}

uint64_t vm_memory_size(const struct procedure *p, uint32_t vm)
{
	const struct bridge_tables *t = &p->hv->tables;
	unsigned i;

	for (i = 0; i < t->n_vms; i++)
		if (t->vms[i].vm == vm)
			return t->vms[i].memory_size <= UINT32_MAX
				       ? t->vms[i].memory_size
				       : 0;
	return 0;
}
