/* tables.c - what `iovctl show` tells about a device. */
#include <config.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/queue_faults.h"
#include "libcore/units.h"

typedef void row_fn(json_t *rows, struct function *f);

static json_t *each_function(struct nic *nic, row_fn *fn, bool vfs_only)
{
	json_t *rows = json_array();
	unsigned i;

	if (!vfs_only)
		fn(rows, nic->pf);
	for (i = 0; i < nic->n_vfs; i++)
		fn(rows, nic->vf[i]);
	return rows;
}

static const char *state_of(const struct function *f)
{
	if (!f->live)
		return "absent";
	if (f->hold.points)
		return "held";
	return f->session ? "attached" : "waiting";
}

static json_t *latency_json(const struct latency *l)
{
	char a[32], b[32];

	units_format_duration(a, sizeof(a), l->a_ns);
	units_format_duration(b, sizeof(b), l->b_ns);
	switch (l->kind) {
	case LATENCY_FIXED:
		return json_string(a);
	case LATENCY_UNIFORM:
		return json_sprintf("%s..%s", a, b);
	case LATENCY_EXPONENTIAL:
		return json_sprintf("exp:%s", a);
	}
	return json_null();
}

static void function_row(json_t *rows, struct function *f)
{
	json_array_append_new(
		rows,
		json_pack("{s:s, s:s, s:i, s:b, s:b, s:o, s:I, s:I, s:I, s:I}",
			  "function", f->name, "state", state_of(f), "pid",
			  f->session ? (int)vfu_session_peer(f->session) : 0,
			  "bme", f->bme, "msix", f->irq.enable, "latency",
			  latency_json(&f->order.latency), "pending",
			  (json_int_t)f->order.n_ops, "held",
			  (json_int_t)function_held(f), "resets",
			  (json_int_t)f->resets, "vfs",
			  (json_int_t)f->num_vfs));
}

static json_t *function_rows(void *arg)
{
	return each_function(arg, function_row, false);
}

static json_t *fault_json(const struct nic_queue *q)
{
	char text[128];

	if (!q->faults || !q->faults->fault.kinds)
		return json_string("none");
	return json_string(fault_format(text, sizeof(text), &q->faults->fault));
}

static void queue_row(json_t *rows, const struct nic_queue *q)
{
	const struct function *f = q->function;

	json_array_append_new(
		rows,
		json_pack(
			"{s:s, s:s, s:o, s:I, s:b, s:b, s:b, s:b, s:s, s:I, "
			"s:I, s:I, s:o}",
			"function", f->name, "queue", nic_queue_name(q), "base",
			json_sprintf("0x%llx", (unsigned long long)q->base),
			"entries", (json_int_t)q->entries, "enable",
			(int)q->enable, "ring",
			q->attached && queue_enabled(&q->q), "pf", q->pf_enable,
			"bme", f->bme, "status", queue_status_name(q->status),
			"write", (json_int_t)nic_queue_write_index(q), "read",
			(json_int_t)nic_queue_read_index(q), "held",
			(json_int_t)nic_queue_held(q), "fault", fault_json(q)));
}

static void queue_pair(json_t *rows, struct function *f)
{
	queue_row(rows, &f->queue[NIC_QUEUE_TX]);
	queue_row(rows, &f->queue[NIC_QUEUE_RX]);
}

static json_t *queue_rows(void *arg)
{
	return each_function(arg, queue_pair, true);
}

static void counter_row(json_t *rows, struct function *f)
{
	const struct nic_queue *tx = &f->queue[NIC_QUEUE_TX];
	const struct nic_queue *rx = &f->queue[NIC_QUEUE_RX];

	json_array_append_new(
		rows,
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			  "s:I, s:I, s:I}",
			  "function", f->name, "tx_frames",
			  (json_int_t)tx->frames, "tx_bytes",
			  (json_int_t)tx->bytes, "tx_errors",
			  (json_int_t)tx->errors, "rx_frames",
			  (json_int_t)rx->frames, "rx_bytes",
			  (json_int_t)rx->bytes, "rx_dropped",
			  (json_int_t)rx->dropped, "rx_errors",
			  (json_int_t)rx->errors, "doorbells",
			  (json_int_t)f->bells.rung, "interrupts",
			  (json_int_t)f->irq.fired, "operations",
			  (json_int_t)f->order.completed, "refused",
			  (json_int_t)f->refused, "unsupported",
			  (json_int_t)f->unsupported));
}

static json_t *counter_rows(void *arg)
{
	return each_function(arg, counter_row, false);
}

static json_t *rate_json(uint64_t bps)
{
	char text[32];

	if (!bps)
		return json_string("unlimited");
	return json_string(units_format_bitrate(text, sizeof(text), bps));
}

