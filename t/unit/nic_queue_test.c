/* nic_queue_test.c - frames between guests through the real iovdev: order,
 * switch, enable bits, and guests that do what they may not. */
#include <config.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "t/unit/nic_world.h"
#include "t/unit/unit.h"

static void test_switch(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	guest_send(&g[1], 2, 1, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	CHECK_INT(guest_receive(&g[3], RIG_QUIET_MS), -1);
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
	CHECK_INT(guest_receive(&g[1], RIG_QUIET_MS), -1);
	guest_send(&g[1], 1, 6, 100); /* to itself */
	CHECK_INT(guest_receive(&g[1], RIG_QUIET_MS), -1);
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
	nic_world_close(&w);
}

static void test_many(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	uint32_t sent = 0, got = 0;

	nic_world_open(&w, NULL);
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
	nic_world_close(&w);
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
	struct nic_world w;
	struct nic_guest *g = w.guest;
	uint32_t sent = 0, got = 0;

	nic_world_open(&w, NULL);
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
	nic_world_close(&w);
}

/* In round `round` one of the four enables of each queue goes off or on. */
static void switch_enables(struct nic_world *w, uint32_t round)
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
	struct nic_world w;
	struct nic_guest *g = w.guest;
	int64_t last = -1;

	nic_world_open(&w, NULL);
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
	nic_world_reaches(&w, 1, 2);
	nic_world_close(&w);
}

static void test_receive_errors(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	nic_world_open(&w, NULL);
	g[2].rx.ring->entry[0].size = 100;
	guest_send(&g[1], 2, 1, 200); /* longer than the buffer */
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS),
		  -1000 - QUEUE_BAD_SIZE);
	nic_world_reaches(&w, 1, 2);
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
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	atomic_store(&g[2].rx.ring->enable, 1);
	nic_world_reaches(&w, 1, 2);
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 18);
	nic_world_close(&w);
}

/* Guest 1 does something bad with its transmit queue: only that stops. */
static void check_stopped(struct nic_world *w, uint32_t block, uint32_t status)
{
	char text[64];

	snprintf(text, sizeof(text), "\"status\":%u", status);
	CHECK(nic_rig_await(&w->rig, "queue.stopped"));
	CHECK(nic_rig_await(&w->rig, text));
	CHECK_INT(reg_read(&w->guest[1].conn, block + NIC_Q_STATUS), status);
	CHECK_INT(reg_read(&w->guest[1].conn, block + NIC_Q_ENABLE), 0);
	nic_world_reaches(w, 2, 3);
	nic_world_reaches(w, 3, 2);
}

static void test_wild_index(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	unsigned i;

	nic_world_open(&w, NULL);
	atomic_store(&g[1].tx.ring->write.index, 4000);
	guest_ring(&g[1], NIC_DOORBELL_TX);
	check_stopped(&w, NIC_TX, QUEUE_BAD_INDEX);
	/* Made good again it goes on. */
	atomic_store(&g[1].tx.ring->write.index, 0);
	reg_write(&g[1].conn, NIC_TX + NIC_Q_ENABLE, 1);
	nic_world_reaches(&w, 1, 2);
	atomic_store(&g[1].rx.ring->read.index, 4000);
	for (i = 0; i < 70; i++) { /* it is looked at when the ring is full */
		guest_send(&g[2], 1, i, 60);
		CHECK(guest_sent(&g[2], RIG_PATIENCE_MS));
	}
	check_stopped(&w, NIC_RX, QUEUE_BAD_INDEX);
	nic_world_close(&w);
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
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct queue_entry *e;
	unsigned i;

	nic_world_open(&w, NULL);
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
		nic_world_reaches(&w, 1, 2);
	}
	g[1].rx.ring->entry[g[1].rx.own & g[1].rx.mask].addr = RIG_MEMORY;
	guest_send(&g[2], 1, 1, 60);
	check_stopped(&w, NIC_RX, QUEUE_BAD_ADDRESS);
	nic_world_close(&w);
}

static void test_bad_ring(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	static const uint32_t entries[] = { 0, 3, 63, 128, 1u << 31 };
	unsigned i;

	nic_world_open(&w, NULL);
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
	nic_world_close(&w);
}

/* A guest's memory shrinks under the device. */
static void test_truncated(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	nic_world_reaches(&w, 1, 2);
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
	nic_world_close(&w);
}

/* NIC_COMPLETION waits for the entries that were taken, and only those. */
static void test_completion(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	struct pollfd p;
	uint64_t count;

	nic_world_open(&w, NULL);
	p = (struct pollfd){ .fd = g[1].irq[NIC_VECTOR_COMPLETION],
			     .events = POLLIN };
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
			    "\"fault\":\"hold\"}");
	guest_send(&g[1], 2, 1, 60);
	guest_send(&g[1], 2, 2, 60);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	conn_bme(&g[1].conn, false);
	guest_put(&g[1], 2, 3, 60); /* not taken any more */
	guest_publish(&g[1]);
	reg_write(&g[1].conn, NIC_COMPLETION,
		  NIC_COMPLETION_ARM | NIC_VECTOR_COMPLETION);
	CHECK_INT(poll(&p, 1, RIG_QUIET_MS), 0);
	nic_world_fault(&w, "{\"function\":\"nic0/vf1\",\"queue\":\"tx\","
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
	nic_world_close(&w);
}

static void test_pf_enable(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 0);
	guest_send(&g[1], 2, 1, 60);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	reg_write(&w.pf, NIC_PF_VF(1) + NIC_PF_VF_TX_ENABLE, 1);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	reg_write(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_RX_ENABLE, 0);
	guest_send(&g[1], 2, 2, 60);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 1);
	conn_flr(&g[2].conn); /* a VF's reset does not touch the PF's enable */
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_RX_ENABLE), 0);
	nic_world_close(&w);
}

static void test_wait(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	CHECK_INT(reg_read(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_WAIT), 1);
	conn_bme(&g[2].conn, false);
	guest_send(&g[1], 2, 1, 60);
	CHECK(!guest_sent(&g[1], RIG_QUIET_MS));
	/* What waits is let go, and nothing else begins to wait. */
	reg_write(&w.pf, NIC_PF_VF(2) + NIC_PF_VF_WAIT, 0);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	guest_send(&g[1], 2, 2, 60);
	CHECK(guest_sent(&g[1], RIG_PATIENCE_MS));
	CHECK_INT(reg_read(&g[2].conn, NIC_RX + NIC_Q_DROPPED), 2);
	conn_bme(&g[2].conn, true);
	guest_send(&g[1], 2, 3, 60);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 3);
	nic_world_close(&w);
}

static void test_unmapped(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;

	nic_world_open(&w, NULL);
	CHECK_INT(conn_dma_unmap(&g[1].conn, 0, RIG_MEMORY), 0);
	guest_put(&g[1], 2, 1, 60);
	guest_publish(&g[1]);
	CHECK_INT(guest_receive(&g[2], RIG_QUIET_MS), -1);
	CHECK_INT(conn_dma_map(&g[1].conn, 0, RIG_MEMORY, g[1].memfd), 0);
	CHECK_INT(guest_receive(&g[2], RIG_PATIENCE_MS), 1);
	nic_world_reaches(&w, 2, 1);
	nic_world_close(&w);
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
	{ "completion", test_completion },
	{ "pf_enable", test_pf_enable },
	{ "wait", test_wait },
	{ "unmapped", test_unmapped },
	{ NULL, NULL },
};

const struct unit_suite nic_queue_suite = { "nic_queue", cases };
