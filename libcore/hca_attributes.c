/* hca_attributes.c - attributes of objects: what is stored and loaded.
 *
 * An object gets its attributes while it is stopped, and runs when its state
 * is stored (hca_state.c).
 */
#include <config.h>

#include <stddef.h>
#include <string.h>

#include "libcore/hca_private.h"

enum type {
	TYPE_NONE, /* the kind has no such attribute */
	TYPE_FLAG,
	TYPE_NUMBER,
	TYPE_LONG,
	TYPE_EQ,
	TYPE_CQ,
	TYPE_STATE,
	TYPE_SERVICE,
};

struct attribute {
	enum type type;
	bool fixed;    /* stored only while the object is stopped */
	size_t offset; /* of the field in the object */
	uint64_t max;  /* of a number */
	/* What else is asked of a value. */
	enum hca_status (*check)(const struct hca_object *o, uint64_t value);
};

/* References. */

void hca_set_eq(struct hca_eq **at, struct hca_eq *eq)
{
	if (*at)
		(*at)->object.refs--;
	*at = eq;
	if (eq)
		eq->object.refs++;
}

enum hca_status hca_store_eq_handle(struct hca *hca, unsigned partition,
				    struct hca_eq **at, uint64_t handle)
{
	struct hca_object *o = NULL;

	if (handle) {
		o = handle > UINT32_MAX
			    ? NULL
			    : hca_own(hca, partition, HCA_EQ, (uint32_t)handle);
		if (!o)
			return HCA_BAD_HANDLE;
	}
	hca_set_eq(at, hca_eq_of(o));
	return HCA_OK;
}

void hca_set_cq(struct hca_cq **at, struct hca_cq *cq)
{
	if (*at)
		(*at)->object.refs--;
	*at = cq;
	if (cq)
		cq->object.refs++;
}

static enum hca_status store_cq_handle(struct hca_qp *qp, struct hca_cq **at,
				       uint64_t handle)
{
	struct hca_object *o = NULL;

	if (handle <= UINT32_MAX)
		o = hca_own(qp->object.hca, qp->object.partition, HCA_CQ,
			    (uint32_t)handle);
	if (!o)
		return HCA_BAD_HANDLE;
	hca_set_cq(at, hca_cq_of(o));
	return HCA_OK;
}

/* Values. */

static enum hca_status check_asb(const struct hca_object *o, uint64_t address)
{
	return !address || hca_memory(o->hca, o->partition, address, 1, true)
		       ? HCA_OK
		       : HCA_BAD_ADDRESS;
}

/* It lies in the machine's memory: partition 0. */
static enum hca_status check_psb(const struct hca_object *o, uint64_t address)
{
	return !address || hca_memory(o->hca, 0, address, 1, true)
		       ? HCA_OK
		       : HCA_BAD_ADDRESS;
}

static enum hca_status check_isc(const struct hca_object *o, uint64_t isc)
{
	(void)o;
	return isc < HCA_ISCS || isc == HCA_ISC_NONE ? HCA_OK : HCA_BAD_VALUE;
}

#define OF_ALL(field)    .offset = offsetof(struct hca_object, field)
#define OF(object, path) .offset = offsetof(struct object, path)
#define FIXED            .fixed = true

#define STATE            [HCA_STATE] = { TYPE_STATE, OF_ALL(state) }
/* Of what has events: a CQ, a QP. */
#define EVENTS                                                            \
	[HCA_TOKEN] = { TYPE_LONG, OF_ALL(token) }, [HCA_EVENT_QUEUE] = { \
		TYPE_EQ, OF_ALL(eq)                                       \
	}
#define RING(object, path, base_at, entries_at)                        \
	[base_at] = { TYPE_LONG, FIXED, OF(object, path.base) },       \
	[entries_at] = { TYPE_NUMBER, FIXED, OF(object, path.entries), \
			 HCA_RING_MAX }

