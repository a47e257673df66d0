/* guest_vf_test.c - the VF driver against a device that the test plays. */
#include <config.h>

#include <linux/pci_regs.h>
#include <string.h>

#include "cmd/guestd/vf_receive.h"
#include "libcore/pci_caps.h"
#include "t/unit/guest_rig.h"
#include "t/unit/unit.h"

#define SIZE 100u

/* How much happens in a given time depends on what else the computer does. */
#define CHECK_SOON(rig, condition)                       \
	do {                                             \
		unsigned left = RIG_PATIENCE;            \
		bool holds;                              \
                                                         \
		while (!(holds = (condition)) && left--) \
			guest_rig_run(rig, NS_PER_MS);   \
		CHECK(holds);                            \
	} while (0)

static const uint8_t vf_mac[MAC_SIZE] = { 2, 0x69, 0x6f, 1, 0, 2 };
static const uint8_t peer_mac[MAC_SIZE] = { 2, 0x69, 0x6f, 1, 0, 1 };

/* The device puts a test frame with this status into the receive ring. */
static void give_frame(struct guest_rig *rig, struct queue *rx, uint64_t seq,
		       uint32_t size, uint32_t status)
{
	const struct frames_info info = { .stream = 1,
					  .sequence = seq,
					  .time_ns = 1 };
	struct queue_entry *entry = queue_entry(rx, 0);

	CHECK(queue_space(rx, 1) > 0);
	frames_build(guest_rig_at(rig, entry->addr, SIZE), SIZE, vf_mac,
		     peer_mac, &info);
	entry->size = size;
	entry->status = status;
	queue_advance(rx, 1);
	queue_publish_write(rx);
}

static uint64_t received(struct guest_rig *rig)
{
	return checker_totals(&rig->guest.checker).received;
}

/* The device takes all there is, as good frames; how many. */
static unsigned take_frames(struct guest_rig *rig, struct queue *tx,
			    struct checker *ck)
{
	int i, n = queue_available(tx, RIG_RING);
	struct queue_entry *entry;

	for (i = 0; i < n; i++) {
		entry = queue_entry(tx, 0);
		checker_frame(ck, guest_rig_at(rig, entry->addr, entry->size),
			      entry->size, 1);
		entry->status = QUEUE_OK;
		queue_advance(tx, 1);
	}
	if (queue_publish_read(tx))
		guest_rig_interrupt(rig, platform_irq(RIG_SLOT, NIC_VECTOR_TX));
	return n > 0 ? (unsigned)n : 0;
}

/* The device takes whatever there is. */
static void take_all(struct guest_rig *rig)
{
	struct queue_ring *ring = guest_rig_tx(rig).ring;

	ring->read.index = ring->write.index;
	guest_rig_interrupt(rig, platform_irq(RIG_SLOT, NIC_VECTOR_TX));
}

static enum vf_state state(struct guest_rig *rig)
{
	return guest_rig_vf(rig)->state;
}

static bool is_up(struct guest_rig *rig)
{
	return state(rig) == VF_UP && !guest_rig_vf(rig)->busy;
}

static bool is_away(struct guest_rig *rig)
{
	return state(rig) == VF_AWAY;
}

static bool is_failed(struct guest_rig *rig)
{
	return state(rig) == VF_FAILED;
}

static bool is_enabled(struct guest_rig *rig)
{
	return guest_rig_reg(rig, NIC_TX + NIC_Q_ENABLE) == 1 &&
	       guest_rig_reg(rig, NIC_RX + NIC_Q_ENABLE) == 1 && is_up(rig);
}

static void check_programmed(const struct guest_rig *rig)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	unsigned i;

	CHECK_INT(pci_get16(rig->config, PCI_COMMAND) & command, command);
	CHECK_INT(pci_get16(rig->config, 0x40 + PCI_MSIX_FLAGS) &
			  (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL),
		  PCI_MSIX_FLAGS_ENABLE);
	CHECK_INT(guest_rig_reg(rig, NIC_TX + NIC_Q_ENABLE), 1);
	CHECK_INT(guest_rig_reg(rig, NIC_RX + NIC_Q_ENABLE), 1);
	CHECK_INT(guest_rig_reg(rig, NIC_TX + NIC_Q_ENTRIES), RIG_RING);
	CHECK_INT(guest_rig_reg(rig, NIC_RX + NIC_Q_ENTRIES), RIG_RING);
	CHECK_INT(guest_rig_reg(rig, NIC_TX + NIC_Q_VECTOR), NIC_VECTOR_TX);
	CHECK_INT(guest_rig_reg(rig, NIC_RX + NIC_Q_VECTOR), NIC_VECTOR_RX);
	for (i = 0; i < 3; i++) {
		CHECK_INT(guest_rig_reg(rig, NIC_MSIX_TABLE + 16 * i + 8),
			  platform_irq(RIG_SLOT, i));
		CHECK_INT(guest_rig_reg(rig, NIC_MSIX_TABLE + 16 * i + 12), 0);
	}
}