static void link_row(json_t *rows, struct function *f)
{
	const struct nic *nic = f->nic;
	const struct mailbox *m = &f->mailbox;
	bool changed = f->vf ? nic->link_changed & nic_bit(f) : nic->pf_changed;

	json_array_append_new(
		rows, json_pack("{s:s, s:s, s:o, s:o, s:b, s:I, s:I, s:I}",
				"function", f->name, "link",
				f->link.now.up ? "up" : "down", "max",
				rate_json(f->link.now.max), "allocated",
				rate_json(f->link.now.allocated), "changed",
				changed, "request", (json_int_t)m->request,
				"answer", (json_int_t)m->answer, "notices",
				(json_int_t)m->notices));
}

static json_t *link_rows(void *arg)
{
	return each_function(arg, link_row, false);
}

static json_t *fdb_rows(void *arg)
{
	return switch_fdb_rows(arg);
}

static json_t *lan_rows(void *arg)
{
	const struct nic *nic = arg;
	const struct uplink *u = nic->uplink;
	json_t *rows = json_array();

	json_array_append_new(
		rows,
		json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "device",
			  nic->device, "lan", u ? u->kind : "none", "sent",
			  (json_int_t)(u ? u->sent : 0), "received",
			  (json_int_t)(u ? u->received : 0), "dropped",
			  (json_int_t)(u ? u->dropped : 0), "forwarded",
			  (json_int_t)nic->fabric.forwarded, "flooded",
			  (json_int_t)nic->fabric.flooded, "filtered",
			  (json_int_t)nic->fabric.filtered));
	return rows;
}

static const struct control_column function_columns[] = {
	{ "function", "FUNCTION" },
	{ "state", "STATE" },
	{ "pid", "CLIENT" },
	{ "bme", "BME" },
	{ "msix", "MSI-X" },
	{ "latency", "LATENCY" },
	{ "pending", "PENDING" },
	{ "held", "HELD" },
	{ "resets", "RESETS" },
	{ "vfs", "VFS" },
	{ NULL, NULL },
};

static const struct control_column queue_columns[] = {
	{ "function", "FUNCTION" },
	{ "queue", "QUEUE" },
	{ "base", "BASE" },
	{ "entries", "ENTRIES" },
	{ "enable", "REG" },
	{ "ring", "RING" },
	{ "pf", "PF" },
	{ "bme", "BME" },
	{ "status", "STATUS" },
	{ "write", "WRITE" },
	{ "read", "READ" },
	{ "held", "HELD" },
	{ "fault", "FAULT" },
	{ NULL, NULL },
};

static const struct control_column counter_columns[] = {
	{ "function", "FUNCTION" },     { "tx_frames", "TX" },
	{ "tx_bytes", "BYTES" },        { "tx_errors", "ERRORS" },
	{ "rx_frames", "RX" },          { "rx_bytes", "BYTES" },
	{ "rx_dropped", "DROPPED" },    { "rx_errors", "ERRORS" },
	{ "doorbells", "DOORBELLS" },   { "interrupts", "INTERRUPTS" },
	{ "operations", "OPERATIONS" }, { "refused", "REFUSED" },
	{ "unsupported", "UR" },        { NULL, NULL },
};

static const struct control_column link_columns[] = {
	{ "function", "FUNCTION" },
	{ "link", "LINK" },
	{ "max", "MAX" },
	{ "allocated", "ALLOCATED" },
	{ "changed", "CHANGED" },
	{ "request", "REQUEST" },
	{ "answer", "ANSWER" },
	{ "notices", "NOTICES" },
	{ NULL, NULL },
};

static const struct control_column fdb_columns[] = {
	{ "mac", "MAC" },       { "port", "PORT" }, { "kind", "KIND" },
	{ "age_ms", "AGE ms" }, { NULL, NULL },
};

static const struct control_column lan_columns[] = {
	{ "device", "DEVICE" },   { "lan", "LAN" },
	{ "sent", "SENT" },       { "received", "RECEIVED" },
	{ "dropped", "DROPPED" }, { "forwarded", "FORWARDED" },
	{ "flooded", "FLOODED" }, { "filtered", "FILTERED" },
	{ NULL, NULL },
};

const struct control_table device_tables[] = {
	{ "device-functions", "PF and VFs, as the device sees them",
	  function_columns, function_rows },
	{ NULL, NULL, NULL, NULL },
};

const struct control_table lan_tables[] = {
	{ "lan", "the switch and its uplink", lan_columns, lan_rows },
	{ NULL, NULL, NULL, NULL },
};

const struct control_table nic_tables[] = {
	{ "device-queues",
	  "transmit and receive queues, as the device sees them", queue_columns,
	  queue_rows },
	{ "device-counters", "of PF and VFs, since power on", counter_columns,
	  counter_rows },
	{ "device-link", "physical links of PF and VFs, and mailboxes",
	  link_columns, link_rows },
	{ "fdb", "addresses that the switch knows", fdb_columns, fdb_rows },
	{ NULL, NULL, NULL, NULL },
};
