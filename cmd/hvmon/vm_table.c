/* vm_table.c - the VMs as the root bridge last told, and the table "vm". */
#include <config.h>

#include "cmd/hvmon/vm_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/hvmon/hvmon.h"

struct vm *vm_find(struct vm_table *table, uint32_t number)
{
	unsigned i;

	/* The bridge tells of all, in the order of their numbers. */
	if (number < table->n && table->vm[number].number == number)
		return &table->vm[number];
	for (i = 0; i < table->n; i++)
		if (table->vm[i].number == number)
			return &table->vm[i];
	return NULL;
}

bool vm_tells(struct hvmon *hv, uint32_t number, uint64_t *suppressed)
{
	struct vm *vm = vm_find(&hv->vms, number);

	*suppressed = 0;
	return !vm || limiter_pass(&vm->told, loop_now_ns(hv->program->loop),
				   suppressed);
}

static struct vm *vm_get(struct vm_table *table, uint32_t number)
{
	struct vm *vm = vm_find(table, number);

	if (vm)
		return vm;
	vm = reallocarray(table->vm, table->n + 1, sizeof(*vm));
	if (!vm)
		abort();
	table->vm = vm;
	table->vm[table->n] = (struct vm){ .number = number };
	return &table->vm[table->n++];
}

void vm_table_update(struct vm_table *table, const struct sup_vm *read,
		     unsigned n)
{
	struct vm *vm;
	unsigned i;

	for (i = 0; i < n; i++) {
		vm = vm_get(table, read[i].vm);
		vm->state = read[i].state;
		vm->incarnation = read[i].incarnation;
		vm->pid = read[i].pid;
		if (!vm->pid)
			continue;
		if (vm->pid == vm->last_pid)
			continue;
		/* What a process said that is gone is no more. */
		vm->panicked = false;
		vm->last_pid = vm->pid;
		vm->born_pid = 0;
	}
	if (table->changed)
		table->changed(table->arg);
}

void vm_table_lost(struct vm_table *table, struct vm *vm)
{
	vm->state = SUP_VM_LOST;
	vm->pid = 0;
	if (table->changed)
		table->changed(table->arg);
}

void vm_table_fini(struct vm_table *table)
{
	free(table->vm);
	table->vm = NULL;
	table->n = 0;
}

static const char *state_name(const struct vm *vm)
{
	if (vm->resetting)
		return "resetting";
	switch (vm->state) {
	case SUP_VM_EMPTY:
		return "empty";
	case SUP_VM_RUNNING:
		return "running";
	case SUP_VM_LOST:
		return "lost";
	}
	return "unknown";
}

/* "0:nic0/vf1 1:nic1/vf1" */
static json_t *format_slots(struct hvmon *hv, uint32_t number)
{
	char text[PLATFORM_SLOTS * (FUNCTION_NAME_MAX + 4)];
	char name[FUNCTION_NAME_MAX];
	const struct vf_allocation *row;
	size_t used = 0;
	uint32_t slot;

	text[0] = '\0';
	for (slot = 0; slot < PLATFORM_SLOTS; slot++) {
		row = vf_allocations_at(&hv->allocations, number, slot);
		if (row)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%u:%s",
				used ? " " : "", slot,
				function_name_format(name, sizeof(name),
						     &row->vf));
	}
	return json_string(text);
}

json_t *vm_rows(void *arg)
{
	struct hvmon *hv = arg;
	json_t *rows = json_array();
	const struct vm *vm;
	char name[VM_NAME_MAX];
	unsigned i;

	for (i = 0; i < hv->vms.n; i++) {
		vm = &hv->vms.vm[i];
		if (vm->number == PLATFORM_HYPERVISOR)
			continue;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:o, s:I, s:o}", "vm",
				  vm_format(name, vm->number), "state",
				  state_name(vm), "pid",
				  vm->pid ? json_integer(vm->pid) : json_null(),
				  "incarnation", (json_int_t)vm->incarnation,
				  "slots", format_slots(hv, vm->number)));
	}
	return rows;
}