static void test_bring_up(void)
{
	struct guest_rig rig;
	struct vf *vf;

	guest_rig_start(&rig, NULL);
	vf = guest_rig_vf(&rig);
	check_programmed(&rig);
	CHECK_INT(state(&rig), VF_UP);
	CHECK(vf->link_up);
	CHECK_STR(vf->name, "nic1/vf2");
	CHECK(!memcmp(vf->mac, vf_mac, MAC_SIZE));
	CHECK(queue_enabled(&vf->tx) && queue_enabled(&vf->rx));
	guest_rig_stop(&rig);
}

static void test_receive(void)
{
	struct guest_rig rig;
	struct queue rx;
	unsigned i;

	guest_rig_start(&rig, NULL);
	rx = guest_rig_rx(&rig);
	for (i = 0; i < 5 * RIG_RING; i++) {
		give_frame(&rig, &rx, i, SIZE, QUEUE_OK);
		guest_rig_interrupt(&rig,
				    platform_irq(RIG_SLOT, NIC_VECTOR_RX));
		if (i % 4 == 3)
			CHECK_SOON(&rig, received(&rig) == i + 1);
	}
	CHECK_SOON(&rig, received(&rig) == 5 * RIG_RING);
	CHECK(checker_clean(&rig.guest.checker, false));
	guest_rig_stop(&rig);
}

/* Only status 0 is delivered; the entry is made fresh either way (1504). */
static void test_receive_bad_entries(void)
{
	struct guest_rig rig;
	struct queue rx;
	unsigned i;

	guest_rig_start(&rig, NULL);
	rx = guest_rig_rx(&rig);
	give_frame(&rig, &rx, 0, SIZE, QUEUE_BAD_SIZE);
	give_frame(&rig, &rx, 0, 2049, QUEUE_OK);
	give_frame(&rig, &rx, 0, 0, QUEUE_OK);
	give_frame(&rig, &rx, 0, UINT32_MAX, QUEUE_OK);
	give_frame(&rig, &rx, 0, SIZE, QUEUE_OK);
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_RX));
	CHECK_SOON(&rig, received(&rig) == 1);
	CHECK_INT(guest_rig_vf(&rig)->counters.rx_errors, 4);
	CHECK_INT(queue_space(&rx, RIG_RING), RIG_RING - 1);
	for (i = 0; i < RIG_RING; i++) {
		CHECK_INT(rx.ring->entry[i].size, 2048);
		CHECK_INT(rx.ring->entry[i].status, QUEUE_OK);
	}
	guest_rig_stop(&rig);
}

static void test_send(void)
{
	struct checker ck;
	struct guest_rig rig;
	struct queue tx;
	unsigned i, n = 0;

	checker_init(&ck);
	guest_rig_start(&rig, "to=nic1/vf1,count=1000,size=60-500");
	tx = guest_rig_tx(&rig);
	for (i = 0; i < 10 * RIG_PATIENCE && n < 1000; i++) {
		guest_rig_run(&rig, 100 * NS_PER_US);
		n += take_frames(&rig, &tx, &ck);
	}
	CHECK_INT(n, 1000);
	CHECK(checker_complete(&ck));
	CHECK(checker_clean(&ck, true));
	CHECK_SOON(&rig, TAILQ_FIRST(&rig.guest.workloads.list)->state ==
				 WORKLOAD_DONE);
	CHECK(!guest_rig_rang(&rig, 0));
	checker_fini(&ck);
	guest_rig_stop(&rig);
}

/* A doorbell only when the device says that it sleeps. */
static void test_doorbell(void)
{
	struct guest_rig rig;
	struct checker ck;
	struct queue tx;

	checker_init(&ck);
	guest_rig_start(&rig, "to=nic1/vf1,rate=1000");
	tx = guest_rig_tx(&rig);
	guest_rig_run(&rig, 3 * NS_PER_MS);
	CHECK(!guest_rig_rang(&rig, 0));
	while (!queue_reader_sleep(&tx))
		take_frames(&rig, &tx, &ck);
	CHECK_SOON(&rig, guest_rig_rang(&rig, 0));
	checker_fini(&ck);
	guest_rig_stop(&rig);
}

