/* hca_attributes.c - attributes of objects: what is stored and loaded.
 *
 * An object gets its attributes while it is stopped, and runs when its state
 * is stored; rings and what they refer to are checked then.
 */
#include <config.h>

#include "libcore/hca_private.h"

static const char *const state_names[] = {
	[HCA_STOPPED] = "stopped",
	[HCA_RUNNING] = "running",
	[HCA_ERROR] = "error",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == HCA_STATE_N,
	       "one name a state");

const char *hca_state_name(enum hca_state state)
{
	return state_names[state];
}

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

/* States. */

static enum hca_status check_ring(const struct hca_object *o, uint64_t base,
				  uint32_t entries)
{
	if (entries < HCA_RING_MIN || entries > HCA_RING_MAX ||
	    entries & (entries - 1) || base % sizeof(struct hca_eqe))
		return HCA_BAD_VALUE;
	if (!hca_memory(o->hca, o->partition, base,
			(uint64_t)entries * sizeof(struct hca_eqe), true))
		return HCA_BAD_ADDRESS;
	return HCA_OK;
}
_Static_assert(sizeof(struct hca_eqe) == sizeof(struct hca_wqe),
	       "one size of entries");

static enum hca_status start_qp(struct hca_qp *qp)
{
	struct hca_object *o = &qp->object;
	enum hca_status status;

	if (!qp->send_cq || !qp->receive_cq)
		return HCA_BAD_HANDLE;
	status = check_ring(o, qp->send.base, qp->send.entries);
	if (status == HCA_OK)
		status = check_ring(o, qp->receive.base, qp->receive.entries);
	if (status != HCA_OK)
		return status;
	o->state = HCA_RUNNING;
	hca_wake_peer(qp);
	return HCA_OK;
}

static enum hca_status start_ring(struct hca_object *o, struct hca_ring *ring)
{
	enum hca_status status = check_ring(o, ring->base, ring->entries);

	if (status != HCA_OK)
		return status;
	ring->written = 0;
	o->state = HCA_RUNNING;
	return HCA_OK;
}

static enum hca_status start(struct hca_object *o)
{
	switch (hca_kind_of(o->handle)) {
	case HCA_QP:
		return start_qp(hca_qp_of(o));
	case HCA_CQ:
		return start_ring(o, &hca_cq_of(o)->ring);
	case HCA_EQ:
		hca_eq_of(o)->run = ++o->hca->runs;
		return start_ring(o, &hca_eq_of(o)->ring);
	case HCA_PART:
	case HCA_KIND_N:
		break;
	}
	return HCA_BAD_HANDLE;
}

static void stop(struct hca_object *o)
{
	if (hca_kind_of(o->handle) == HCA_QP)
		hca_qp_forget(hca_qp_of(o));
	else if (hca_kind_of(o->handle) == HCA_EQ)
		hca_timer_stop(hca_eq_of(o));
	o->state = HCA_STOPPED;
}

static enum hca_status store_state(struct hca_object *o, uint64_t state)
{
	if (state == HCA_STOPPED) {
		stop(o);
		return HCA_OK;
	}
	if (state != HCA_RUNNING)
		return HCA_BAD_VALUE;
	if (o->state == HCA_STOPPED)
		return start(o);
	return o->state == HCA_RUNNING ? HCA_OK : HCA_BUSY;
}

/* STORE. */

static enum hca_status store_number(uint32_t *at, uint64_t value, uint32_t max)
{
	if (value > max)
		return HCA_BAD_VALUE;
	*at = (uint32_t)value;
	return HCA_OK;
}

static enum hca_status store_flag(bool *at, uint64_t value)
{
	if (value > 1)
		return HCA_BAD_VALUE;
	*at = value;
	return HCA_OK;
}

static enum hca_status store_byte(struct hca *hca, unsigned partition,
				  uint64_t *at, uint64_t address)
{
	if (address && !hca_memory(hca, partition, address, 1, true))
		return HCA_BAD_ADDRESS;
	*at = address;
	return HCA_OK;
}

static enum hca_status store_isc(struct hca_eq *eq, uint64_t isc)
{
	if (isc >= HCA_ISCS && isc != HCA_ISC_NONE)
		return HCA_BAD_VALUE;
	eq->isc = (unsigned)isc;
	return HCA_OK;
}

