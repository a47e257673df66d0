/* tables.c - what `iovctl show` prints of the bridge. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

static json_t *bdf_json(uint16_t bdf)
{
	return json_sprintf("%02x:%02x.%x", bdf >> 8, (bdf >> 3) & 0x1f,
			    bdf & 7);
}

static json_t *hex_json(uint64_t address)
{
	return json_sprintf("0x%06llx", (unsigned long long)address);
}

static json_t *vm_json(struct bridge *b, uint32_t vm)
{
	return vm == PLATFORM_VM_NONE ? json_null()
				      : json_string(b->vms[vm].name);
}

static const char *function_state(const struct function *f)
{
	if (f->contained)
		return "contained";
	if (function_decodes(f))
		return "present";
	if (f->present)
		return "disabled";
	return f->client ? "attaching" : "gone";
}

/* Whose memory the device has at IOVA 0. */
static json_t *dma_json(const struct function *f)
{
	if (!f->n_mapped || f->mapped[0].iova)
		return json_null();
	return json_string(f->bridge->vms[f->mapped[0].vm].name);
}

static json_t *rows_functions(void *arg)
{
	json_t *rows = json_array();
	struct function *f = NULL;
	struct bridge *b = arg;
	char fault[256];

	while ((f = bridge_next_function(b, f))) {
		fault_format(fault, sizeof(fault), &f->fault);
		json_array_append_new(
			rows,
			json_pack("{s:s, s:o, s:s, s:o, s:o, s:i, s:i, s:i, "
				  "s:o, s:s, s:i, s:i}",
				  "function", f->name, "bdf", bdf_json(f->bdf),
				  "state", function_state(f), "vm",
				  vm_json(b, f->vm), "dma", dma_json(f),
				  "in_flight", (int)f->inflight.n, "epoch",
				  (int)f->device->epoch, "pid", (int)f->pid,
				  "owner",
				  f->device->owner
					  ? json_string(f->device->owner->name)
					  : json_null(),
				  "fault", fault, "late_ids",
				  f->client ? (int)vfu_client_quarantined(
						      f->client)
					    : 0,
				  "vectors", (int)f->n_vectors));
	}
	return rows;
}

static json_t *operation_json(struct bridge *b, const struct operation *op)
{
	uint64_t age = loop_now_ns(b->loop) - op->arrival_ns;
	char name[OPERATION_NAME_MAX];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:i, s:s}",
			 "operation", operation_name(name, op), "operator",
			 operation_operator(op), "function", op->function->name,
			 "arrival_ns", (json_int_t)op->arrival_ns, "age_us",
			 (json_int_t)(op->arrival_ns ? age / 1000 : 0), "kind",
			 op->write ? (op->config ? "config-write" : "write")
				   : (op->config ? "config-read" : "read"),
			 "address", hex_json(op->address), "size",
			 (int)op->count, "state", operation_state_name(op));
}

static json_t *rows_inflight(void *arg)
{
	json_t *rows = json_array();
	struct function *f = NULL;
	struct operation *op;

	while ((f = bridge_next_function(arg, f)))
		TAILQ_FOREACH (op, &f->inflight.rows, inflight)
			json_array_append_new(rows, operation_json(arg, op));
	return rows;
}

static json_t *rows_held(void *arg)
{
	json_t *rows = json_array();
	struct function *f = NULL;
	struct operation *op;

	while ((f = bridge_next_function(arg, f))) {
		TAILQ_FOREACH (op, &f->held, queue)
			json_array_append_new(rows, operation_json(arg, op));
	}
	return rows;
}

static json_t *parked_row(const struct bridge *b, const struct operation *op,
			  const char *why)
{
	return json_pack(
		"{s:I, s:s, s:s, s:o, s:i, s:s, s:b, s:I}", "serial",
		(json_int_t)op->serial, "vm", op->vm->name, "kind",
		op->write ? "write" : "read", "address", hex_json(op->address),
		"size", (int)op->count, "waits_for", why, "denied",
		(int)op->denied, "age_us",
		(json_int_t)((loop_now_ns(b->loop) - op->arrival_ns) / 1000));
}

