/* nic_queue_test.c - frames between guests through the real iovdev: order,
 * switch, fences, faults, and guests that do what they may not. */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "libcore/loop.h"
#include "libcore/pci_caps.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_rig.h"
#include "t/unit/unit.h"

#define QUIET_MS 30 /* how long nothing must come */
#define GUESTS   3u

/* A device with three guests on VF 1 to 3. */
struct world {
	struct nic_rig rig;
	struct nic_conn pf;
	struct nic_guest guest[GUESTS + 1]; /* by VF */
	char answer[8192];
};

static void world_open(struct world *w, const char *const *options)
{
	unsigned i;

	nic_rig_start(&w->rig, options);
	CHECK(conn_open(&w->pf, &w->rig, 0));
	conn_enable_vfs(&w->pf, GUESTS);
	for (i = 1; i <= GUESTS; i++)
		guest_open(&w->guest[i], &w->rig, i);
}

static void world_close(struct world *w)
{
	unsigned i;

	for (i = 1; i <= GUESTS; i++)
		guest_close(&w->guest[i]);
	conn_close(&w->pf);
	CHECK_INT(nic_rig_stop(&w->rig, SIGTERM), 0);
}

static void fault(struct world *w, const char *params)
{
	CHECK_HAS(nic_rig_rpc(&w->rig, "fault", params, w->answer,
			      sizeof(w->answer)),
		  "\"result\"");
}

/* Guest a still reaches guest b. */
static void check_reaches(struct world *w, unsigned a, unsigned b)
{
	static uint32_t number = 900000;

	guest_send(&w->guest[a], b, ++number, 100);
	CHECK_INT(guest_receive(&w->guest[b], RIG_PATIENCE_MS), number);
}

static void test_switch(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	guest_send(&g[1], 2, 1, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[3], QUIET_MS), -1);
	guest_send(&g[1], 0, 2, 1514); /* broadcast */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), 2);
	guest_send(&g[2], 77, 3, 100); /* unknown: flooded */
	CHECK_INT(guest_receive(&g[1], RIG_PATIENCE_MS), 3);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), 3);
	g[3].vf = 77; /* learn it at port 3 */
	guest_send(&g[3], 1, 4, 100);
	CHECK_INT(guest_receive(&g[1], RIG_PATIENCE_MS), 4);
	guest_send(&g[2], 77, 5, 100);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), 5);
	CHECK_INT(guest_receive(&g[1], QUIET_MS), -1);
	guest_send(&g[1], 1, 6, 100); /* to itself */
	CHECK_INT(guest_receive(&g[1], QUIET_MS), -1);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_HAS(nic_rig_rpc(&w.rig, "show", "{\"table\":\"fdb\"}", w.answer,
			      sizeof(w.answer)),
		  "02:69:6f:00:00:4d");
	CHECK_HAS(nic_rig_rpc(&w.rig, "show", "{\"table\":\"device-queues\"}",
			      w.answer, sizeof(w.answer)),
		  "\"function\":\"nic0/vf4\"");
	CHECK_HAS(nic_rig_rpc(&w.rig, "show", "{\"table\":\"lan\"}", w.answer,
			      sizeof(w.answer)),
		  "\"filtered\":1");
	CHECK_HAS(nic_rig_rpc(&w.rig, "show", "{\"table\":\"device-counters\"}",
			      w.answer, sizeof(w.answer)),
		  "\"rx_dropped\":0");
	world_close(&w);
}

static void test_many(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	uint32_t sent = 0, got = 0;

	world_open(&w, NULL);
	while (got < 3000) {
		while (sent < 3000 && sent - got < 40 &&
		       queue_space(&g[1].tx, 1) > 0)
			guest_send(&g[1], 2, sent, 60 + sent % 1400), sent++;
		if (guest_receive(&g[2], RIG_PATIENCE_MS) != got)
			break;
		got++;
	}
	CHECK_INT(got, 3000);
	CHECK_INT(reg_read(&g[1].conn, NIC_TX + NIC_Q_FRAMES), 3000);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_FRAMES), 3000);
	CHECK_INT(reg_read(&g[1].conn, NIC_TX + NIC_Q_READ_INDEX), 3000);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_RX_WRITE), 3000);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_QSTATE), 7);
	world_close(&w);
}

