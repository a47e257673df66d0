/* vm_table.h - the VMs as the root bridge last told, and the table "vm". */
#ifndef IOVKIT_HVMON_VM_TABLE_H
#define IOVKIT_HVMON_VM_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/limiter.h"
#include "libcore/loop.h"
#include "libcore/supervisor.h"

struct hvmon;

struct vm {
	uint32_t number;
	uint32_t state; /* enum sup_vm_state */
	uint32_t incarnation;
	uint32_t pid;
	struct limiter told; /* events that it can cause */
	bool resetting;      /* a vm reset is under way or waits */
	bool lost_again;     /* and another is needed after it */
	uint32_t last_pid;   /* of its last process; 0: none was seen */
	uint32_t born_pid;   /* started again, not connected yet; or 0 */
	uint64_t born_ns;    /* when */
	bool deactivated;    /* inexecutable, stopped, without devices */
	bool reboots;        /* and to be started again */
	bool panicked;       /* it said so */
};

struct vm_table {
	struct vm *vm;
	unsigned n;
	loop_fn *changed; /* with arg, when it was updated; may be NULL */
	void *arg;
};

/* A VM's process is gone. */
void vm_table_lost(struct vm_table *table, struct vm *vm);
/* Take over what was read from the bridge. */
void vm_table_update(struct vm_table *table, const struct sup_vm *read,
		     unsigned n);
void vm_table_fini(struct vm_table *table);
struct vm *vm_find(struct vm_table *table, uint32_t number);
/* Whether to write an event that the VM can cause as often as it likes. */
bool vm_tells(struct hvmon *hv, uint32_t number, uint64_t *suppressed);
json_t *vm_rows(void *hv);

#endif