static enum hca_status store_delay(struct hca_eq *eq, uint64_t us)
{
	if (us > HCA_DELAY_MAX)
		return HCA_BAD_VALUE;
	eq->delay_ns = us * 1000;
	return HCA_OK;
}

static enum hca_status store_ring(struct hca_ring *ring, unsigned attribute,
				  uint64_t value)
{
	if (attribute == HCA_ENTRIES)
		return store_number(&ring->entries, value, HCA_RING_MAX);
	ring->base = value;
	return HCA_OK;
}

/* Attributes of an EQ that may change while it runs. */
static enum hca_status store_eq(struct hca_eq *eq, unsigned attribute,
				uint64_t value)
{
	struct hca *hca = eq->object.hca;

	switch (attribute) {
	case HCA_BASE:
	case HCA_ENTRIES:
		return store_ring(&eq->ring, attribute, value);
	case HCA_ASB:
		return store_byte(hca, eq->object.partition, &eq->asb, value);
	case HCA_PSB:
		return store_byte(hca, HCA_PART, &eq->psb, value);
	case HCA_ISC:
		return store_isc(eq, value);
	case HCA_IMMEDIATE:
		return store_flag(&eq->immediate, value);
	case HCA_DELAY:
		return store_delay(eq, value);
	case HCA_HOST:
		return store_flag(&eq->host, value);
	}
	return HCA_BAD_ATTRIBUTE;
}

static enum hca_status store_cq(struct hca_cq *cq, unsigned attribute,
				uint64_t value)
{
	switch (attribute) {
	case HCA_BASE:
	case HCA_ENTRIES:
		return store_ring(&cq->ring, attribute, value);
	}
	return HCA_BAD_ATTRIBUTE;
}

static enum hca_status store_qp(struct hca_qp *qp, unsigned attribute,
				uint64_t value)
{
	switch (attribute) {
	case HCA_SEND_BASE:
		qp->send.base = value;
		return HCA_OK;
	case HCA_SEND_ENTRIES:
		return store_number(&qp->send.entries, value, HCA_RING_MAX);
	case HCA_RECEIVE_BASE:
		qp->receive.base = value;
		return HCA_OK;
	case HCA_RECEIVE_ENTRIES:
		return store_number(&qp->receive.entries, value, HCA_RING_MAX);
	case HCA_SEND_CQ:
		return store_cq_handle(qp, &qp->send_cq, value);
	case HCA_RECEIVE_CQ:
		return store_cq_handle(qp, &qp->receive_cq, value);
	case HCA_PEER:
		qp->peer = value;
		return HCA_OK;
	case HCA_BELL:
		return store_number(&qp->bell, value, HCA_BELL_COUNT - 1);
	case HCA_MEMORY_BASE:
		qp->memory_base = value;
		return HCA_OK;
	case HCA_MEMORY_SIZE:
		qp->memory_size = value;
		return HCA_OK;
	case HCA_WINDOW_BASE:
		qp->window_base = value;
		return HCA_OK;
	case HCA_WINDOW_SIZE:
		qp->window_size = value;
		return HCA_OK;
	case HCA_SERVICE:
		return value > UINT32_MAX ? HCA_BAD_VALUE
					  : hca_name(qp, (uint32_t)value);
	}
	return HCA_BAD_ATTRIBUTE;
}

/* What must not change while the object runs. */
static bool is_fixed(unsigned attribute)
{
	return attribute == HCA_BASE || attribute == HCA_ENTRIES ||
	       attribute >= HCA_SEND_BASE;
}

enum hca_status hca_store(struct hca_object *o, unsigned attribute,
			  uint64_t value)
{
	enum hca_kind kind = hca_kind_of(o->handle);

	if (attribute == HCA_STATE)
		return store_state(o, value);
	if (attribute == HCA_TOKEN && kind != HCA_EQ) {
		o->token = value;
		return HCA_OK;
	}
	if (attribute == HCA_EVENT_QUEUE && kind != HCA_EQ)
		return hca_store_eq_handle(o->hca, o->partition, &o->eq, value);
	if (is_fixed(attribute) && o->state != HCA_STOPPED)
		return HCA_BUSY;
	switch (kind) {
	case HCA_QP:
		return store_qp(hca_qp_of(o), attribute, value);
	case HCA_CQ:
		return store_cq(hca_cq_of(o), attribute, value);
	case HCA_EQ:
		return store_eq(hca_eq_of(o), attribute, value);
	case HCA_PART:
	case HCA_KIND_N:
		break;
	}
	return HCA_BAD_ATTRIBUTE;
}