/* Both rings go on at this index. */
static void go_on_at(struct nic_guest *g, uint32_t index)
{
	struct queue_ring *tx = g->tx.ring, *rx = g->rx.ring;

	reg_write(&g->conn, NIC_TX + NIC_Q_ENABLE, 0);
	reg_write(&g->conn, NIC_RX + NIC_Q_ENABLE, 0);
	atomic_store(&tx->read.index, index);
	atomic_store(&tx->write.index, index);
	atomic_store(&rx->read.index, index);
	atomic_store(&rx->write.index, index);
	CHECK_INT(queue_attach_writer(&g->tx, tx, RIG_ENTRIES), 0);
	CHECK_INT(queue_attach_reader(&g->rx, rx, RIG_ENTRIES), 0);
	reg_write(&g->conn, NIC_TX + NIC_Q_ENABLE, 1);
	reg_write(&g->conn, NIC_RX + NIC_Q_ENABLE, 1);
}

/* Put as many as there is room for, at most `most`, and ring; how many. */
static uint32_t send_burst(struct nic_guest *g, unsigned to, uint32_t number,
			   uint32_t most)
{
	uint32_t n;

	for (n = 0; n < most && queue_space(&g->tx, 1) > 0; n++)
		guest_put(g, to, number + n, 60 + (number + n) % 1400);
	guest_publish(g);
	guest_ring(g, NIC_DOORBELL_TX);
	return n;
}

/* The indexes pass their end in the middle of full bursts. */
static void test_wrap(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	uint32_t sent = 0, got = 0;

	world_open(&w, NULL);
	go_on_at(&g[1], UINT32_MAX - 499);
	go_on_at(&g[2], UINT32_MAX - 299);
	while (got < 1000) {
		sent += send_burst(&g[1], 2, sent, got + 63 - sent);
		while (got < sent &&
		       guest_receive(&g[2], RIG_PATIENCE_MS) == got)
			got++;
		if (got < sent)
			break;
	}
	CHECK_INT(got, sent);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(atomic_load(&g[1].tx.ring->read.index), sent - 500);
	CHECK_INT(atomic_load(&g[2].rx.ring->write.index), sent - 300);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	world_close(&w);
}

/* In round `round` one of the four enables of each queue goes off or on. */
static void switch_enables(struct world *w, uint32_t round)
{
	struct nic_guest *g = w->guest;
	uint32_t on = round >> 2 & 1;

	switch (round & 3) {
	case 0:
		atomic_store(&g[1].tx.ring->enable, on);
		break;
	case 1:
		atomic_store(&g[2].rx.ring->enable, on);
		break;
	case 2:
		reg_write(&w->pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, on);
		break;
	case 3:
		reg_write(&w->pf, NIC_PF_VF(2) + NIC_PF_VF_RX_ENABLE, on);
		break;
	}
}

static uint32_t drain(struct nic_guest *g, int64_t *last, uint32_t *bad)
{
	uint32_t n = 0;
	int64_t number;

	while ((number = guest_receive(g, 0)) != -1) {
		*bad += number <= *last || number > UINT32_MAX;
		*last = number;
		n++;
	}
	return n;
}

/* Enable bits switched under load: what was sent came, once and in order, or
 * was dropped and counted. */
static void test_enables(void)
{
	uint32_t sent = 0, got = 0, bad = 0, round;
	struct world w;
	struct nic_guest *g = w.guest;
	int64_t last = -1;

	world_open(&w, NULL);
	for (round = 0; round < 400; round++) {
		sent += send_burst(&g[1], 2, sent, 63);
		switch_enables(&w, round);
		got += drain(&g[2], &last, &bad);
	}
	for (round = 4; round < 8; round++)
		switch_enables(&w, round);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	got += drain(&g[2], &last, &bad);
	CHECK_INT(bad, 0);
	CHECK(got > 0);
	CHECK_INT(got + reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), sent);
	check_reaches(&w, 1, 2);
	world_close(&w);
}

