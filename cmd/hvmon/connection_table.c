/* connection_table.c - the connection table (spec 03), and what of it a former
 * hypervisor left.
 *
 * Theory of operation.  Each device with one function has a row.  The VF
 * allocation table says where a VM has it and is changed together with it; what
 * a switch must know after hvmon's death is written to vm0's memory before each
 * step that it matters for (connect.c).
 */
#include <config.h>

#include "cmd/hvmon/connection_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/emulator.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/virtual_record.h"
#include "libcore/platform.h"

void connections_init(struct connections *list)
{
	TAILQ_INIT(list);
}

void connections_fini(struct connections *list)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, c, entry);
		free(c);
	}
}

struct connection *connection_find(struct hvmon *hv, const char *device)
{
	struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (!strcmp(c->device, device))
			return c;
	return NULL;
}

static struct connection *add(struct hvmon *hv, const char *device)
{
	struct connection *c = connection_find(hv, device);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	strlcpy(c->device, device, sizeof(c->device));
	c->vm = c->to = PLATFORM_VM_NONE;
	c->phase = CONNECTION_SETTLED;
	TAILQ_INSERT_TAIL(&hv->connections, c, entry);
	return c;
}

struct connection *connection_get(struct device *device)
{
	return add(device->hv, device->name);
}

static struct connection_member *member_of(struct connection *c, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (c->member[i].vm == vm)
			return &c->member[i];
	return NULL;
}

unsigned connection_order(const struct connection *c, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (c->member[i].vm == vm)
			return i + 1;
	return 0;
}

bool connections_have(struct hvmon *hv, uint32_t vm)
{
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (c->vm == vm)
			return true;
	return false;
}

bool connections_share(struct hvmon *hv, uint32_t vm)
{
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (c->n > 1 && connection_order(c, vm))
			return true;
	return false;
}

/* Slots. */

/* Another device's there, or to be. */
static bool is_taken(struct hvmon *hv, const struct connection *c, uint32_t vm,
		     uint32_t slot)
{
	const struct vf_allocation *row;
	struct connection_member *m;
	struct connection *other;

	row = vf_allocations_at(&hv->allocations, vm, slot);
	if (row && strcmp(row->vf.device, c->device))
		return true;
	TAILQ_FOREACH (other, &hv->connections, entry) {
		m = other == c ? NULL : member_of(other, vm);
		if (m && m->slot == slot)
			return true;
	}
	return false;
}

/* Best the one that it has in the other VMs. */
static uint32_t choose_slot(struct hvmon *hv, const struct connection *c,
			    uint32_t vm)
{
	uint32_t slot;
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (c->member[i].slot != VF_SLOT_NONE &&
		    !is_taken(hv, c, vm, c->member[i].slot))
			return c->member[i].slot;
	for (slot = 0; slot < PLATFORM_SLOTS; slot++)
		if (!is_taken(hv, c, vm, slot))
			return slot;
	return VF_SLOT_NONE;
}

/* Room for one who is not connected is made by forgetting him who came last. */
static struct connection_member *add_member(struct connection *c, uint32_t vm,
					    uint32_t slot)
{
	struct connection_member *m;

	if (c->n == CONNECTION_VMS) {
		c->n--;
		if (c->member[c->n].vm == c->vm) {
			m = &c->member[c->n - 1];
			*m = c->member[c->n];
		}
	}
	m = &c->member[c->n++];
	*m = (struct connection_member){ .vm = vm, .slot = slot };
	return m;
}

int connection_slot(struct hvmon *hv, struct connection *c, uint32_t vm,
		    uint32_t *slot)
{
	struct connection_member *m = member_of(c, vm);

	if (!m)
		m = add_member(c, vm, VF_SLOT_NONE);
	if (m->slot == VF_SLOT_NONE || is_taken(hv, c, vm, m->slot))
		m->slot = choose_slot(hv, c, vm);
	*slot = m->slot;
	return m->slot == VF_SLOT_NONE ? -ENOSPC : 0;
}