static json_t *rows_parked(void *arg)
{
	json_t *rows = json_array();
	struct bridge *b = arg;
	struct operation *op;
	unsigned i;

	for (i = 0; i < b->n_vms; i++)
		if (b->vms[i].decides)
			TAILQ_FOREACH (op, &b->vms[i].decides->trapped, queue)
				json_array_append_new(
					rows, parked_row(b, op, "supervisor"));
	TAILQ_FOREACH (op, &b->parked, queue)
		json_array_append_new(rows, parked_row(b, op, "fence"));
	return rows;
}

static const char *row_access(const struct protection_row *row)
{
	switch (row->flag) {
	case SUP_ROW_ALLOWED:
		return "allowed";
	case SUP_ROW_ONCE:
		return "allowed once";
	case SUP_ROW_OWNER:
		return "owner";
	}
	return "denied";
}

static json_t *rows_protection(void *arg)
{
	struct protection_cursor cursor = { 0 };
	json_t *rows = json_array();
	struct protection_row row;
	struct bridge *b = arg;
	char offset[32];
	uint64_t size;
	uint32_t vm;

	while (protection_next(&b->protection, &cursor, &vm, &row)) {
		size = row.offset < 0 ? -(uint64_t)row.offset
				      : (uint64_t)row.offset;
		snprintf(offset, sizeof(offset), "%c0x%06llx",
			 row.offset < 0 ? '-' : '+', (unsigned long long)size);
		json_array_append_new(
			rows,
			json_pack("{s:o, s:o, s:o, s:s, s:s, s:b}", "vm",
				  vm_json(b, vm), "first", hex_json(row.first),
				  "last", hex_json(row.last), "offset", offset,
				  "access", row_access(&row), "parks",
				  row.flag == SUP_ROW_FENCED));
	}
	return rows;
}

static const char *vm_state(const struct vm *vm)
{
	switch (vm->state) {
	case SUP_VM_EMPTY:
		return "empty";
	case SUP_VM_RUNNING:
		return "running";
	}
	return "lost";
}

static json_t *rows_vms(void *arg)
{
	json_t *rows = json_array();
	struct bridge *b = arg;
	struct vm *vm;
	unsigned i;

	for (i = 0; i < b->n_vms; i++) {
		vm = &b->vms[i];
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:i, s:I, s:o, s:I, s:I, "
				  "s:i, s:b, s:I, s:s}",
				  "vm", vm->name, "state", vm_state(vm),
				  "incarnation", (int)vm->incarnation,
				  "memory_bytes", (json_int_t)vm->memory_size,
				  "pid",
				  vm->pid ? json_integer(vm->pid) : json_null(),
				  "accesses", (json_int_t)vm->accesses,
				  "exceptions", (json_int_t)vm->exceptions,
				  "kept", (int)vm->n_kept, "paused",
				  (int)vm->paused, "refused",
				  (json_int_t)vm->refused, "supervisor",
				  vm->supervisor->vm->name));
	}
	return rows;
}

static json_t *rows_routes(void *arg)
{
	json_t *rows = json_array();
	struct bridge *b = arg;
	struct function *f;
	struct route *r;
	unsigned i;

	for (i = 0; i < b->n_routes; i++) {
		r = &b->routes[i];
		f = device_function_at(b, r->bdf);
		json_array_append_new(
			rows, json_pack("{s:s, s:o, s:i, s:o, s:i, s:b}",
					"function", f ? f->name : "-", "bdf",
					bdf_json(r->bdf), "vector",
					(int)r->vector, "vm", vm_json(b, r->vm),
					"irq", (int)r->irq, "connected",
					f && r->vector < f->n_vectors &&
						f->vector_set[r->vector]));
	}
	return rows;
}

static json_t *rows_counters(void *arg)
{
	const struct counters *c;
	json_t *rows = json_array();
	struct function *f = NULL;

	while ((f = bridge_next_function(arg, f))) {
		c = &f->counters;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				  "s:I, s:I}",
				  "function", f->name, "reads",
				  (json_int_t)c->reads, "writes",
				  (json_int_t)c->writes, "posted",
				  (json_int_t)c->posted, "replies",
				  (json_int_t)c->replies, "unsupported",
				  (json_int_t)c->unsupported, "errors",
				  (json_int_t)c->errors, "late",
				  (json_int_t)c->late, "timeouts",
				  (json_int_t)c->timeouts, "faults",
				  (json_int_t)c->faults));
	}
	return rows;
}