static void test_receive_errors(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	world_open(&w, NULL);
	g[2].rx.ring->entry[0].size = 100;
	guest_send(&g[1], 2, 1, 200); /* longer than the buffer */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS),
		  -1000 - QUEUE_BAD_SIZE);
	check_reaches(&w, 1, 2);
	for (i = 0; i < 80; i++) { /* the ring has 63 places */
		guest_send(&g[1], 2, i, 60);
		CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	}
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 17);
	for (i = 0; i < 63; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	/* Not enabled: drop until enabled. */
	atomic_store(&g[2].rx.ring->enable, 0);
	guest_send(&g[1], 2, 100, 60);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	atomic_store(&g[2].rx.ring->enable, 1);
	check_reaches(&w, 1, 2);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 18);
	world_close(&w);
}

/* Guest 1 does something bad with its transmit queue: only that stops. */
static void check_stopped(struct world *w, uint32_t block, uint32_t status)
{
	char text[64];

	snprintf(text, sizeof(text), "\"status\":%u", status);
	CHECK(nic_rig_await(&w->rig, "queue.stopped"));
	CHECK(nic_rig_await(&w->rig, text));
	CHECK_INT(reg_read(&w->guest[1].conn, block + NIC_Q_STATUS), status);
	CHECK_INT(reg_read(&w->guest[1].conn, block + NIC_Q_ENABLE), 0);
	check_reaches(w, 2, 3);
	check_reaches(w, 3, 2);
}

static void test_wild_index(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	world_open(&w, NULL);
	atomic_store(&g[1].tx.ring->write.index, 4000);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	check_stopped(&w, NIC_TX, QUEUE_BAD_INDEX);
	/* Made good again it goes on. */
	atomic_store(&g[1].tx.ring->write.index, 0);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
	check_reaches(&w, 1, 2);
	atomic_store(&g[1].rx.ring->read.index, 4000);
	for (i = 0; i < 70; i++) { /* it is looked at when the ring is full */
		guest_send(&g[2], 1, i, 60);
		CHECK(guest_sent(&g[2], RIG_PATIENCE_MS));
	}
	check_stopped(&w, NIC_RX, QUEUE_BAD_INDEX);
	world_close(&w);
}

static void test_bad_entries(void)
{
	static const struct {
		uint64_t addr;
		uint32_t size, status;
	} bad[] = {
		{ RIG_MEMORY - 10, 60, QUEUE_BAD_ADDRESS },
		{ UINT64_MAX - 20, 60, QUEUE_BAD_ADDRESS },
		{ RIG_TX_BUFFERS, 0, QUEUE_BAD_SIZE },
		{ RIG_TX_BUFFERS, 13, QUEUE_BAD_SIZE },
		{ RIG_TX_BUFFERS, NIC_FRAME_MAX + 1, QUEUE_BAD_SIZE },
		{ RIG_TX_BUFFERS, UINT32_MAX, QUEUE_BAD_SIZE },
	};
	struct world w;
	struct nic_guest *g = w.guest;
	struct queue_entry *e;
	unsigned i;

	world_open(&w, NULL);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		e = queue_entry(&g[1].tx, 0);
		guest_put(&g[1], 2, i, 60);
		e->addr = bad[i].addr;
		e->size = bad[i].size;
		guest_publish(&g[1]);
		guest_ring(&g[1], NIC_DOORBELL_TX);
		check_stopped(&w, NIC_TX, bad[i].status);
		CHECK_INT(e->status, bad[i].status);
		reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
		check_reaches(&w, 1, 2);
	}
	g[1].rx.ring->entry[g[1].rx.own & g[1].rx.mask].addr = RIG_MEMORY;
	guest_send(&g[2], 1, 1, 60);
	check_stopped(&w, NIC_RX, QUEUE_BAD_ADDRESS);
	world_close(&w);
}

