/* partition_memory.h - what a partition's function reaches, as the firmware
 * sees it: the memory of its hypervisor's VM at 0, and its guests' where
 * SUP_MAPS says.  Firmware alone maps guests' memory. */
#ifndef IOVKIT_HVMON_PARTITION_MEMORY_H
#define IOVKIT_HVMON_PARTITION_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/platform.h"

struct procedure;

struct partition_map {
	uint64_t address, size;
	uint8_t *hva;
	uint32_t vm;
};

struct partition_memory {
	struct partition_map *map; /* by address */
	unsigned n;
	uint64_t changes;
	uint64_t vms[PLATFORM_VM_MAX / 64]; /* a bit for each that is there */
};

/* size bytes at address, which lie in one VM's memory; NULL.  arg is the
 * struct partition_memory. */
void *partition_memory_at(void *arg, uint64_t address, uint64_t size);
/* Takes map->hva, of a VM below PLATFORM_VM_MAX; its map that was there is
 * unmapped.  -ENOMEM. */
int partition_memory_add(struct partition_memory *memory,
			 const struct partition_map *map)
	__attribute__((warn_unused_result));
/* Whether the VM's memory is part of it. */
static inline bool partition_memory_has(const struct partition_memory *memory,
					uint32_t vm)
{
	return vm < PLATFORM_VM_MAX && memory->vms[vm / 64] >> vm % 64 & 1;
}
void partition_memory_clear(struct partition_memory *memory);

/* Bytes of a VM's memory, as the root bridge's tables say; 0: no such VM, or
 * more than a step maps. */
uint64_t vm_memory_size(const struct procedure *p, uint32_t vm);

#endif
