/* nic_reset_test.c - queues of the real iovdev across fences and resets. */
#include <config.h>

#include <poll.h>
#include <string.h>

#include "libcore/pci_caps.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_world.h"
#include "t/unit/unit.h"

/* With Bus Master Enable clear nothing is taken; afterwards all goes on,
 * without a doorbell, and nothing was lost on either side. */
static void test_fence(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	nic_world_open(&w, NULL);
	conn_bme(&g[1].conn, false);
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	conn_bme(&g[1].conn, true);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	/* The receiver is fenced: the frames stay with their sender. */
	conn_bme(&g[2].conn, false);
	for (i = 0; i < 5; i++)
		guest_send(&g[1], 2, i, 60);
	guest_send(&g[3], 0, 50, 60);
	CHECK_INT(guest_receive(&g[1], RIG_QUIET_MS), -1);
	CHECK(!guest_sent(&g[1], 1));
	conn_bme(&g[2].conn, true);
	for (i = 0; i < 6; i++)
		CHECK(guest_receive(&g[2], RIG_PATIENCE_MS) >= 0);
	CHECK_INT(guest_receive(&g[1], RIG_PATIENCE_MS), 50);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	nic_world_close(&w);
}

/* The fenced neighbour holds nobody up for ever. */
static void test_fence_is_bounded(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	conn_bme(&g[2].conn, false);
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 3, 2, 60);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), 2);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 1);
	nic_world_close(&w);
}

/* A PF reset; the queues go on where they stood. */
static void test_reset_goes_on(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	nic_world_open(&w, NULL);
	for (i = 0; i < 10; i++)
		nic_world_reaches(&w, 1, 2);
	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		conn_bme(&g[i].conn, false);
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]);
	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		(void)reg_read(&g[i].conn, NIC_ID);
	conn_flr(&w.pf);
	conn_enable_vfs(&w.pf, NIC_WORLD_GUESTS);
	for (i = NIC_WORLD_GUESTS; i; i--)
		guest_set_up(&g[i]);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	nic_world_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	nic_world_close(&w);
}

/* The same by the hypervisor, which knows the registers only: it reads them
 * before and writes them back after. */
static void test_restored(void)
{
	uint32_t queues[NIC_WORLD_GUESTS + 1][0x30],
		table[NIC_WORLD_GUESTS + 1][0x10];
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct nic_conn *conn;
	unsigned i, flags;

	nic_world_open(&w, NULL);
	for (i = 0; i < 10; i++)
		nic_world_reaches(&w, 1, 2);
	CHECK(queue_reader_sleep(&g[2].rx));
	flags = conn_cap(&g[1].conn, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	for (i = 1; i <= NIC_WORLD_GUESTS; i++) {
		conn = &g[i].conn;
		conn_bme(conn, false);
		regs_read(conn, NIC_TX, queues[i], sizeof(queues[i]));
		regs_read(conn, NIC_MSIX_TABLE, table[i], sizeof(table[i]));
	}
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]); /* and no doorbell */
	conn_flr(&w.pf);
	conn_enable_vfs(&w.pf, NIC_WORLD_GUESTS);
	for (i = 1; i <= NIC_WORLD_GUESTS; i++) {
		conn = &g[i].conn;
		regs_write(conn, NIC_TX, queues[i], sizeof(queues[i]));
		regs_write(conn, NIC_MSIX_TABLE, table[i], sizeof(table[i]));
		CHECK_INT(conn_write(conn, VFU_REGION_CONFIG, flags,
				     PCI_MSIX_FLAGS_ENABLE, 2),
			  0);
	}
	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		conn_bme(&g[i].conn, true);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	nic_world_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	nic_world_close(&w);
}

/* The same by the PF's window: one read before, one write after, and an
 * interrupt that was pending comes. */
static void test_window(void)
{
	uint8_t state[NIC_WORLD_GUESTS][NIC_PF_STATE_SIZE],
		again[NIC_WORLD_GUESTS][sizeof(*state)];
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct pollfd p;
	unsigned i;

	nic_world_open(&w, NULL);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_MAC_LOW, 0x44332202);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_MAC_HIGH, 0x6655);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_RX_ENABLE, 0);
	nic_world_reaches(&w, 1, 2);
	for (i = 1; i <= NIC_WORLD_GUESTS; i++)
		conn_bme(&g[i].conn, false);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_MAC_HIGH,
		  0x1); /* interrupt */
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_MAC_LOW, 0x006f6902);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_MAC_HIGH, 0x0100);
	regs_read(&w.pf, NIC_PF_STATE(1), state, sizeof(state));
	CHECK_INT(state[0][NIC_STATE_PENDING], 1 << NIC_VECTOR_EVENT);
	CHECK_INT(state[0][NIC_STATE_COMMAND], 0);
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]);
	conn_flr(&w.pf);
	reg_write(&w.pf, NIC_PF_STATE(1), 1); /* no VF */
	conn_enable_vfs(&w.pf, NIC_WORLD_GUESTS);
	regs_write(&w.pf, NIC_PF_STATE(1), state, sizeof(state));
	regs_read(&w.pf, NIC_PF_STATE(1), again, sizeof(again));
	CHECK(!memcmp(state, again, sizeof(state)));
	for (i = 0; i < NIC_WORLD_GUESTS; i++)
		state[i][NIC_STATE_COMMAND] = PCI_COMMAND_MASTER;
	p = (struct pollfd){ .fd = g[1].irq[NIC_VECTOR_EVENT],
			     .events = POLLIN };
	CHECK_INT(poll(&p, 1, 0), 0);
	regs_write(&w.pf, NIC_PF_STATE(1), state, sizeof(state));
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	nic_world_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_RX_ENABLE), 0);
	CHECK_INT(reg_read(&g[3].conn, NIC_MAC_LOW), 0x44332202);
	nic_world_close(&w);
}

/* A guest that sleeps, and whose wake-up the reset threw away, is woken. */
static void test_wake_after_reset(void)
{
	struct nic_world w;
	struct nic_guest *g = &w.guest[1];
	struct pollfd p;

	nic_world_open(&w, NULL);
	p = (struct pollfd){ .fd = g->irq[NIC_VECTOR_RX], .events = POLLIN };
	CHECK(queue_reader_sleep(&g->rx));
	conn_bme(&g->conn, false);
	conn_flr(&g->conn);
	CHECK_INT(poll(&p, 1, 0), 0);
	guest_set_up(g);
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	nic_world_close(&w);
}

static const struct unit_case cases[] = {
	{ "fence", test_fence },
	{ "fence_is_bounded", test_fence_is_bounded },
	{ "reset_goes_on", test_reset_goes_on },
	{ "restored", test_restored },
	{ "window", test_window },
	{ "wake_after_reset", test_wake_after_reset },
	{ NULL, NULL },
};

const struct unit_suite nic_reset_suite = { "nic_reset", cases };