static void test_bad_ring(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	static const uint32_t entries[] = { 0, 3, 63, 128, 1u << 31 };
	unsigned i;

	world_open(&w, NULL);
	for (i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 0);
		reg_write(&g[1].conn, NIC_TX + NIC_Q_ENTRIES, entries[i]);
		reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
		check_stopped(&w, NIC_TX, QUEUE_BAD_RING);
	}
	reg_write(&g[1].conn, NIC_TX + NIC_Q_ENTRIES, RIG_ENTRIES);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_BASE, RIG_MEMORY - 128);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
	check_stopped(&w, NIC_TX, QUEUE_BAD_RING);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_BASE, 64);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
	check_stopped(&w, NIC_TX, QUEUE_BAD_RING);
	world_close(&w);
}

/* A guest's memory shrinks under the device. */
static void test_truncated(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	check_reaches(&w, 1, 2);
	CHECK_INT(ftruncate(g[1].memfd, RIG_RX_BUFFERS), 0);
	guest_send(&g[2], 1, 1, 60);
	CHECK(nic_rig_await(&w.rig, "\"ev\":\"memory.lost\""));
	check_stopped(&w, NIC_TX, QUEUE_LOST);
	CHECK_INT(ftruncate(g[3].memfd, 0), 0);
	guest_ring(&g[3], NIC_DOORBELL_TX);
	guest_ring(&g[3], NIC_DOORBELL_RX);
	CHECK_INT(reg_read(&g[2].conn, NIC_ID), NIC_ID_VALUE);
	guest_send(&g[2], 0, 1, 60);
	CHECK(guest_sent(&g[2], RIG_PATIENCE_MS));
	world_close(&w);
}

/* With Bus Master Enable clear nothing is taken; afterwards all goes on,
 * without a doorbell, and nothing was lost on either side. */
static void test_fence(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	world_open(&w, NULL);
	conn_bme(&g[1].conn, false);
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	conn_bme(&g[1].conn, true);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	/* The receiver is fenced: the frames stay with their sender. */
	conn_bme(&g[2].conn, false);
	for (i = 0; i < 5; i++)
		guest_send(&g[1], 2, i, 60);
	guest_send(&g[3], 0, 50, 60);
	CHECK_INT(guest_receive(&g[1], QUIET_MS), -1);
	CHECK(!guest_sent(&g[1], 1));
	conn_bme(&g[2].conn, true);
	for (i = 0; i < 6; i++)
		CHECK(guest_receive(&g[2], RIG_PATIENCE_MS) >= 0);
	CHECK_INT(guest_receive(&g[1], RIG_PATIENCE_MS), 50);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	world_close(&w);
}

/* The fenced neighbour holds nobody up for ever. */
static void test_fence_is_bounded(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	conn_bme(&g[2].conn, false);
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 3, 2, 60);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), 2);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 1);
	world_close(&w);
}

/* A PF reset; the queues go on where they stood. */
static void test_reset_goes_on(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	world_open(&w, NULL);
	for (i = 0; i < 10; i++)
		check_reaches(&w, 1, 2);
	for (i = 1; i <= GUESTS; i++)
		conn_bme(&g[i].conn, false);
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]);
	for (i = 1; i <= GUESTS; i++)
		(void)reg_read(&g[i].conn, NIC_ID);
	conn_flr(&w.pf);
	conn_enable_vfs(&w.pf, GUESTS);
	for (i = GUESTS; i; i--)
		guest_set_up(&g[i]);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	check_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	world_close(&w);
}

/* The same by the hypervisor, which knows the registers only: it reads them
 * before and writes them back after. */
