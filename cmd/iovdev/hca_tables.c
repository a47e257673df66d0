/* hca_tables.c - the tables "qp", "cq", "eq" and "partitions" of an adapter. */
#include <config.h>

#include "cmd/iovdev/hca_card.h"
#include "cmd/iovdev/nic.h"

typedef void row_fn(json_t *rows, const struct nic *nic,
		    const struct hca_object *o);

static json_t *each_object(const struct nic *nic, enum hca_kind kind,
			   row_fn *fn)
{
	const struct hca_card *card = nic->card;
	const struct hca_table *t = &card->hca.table[kind];
	json_t *rows = json_array();
	uint32_t i;

	for (i = 0; i < t->used; i++)
		if (t->object[i])
			fn(rows, nic, t->object[i]);
	return rows;
}

static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

static json_t *handle(const void *object)
{
	const struct hca_object *o = object;

	return o ? hex(o->handle) : json_string("-");
}

/* What all of them show first. */
static json_t *common(const struct nic *nic, const struct hca_object *o)
{
	return json_pack("{s:s, s:o, s:s}", "function",
			 hca_function(nic, o->partition)->name, "handle",
			 handle(o), "state", hca_state_name(o->state));
}

static void add(json_t *rows, json_t *row, json_t *more)
{
	json_object_update(row, more);
	json_decref(more);
	json_array_append_new(rows, row);
}

static void qp_row(json_t *rows, const struct nic *nic,
		   const struct hca_object *o)
{
	const struct hca_qp *qp = (const struct hca_qp *)o;

	add(rows, common(nic, o),
	    json_pack(
		    "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:I, s:I, s:I, "
		    "s:I}",
		    "token", hex(o->token), "peer", hex(qp->peer), "send_cq",
		    handle(qp->send_cq), "receive_cq", handle(qp->receive_cq),
		    "eq", handle(o->eq), "to_send",
		    (json_int_t)(uint32_t)(qp->send.tail - qp->send.head),
		    "to_receive",
		    (json_int_t)(uint32_t)(qp->receive.tail - qp->receive.head),
		    "waits", (int)qp->waits, "sent", (json_int_t)qp->sent,
		    "received", (json_int_t)qp->received, "written",
		    (json_int_t)qp->written, "bytes", (json_int_t)qp->bytes));
}

static void cq_row(json_t *rows, const struct nic *nic,
		   const struct hca_object *o)
{
	const struct hca_cq *cq = (const struct hca_cq *)o;

	add(rows, common(nic, o),
	    json_pack("{s:o, s:o, s:I, s:I, s:I}", "token", hex(o->token), "eq",
		      handle(o->eq), "entries", (json_int_t)cq->ring.entries,
		      "completions", (json_int_t)cq->completions, "dropped",
		      (json_int_t)cq->dropped));
}

static void eq_row(json_t *rows, const struct nic *nic,
		   const struct hca_object *o)
{
	const struct hca_eq *eq = (const struct hca_eq *)o;

	add(rows, common(nic, o),
	    json_pack("{s:o, s:o, s:i, s:b, s:I, s:b, s:I, s:I, s:I, s:I, s:I}",
		      "asb", hex(eq->asb), "psb", hex(eq->psb), "isc",
		      eq->isc == HCA_ISC_NONE ? -1 : (int)eq->isc, "immediate",
		      (int)eq->immediate, "delay_us", (json_int_t)eq->delay_us,
		      "host", (int)eq->host, "entries",
		      (json_int_t)eq->ring.entries, "recorded",
		      (json_int_t)eq->recorded, "coalesced",
		      (json_int_t)eq->coalesced, "dropped",
		      (json_int_t)eq->dropped, "interrupts",
		      (json_int_t)eq->interrupts));
}

static json_t *qp_rows(void *arg)
{
	return each_object(arg, HCA_QP, qp_row);
}

static json_t *cq_rows(void *arg)
{
	return each_object(arg, HCA_CQ, cq_row);
}