/* The option. */

static int add_standby(struct connection *c, const char *text,
		       struct complaint *why)
{
	uint32_t vm;
	int err = vm_parse(text, &vm, why);

	if (err)
		return err;
	if (member_of(c, vm))
		return complain(why, EEXIST, "vm%u twice", vm);
	if (c->n == CONNECTION_VMS)
		return complain(why, ERANGE, "at most %u VMs", CONNECTION_VMS);
	add_member(c, vm, VF_SLOT_NONE);
	return 0;
}

static int take_kind(struct connection *c, const char *name,
		     struct complaint *why)
{
	if (c->shown)
		return complain(why, EEXIST, "as= twice");
	c->shown = emulator_named(name);
	if (c->shown)
		return 0;
	return complain(why, EINVAL, "no device of kind '%s' is emulated",
			name);
}

static int take_word(struct connection *c, struct vf_allocation *row,
		     const char *word, struct complaint *why)
{
	if (!strcmp(word, "virtual")) {
		if (row->virtual)
			return complain(why, EEXIST, "virtual twice");
		row->virtual = true;
		return 0;
	}
	if (!strncmp(word, "as=", 3))
		return take_kind(c, word + 3, why);
	return add_standby(c, word, why);
}

int connections_add_text(struct hvmon *hv, const char *text,
			 struct complaint *why)
{
	char *copy = strdup(text), *rest = copy, *first, *word;
	struct vf_allocation *row;
	struct connection *c;
	int err;

	if (!copy)
		return complain(why, ENOMEM, "out of memory");
	first = strsep(&rest, ",");
	err = vf_allocations_add_device(&hv->allocations, first, why);
	if (!err) {
		row = TAILQ_LAST(&hv->allocations.list, vf_allocation_list);
		c = add(hv, row->vf.device);
		add_member(c, row->vm, row->slot);
		while (!err && (word = strsep(&rest, ",")))
			err = take_word(c, row, word, why);
		if (err)
			err = complain_at(why, err, "%s", text);
	}
	free(copy);
	return err;
}

/* What is left for the next hypervisor. */

_Static_assert(VIRTUAL_ROOM_AT + 2 * sizeof(struct virtual_record) <=
		       CONNECTION_ROOM_AT,
	       "all fit in the room");

static void *room_of(const struct device *device)
{
	uint8_t *room = device_room(device);

	return room ? room + CONNECTION_ROOM_AT : NULL;
}

void connection_write(struct device *device, const struct connection *c)
{
	struct connection_record record = {
		.head = { .magic = CONNECTION_MAGIC,
			  .version = CONNECTION_VERSION },
		.since_ns = c->since_ns,
		.bdf = device->bdf,
		.phase = (uint16_t)c->phase,
		.epoch = c->epoch,
		.vm = c->vm,
		.to = c->to,
		.n = c->n,
	};
	void *room = room_of(device);

	if (!room)
		return;
	strlcpy(record.device, c->device, sizeof(record.device));
	memcpy(record.member, c->member, sizeof(record.member));
	record_pair_put(room, sizeof(record), &record);
}

static bool read_record(const struct device *device,
			struct connection_record *record)
{
	const void *room = room_of(device);

	*record = (struct connection_record){
		.head = { .magic = CONNECTION_MAGIC,
			  .version = CONNECTION_VERSION },
	};
	return room && !record_pair_get(room, sizeof(*record), record) &&
	       connection_record_is_sound(record, device->bdf) &&
	       !strcmp(record->device, device->name);
}

/* Those of the option that the record does not know stand by behind the
 * others. */
static void take_members(struct connection *c,
			 const struct connection_record *record)
{
	struct connection_member wished[CONNECTION_VMS];
	unsigned i, n = c->n;

	memcpy(wished, c->member, sizeof(wished));
	memcpy(c->member, record->member, sizeof(c->member));
	c->n = record->n;
	for (i = 0; i < n; i++)
		if (!member_of(c, wished[i].vm) && c->n < CONNECTION_VMS)
			add_member(c, wished[i].vm, VF_SLOT_NONE);
}