/* A full ring stops the generator, and it asks for an interrupt. */
static void test_ring_full(void)
{
	struct guest_rig rig;
	struct queue tx;

	guest_rig_start(&rig, "to=nic1/vf1,depth=16");
	tx = guest_rig_tx(&rig);
	CHECK_SOON(&rig, queue_available(&tx, RIG_RING) == RIG_RING - 1);
	guest_rig_run(&rig, 5 * NS_PER_MS);
	CHECK_INT(queue_available(&tx, RIG_RING), RIG_RING - 1);
	CHECK_INT(guest_rig_vf(&rig)->counters.tx_frames, RIG_RING - 1);
	queue_advance(&tx, 3);
	CHECK(queue_publish_read(&tx));
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_TX));
	CHECK_SOON(&rig,
		   guest_rig_vf(&rig)->counters.tx_frames == RIG_RING + 2);
	guest_rig_stop(&rig);
}

static void test_link_down(void)
{
	struct guest_rig rig;
	struct vf *vf;
	uint64_t sent;

	guest_rig_start(&rig, "to=nic1/vf1,rate=10000");
	vf = guest_rig_vf(&rig);
	rig.link = false;
	guest_rig_notify(&rig);
	CHECK_SOON(&rig, !vf->link_up && vf->counters.tx_link_down);
	sent = vf->counters.tx_frames;
	guest_rig_tx(&rig).ring->read.index = (uint32_t)sent;
	rig.link = true;
	guest_rig_notify(&rig);
	CHECK_SOON(&rig, vf->link_up && vf->counters.tx_frames > sent);
	guest_rig_stop(&rig);
}

static bool has_answer(struct guest_rig *rig)
{
	return guest_rig_vf(rig)->counters.link_answers == 2;
}

static bool is_waiting(struct guest_rig *rig)
{
	return guest_rig_vf(rig)->waiting;
}

/* Nobody drives the PF: the VF stays as it was, and its question lies there. */
static void test_question_waits(void)
{
	struct guest_rig rig;
	uint64_t sent;
	struct vf *vf;

	guest_rig_start(&rig, "to=nic1/vf1,rate=1000");
	vf = guest_rig_vf(&rig);
	CHECK_INT(rig.requests, 1);
	CHECK_INT(vf->bandwidth, 1000);
	rig.silent = true;
	rig.link = false;
	guest_rig_notify(&rig);
	CHECK(guest_rig_until(&rig, is_waiting));
	take_all(&rig);
	sent = vf->counters.tx_frames;
	/* Another interrupt is not the answer. */
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_EVENT));
	guest_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_SOON(&rig, vf->counters.tx_frames > sent && is_waiting(&rig));
	CHECK(vf->link_up);
	CHECK_INT(vf->counters.link_queries, 2);
	CHECK_INT(vf->counters.link_answers, 1);
	CHECK(vf->asked_ns);
	guest_rig_answer(&rig);
	CHECK(guest_rig_until(&rig, has_answer));
	CHECK(!vf->link_up && !vf->asked_ns);
	CHECK(vf->counters.link_wait_ns > 10 * NS_PER_MS);
	CHECK_INT(rig.requests, 2);
	guest_rig_stop(&rig);
}

/* A reset empties the mailbox; a look at the VF asks anew. */
static void test_question_lost(void)
{
	struct guest_rig rig;

	guest_rig_start(&rig, NULL);
	rig.silent = true;
	guest_rig_notify(&rig);
	CHECK(guest_rig_until(&rig, is_waiting));
	guest_rig_reset(&rig);
	rig.silent = false;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_enabled));
	CHECK(has_answer(&rig));
	CHECK_INT(rig.requests, 3);
	guest_rig_stop(&rig);
}

/* An answer that is older than a notice is asked for once more. */
static void test_notice_before_answer(void)
{
	struct guest_rig rig;
	struct vf *vf;

	guest_rig_start(&rig, NULL);
	vf = guest_rig_vf(&rig);
	rig.silent = true;
	guest_rig_notify(&rig);
	CHECK(guest_rig_until(&rig, is_waiting));
	guest_rig_answer(&rig);
	rig.silent = rig.link = false;
	guest_rig_notify(&rig);
	CHECK_SOON(&rig, !vf->link_up && is_up(&rig));
	CHECK_INT(vf->counters.link_queries, vf->counters.link_answers);
	guest_rig_stop(&rig);
}

/* Programmed again; the rings go on where they stood. */
static void test_reset(void)
{
	struct guest_rig rig;
	struct checker ck;
	struct queue tx;
	uint32_t base, i, n = 0;

	checker_init(&ck);
	guest_rig_start(&rig, "to=nic1/vf1,count=100");
	tx = guest_rig_tx(&rig);
	guest_rig_run(&rig, 2 * NS_PER_MS);
	n += take_frames(&rig, &tx, &ck);
	base = guest_rig_reg(&rig, NIC_TX + NIC_Q_BASE);
	guest_rig_reset(&rig);
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_enabled));
	check_programmed(&rig);
	CHECK_INT(guest_rig_reg(&rig, NIC_TX + NIC_Q_BASE), base);
	tx = guest_rig_tx(&rig);
	for (i = 0; i < RIG_PATIENCE && n < 100; i++) {
		guest_rig_run(&rig, NS_PER_MS);
		n += take_frames(&rig, &tx, &ck);
	}
	CHECK_INT(n, 100);
	CHECK(checker_complete(&ck));
	CHECK(checker_clean(&ck, true));
	checker_fini(&ck);
	guest_rig_stop(&rig);
}