static json_t *eq_rows(void *arg)
{
	return each_object(arg, HCA_EQ, eq_row);
}

static void partition_row(json_t *rows, const struct nic *nic,
			  unsigned partition)
{
	const struct hca_card *card = nic->card;
	const struct function *f = hca_function(nic, partition);
	unsigned n[HCA_KIND_N] = { 0 };
	const struct hca_object *o;

	LIST_FOREACH (o, &card->hca.partition[partition].objects, entry)
		n[hca_kind_of(o->handle)]++;
	json_array_append_new(
		rows,
		json_pack(
			"{s:s, s:i, s:b, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I}",
			"function", f->name, "partition", (int)partition, "bme",
			(int)f->bme, "qps", (int)n[HCA_QP], "cqs",
			(int)n[HCA_CQ], "eqs", (int)n[HCA_EQ], "completions",
			(json_int_t)card->hca.partition[partition].completions,
			"interrupts", (json_int_t)f->irq.fired, "bad_doorbells",
			(json_int_t)card->hca.partition[partition].bad_bells,
			"refused", (json_int_t)f->refused, "resets",
			(json_int_t)f->resets));
}

static json_t *partition_rows(void *arg)
{
	const struct nic *nic = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i <= nic->n_vfs; i++)
		partition_row(rows, nic, i);
	return rows;
}

static const struct control_column qp_columns[] = {
	{ "function", "FUNCTION" },
	{ "handle", "QP" },
	{ "state", "STATE" },
	{ "token", "TOKEN" },
	{ "peer", "PEER" },
	{ "send_cq", "SEND CQ" },
	{ "receive_cq", "RECEIVE CQ" },
	{ "eq", "EQ" },
	{ "to_send", "TO SEND" },
	{ "to_receive", "TO RECEIVE" },
	{ "waits", "WAITS" },
	{ "sent", "SENT" },
	{ "received", "RECEIVED" },
	{ "written", "WRITTEN" },
	{ "bytes", "BYTES" },
	{ NULL, NULL },
};

static const struct control_column cq_columns[] = {
	{ "function", "FUNCTION" },
	{ "handle", "CQ" },
	{ "state", "STATE" },
	{ "token", "TOKEN" },
	{ "eq", "EQ" },
	{ "entries", "ENTRIES" },
	{ "completions", "COMPLETIONS" },
	{ "dropped", "DROPPED" },
	{ NULL, NULL },
};

static const struct control_column eq_columns[] = {
	{ "function", "FUNCTION" },
	{ "handle", "EQ" },
	{ "state", "STATE" },
	{ "asb", "ASB" },
	{ "psb", "PSB" },
	{ "isc", "ISC" },
	{ "immediate", "IMMEDIATE" },
	{ "delay_us", "DELAY us" },
	{ "host", "HOST" },
	{ "entries", "ENTRIES" },
	{ "recorded", "RECORDED" },
	{ "coalesced", "COALESCED" },
	{ "dropped", "DROPPED" },
	{ "interrupts", "INTERRUPTS" },
	{ NULL, NULL },
};

static const struct control_column partition_columns[] = {
	{ "function", "FUNCTION" },
	{ "partition", "PARTITION" },
	{ "bme", "BME" },
	{ "qps", "QP" },
	{ "cqs", "CQ" },
	{ "eqs", "EQ" },
	{ "completions", "COMPLETIONS" },
	{ "interrupts", "INTERRUPTS" },
	{ "bad_doorbells", "BAD DOORBELLS" },
	{ "refused", "REFUSED" },
	{ "resets", "RESETS" },
	{ NULL, NULL },
};

const struct control_table hca_card_tables[] = {
	{ "qp", "queue pairs of an adapter", qp_columns, qp_rows },
	{ "cq", "completion queues of an adapter", cq_columns, cq_rows },
	{ "eq", "event queues of an adapter", eq_columns, eq_rows },
	{ "partitions", "partitions of an adapter", partition_columns,
	  partition_rows },
	{ NULL, NULL, NULL, NULL },
};