static void test_restored(void)
{
	uint32_t queues[GUESTS + 1][0x30], table[GUESTS + 1][0x10];
	struct world w;
	struct nic_guest *g = w.guest;
	struct nic_conn *conn;
	unsigned i, flags;

	world_open(&w, NULL);
	for (i = 0; i < 10; i++)
		check_reaches(&w, 1, 2);
	CHECK(queue_reader_sleep(&g[2].rx));
	flags = conn_cap(&g[1].conn, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	for (i = 1; i <= GUESTS; i++) {
		conn = &g[i].conn;
		conn_bme(conn, false);
		regs_read(conn, NIC_TX, queues[i], sizeof(queues[i]));
		regs_read(conn, NIC_MSIX_TABLE, table[i], sizeof(table[i]));
	}
	for (i = 0; i < 5; i++)
		guest_put(&g[1], 2, i, 60);
	guest_publish(&g[1]); /* and no doorbell */
	conn_flr(&w.pf);
	conn_enable_vfs(&w.pf, GUESTS);
	for (i = 1; i <= GUESTS; i++) {
		conn = &g[i].conn;
		regs_write(conn, NIC_TX, queues[i], sizeof(queues[i]));
		regs_write(conn, NIC_MSIX_TABLE, table[i], sizeof(table[i]));
		CHECK_INT(conn_write(conn, VFU_REGION_CONFIG, flags,
				     PCI_MSIX_FLAGS_ENABLE, 2),
			  0);
	}
	for (i = 1; i <= GUESTS; i++)
		conn_bme(&g[i].conn, true);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	check_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	world_close(&w);
}

/* The same by the PF's window: one read before, one write after, and an
 * interrupt that was pending comes. */
static void test_window(void)
{
	uint8_t state[GUESTS][NIC_PF_STATE_SIZE], again[GUESTS][sizeof(*state)];
	struct world w;
	struct nic_guest *g = w.guest;
	struct pollfd p;
	unsigned i;

	world_open(&w, NULL);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_MAC_LOW, 0x44332202);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_MAC_HIGH, 0x6655);
	reg_write(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_RX_ENABLE, 0);
	check_reaches(&w, 1, 2);
	for (i = 1; i <= GUESTS; i++)
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
	conn_enable_vfs(&w.pf, GUESTS);
	regs_write(&w.pf, NIC_PF_STATE(1), state, sizeof(state));
	regs_read(&w.pf, NIC_PF_STATE(1), again, sizeof(again));
	CHECK(!memcmp(state, again, sizeof(state)));
	for (i = 0; i < GUESTS; i++)
		state[i][NIC_STATE_COMMAND] = PCI_COMMAND_MASTER;
	p = (struct pollfd){ .fd = g[1].irq[NIC_VECTOR_EVENT],
			     .events = POLLIN };
	CHECK_INT(poll(&p, 1, 0), 0);
	regs_write(&w.pf, NIC_PF_STATE(1), state, sizeof(state));
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	for (i = 0; i < 5; i++)
		CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), i);
	check_reaches(&w, 2, 1);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 0);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(3) + NIC_PF_VF_RX_ENABLE), 0);
	CHECK_INT(reg_read(&g[3].conn, NIC_MAC_LOW), 0x44332202);
	world_close(&w);
}

/* A guest that sleeps, and whose wake-up the reset threw away, is woken. */
static void test_wake_after_reset(void)
{
	struct world w;
	struct nic_guest *g = &w.guest[1];
	struct pollfd p;

	world_open(&w, NULL);
	p = (struct pollfd){ .fd = g->irq[NIC_VECTOR_RX], .events = POLLIN };
	CHECK(queue_reader_sleep(&g->rx));
	conn_bme(&g->conn, false);
	conn_flr(&g->conn);
	CHECK_INT(poll(&p, 1, 0), 0);
	guest_set_up(g);
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	world_close(&w);
}

/* NIC_COMPLETION waits for the entries that were taken, and only those. */
static void test_completion(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	struct pollfd p;
	uint64_t count;

	world_open(&w, NULL);
	p = (struct pollfd){ .fd = g[1].irq[NIC_VECTOR_COMPLETION],
			     .events = POLLIN };
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	conn_bme(&g[1].conn, false);
	guest_put(&g[1], 2, 3, 60); /* not taken any more */
	guest_publish(&g[1]);
	reg_write(&g[1].conn, NIC_COMPLETION,
		  NIC_COMPLETION_ARM | NIC_VECTOR_COMPLETION);
	CHECK_INT(poll(&p, 1, QUIET_MS), 0);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"none\"}");
	CHECK_HAS(nic_rig_rpc(&w.rig, "release",
			      "{\"function\":\"nic0/vf1\",\"queue\":\"tx\"}",
			      w.answer, sizeof(w.answer)),
		  "\"released\":2");
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	CHECK_INT(read(p.fd, &count, sizeof(count)), sizeof(count));
	CHECK_INT(count, 1);
	CHECK(guest_receive(&g[2], 0) == 1); /* published before */
	CHECK(guest_receive(&g[2], 0) == 2);
	CHECK_INT(reg_read(&g[1].conn, NIC_COMPLETION), 0);
	conn_bme(&g[1].conn, true);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	CHECK_INT(poll(&p, 1, 0), 0);
	world_close(&w);
}

