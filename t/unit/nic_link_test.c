/* nic_link_test.c - links, bandwidth and mailboxes of a real iovdev. */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libcore/link_state.h"
#include "libcore/loop.h"
#include "libcore/pci_config.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_rig.h"
#include "t/unit/unit.h"

static bool fired(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) == 0;
}

static void say(struct nic_rig *rig, const char *method, const char *params)
{
	char text[1024];

	CHECK_HAS(nic_rig_rpc(rig, method, params, text, sizeof(text)),
		  "\"result\"");
}

/* The PF as its driver has it: its vector 0 rings fd. */
static void pf_open(struct nic_conn *pf, struct nic_rig *rig, int fd)
{
	unsigned msix;

	CHECK(conn_open(pf, rig, 0));
	conn_enable_vfs(pf, 2);
	msix = conn_cap(pf, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	conn_set_irq(pf, NIC_VECTOR_EVENT, fd);
	CHECK_INT(conn_write(pf, VFU_REGION_CONFIG, msix, PCI_MSIX_FLAGS_ENABLE,
			     2),
		  0);
	reg_write(pf, NIC_MSIX_TABLE + 12, 0);
	conn_bme(pf, true);
}

static uint32_t vf_link(struct nic_conn *pf, unsigned vf)
{
	return reg_read(pf, NIC_PF_VF(vf) + NIC_PF_VF_LINK);
}

/* 601, 602, 701, 702 */
static void test_link(void)
{
	int fd = eventfd(0, EFD_NONBLOCK), next = eventfd(0, EFD_NONBLOCK);
	struct nic_rig rig;
	struct nic_conn pf;

	nic_rig_start(&rig, NULL);
	pf_open(&pf, &rig, fd);
	CHECK(!fired(fd));
	CHECK_INT(reg_read(&pf, NIC_STATUS), NIC_STATUS_LINK_UP);
	CHECK_INT(vf_link(&pf, 2), 1);
	say(&rig, "link", "[\"nic0/vf2\",\"down\"]");
	CHECK(fired(fd));
	CHECK_INT(reg_read(&pf, NIC_PF_LINK_CHANGED), 2);
	/* What was not read is not cleared, and told again. */
	reg_write(&pf, NIC_PF_LINK_CHANGED, 2);
	CHECK(fired(fd));
	CHECK_INT(vf_link(&pf, 2), 0);
	CHECK_INT(reg_read(&pf, NIC_STATUS), NIC_STATUS_LINK_UP);
	say(&rig, "link", "[\"nic0/vf2\",\"up\"]");
	reg_write(&pf, NIC_PF_LINK_CHANGED, 2);
	CHECK_INT(reg_read(&pf, NIC_PF_LINK_CHANGED), 2);
	/* Nor does a reset forget it, or move the link. */
	say(&rig, "link", "[\"nic0/vf1\",\"down\"]");
	while (fired(fd))
		;
	conn_flr(&pf);
	conn_close(&pf);
	pf_open(&pf, &rig, next);
	CHECK(fired(next));
	CHECK_INT(reg_read(&pf, NIC_PF_LINK_CHANGED), 3);
	CHECK_INT(vf_link(&pf, 1), 0);
	CHECK_INT(vf_link(&pf, 2), 1);
	/* Whoever drives the PF next is told as well. */
	conn_set_irq(&pf, NIC_VECTOR_EVENT, fd);
	CHECK(fired(fd));
	reg_write(&pf, NIC_PF_LINK_CHANGED, 3);
	CHECK_INT(reg_read(&pf, NIC_PF_LINK_CHANGED), 0);
	say(&rig, "link", "[\"nic0/vf1\",\"down\"]"); /* as it is */
	say(&rig, "bandwidth", "[\"nic0/pf0\",\"1Gbit\",\"40Gbit\"]");
	CHECK_INT(reg_read(&pf, NIC_PF_LINK_CHANGED), 0);
	CHECK_INT(reg_read(&pf, NIC_PF_CHANGED), 1);
	CHECK_INT(conn_read(&pf, VFU_REGION_BAR0, NIC_BANDWIDTH_MAX, 8),
		  40000000000ull);
	CHECK_INT(reg_read(&pf, NIC_BANDWIDTH), 1000000000);
	CHECK_INT(reg_read(&pf, NIC_STATUS), NIC_STATUS_LINK_UP);
	reg_write(&pf, NIC_PF_CHANGED, 1);
	CHECK_INT(reg_read(&pf, NIC_PF_CHANGED), 0);
	CHECK(nic_rig_await(&rig, "\"link.602\""));
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
	close(next);
}

static void test_refused(void)
{
	static const char *const wrong[][3] = {
		{ "link", "[\"nic0/vf9\",\"up\"]", "no function 'nic0/vf9'" },
		{ "link", "[\"nic1/vf1\",\"up\"]", "no function 'nic1/vf1'" },
		{ "link", "[\"nic0/vf1\",\"off\"]", "no link state 'off'" },
		{ "bandwidth", "[\"nic0/vf1\",\"fast\"]", "bandwidth: " },
		{ "bandwidth", "[\"nic0/vf1\",\"2Gbit\",\"1Gbit\"]",
		  "at most" },
		{ "bandwidth", "[\"nic0/vf1\",\"9000000Gbit\"]", "1000 Tbit" },
	};
	struct nic_rig rig;
	char text[1024];
	unsigned i;

	nic_rig_start(&rig, NULL);
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_HAS(nic_rig_rpc(&rig, wrong[i][0], wrong[i][1], text,
				      sizeof(text)),
			  wrong[i][2]);
	CHECK_INT(nic_rig_count(&rig, "\"link."), 0);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static uint32_t pending(struct nic_conn *pf)
{
	return reg_read(pf, NIC_PF_MBX_PENDING);
}

static void test_mailbox(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t block = NIC_PF_VF(1);
	uint8_t answer[LINK_ANSWER_SIZE];
	struct link_state state = { .notified = { true, 5000, 3000 } };
	struct nic_rig rig;
	struct nic_conn pf;
	struct nic_guest g;

	nic_rig_start(&rig, NULL);
	pf_open(&pf, &rig, fd);
	guest_open(&g, &rig, 1);
	CHECK_INT(reg_read(&g.conn, NIC_STATUS), 0);
	reg_write(&g.conn, NIC_MBX_REQUEST, 0);
	reg_write(&g.conn, NIC_MBX_REQUEST, UINT32_MAX);
	CHECK_INT(pending(&pf), 0);
	reg_write(&g.conn, NIC_MBX_REQUEST, 8);
	CHECK(fired(fd));
	CHECK_INT(pending(&pf), 1);
	CHECK_INT(reg_read(&pf, block + NIC_PF_VF_MBX), 8);
	/* It asks anew before its answer comes: that one is nobody's. */
	reg_write(&g.conn, NIC_MBX_REQUEST, 9);
	CHECK(!fired(fd));
	link_answer_put(&state, 8, answer);
	regs_write(&pf, block + LINK_ANSWER_AT, answer, sizeof(answer));
	CHECK(fired(fd));
	CHECK(!fired(g.irq[NIC_VECTOR_EVENT]));
	CHECK_INT(reg_read(&g.conn, NIC_MBX_ANSWER), 0);
	link_answer_put(&state, 9, answer);
	regs_write(&pf, block + LINK_ANSWER_AT, answer, sizeof(answer));
	CHECK(fired(g.irq[NIC_VECTOR_EVENT]));
	CHECK_INT(pending(&pf), 0);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_ANSWER), 9);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_LINK), 1);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_BANDWIDTH_MAX), 5000);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_BANDWIDTH), 3000);
	/* The same again is no request. */
	reg_write(&g.conn, NIC_MBX_REQUEST, 9);
	CHECK_INT(pending(&pf), 0);
	reg_write(&pf, block + NIC_PF_VF_NOTIFY, 1);
	CHECK(fired(g.irq[NIC_VECTOR_EVENT]));
	CHECK_INT(reg_read(&g.conn, NIC_MBX_NOTICES), 1);
	/* A reset empties it. */
	reg_write(&g.conn, NIC_MBX_REQUEST, 10);
	conn_flr(&g.conn);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_REQUEST), 0);
	CHECK_INT(reg_read(&g.conn, NIC_MBX_NOTICES), 0);
	CHECK_INT(pending(&pf), 0);
	guest_close(&g);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

