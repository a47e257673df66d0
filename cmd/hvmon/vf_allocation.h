/* vf_allocation.h - the VF allocation table (fig. 6): which VM has which VF,
 * at which guest-physical range, and how long a request of it takes at most.
 *
 * (PF, VF) is unique.  A VM's functions have slots, 0 to 31, in the order of
 * allocation: slot s is bus 0, device s of the guest, and its BARs lie in the
 * s-th MiB of the guest's MMIO space.
 */
#ifndef IOVKIT_HVMON_VF_ALLOCATION_H
#define IOVKIT_HVMON_VF_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "cmd/hvmon/config_overlay.h"
#include "libcore/complaint.h"
#include "libcore/function_name.h"

#define VF_WAIT_DEFAULT_NS 10000000ull   /* 10 ms */
#define VF_WAIT_MIN_NS     1000ull       /* 1 us */
#define VF_WAIT_MAX_NS     1000000000ull /* less than the completion timeout */
#define VF_SLOT_SIZE       0x100000ull   /* guest-physical, of a slot's BARs */
#define VM_NAME_MAX        16u
#define VF_SLOT_NONE       0xffffffffu /* as argument: the lowest free one */

struct hvmon;

struct vf_allocation {
	TAILQ_ENTRY(vf_allocation) entry;
	struct function_name vf;
	uint32_t vm;
	uint32_t slot;
	uint64_t wait_ns;
	bool virtual; /* a device that is to start as a virtual one */
	bool wished;  /* by an option: hvmon is not ready without it */
	bool ready;   /* assigned, routed, reachable */
	struct config_overlay overlay;
};

struct vf_allocations {
	TAILQ_HEAD(vf_allocation_list, vf_allocation) list;
	struct vf_allocation *next; /* that is looked for, as a rule */
};

void vf_allocations_init(struct vf_allocations *table);
void vf_allocations_fini(struct vf_allocations *table);

/* "nic0/vf1=vm1" or "nic0/vf1=vm1:10ms" into a row.  -EINVAL, -ERANGE,
 * -EEXIST (the VF is allocated), -ENOSPC (the VM has no free slot). */
int vf_allocations_add_text(struct vf_allocations *table, const char *text,
			    struct complaint *c)
	__attribute__((warn_unused_result));
/* "ether0=vm1": a single function, as a whole. The same errors. */
int vf_allocations_add_device(struct vf_allocations *table, const char *text,
			      struct complaint *c)
	__attribute__((warn_unused_result));
/* A new row in slot (VF_SLOT_NONE: the lowest free one); *row is set.
 * -EEXIST: the VF has one; -ENOSPC: the slot is taken, or none is free. */
int vf_allocations_add(struct vf_allocations *table,
		       const struct function_name *vf, uint32_t vm,
		       uint32_t slot, uint64_t wait_ns,
		       struct vf_allocation **row, struct complaint *c)
	__attribute__((warn_unused_result));
void vf_allocations_remove(struct vf_allocations *table,
			   struct vf_allocation *row);
/* A function is this VM's at this slot already, as the bridge says: that
 * counts, wishes that are in the way give way. */
struct vf_allocation *vf_allocations_import(struct vf_allocations *table,
					    const struct function_name *vf,
					    uint32_t vm, uint32_t slot);

struct vf_allocation *vf_allocations_find(struct vf_allocations *table,
					  const struct function_name *vf);
struct vf_allocation *vf_allocations_at(struct vf_allocations *table,
					uint32_t vm, uint32_t slot);

/* Lay BARs of these sizes out in the slot's MiB of guest-physical MMIO.
 * -ENOSPC: they do not fit. */
int vf_slot_layout(uint32_t slot, const uint64_t size[6], uint64_t gpa[6])
	__attribute__((warn_unused_result));

/* "vm1" or "1"; -EINVAL, -ERANGE.  vm0 is the hypervisor's. */
int vm_parse(const char *text, uint32_t *vm, struct complaint *c)
	__attribute__((warn_unused_result));
/* The same, or a number, as a parameter of a control method. */
int vm_from_json(const json_t *value, uint32_t *vm, struct complaint *c)
	__attribute__((warn_unused_result));
/* "vm1"; returns buf (VM_NAME_MAX). */
char *vm_format(char *buf, uint32_t vm);
/* A waiting time in its bounds. */
int vf_wait_parse(const char *text, uint64_t *ns, struct complaint *c)
	__attribute__((warn_unused_result));

json_t *vf_allocation_rows(void *hv);

#endif