/* The allocation table says the same. */
static void allocate(struct device *device, struct connection *c)
{
	struct vf_allocations *table = &device->hv->allocations;
	struct vf_allocation *row;
	struct function_name name;
	bool wished;

	vf_name(&device->whole, &name);
	row = vf_allocations_find(table, &name);
	wished = row && row->wished && c->phase != CONNECTION_SWITCHING;
	if (row)
		vf_allocations_remove(table, row);
	if (c->vm == PLATFORM_VM_NONE)
		return;
	row = vf_allocations_import(
		table, &name, c->vm,
		member_of(c, c->vm) ? member_of(c, c->vm)->slot : VF_SLOT_NONE);
	if (row)
		row->wished = wished;
}

static void take(struct device *device)
{
	struct connection_record record;
	struct connection *c;

	if (!read_record(device, &record))
		return;
	c = connection_get(device);
	take_members(c, &record);
	c->vm = record.vm;
	c->to = record.to;
	c->phase = record.phase;
	c->epoch = record.epoch;
	c->since_ns = record.since_ns;
	allocate(device, c);
}

void connections_take(struct hvmon *hv)
{
	struct device *device;

	TAILQ_FOREACH (device, &hv->devices, entry)
		take(device);
}

void connection_follow(struct device *device)
{
	struct hvmon *hv = device->hv;
	struct connection *c;
	const struct vf_allocation *row;
	struct function_name name;
	uint32_t vm = PLATFORM_VM_NONE;

	if (!device->single || connection_is_open(device))
		return;
	c = connection_get(device);
	vf_name(&device->whole, &name);
	row = vf_allocations_find(&hv->allocations, &name);
	if (row) {
		vm = row->vm;
		if (!member_of(c, vm))
			add_member(c, vm, row->slot);
		member_of(c, vm)->slot = row->slot;
	}
	if (c->vm == vm && c->epoch)
		return;
	c->vm = vm;
	c->epoch++;
	c->since_ns = clock_now_ns();
	connection_write(device, c);
}

bool connection_is_open(const struct device *device)
{
	const struct connection *c = connection_find(device->hv, device->name);

	return c && c->phase == CONNECTION_SWITCHING;
}

/* The tables. */

static json_t *vm_to_json(uint32_t vm)
{
	char name[VM_NAME_MAX];

	return vm == PLATFORM_VM_NONE ? json_string("-")
				      : json_string(vm_format(name, vm));
}

/* "vm2 vm3": those who are not connected, in order. */
static json_t *standbys_to_json(const struct connection *c)
{
	char text[CONNECTION_VMS * (VM_NAME_MAX + 1)] = "", name[VM_NAME_MAX];
	unsigned i;

	for (i = 0; i < c->n; i++) {
		if (c->member[i].vm == c->vm)
			continue;
		if (text[0])
			strlcat(text, " ", sizeof(text));
		strlcat(text, vm_format(name, c->member[i].vm), sizeof(text));
	}
	return json_string(text);
}

json_t *connection_rows(void *arg)
{
	static const char *const phases[] = {
		[CONNECTION_SETTLED] = "settled",
		[CONNECTION_SWITCHING] = "switching",
		[CONNECTION_WRITTEN] = "switching",
	};
	struct hvmon *hv = arg;
	uint64_t now_ns = clock_now_ns();
	json_t *rows = json_array();
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		json_array_append_new(
			rows,
			json_pack("{s:s, s:o, s:I, s:I, s:I, s:s, s:o}",
				  "device", c->device, "vm", vm_to_json(c->vm),
				  "since", (json_int_t)c->since_ns, "age_ns",
				  (json_int_t)(now_ns - c->since_ns), "epoch",
				  (json_int_t)c->epoch, "state",
				  phases[c->phase], "standbys",
				  standbys_to_json(c)));
	return rows;
}