static void test_pf_enable(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 0);
	guest_send(&g[1], 2, 1, 60);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 1);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	reg_write(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_RX_ENABLE, 0);
	guest_send(&g[1], 2, 2, 60);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 1);
	conn_flr(&g[2].conn); /* a VF's reset does not touch the PF's enable */
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_RX_ENABLE), 0);
	world_close(&w);
}

static void test_wait(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_WAIT), 1);
	conn_bme(&g[2].conn, false);
	guest_send(&g[1], 2, 1, 60);
	CHECK(!guest_sent(&g[1], QUIET_MS));
	/* What waits is let go, and nothing else begins to wait. */
	reg_write(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_WAIT, 0);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	guest_send(&g[1], 2, 2, 60);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 2);
	conn_bme(&g[2].conn, true);
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	world_close(&w);
}

static void test_unmapped(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	CHECK_INT(conn_dma_unmap(&g[1].conn, 0, RIG_MEMORY), 0);
	guest_put(&g[1], 2, 1, 60);
	guest_publish(&g[1]);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	CHECK_INT(conn_dma_map(&g[1].conn, 0, RIG_MEMORY, g[1].memfd), 0);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	check_reaches(&w, 2, 1);
	world_close(&w);
}

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
	struct world w;
	struct nic_guest *g = w.guest;
	struct queue_entry *e;
	int64_t got;

	world_open(&w, NULL);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"loss 100% count 1 seed 7\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"loss\",\"seed\":7"));
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"duplicate 100% count 1\"}");
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"fail 1\"}");
	e = queue_entry(&g[1].tx, 0);
	guest_send(&g[1], 2, 4, 60);
	guest_send(&g[1], 2, 5, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 5);
	CHECK_INT(e->status, QUEUE_FAULT);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"reorder 100% count 1\"}");
	guest_put(&g[1], 2, 6, 60);
	guest_put(&g[1], 2, 7, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 7);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 6);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"corrupt 100% count 1 seed 3\"}");
	guest_send(&g[1], 0, 8, 1000);
	got = guest_receive(&g[2], RIG_PATIENCE_MS);
	CHECK(got != 8 && got >= 0);
	CHECK_INT(guest_receive(&g[3], RIG_PATIENCE_MS), got);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"delay 300ms\"}");
	check_delayed(g, 9, 300);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"none\"}");
	check_reaches(&w, 1, 2);
	world_close(&w);
}

static void test_receive_faults(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"loss 100% count 1\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"duplicate 100% count 1\"}");
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"fail 1\"}");
	guest_send(&g[1], 2, 4, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), -1000 - QUEUE_FAULT);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"reorder 100% count 1\"}");
	guest_put(&g[1], 2, 5, 60);
	guest_put(&g[1], 2, 6, 60);
	guest_publish(&g[1]);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 6);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 5);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"reorder 100% count 1\"}");
	guest_send(&g[1], 2, 7, 60); /* nobody overtakes it */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 7);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"delay 300ms\"}");
	check_delayed(g, 8, 300);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 9, 60);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	CHECK_HAS(nic_rig_rpc(&w.rig, "release",
			      "{\"function\":\"nic0/vf2\",\"queue\":\"rx\"}",
			      w.answer, sizeof(w.answer)),
		  "\"released\":1");
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 9);
	world_close(&w);
}