/* A sender without link waits, a receiver without one drops. */
static void test_link_down(void)
{
	struct nic_guest one, two;
	struct nic_rig rig;
	struct nic_conn pf;
	int fd = eventfd(0, EFD_NONBLOCK);

	nic_rig_start(&rig, NULL);
	pf_open(&pf, &rig, fd);
	guest_open(&one, &rig, 1);
	guest_open(&two, &rig, 2);
	say(&rig, "link", "[\"nic0/vf1\",\"down\"]");
	guest_send(&one, 2, 1, 100);
	CHECK_INT(guest_receive(&two, 30), -1);
	guest_ring(&one, NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&two, 30), -1);
	say(&rig, "link", "[\"nic0/vf1\",\"up\"]");
	CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), 1);
	guest_send(&one, 2, 2, 100); /* asleep by now, or not */
	CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), 2);
	say(&rig, "link", "[\"nic0/vf2\",\"down\"]");
	guest_send(&one, 2, 3, 100);
	CHECK(guest_sent(&one, RIG_PATIENCE_MS));
	CHECK_INT(reg_read(&two.conn, NIC_RX + NIC_Q_DROPPED), 1);
	say(&rig, "link", "[\"nic0/vf2\",\"up\"]");
	guest_send(&one, 2, 4, 100);
	CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), 4);
	guest_close(&two);
	guest_close(&one);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