static const struct attribute attributes[HCA_KIND_N][HCA_ATTRIBUTE_N] = {
	[HCA_EQ] = {
		STATE,
		RING(hca_eq, ring, HCA_BASE, HCA_ENTRIES),
		[HCA_ASB] = { TYPE_LONG, OF(hca_eq, asb), .check = check_asb },
		[HCA_PSB] = { TYPE_LONG, OF(hca_eq, psb), .check = check_psb },
		[HCA_ISC] = { TYPE_NUMBER, OF(hca_eq, isc), UINT32_MAX,
			      check_isc },
		[HCA_IMMEDIATE] = { TYPE_FLAG, OF(hca_eq, immediate) },
		[HCA_DELAY] = { TYPE_NUMBER, OF(hca_eq, delay_us),
				HCA_DELAY_MAX },
		[HCA_HOST] = { TYPE_FLAG, OF(hca_eq, host) },
	},
	[HCA_CQ] = {
		STATE,
		EVENTS,
		RING(hca_cq, ring, HCA_BASE, HCA_ENTRIES),
	},
	[HCA_QP] = {
		STATE,
		EVENTS,
		RING(hca_qp, send, HCA_SEND_BASE, HCA_SEND_ENTRIES),
		RING(hca_qp, receive, HCA_RECEIVE_BASE, HCA_RECEIVE_ENTRIES),
		[HCA_SEND_CQ] = { TYPE_CQ, FIXED, OF(hca_qp, send_cq) },
		[HCA_RECEIVE_CQ] = { TYPE_CQ, FIXED, OF(hca_qp, receive_cq) },
		[HCA_PEER] = { TYPE_LONG, FIXED, OF(hca_qp, peer) },
		[HCA_BELL] = { TYPE_NUMBER, FIXED, OF(hca_qp, bell),
			       HCA_BELL_COUNT - 1 },
		[HCA_MEMORY_BASE] = { TYPE_LONG, FIXED,
				      OF(hca_qp, memory_base) },
		[HCA_MEMORY_SIZE] = { TYPE_LONG, FIXED,
				      OF(hca_qp, memory_size) },
		[HCA_WINDOW_BASE] = { TYPE_LONG, FIXED,
				      OF(hca_qp, window_base) },
		[HCA_WINDOW_SIZE] = { TYPE_LONG, FIXED,
				      OF(hca_qp, window_size) },
		[HCA_SERVICE] = { TYPE_SERVICE, FIXED, OF(hca_qp, service),
				  UINT32_MAX },
	},
};

static const struct attribute *attribute_of(const struct hca_object *o,
					    unsigned number)
{
	const struct attribute *a;

	if (number >= HCA_ATTRIBUTE_N)
		return NULL;
	a = &attributes[hca_kind_of(o->handle)][number];
	return a->type == TYPE_NONE ? NULL : a;
}

enum hca_status hca_store(struct hca_object *o, unsigned attribute,
			  uint64_t value)
{
	const struct attribute *a = attribute_of(o, attribute);
	enum hca_status status;
	void *at;

	if (!a)
		return HCA_BAD_ATTRIBUTE;
	if (a->fixed && o->state != HCA_STOPPED)
		return HCA_BUSY;
	status = a->check ? a->check(o, value) : HCA_OK;
	if (status != HCA_OK)
		return status;
	at = (char *)o + a->offset;
	switch (a->type) {
	case TYPE_FLAG:
		if (value > 1)
			return HCA_BAD_VALUE;
		*(bool *)at = value;
		return HCA_OK;
	case TYPE_NUMBER:
		if (value > a->max)
			return HCA_BAD_VALUE;
		*(uint32_t *)at = (uint32_t)value;
		return HCA_OK;
	case TYPE_LONG:
		*(uint64_t *)at = value;
		return HCA_OK;
	case TYPE_EQ:
		return hca_store_eq_handle(o->hca, o->partition, at, value);
	case TYPE_CQ:
		return store_cq_handle(hca_qp_of(o), at, value);
	case TYPE_STATE:
		return hca_store_state(o, value);
	case TYPE_SERVICE:
		return value > a->max ? HCA_BAD_VALUE
				      : hca_name(hca_qp_of(o), (uint32_t)value);
	case TYPE_NONE:
		break;
	}
	return HCA_BAD_ATTRIBUTE;
}

enum hca_status hca_load(struct hca_object *o, unsigned attribute,
			 uint64_t *value)
{
	const struct attribute *a = attribute_of(o, attribute);
	const struct hca_object *to;
	const void *at;

	if (!a)
		return HCA_BAD_ATTRIBUTE;
	at = (const char *)o + a->offset;
	switch (a->type) {
	case TYPE_FLAG:
		*value = *(const bool *)at;
		break;
	case TYPE_NUMBER:
	case TYPE_SERVICE:
		*value = *(const uint32_t *)at;
		break;
	case TYPE_LONG:
		*value = *(const uint64_t *)at;
		break;
	case TYPE_EQ:
	case TYPE_CQ:
		memcpy(&to, at, sizeof(to));
		*value = hca_handle_of(to);
		break;
	case TYPE_STATE:
		*value = *(const enum hca_state *)at;
		break;
	case TYPE_NONE:
		return HCA_BAD_ATTRIBUTE;
	}
	return HCA_OK;
}