/* A platform interrupt without a reset changes nothing. */
static void test_look_without_reset(void)
{
	struct guest_rig rig;

	guest_rig_start(&rig, NULL);
	CHECK_INT(rig.enables, 2);
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	guest_rig_run(&rig, 20 * NS_PER_MS);
	CHECK_SOON(&rig, is_up(&rig));
	CHECK_INT(rig.enables, 2);
	guest_rig_stop(&rig);
}

static void test_away_and_back(void)
{
	struct guest_rig rig;
	uint64_t sent;

	guest_rig_start(&rig, "to=nic1/vf1,rate=1000");
	rig.present = false;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_away));
	take_all(&rig);
	sent = guest_rig_vf(&rig)->counters.tx_frames;
	guest_rig_run(&rig, 10 * NS_PER_MS);
	CHECK_INT(guest_rig_vf(&rig)->counters.tx_frames, sent);
	rig.present = true;
	guest_rig_reset(&rig);
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_enabled));
	CHECK_SOON(&rig, guest_rig_vf(&rig)->counters.tx_frames > sent);
	guest_rig_stop(&rig);
}

/* Config space is there but the registers answer with all ones. */
static void test_refused(void)
{
	struct guest_rig rig;

	guest_rig_start(&rig, NULL);
	rig.refuse = true;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_away));
	CHECK(guest_rig_vf(&rig)->counters.refused > 0);
	rig.refuse = false;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_up));
	CHECK_INT(rig.enables, 2);
	guest_rig_stop(&rig);
}

/* Interrupts that pile up while a look runs lead to one more look. */
static void test_many_looks(void)
{
	struct guest_rig rig;
	unsigned i;

	guest_rig_start(&rig, NULL);
	for (i = 0; i < 50; i++) {
		rig.present = i % 2;
		guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
		guest_rig_interrupt(&rig,
				    platform_irq(RIG_SLOT, NIC_VECTOR_EVENT));
		guest_rig_run(&rig, 50 * NS_PER_US);
	}
	CHECK(guest_rig_until(&rig, is_enabled));
	guest_rig_stop(&rig);
}

static void test_wild_indexes(void)
{
	struct guest_rig rig;

	guest_rig_start(&rig, NULL);
	guest_rig_rx(&rig).ring->write.index = 0x80000000u;
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_RX));
	CHECK(guest_rig_until(&rig, is_failed));
	CHECK_INT(received(&rig), 0);
	guest_rig_stop(&rig);

	guest_rig_start(&rig, "to=nic1/vf1");
	guest_rig_run(&rig, 2 * NS_PER_MS);
	guest_rig_tx(&rig).ring->read.index = 77;
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_TX));
	CHECK(guest_rig_until(&rig, is_failed));
	guest_rig_stop(&rig);
}

static void test_queue_refused(void)
{
	struct guest_rig rig;

	guest_rig_start(&rig, NULL);
	guest_rig_set(&rig, NIC_TX + NIC_Q_ENABLE, 0);
	guest_rig_set(&rig, NIC_TX + NIC_Q_STATUS, QUEUE_BAD_INDEX);
	guest_rig_interrupt(&rig, platform_irq(RIG_SLOT, NIC_VECTOR_EVENT));
	CHECK(guest_rig_until(&rig, is_failed));
	CHECK_HAS(guest_rig_vf(&rig)->why, "tx queue stopped, status 3");
	guest_rig_stop(&rig);
}

static const struct unit_case cases[] = {
	{ "bring_up", test_bring_up },
	{ "receive", test_receive },
	{ "receive_bad_entries", test_receive_bad_entries },
	{ "send", test_send },
	{ "doorbell", test_doorbell },
	{ "ring_full", test_ring_full },
	{ "link_down", test_link_down },
	{ "question_waits", test_question_waits },
	{ "question_lost", test_question_lost },
	{ "notice_before_answer", test_notice_before_answer },
	{ "reset", test_reset },
	{ "look_without_reset", test_look_without_reset },
	{ "away_and_back", test_away_and_back },
	{ "refused", test_refused },
	{ "many_looks", test_many_looks },
	{ "wild_indexes", test_wild_indexes },
	{ "queue_refused", test_queue_refused },
	{ NULL, NULL },
};

const struct unit_suite guest_vf_suite = { "guest_vf", cases };