static const struct control_column cols_functions[] = {
	{ "function", "FUNCTION" },
	{ "bdf", "BDF" },
	{ "state", "STATE" },
	{ "vm", "VM" },
	{ "dma", "DMA" },
	{ "in_flight", "IN FLIGHT" },
	{ "owner", "OWNER" },
	{ "epoch", "EPOCH" },
	{ "pid", "PID" },
	{ "vectors", "VECTORS" },
	{ "late_ids", "LATE IDS" },
	{ "fault", "FAULT" },
	{ NULL },
};
static const struct control_column cols_operations[] = {
	{ "operation", "OPERATION" }, { "operator", "OPERATOR" },
	{ "function", "FUNCTION" },   { "arrival_ns", "ARRIVAL ns" },
	{ "age_us", "AGE us" },       { "kind", "KIND" },
	{ "address", "ADDRESS" },     { "size", "SIZE" },
	{ "state", "STATE" },         { NULL },
};
static const struct control_column cols_parked[] = {
	{ "serial", "SERIAL" },
	{ "vm", "VM" },
	{ "kind", "KIND" },
	{ "address", "ADDRESS" },
	{ "size", "SIZE" },
	{ "denied", "DENIED" },
	{ "waits_for", "WAITS FOR" },
	{ "age_us", "AGE us" },
	{ NULL },
};
static const struct control_column cols_protection[] = {
	{ "vm", "VM" },
	{ "first", "FIRST" },
	{ "last", "LAST" },
	{ "offset", "OFFSET" },
	{ "access", "ACCESS" },
	{ "parks", "PARKS" },
	{ NULL },
};
static const struct control_column cols_vms[] = {
	{ "vm", "VM" },
	{ "state", "STATE" },
	{ "incarnation", "INCARNATION" },
	{ "memory_bytes", "MEMORY" },
	{ "pid", "PID" },
	{ "accesses", "ACCESSES" },
	{ "exceptions", "EXCEPTIONS" },
	{ "kept", "KEPT" },
	{ "paused", "PAUSED" },
	{ "refused", "REFUSED" },
	{ "supervisor", "SUPERVISOR" },
	{ NULL },
};
static const struct control_column cols_routes[] = {
	{ "function", "FUNCTION" },
	{ "bdf", "BDF" },
	{ "vector", "VECTOR" },
	{ "vm", "VM" },
	{ "irq", "IRQ" },
	{ "connected", "CONNECTED" },
	{ NULL },
};
static const struct control_column cols_windows[] = {
	{ "function", "FUNCTION" },
	{ "vm", "VM" },
	{ "gpa", "GPA" },
	{ "page", "PAGE" },
	{ "rights", "RIGHTS" },
	{ "state", "STATE" },
	{ NULL },
};
static const struct control_column cols_maps[] = {
	{ "by", "BY" },     { "vm", "VM" },         { "iova", "IOVA" },
	{ "size", "SIZE" }, { "mapped", "MAPPED" }, { NULL },
};
static const struct control_column cols_counters[] = {
	{ "function", "FUNCTION" },
	{ "reads", "READS" },
	{ "writes", "WRITES" },
	{ "posted", "POSTED" },
	{ "replies", "REPLIES" },
	{ "unsupported", "UNSUPPORTED" },
	{ "errors", "ERRORS" },
	{ "late", "LATE" },
	{ "timeouts", "TIMEOUTS" },
	{ "faults", "FAULTS" },
	{ NULL },
};

static const struct control_table tables[] = {
	{ "functions", "PCI functions and whose they are", cols_functions,
	  rows_functions },
	{ "inflight", "in-flight operation list (fig. 18)", cols_operations,
	  rows_inflight },
	{ "held", "operations kept back by faults", cols_operations,
	  rows_held },
	{ "parked", "accesses that wait for the supervisor, or behind a fence",
	  cols_parked, rows_parked },
	{ "protection", "address protection table (fig. 5)", cols_protection,
	  rows_protection },
	{ "vms", "VMs, their processes and memory", cols_vms, rows_vms },
	{ "routes", "from vectors to interrupts of VMs", cols_routes,
	  rows_routes },
	{ "windows", "windows through which VMs reach registers directly",
	  cols_windows, windows_rows },
	{ "maps", "memory of VMs that others reach", cols_maps, maps_rows },
	{ "counters", "what passed, by function", cols_counters,
	  rows_counters },
	{ NULL },
};

void tables_add(struct bridge *b)
{
	control_add_tables(b->program.control, tables, b);
}
