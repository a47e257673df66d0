/* nic_world.c - a real iovdev with three guests. */
#include <config.h>

#include "t/unit/nic_world.h"

#include <signal.h>

#include "t/unit/unit.h"

void nic_world_open(struct nic_world *w, const char *const *options)
{
	unsigned i;

	nic_rig_start(&w->rig, options);
	CHECK(conn_open(&w->pf, &w->rig, 0));
	conn_enable_vfs(&w->pf, NIC_WORLD_GUESTS);
	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		guest_open(&w->guest[i], &w->rig, i);
}

void nic_world_close(struct nic_world *w)
{
	unsigned i;

	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		guest_close(&w->guest[i]);
	conn_close(&w->pf);
	CHECK_INT(nic_rig_stop(&w->rig, SIGTERM), 0);
}

void nic_world_fault(struct nic_world *w, const char *params)
{
	CHECK_HAS(nic_rig_rpc(&w->rig, "fault", params, w->answer,
			      sizeof(w->answer)),
		  "\"result\"");
}

void nic_world_reaches(struct nic_world *w, unsigned a, unsigned b)
{
	static uint32_t number = 900000;

	guest_send(&w->guest[a], b, ++number, 100);
	CHECK_INT(guest_receive(&w->guest[b], RIG_PATIENCE_MS), number);
}