/* Held entries: the barrier waits for them, and so does the PF that switches
 * the queue off. */
static void test_hold(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	struct nic_reply reply;
	uint16_t id;

	world_open(&w, NULL);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_HELD), 2);
	conn_bme(&g[1].conn, false);
	guest_put(&g[1], 2, 3, 60); /* not taken any more */
	guest_publish(&g[1]);
	id = conn_send_read(&g[1].conn, VFU_REGION_CONFIG, 0, 4);
	CHECK(!conn_reply(&g[1].conn, QUIET_MS, &reply));
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"none\"}");
	CHECK(!conn_reply(&g[1].conn, QUIET_MS, &reply));
	CHECK_HAS(nic_rig_rpc(&w.rig, "release",
			      "{\"function\":\"nic0/vf1\",\"queue\":\"tx\"}",
			      w.answer, sizeof(w.answer)),
		  "\"released\":2");
	CHECK(conn_reply(&g[1].conn, RIG_PATIENCE_MS, &reply));
	CHECK_INT(reply.id, id);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	conn_bme(&g[1].conn, true);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	world_close(&w);
}

static void test_hold_and_reset(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	struct nic_reply reply;
	uint8_t payload[sizeof(struct vfu_region_access) + 4] = { 0 };
	struct vfu_region_access access = { NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE,
					    VFU_REGION_BAR0, 4 };

	world_open(&w, NULL);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"hold\",\"seed\""));
	memcpy(payload, &access, sizeof(access));
	(void)conn_send(&w.pf, VFU_REGION_WRITE, payload, sizeof(payload), NULL,
			0);
	CHECK(!conn_reply(&w.pf, QUIET_MS, &reply));
	conn_flr(&g[1].conn); /* what was held is forgotten */
	CHECK(conn_reply(&w.pf, RIG_PATIENCE_MS, &reply));
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_HELD), 0);
	fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
		  "\"fault\":\"none\"}");
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 1);
	guest_set_up(&g[1]); /* never sent, so sent now, once */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[2], QUIET_MS), -1);
	world_close(&w);
}

/* A receive entry that is forgotten in a reset is as it was. */
static void test_receive_hold_and_reset(void)
{
	struct world w;
	struct nic_guest *g = w.guest;

	world_open(&w, NULL);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	CHECK(nic_rig_await(&w.rig, "\"fault\":\"hold\",\"seed\""));
	CHECK_INT(g[2].rx.ring->entry[0].size, RIG_BUFFER);
	conn_flr(&g[2].conn);
	fault(&w, "{\"function\":\"nic0/vf2\",\"queue\":\"rx\","
		  "\"fault\":\"none\"}");
	guest_set_up(&g[2]);
	guest_send(&g[1], 2, 2, 1500);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 2);
	world_close(&w);
}

static void test_capture(void)
{
	struct world w;
	struct nic_guest *g = w.guest;
	uint8_t text[4096];
	int fds[2], asked;
	ssize_t n, got;

	world_open(&w, NULL);
	CHECK_INT(pipe(fds), 0);
	asked = nic_rig_ask(&w.rig, "capture",
			    "{\"function\":\"nic0/vf1\",\"count\":2}", fds[1]);
	close(fds[1]);
	CHECK(nic_rig_await(&w.rig, "\"ev\":\"capture.start\""));
	guest_send(&g[1], 2, 1, 100);
	guest_send(&g[2], 1, 2, 60);
	guest_send(&g[2], 1, 3, 60);
	CHECK_HAS(nic_rig_answer(asked, w.answer, sizeof(w.answer)),
		  "\"frames\":2");
	for (n = 0; (got = read(fds[0], text + n, sizeof(text) - n)) > 0;)
		n += got;
	CHECK_INT(n, 24 + 16 + 100 + 16 + 60);
	close(fds[0]);
	/* The reader goes away: the capture ends by itself. */
	CHECK_INT(pipe(fds), 0);
	asked = nic_rig_ask(&w.rig, "capture", "{\"function\":\"nic0/vf1\"}",
			    fds[1]);
	close(fds[1]);
	close(fds[0]);
	CHECK_HAS(nic_rig_answer(asked, w.answer, sizeof(w.answer)),
		  "reader gone");
	CHECK_HAS(nic_rig_rpc(&w.rig, "capture", "{\"function\":\"nic0/vf1\"}",
			      w.answer, sizeof(w.answer)),
		  "\"error\"");
	world_close(&w);
}

