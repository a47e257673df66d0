/* nic_fault_test.c - queue entries that the real iovdev delays, loses, holds. */
#include <config.h>

#include <string.h>

#include "libcore/loop.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_world.h"
#include "t/unit/unit.h"

/* A frame from VF 1 to VF 2 comes about `ms` later or after that: looking
 * whether it is still away would need a computer that is quick, and the device
 * reckons from the turn of its loop in which it found the frame. */
static void check_delayed(struct nic_guest *g, unsigned number, unsigned ms)
{
	uint64_t sent_ns = clock_now_ns();

	guest_send(&g[1], 2, number, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), number);
	CHECK(clock_now_ns() - sent_ns >= ms * NS_PER_MS / 2);
}

static void test_fault_kinds(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct queue_entry *e;
	int64_t got;

	nic_world_open(&w, NULL);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"loss 100% count 1 seed 7\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"loss\",\"seed\":7"));
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"duplicate 100% count 1\"}");
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"fail 1\"}");
	e = queue_entry(&g[1].tx, 0);
	guest_send(&g[1], 2, 4, 60);
	guest_send(&g[1], 2, 5, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 5);
	CHECK_INT(e->status, QUEUE_FAULT);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"reorder 100% count 1\"}");
	guest_put(&g[1], 2, 6, 60);
	guest_put(&g[1], 2, 7, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 7);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 6);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"corrupt 100% count 1 seed 3\"}");
	guest_send(&g[1], 0, 8, 1000);
	got = guest_receive(&g[2], RIG_PATIENCE_MS);
	CHECK(got != 8 && got >= 0);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), got);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"delay 300ms\"}");
	check_delayed(g, 9, 300);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"none\"}");
	nic_world_reaches(&w, 1, 2);
	nic_world_close(&w);
}

static void test_receive_faults(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"loss 100% count 1\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"duplicate 100% count 1\"}");
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"fail 1\"}");
	guest_send(&g[1], 2, 4, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), -1000 - QUEUE_FAULT);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"reorder 100% count 1\"}");
	guest_put(&g[1], 2, 5, 60);
	guest_put(&g[1], 2, 6, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 6);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 5);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"reorder 100% count 1\"}");
	guest_send(&g[1], 2, 7, 60); /* nobody overtakes it */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 7);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"delay 300ms\"}");
	check_delayed(g, 8, 300);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 9, 60);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	CHECK_HAS(nic_rig_rpc(&w.rig, "release",
			      "{\"function\":\"nic0/vf2\",\"queue\":\"rx\"}",
			      w.answer, sizeof(w.answer)),
		  "\"released\":1");
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 9);
	nic_world_close(&w);
}

/* Held entries: the barrier waits for them, and so does the PF that switches
 * the queue off. */
static void test_hold(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct nic_reply reply;
	uint16_t id;

	nic_world_open(&w, NULL);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_HELD), 2);
	conn_bme(&g[1].conn, false);
	guest_put(&g[1], 2, 3, 60); /* not taken any more */
	guest_publish(&g[1]);
	id = conn_send_read(&g[1].conn, VFU_REGION_CONFIG, 0, 4);
	CHECK(!conn_reply(&g[1].conn, RIG_QUIET_MS, &reply));
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"none\"}");
	CHECK(!conn_reply(&g[1].conn, RIG_QUIET_MS, &reply));
	CHECK_HAS(nic_rig_rpc(&w.rig, "release",
			      "{\"function\":\"nic0/vf1\",\"queue\":\"tx\"}",
			      w.answer, sizeof(w.answer)),
		  "\"released\":2");
	CHECK(conn_reply(&g[1].conn, RIG_PATIENCE_MS, &reply));
	CHECK_INT(reply.id, id);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	conn_bme(&g[1].conn, true);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	nic_world_close(&w);
}

static void test_hold_and_reset(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct nic_reply reply;
	uint8_t payload[sizeof(struct vfu_region_access) + 4] = { 0 };
	struct vfu_region_access access = { NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE,
					    VFU_REGION_BAR0, 4 };

	nic_world_open(&w, NULL);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"hold\",\"seed\""));
	memcpy(payload, &access, sizeof(access));
	(void)conn_send(&w.pf, VFU_REGION_WRITE, payload, sizeof(payload), NULL,
			0);
	CHECK(!conn_reply(&w.pf, RIG_QUIET_MS, &reply));
	conn_flr(&g[1].conn); /* what was held is forgotten */
	CHECK(conn_reply(&w.pf, RIG_PATIENCE_MS, &reply));
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_HELD), 0);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"none\"}");
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 1);
	guest_set_up(&g[1]); /* never sent, so sent now, once */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	nic_world_close(&w);
}

/* A receive entry that is forgotten in a reset is as it was. */
static void test_receive_hold_and_reset(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"hold\",\"seed\""));
	CHECK_INT(g[2].rx.ring->entry[0].size, RIG_BUFFER);
	conn_flr(&g[2].conn);
	nic_world_fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
			    "\"fault\":\"none\"}");
	guest_set_up(&g[2]);
	guest_send(&g[1], 2, 2, 1500);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	nic_world_close(&w);
}

static const struct unit_case cases[] = {
	{ "fault_kinds", test_fault_kinds },
	{ "receive_faults", test_receive_faults },
	{ "hold", test_hold },
	{ "hold_and_reset", test_hold_and_reset },
	{ "receive_hold_and_reset", test_receive_hold_and_reset },
	{ NULL, NULL },
};

const struct unit_suite nic_fault_suite = { "nic_fault", cases };
