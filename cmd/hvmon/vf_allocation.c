/* vf_allocation.c - the VF allocation table (fig. 6). */
#include <config.h>

#include "cmd/hvmon/vf_allocation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/platform.h"
#include "libcore/units.h"

#define PAGE_SIZE_BYTES 4096ull

void vf_allocations_init(struct vf_allocations *table)
{
	TAILQ_INIT(&table->list);
	table->next = NULL;
}

void vf_allocations_fini(struct vf_allocations *table)
{
	struct vf_allocation *row;

	while ((row = TAILQ_FIRST(&table->list)))
		vf_allocations_remove(table, row);
}

void vf_allocations_remove(struct vf_allocations *table,
			   struct vf_allocation *row)
{
	TAILQ_REMOVE(&table->list, row, entry);
	table->next = NULL;
	free(row);
}

/* Whoever goes through the VFs of a device finds each at once. */
struct vf_allocation *vf_allocations_find(struct vf_allocations *table,
					  const struct function_name *vf)
{
	struct vf_allocation *row = table->next;

	if (!row || !function_name_equal(&row->vf, vf))
		TAILQ_FOREACH (row, &table->list, entry)
			if (function_name_equal(&row->vf, vf))
				break;
	table->next = row ? TAILQ_NEXT(row, entry) : NULL;
	return row;
}

struct vf_allocation *vf_allocations_at(struct vf_allocations *table,
					uint32_t vm, uint32_t slot)
{
	struct vf_allocation *row;

	TAILQ_FOREACH (row, &table->list, entry)
		if (row->vm == vm && row->slot == slot)
			return row;
	return NULL;
}

static uint32_t lowest_free_slot(struct vf_allocations *table, uint32_t vm)
{
	uint32_t slot;

	for (slot = 0; slot < PLATFORM_SLOTS; slot++)
		if (!vf_allocations_at(table, vm, slot))
			return slot;
	return VF_SLOT_NONE;
}

/* A free slot of the VM: `slot` itself, or the lowest. */
static int choose_slot(struct vf_allocations *table, uint32_t vm,
		       uint32_t *slot, struct complaint *c)
{
	if (*slot == VF_SLOT_NONE)
		*slot = lowest_free_slot(table, vm);
	if (*slot == VF_SLOT_NONE)
		return complain(c, ENOSPC, "all %u slots of vm%u are taken",
				PLATFORM_SLOTS, vm);
	if (*slot >= PLATFORM_SLOTS || vf_allocations_at(table, vm, *slot))
		return complain(c, ENOSPC, "slot %u of vm%u is not free", *slot,
				vm);
	return 0;
}

int vf_allocations_add(struct vf_allocations *table,
		       const struct function_name *vf, uint32_t vm,
		       uint32_t slot, uint64_t wait_ns,
		       struct vf_allocation **row, struct complaint *c)
{
	const struct vf_allocation *old = vf_allocations_find(table, vf);
	char name[FUNCTION_NAME_MAX];
	struct vf_allocation *new;
	int err;

	if (old)
		return complain(c, EEXIST, "%s is allocated to vm%u already",
				function_name_format(name, sizeof(name), vf),
				old->vm);
	err = choose_slot(table, vm, &slot, c);
	if (err)
		return err;
	new = calloc(1, sizeof(*new));
	if (!new)
		return complain(c, ENOMEM, "out of memory");
	new->vf = *vf;
	new->vm = vm;
	new->slot = slot;
	new->wait_ns = wait_ns;
	TAILQ_INSERT_TAIL(&table->list, new, entry);
	*row = new;
	return 0;
}

int vm_parse(const char *text, uint32_t *vm, struct complaint *c)
{
	const char *number = strncmp(text, "vm", 2) ? text : text + 2;
	uint64_t n = 0;

	if (number[0] < '0' || number[0] > '9')
		return complain(c, EINVAL, "'%s' is no VM, such as vm1", text);
	if (units_number(number, 1, PLATFORM_VM_MAX - 1, &n, NULL))
		return complain(c, ERANGE, "'%s' is no VM: vm1 to vm%u", text,
				PLATFORM_VM_MAX - 1);
	*vm = (uint32_t)n;
	return 0;
}

char *vm_format(char *buf, uint32_t vm)
{
	snprintf(buf, VM_NAME_MAX, "vm%u", vm);
	return buf;
}

int vm_from_json(const json_t *value, uint32_t *vm, struct complaint *c)
{
	char text[32] = "";

	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld",
			 (long long)json_integer_value(value));
	else if (json_is_string(value))
		snprintf(text, sizeof(text), "%s", json_string_value(value));
	return vm_parse(text, vm, c);
}