static void test_lan_pcap(void)
{
	char path[] = "/tmp/iovkit-unit-lan-XXXXXX", option[64];
	struct world w;
	struct stat st;
	int fd = mkstemp(path);

	snprintf(option, sizeof(option), "pcap:%s", path);
	world_open(&w, (const char *[]){ "--lan", option, NULL });
	guest_send(&w.guest[1], 0, 1, 100);
	guest_send(&w.guest[1], 2, 2, 100); /* stays inside */
	guest_send(&w.guest[1], 99, 3, 200);
	CHECK(guest_sent(&w.guest[1], RIG_PATIENCE_MS));
	world_close(&w);
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(st.st_size, 24 + 16 + 100 + 16 + 200);
	close(fd);
	unlink(path);
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(0x88b5) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));

	ll.sll_ifindex = (int)if_nametoindex(name);
	CHECK(ll.sll_ifindex > 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static void test_lan_tap(void)
{
	char name[IFNAMSIZ], option[64];
	uint8_t frame[200] = { 0x02, 0x69, 0x6f, 0, 0, 3, 2, 2, 2, 2, 2, 2 };
	struct world w;
	struct pollfd p = { .events = POLLIN };
	uint32_t number = 55;
	unsigned i;
	int64_t got;

	if (geteuid() || access("/dev/net/tun", R_OK | W_OK)) {
		printf("# no TAP here\n");
		return;
	}
	snprintf(name, sizeof(name), "iovu%d", (int)getpid() % 100000);
	snprintf(option, sizeof(option), "tap:%s", name);
	world_open(&w, (const char *[]){ "--lan", option, NULL });
	p.fd = packet_socket(name);
	guest_send(&w.guest[1], 0, 1, 100);
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	CHECK_INT(recv(p.fd, frame + 100, 100, MSG_DONTWAIT), 100);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 14, &number, sizeof(number));
	for (i = 18; i < 64; i++)
		frame[i] = (uint8_t)(number * 31 + i);
	CHECK_INT(send(p.fd, frame, 64, 0), 64);
	do { /* the host speaks there too (IPv6) */
		got = guest_receive(&w.guest[3], RIG_PATIENCE_MS);
	} while (got != 55 && got != -1);
	CHECK_INT(got, 55);
	close(p.fd);
	world_close(&w);
	CHECK_INT(if_nametoindex(name), 0);
}

static const struct unit_case cases[] = {
	{ "switch", test_switch },
	{ "many", test_many },
	{ "wrap", test_wrap },
	{ "enables", test_enables },
	{ "receive_errors", test_receive_errors },
	{ "wild_index", test_wild_index },
	{ "bad_entries", test_bad_entries },
	{ "bad_ring", test_bad_ring },
	{ "truncated", test_truncated },
	{ "fence", test_fence },
	{ "fence_is_bounded", test_fence_is_bounded },
	{ "reset_goes_on", test_reset_goes_on },
	{ "restored", test_restored },
	{ "window", test_window },
	{ "wake_after_reset", test_wake_after_reset },
	{ "completion", test_completion },
	{ "pf_enable", test_pf_enable },
	{ "wait", test_wait },
	{ "unmapped", test_unmapped },
	{ "fault_kinds", test_fault_kinds },
	{ "receive_faults", test_receive_faults },
	{ "hold", test_hold },
	{ "hold_and_reset", test_hold_and_reset },
	{ "receive_hold_and_reset", test_receive_hold_and_reset },
	{ "capture", test_capture },
	{ "lan_pcap", test_lan_pcap },
	{ "lan_tap", test_lan_tap },
	{ NULL, NULL },
};

const struct unit_suite nic_queue_suite = { "nic_queue", cases };