/* LOAD. */

static enum hca_status load_eq(const struct hca_eq *eq, unsigned attribute,
			       uint64_t *value)
{
	switch (attribute) {
	case HCA_BASE:
		*value = eq->ring.base;
		return HCA_OK;
	case HCA_ENTRIES:
		*value = eq->ring.entries;
		return HCA_OK;
	case HCA_ASB:
		*value = eq->asb;
		return HCA_OK;
	case HCA_PSB:
		*value = eq->psb;
		return HCA_OK;
	case HCA_ISC:
		*value = eq->isc;
		return HCA_OK;
	case HCA_IMMEDIATE:
		*value = eq->immediate;
		return HCA_OK;
	case HCA_DELAY:
		*value = eq->delay_ns / 1000;
		return HCA_OK;
	case HCA_HOST:
		*value = eq->host;
		return HCA_OK;
	}
	return HCA_BAD_ATTRIBUTE;
}

static enum hca_status load_cq(const struct hca_cq *cq, unsigned attribute,
			       uint64_t *value)
{
	switch (attribute) {
	case HCA_BASE:
		*value = cq->ring.base;
		return HCA_OK;
	case HCA_ENTRIES:
		*value = cq->ring.entries;
		return HCA_OK;
	}
	return HCA_BAD_ATTRIBUTE;
}

static enum hca_status load_qp(const struct hca_qp *qp, unsigned attribute,
			       uint64_t *value)
{
	switch (attribute) {
	case HCA_SEND_BASE:
		*value = qp->send.base;
		return HCA_OK;
	case HCA_SEND_ENTRIES:
		*value = qp->send.entries;
		return HCA_OK;
	case HCA_RECEIVE_BASE:
		*value = qp->receive.base;
		return HCA_OK;
	case HCA_RECEIVE_ENTRIES:
		*value = qp->receive.entries;
		return HCA_OK;
	case HCA_SEND_CQ:
		*value = hca_handle_of((const struct hca_object *)qp->send_cq);
		return HCA_OK;
	case HCA_RECEIVE_CQ:
		*value = hca_handle_of(
			(const struct hca_object *)qp->receive_cq);
		return HCA_OK;
	case HCA_PEER:
		*value = qp->peer;
		return HCA_OK;
	case HCA_BELL:
		*value = qp->bell;
		return HCA_OK;
	case HCA_MEMORY_BASE:
		*value = qp->memory_base;
		return HCA_OK;
	case HCA_MEMORY_SIZE:
		*value = qp->memory_size;
		return HCA_OK;
	case HCA_WINDOW_BASE:
		*value = qp->window_base;
		return HCA_OK;
	case HCA_WINDOW_SIZE:
		*value = qp->window_size;
		return HCA_OK;
	case HCA_SERVICE:
		*value = qp->service;
		return HCA_OK;
	}
	return HCA_BAD_ATTRIBUTE;
}

enum hca_status hca_load(struct hca_object *o, unsigned attribute,
			 uint64_t *value)
{
	enum hca_kind kind = hca_kind_of(o->handle);

	if (attribute == HCA_STATE) {
		*value = o->state;
		return HCA_OK;
	}
	if (attribute == HCA_TOKEN && kind != HCA_EQ) {
		*value = o->token;
		return HCA_OK;
	}
	if (attribute == HCA_EVENT_QUEUE && kind != HCA_EQ) {
		*value = hca_handle_of((const struct hca_object *)o->eq);
		return HCA_OK;
	}
	switch (kind) {
	case HCA_QP:
		return load_qp(hca_qp_of(o), attribute, value);
	case HCA_CQ:
		return load_cq(hca_cq_of(o), attribute, value);
	case HCA_EQ:
		return load_eq(hca_eq_of(o), attribute, value);
	case HCA_PART:
	case HCA_KIND_N:
		break;
	}
	return HCA_BAD_ATTRIBUTE;
}
