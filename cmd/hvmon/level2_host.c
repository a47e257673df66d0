/* level2_host.c - the partition's two host queues, made with the first guest EQ
 * (spec 04, figs. 10 and 11): type 1 for completion events and events of CQs,
 * which the firmware takes, and type 2 for the rest, with an ASB. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/platform.h"

#define STORES 6u

struct host {
	struct procedure p;
	struct level2 *l;
	struct level2_answer made[DEMUX_HOST_N];
	struct level2_answer stored[DEMUX_HOST_N][STORES];
	struct level2_answer partition;
	struct demux_call call;
	int err;
};

static struct level2 *level2_of(struct procedure *p)
{
	return ((struct host *)p)->l;
}

static int make(struct procedure *p, enum demux_host type)
{
	step_level2_verb(p, level2_of(p), HCA_ALLOCATE, HCA_EQ, 0, 0,
			 &((struct host *)p)->made[type]);
	return STEP_NEXT;
}

static int make_type1(struct procedure *p)
{
	return make(p, DEMUX_TYPE1);
}

/* In the record at once, so that it is freed if this ends in the middle. */
static void keep(struct procedure *p, enum demux_host type)
{
	struct host *host = (struct host *)p;

	if (!host->made[type].status)
		host->l->tables.record->host[type].eq =
			(uint32_t)host->made[type].result;
}

static int make_type2(struct procedure *p)
{
	keep(p, DEMUX_TYPE1);
	return make(p, DEMUX_TYPE2);
}

static void store(struct procedure *p, enum demux_host type, unsigned i,
		  enum hca_attribute attribute, uint64_t value)
{
	struct host *host = (struct host *)p;

	step_level2_verb(p, host->l, HCA_STORE, attribute,
			 (uint32_t)host->made[type].result, value,
			 &host->stored[type][i]);
}

/* 1102 */
static int set_iscs(struct procedure *p)
{
	struct host *host = (struct host *)p;
	struct level2 *l = host->l;
	unsigned i;

	keep(p, DEMUX_TYPE2);
	for (i = 0; i < DEMUX_HOST_N; i++) {
		if (host->made[i].status)
			return step_fail(p, -ENOSPC, "no host queue: status %u",
					 (unsigned)host->made[i].status);
		memset(l->memory + l->rows.ring[i], 0,
		       l->rows.entries * sizeof(struct hca_eqe));
		store(p, (enum demux_host)i, 0, HCA_BASE, l->rows.ring[i]);
		store(p, (enum demux_host)i, 1, HCA_ENTRIES, l->rows.entries);
	}
	store(p, DEMUX_TYPE1, 2, HCA_ISC, LEVEL2_ISC_TYPE1);
	store(p, DEMUX_TYPE2, 2, HCA_ISC, LEVEL2_ISC_TYPE2);
	return STEP_NEXT;
}

/* 1104 */
static int set_asb(struct procedure *p)
{
	struct level2 *l = level2_of(p);

	l->memory[l->rows.asb] = 0;
	store(p, DEMUX_TYPE2, 3, HCA_ASB, l->rows.asb);
	store(p, DEMUX_TYPE2, 5, HCA_IMMEDIATE, 1);
	return STEP_NEXT;
}

static void tell(struct level2 *l, enum demux_host type, uint32_t eq)
{
	l->tables.record->host[type] = (struct demux_host_queue){
		.eq = eq,
		.entries = l->rows.entries,
		.ring = l->rows.ring[type],
		.asb = type == DEMUX_TYPE2 ? l->rows.asb : 0,
		.isc = type == DEMUX_TYPE2 ? LEVEL2_ISC_TYPE2
					   : LEVEL2_ISC_TYPE1,
	};
}

static int run(struct procedure *p)
{
	struct host *host = (struct host *)p;

	unsigned i;

	for (i = 0; i < DEMUX_HOST_N; i++)
		tell(host->l, (enum demux_host)i,
		     (uint32_t)host->made[i].result);
	store(p, DEMUX_TYPE1, 4, HCA_STATE, HCA_RUNNING);
	store(p, DEMUX_TYPE2, 4, HCA_STATE, HCA_RUNNING);
	step_level2_verb(p, host->l, HCA_STORE, HCA_EVENT_QUEUE, 0,
			 host->made[DEMUX_TYPE2].result, &host->partition);
	return STEP_NEXT;
}

/* 1012, 1014: only the machine may store PSBs. */
static int attach(struct procedure *p)
{
	struct host *host = (struct host *)p;
	host->call.what = DEMUX_CALL_ATTACH;
	step_write(p, PLATFORM_HOST_QUEUES, &host->call, sizeof(host->call));
	return STEP_NEXT;
}

static int over(struct procedure *p)
{
	struct host *host = (struct host *)p;
	unsigned i, k;

	for (i = 0; i < DEMUX_HOST_N; i++)
		for (k = 0; k < STORES; k++)
			if (host->stored[i][k].status)
				return step_fail(
					p, -EIO, "host queue %u: status %u",
					i + 1,
					(unsigned)host->stored[i][k].status);
	level2_events_start(host->l);
	host->l->rows.record->host_made = 1;
	return STEP_NEXT;
}

static const struct step host_steps[] = {
	{ POINT_LEVEL2_1008, make_type1 },
	{ POINT_LEVEL2_1010, make_type2 },
	{ POINT_LEVEL2_1102, set_iscs },
	{ POINT_LEVEL2_1104, set_asb },
	{ POINT_NONE, run },
	{ POINT_LEVEL2_1012, attach },
	{ POINT_LEVEL2_HOST, over },
	{ 0, NULL },
};

static const struct procedure_desc host_desc = {
	.name = "host queues",
	.steps = host_steps,
};

void step_level2_host(struct procedure *p, struct level2 *l)
{
	struct host *host = procedure_new(l->hv, &host_desc, sizeof(*host));

	host->l = l;
	procedure_call(p, &host->p);
}
