/* hca_verbs.c - ALLOCATE, STORE, LOAD and FREE, and the registers by which a
 * partition does them. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "libcore/hca_private.h"

/* What an object holds of others, before it is freed. */
static void let_go(struct hca_object *o)
{
	struct hca_qp *qp = hca_qp_of(o);

	hca_set_eq(&o->eq, NULL);
	switch (hca_kind_of(o->handle)) {
	case HCA_QP:
		hca_qp_forget(qp);
		hca_set_cq(&qp->send_cq, NULL);
		hca_set_cq(&qp->receive_cq, NULL);
		hca_wake_peer(qp); /* it waits in vain */
		(void)hca_name(qp, 0);
		break;
	case HCA_EQ:
		hca_timer_stop(hca_eq_of(o));
		break;
	case HCA_PART:
	case HCA_CQ:
	case HCA_KIND_N:
		break;
	}
}

/* ALLOCATE and FREE. */

static enum hca_status allocate(struct hca *hca, unsigned partition,
				unsigned kind, uint64_t *handle)
{
	static const size_t sizes[HCA_KIND_N] = {
		[HCA_QP] = sizeof(struct hca_qp),
		[HCA_CQ] = sizeof(struct hca_cq),
		[HCA_EQ] = sizeof(struct hca_eq),
	};
	struct hca_object *o;

	if (!partition)
		return HCA_BAD_VERB;
	if (kind >= HCA_KIND_N || !sizes[kind])
		return HCA_BAD_ATTRIBUTE;
	o = hca_object_new(hca, (enum hca_kind)kind, sizes[kind], partition);
	if (!o)
		return HCA_NO_ROOM;
	if (kind == HCA_QP)
		hca_qp_of(o)->memory_size = UINT64_MAX;
	else if (kind == HCA_EQ)
		hca_eq_of(o)->isc = HCA_ISC_NONE;
	*handle = o->handle;
	return HCA_OK;
}

static enum hca_status free_object(struct hca_object *o)
{
	if (o->refs)
		return HCA_BUSY;
	let_go(o);
	hca_object_free(o);
	return HCA_OK;
}

/* The object that the partition may do this with; NULL: none. */
static struct hca_object *reach(struct hca *hca, unsigned partition,
				uint32_t handle)
{
	struct hca_object *o = hca_find(hca, handle);

	return o && (!partition || o->partition == partition) ? o : NULL;
}

/* What only level 1 may store, and nothing else. */
static bool is_machines(unsigned attribute)
{
	return attribute == HCA_PSB || attribute == HCA_HOST;
}

static enum hca_status do_object(struct hca *hca, unsigned partition,
				 uint64_t verb, uint64_t value,
				 uint64_t *result)
{
	unsigned attribute = verb >> 8 & 0xff;
	struct hca_object *o = reach(hca, partition, (uint32_t)(verb >> 32));

	if (!o)
		return HCA_BAD_HANDLE;
	switch (verb & 0xff) {
	case HCA_STORE:
		if (is_machines(attribute) != !partition)
			return HCA_BAD_ATTRIBUTE;
		return hca_store(o, attribute, value);
	case HCA_LOAD:
		return hca_load(o, attribute, result);
	case HCA_FREE:
		return partition ? free_object(o) : HCA_BAD_VERB;
	}
	return HCA_BAD_VERB;
}

/* Of the partition itself, whose handle is 0. */
static enum hca_status do_partition(struct hca *hca, unsigned partition,
				    uint64_t verb, uint64_t value,
				    uint64_t *result)
{
	struct hca_partition *p = &hca->partition[partition];

	if ((verb & 0xff) == HCA_FREE)
		return HCA_BAD_HANDLE;
	if ((verb >> 8 & 0xff) != HCA_EVENT_QUEUE || !partition)
		return HCA_BAD_ATTRIBUTE;
	if ((verb & 0xff) == HCA_STORE)
		return hca_store_eq_handle(hca, partition, &p->eq, value);
	*result = hca_handle_of((const struct hca_object *)p->eq);
	return HCA_OK;
}

