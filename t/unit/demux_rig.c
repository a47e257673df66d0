/* demux_rig.c - tables, queues and guests in this process's memory. */
#include <config.h>

#include "t/unit/demux_rig.h"

#include <stdlib.h>
#include <string.h>

static void *at(void *arg, uint64_t address, uint64_t size)
{
	struct demux_rig *r = arg;

	return address < RIG_MEMORY && size <= RIG_MEMORY - address
		       ? r->memory + address
		       : NULL;
}

static void told(void *arg, const struct demux_result *result)
{
	struct demux_rig *r = arg;

	if (r->n_told < sizeof(r->told) / sizeof(*r->told))
		r->told[r->n_told++] = *result;
}

void demux_rig_run(struct demux_rig *r, unsigned i)
{
	struct demux_geqcb *g = &r->t.geqcb[i];

	memset(r->memory + RIG_EQ(i), 0, RIG_ENTRIES * sizeof(struct hca_eqe));
	r->reader[i] =
		(struct hca_reader){ r->memory + RIG_EQ(i), RIG_ENTRIES, 0 };
	g->first = atomic_load(&g->next) >> DEMUX_NUMBER_SHIFT;
	atomic_fetch_add(&g->version, 1);
	atomic_store(&g->state, HCA_RUNNING);
}

static void make_guest(struct demux_rig *r, unsigned i)
{
	struct demux_geqcb *g = &r->t.geqcb[i];

	atomic_store(&r->t.gisa[i].enabled, 2);
	r->t.gisa[i].vm = 100 + i;
	r->gisa[i] = demux_handle(i, demux_turn(&r->t.gisa[i].generation));
	g->gisa = r->gisa[i];
	g->ring = RIG_EQ(i);
	g->entries = RIG_ENTRIES;
	atomic_store(&g->asb, RIG_ASB(i));
	atomic_store(&g->isc, 1);
	r->geqcb[i] = demux_handle(i, demux_turn(&g->generation));
	demux_rig_run(r, i);
	atomic_store(&r->t.geqa[i].token, RIG_TOKEN + i);
	atomic_store(&r->t.geqa[i].geqcb, r->geqcb[i]);
	r->geqa[i] = demux_handle(i, demux_turn(&r->t.geqa[i].generation));
}

void demux_rig_forwarder(struct demux_rig *r)
{
	demux_forwarder_fini(&r->f);
	if (demux_forwarder_init(&r->f, &r->t, &r->view, told, r))
		abort();
	demux_forward_again(&r->f);
}

void demux_rig_init(struct demux_rig *r)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	r->view = (struct demux_memory){ .at = at, .arg = r };
	r->memory = aligned_alloc(4096, RIG_MEMORY);
	if (!r->memory)
		abort();
	memset(r->memory, 0, RIG_MEMORY);
	if (demux_create(&r->t, r->memory, RIG_MEMORY, 2 * RIG_GUESTS,
			 RIG_GUESTS, RIG_GUESTS))
		abort();
	r->t.record->host[DEMUX_TYPE1] = (struct demux_host_queue){
		.eq = 1, .entries = RIG_HOST, .ring = RIG_RING
	};
	for (i = 0; i < RIG_GUESTS; i++)
		make_guest(r, i);
	demux_rig_forwarder(r);
}

void demux_rig_fini(struct demux_rig *r)
{
	demux_forwarder_fini(&r->f);
	free(r->memory);
}

void demux_rig_record(struct demux_rig *r, uint64_t token, uint32_t handle,
		      enum hca_event event)
{
	struct hca_eqe *eqe = (struct hca_eqe *)(r->memory + RIG_RING) +
			      r->recorded++ % RIG_HOST;

	eqe->token = htole64(token);
	eqe->handle = htole32(handle);
	eqe->event = htole32(event);
	eqe->detail =
		htole64(event == HCA_EVENT_CQ_ERROR ? HCA_FAULT_OVERFLOW : 0);
	atomic_store(&eqe->mark, htole64(HCA_EQE_VALID));
}

void demux_rig_complete(struct demux_rig *r, unsigned i)
{
	demux_rig_record(r, r->geqa[i], RIG_HANDLE + i, HCA_EVENT_COMPLETION);
}

bool demux_rig_consume(struct demux_rig *r, unsigned i, struct hca_eqe *eqe)
{
	return hca_take_event(&r->reader[i], eqe);
}

_Atomic uint8_t *demux_rig_asb(const struct demux_rig *r, unsigned i)
{
	return (_Atomic uint8_t *)(r->memory + RIG_ASB(i));
}