/* What is allocated is what is sent, whatever it was before. */
static void test_bandwidth(void)
{
	struct nic_guest one, two;
	struct nic_rig rig;
	struct nic_conn pf;
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t began, took;
	unsigned i;

	nic_rig_start(&rig, NULL);
	pf_open(&pf, &rig, fd);
	guest_open(&one, &rig, 1);
	guest_open(&two, &rig, 2);
	/* 50 frames of 1,000 bytes last 100 ms. */
	say(&rig, "bandwidth", "[\"nic0/vf1\",\"4Mbit\"]");
	began = clock_now_ns();
	for (i = 0; i < 50; i++)
		guest_put(&one, 2, i, 1000);
	guest_publish(&one);
	guest_ring(&one, NIC_DOORBELL_TX);
	for (i = 0; i < 50; i++)
		CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), i);
	took = clock_now_ns() - began;
	CHECK(took > 90 * NS_PER_MS);
	/* One that would last an hour goes when there is no limit. */
	say(&rig, "bandwidth", "[\"nic0/vf1\",\"1\"]");
	for (i = 0; i < 4; i++)
		guest_put(&one, 2, i, 1000);
	guest_publish(&one);
	guest_ring(&one, NIC_DOORBELL_TX);
	CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), 0);
	CHECK_INT(guest_receive(&two, 30), -1);
	say(&rig, "bandwidth", "[\"nic0/vf1\",\"unlimited\"]");
	for (i = 1; i < 4; i++)
		CHECK_INT(guest_receive(&two, RIG_PATIENCE_MS), i);
	guest_close(&two);
	guest_close(&one);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

static const struct unit_case cases[] = {
	{ "link", test_link },           { "refused", test_refused },
	{ "mailbox", test_mailbox },     { "link_down", test_link_down },
	{ "bandwidth", test_bandwidth }, { NULL, NULL },
};

const struct unit_suite nic_link_suite = { "nic_link", cases };