enum hca_status hca_do(struct hca *hca, unsigned partition, uint64_t verb,
		       uint64_t value, uint64_t *result)
{
	enum hca_status status = HCA_BAD_VERB;
	unsigned op = verb & 0xff;

	*result = 0;
	if (verb >> 16 & 0xffff)
		return HCA_BAD_VERB;
	if (op == HCA_ALLOCATE)
		status = allocate(hca, partition, verb >> 8 & 0xff, result);
	else if (op >= HCA_STORE && op <= HCA_FREE)
		status = verb >> 32 ? do_object(hca, partition, verb, value,
						result)
				    : do_partition(hca, partition, verb, value,
						   result);
	if (status == HCA_BAD_HANDLE)
		hca->ops->told(hca->arg, partition, (uint32_t)(verb >> 32),
			       "verb for what it does not have");
	return status;
}

/* Registers. */

uint64_t hca_read(struct hca *hca, unsigned partition, uint32_t offset)
{
	const struct hca_partition *p = &hca->partition[partition];

	switch (offset) {
	case HCA_ID:
		return HCA_ID_VALUE;
	case HCA_VERSION:
		return 1;
	case HCA_PARTITION:
		return partition;
	case HCA_EQS:
		return HCA_EQ_MAX;
	case HCA_CQS:
		return HCA_CQ_MAX;
	case HCA_QPS:
		return HCA_QP_MAX;
	case HCA_BELLS:
		return partition ? HCA_BELL_COUNT : 0;
	case HCA_VALUE:
		return p->value;
	case HCA_VERB:
		return p->verb;
	case HCA_STATUS:
		return p->status;
	case HCA_RESULT:
		return p->result;
	}
	return 0;
}

bool hca_write(struct hca *hca, unsigned partition, uint32_t offset,
	       uint64_t value)
{
	struct hca_partition *p = &hca->partition[partition];
	uint32_t into = offset - HCA_BELL_BASE;

	if (offset == HCA_VALUE) {
		p->value = value;
	} else if (offset == HCA_VERB) {
		p->verb = value;
		p->status = hca_do(hca, partition, value, p->value, &p->result);
	} else if (partition && offset >= HCA_BELL_BASE &&
		   into / HCA_BELL_SIZE < HCA_BELL_COUNT &&
		   into % HCA_BELL_SIZE <= HCA_BELL_RECEIVE) {
		hca_ring(hca, partition, into / HCA_BELL_SIZE,
			 into % HCA_BELL_SIZE == HCA_BELL_RECEIVE, value);
	} else {
		return false;
	}
	return true;
}

/* The whole. */

void hca_init(struct hca *hca, const struct hca_ops *ops, void *arg)
{
	unsigned i;

	memset(hca, 0, sizeof(*hca));
	hca->ops = ops;
	hca->arg = arg;
	TAILQ_INIT(&hca->runnable);
	LIST_INIT(&hca->timing);
	for (i = 0; i <= HCA_PARTITIONS; i++)
		LIST_INIT(&hca->partition[i].objects);
	hca_tables_init(hca);
}

static void reset_partition(struct hca *hca, unsigned partition)
{
	struct hca_partition *p = &hca->partition[partition];
	struct hca_object *o;

	LIST_FOREACH (o, &p->objects, entry)
		o->state = HCA_STOPPED;
	LIST_FOREACH (o, &p->objects, entry)
		let_go(o);
	hca_set_eq(&p->eq, NULL);
	while ((o = LIST_FIRST(&p->objects)))
		hca_object_free(o);
	p->value = p->verb = p->result = 0;
	p->status = HCA_OK;
	memset(&p->refused, 0, sizeof(p->refused));
}

void hca_reset(struct hca *hca, unsigned partition)
{
	unsigned i;

	if (partition) {
		reset_partition(hca, partition);
		return;
	}
	for (i = 0; i <= HCA_PARTITIONS; i++)
		reset_partition(hca, i);
}

void hca_fini(struct hca *hca)
{
	if (!hca->ops)
		return;
	hca_reset(hca, 0);
	hca_tables_fini(hca);
}
