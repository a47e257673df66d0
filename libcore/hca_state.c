/* hca_state.c - objects run, stop, or are in error.
 *
 * Rings and what they refer to are checked when an object is to run.
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

enum hca_status hca_store_state(struct hca_object *o, uint64_t state)
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