int vf_wait_parse(const char *text, uint64_t *ns, struct complaint *c)
{
	uint64_t wait;
	int err = units_duration(text, &wait, c);

	if (err)
		return complain_at(c, err, "waiting time");
	if (wait < VF_WAIT_MIN_NS || wait >= VF_WAIT_MAX_NS)
		return complain(c, ERANGE,
				"waiting time '%s' is not from 1us to less "
				"than 1s",
				text);
	*ns = wait;
	return 0;
}

static int parse(char *text, struct function_name *vf, uint32_t *vm,
		 uint64_t *wait_ns, struct complaint *c)
{
	char *equals = strchr(text, '='), *colon;
	int err;

	if (!equals)
		return complain(c, EINVAL,
				"expected FUNCTION=VM[:TIME], such as "
				"nic0/vf1=vm1:10ms");
	*equals = '\0';
	colon = strchr(equals + 1, ':');
	if (colon)
		*colon = '\0';
	err = function_name_parse(text, vf, c);
	if (!err && !vf->vf)
		err = complain(c, EINVAL, "%s is a PF; VFs are allocated",
			       text);
	if (!err)
		err = vm_parse(equals + 1, vm, c);
	if (!err && colon)
		err = vf_wait_parse(colon + 1, wait_ns, c);
	return err;
}

int vf_allocations_add_text(struct vf_allocations *table, const char *text,
			    struct complaint *c)
{
	uint64_t wait_ns = VF_WAIT_DEFAULT_NS;
	struct vf_allocation *row;
	struct function_name vf;
	uint32_t vm = 0;
	char *copy = strdup(text);
	int err;

	if (!copy)
		return complain(c, ENOMEM, "out of memory");
	err = parse(copy, &vf, &vm, &wait_ns, c);
	free(copy);
	if (!err)
		err = vf_allocations_add(table, &vf, vm, VF_SLOT_NONE, wait_ns,
					 &row, c);
	if (err)
		return complain_at(c, err, "%s", text);
	row->wished = true;
	return 0;
}

int vf_allocations_add_device(struct vf_allocations *table, const char *text,
			      struct complaint *c)
{
	char function[FUNCTION_NAME_MAX];
	const char *equals = strchr(text, '=');
	struct vf_allocation *row;
	struct function_name name;
	uint32_t vm = 0;
	int err;

	if (!equals)
		return complain(c, EINVAL,
				"expected DEVICE=VM, such as ether0=vm1");
	snprintf(function, sizeof(function), "%.*s/pf0", (int)(equals - text),
		 text);
	err = function_name_parse(function, &name, c);
	if (!err)
		err = vm_parse(equals + 1, &vm, c);
	if (!err)
		err = vf_allocations_add(table, &name, vm, VF_SLOT_NONE,
					 VF_WAIT_DEFAULT_NS, &row, c);
	if (err)
		return complain_at(c, err, "%s", text);
	row->wished = true;
	return 0;
}

/* The row that is in the way moves to another slot, if there is one. */
static void move_away(struct vf_allocations *table, struct vf_allocation *row)
{
	uint32_t slot = lowest_free_slot(table, row->vm);

	if (slot == VF_SLOT_NONE)
		vf_allocations_remove(table, row);
	else
		row->slot = slot;
}

struct vf_allocation *vf_allocations_import(struct vf_allocations *table,
					    const struct function_name *vf,
					    uint32_t vm, uint32_t slot)
{
	struct vf_allocation *row = vf_allocations_find(table, vf), *other;

	if (slot != VF_SLOT_NONE) {
		other = vf_allocations_at(table, vm, slot);
		if (other && other != row)
			move_away(table, other);
	} else if (row && row->vm == vm) {
		slot = row->slot;
	}
	if (row) {
		row->vm = vm;
		row->slot = VF_SLOT_NONE;
		if (slot == VF_SLOT_NONE)
			slot = lowest_free_slot(table, vm);
		row->slot = slot;
		if (slot != VF_SLOT_NONE)
			return row;
		vf_allocations_remove(table, row);
		return NULL;
	}
	if (vf_allocations_add(table, vf, vm, slot, VF_WAIT_DEFAULT_NS, &row,
			       NULL))
		return NULL;
	return row;
}

int vf_slot_layout(uint32_t slot, const uint64_t size[6], uint64_t gpa[6])
{
	uint64_t base = PLATFORM_MMIO + slot * VF_SLOT_SIZE;
	uint64_t at = base, align;
	unsigned i;

	for (i = 0; i < 6; i++) {
		gpa[i] = 0;
		if (!size[i])
			continue;
		align = size[i] < PAGE_SIZE_BYTES ? PAGE_SIZE_BYTES : size[i];
		if (align > VF_SLOT_SIZE)
			return -ENOSPC;
		at = (at + align - 1) & ~(align - 1);
		if (at + size[i] > base + VF_SLOT_SIZE)
			return -ENOSPC;
		gpa[i] = at;
		at += size[i];
	}
	return 0;
}
