/* summary_table.c - the table "summary": partitions in numbers. */
#include <config.h>

#include "cmd/hvmon/hvmon.h"

static json_int_t number(const _Atomic uint64_t *counter)
{
	return (json_int_t)atomic_load_explicit(counter, memory_order_relaxed);
}

static json_t *row_of(const struct partition *p)
{
	const struct demux_counts *c = &p->forwarder.tables.record->counts;
	char name[FUNCTION_NAME_MAX], vm[VM_NAME_MAX];

	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I}",
			 "function", vf_format(name, p->vf), "vm",
			 vm_format(vm, p->vm), "guests", (int)p->memory.n - 1,
			 "interrupts", number(&c->interrupts), "events",
			 number(&c->events), "forwarded", number(&c->forwarded),
			 "coalesced", number(&c->coalesced), "dropped",
			 number(&c->dropped), "failed", number(&c->failed),
			 "interrupted", number(&c->interrupted), "alerts",
			 number(&c->alerts));
}

json_t *summary_rows(void *arg)
{
	const struct hvmon *hv = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 1; i <= HCA_PARTITIONS; i++)
		if (hv->level1.partition[i])
			json_array_append_new(rows,
					      row_of(hv->level1.partition[i]));
	return rows;
}
