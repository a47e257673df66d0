/* nic_test.c - iovdev's registers, order, resets and interrupts, seen by a
 * client of the real process. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "libcore/pci_caps.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_rig.h"
#include "t/unit/unit.h"

#define DATA sizeof(struct vfu_region_access)

static void test_identity(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;

	nic_rig_start(&rig, (const char *[]){ "--vfs", "3", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	CHECK(!conn_open(&vf, &rig, 1));
	CHECK_INT(reg_read(&pf, NIC_ID), NIC_ID_VALUE);
	CHECK_INT(reg_read(&pf, NIC_VERSION), 1);
	CHECK_INT(reg_read(&pf, NIC_MAC_LOW), 0x006f6902);
	CHECK_INT(reg_read(&pf, NIC_PF_NUM_VFS), 0);
	CHECK_INT(reg_read(&pf, 0x800), 0);
	CHECK_INT(conn_read(&pf, VFU_REGION_CONFIG, 0, 4),
		  NIC_PF_DEVICE << 16 | NIC_VENDOR_ID);
	reg_write(&pf, NIC_SCRATCH, 0x12345678);
	CHECK_INT(conn_read(&pf, VFU_REGION_BAR0, NIC_SCRATCH + 1, 2), 0x3456);
	reg_write(&pf, NIC_ID, 1); /* dropped */
	CHECK_INT(reg_read(&pf, NIC_ID), NIC_ID_VALUE);
	CHECK_INT(conn_write(&pf, VFU_REGION_BAR0, NIC_PF_BAR_SIZE - 2, 0, 4),
		  EINVAL);
	conn_close(&pf);
	CHECK(conn_open(&pf, &rig, 0)); /* it waits for the next client */
	CHECK_INT(reg_read(&pf, NIC_SCRATCH), 0x12345678);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static void test_vf_enable(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf[3];
	unsigned i;

	nic_rig_start(&rig, (const char *[]){ "--vfs", "4", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 3);
	CHECK_INT(reg_read(&pf, NIC_PF_NUM_VFS), 3);
	for (i = 0; i < 3; i++) {
		CHECK(conn_open(&vf[i], &rig, i + 1));
		CHECK_INT(reg_read(&vf[i], NIC_ID), NIC_ID_VALUE);
		CHECK_INT(reg_read(&vf[i], NIC_MAC_HIGH), (i + 1) << 8);
		CHECK_INT(conn_read(&vf[i], VFU_REGION_CONFIG, 0, 4),
			  UINT32_MAX);
	}
	CHECK(!conn_open(&(struct nic_conn){ 0 }, &rig, 4));
	reg_write(&vf[0], NIC_SCRATCH, 7);
	CHECK_INT(conn_write(&pf, VFU_REGION_CONFIG,
			     conn_ecap(&pf, PCI_EXT_CAP_ID_SRIOV) +
				     PCI_SRIOV_CTRL,
			     0, 2),
		  0);
	CHECK_INT(reg_read(&vf[0], NIC_ID), UINT32_MAX);
	CHECK_INT(conn_write(&vf[0], VFU_REGION_BAR0, NIC_SCRATCH, 1, 4), 0);
	conn_enable_vfs(&pf, 2);
	CHECK_INT(reg_read(&vf[0], NIC_SCRATCH), 0);
	CHECK_INT(reg_read(&vf[0], NIC_RESETS), 1);
	CHECK_INT(reg_read(&vf[2], NIC_ID), UINT32_MAX);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	for (i = 0; i < 3; i++)
		conn_close(&vf[i]);
	conn_close(&pf);
}

static void test_order(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;
	struct nic_reply reply;
	uint16_t id[8];
	uint64_t start, took;
	unsigned i;

	nic_rig_start(&rig, (const char *[]){ "--latency", "vf1=200ms", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	start = clock_now_ns();
	for (i = 0; i < 8; i++)
		id[i] = conn_send_read(&vf, VFU_REGION_BAR0, 4 * (i & 1), 4);
	for (i = 0; i < 8; i++) {
		CHECK(conn_reply(&vf, RIG_PATIENCE_MS, &reply));
		CHECK_INT(reply.id, id[i]);
		if (!i)
			CHECK(clock_now_ns() - start >= 200 * NS_PER_MS);
	}
	took = clock_now_ns() - start;
	CHECK(took < 1400 * NS_PER_MS); /* they overlap */
	start = clock_now_ns();
	CHECK_INT(reg_read(&pf, NIC_ID), NIC_ID_VALUE); /* others are quick */
	CHECK(clock_now_ns() - start < 190 * NS_PER_MS);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* Whether n requests that are pending at VF 1 are lost in a reset, which is
 * started as `how` says. */
enum how {
	HOW_FLR,
	HOW_REGISTER,
	HOW_COMMAND
};

static void reset_by(struct nic_conn *pf, enum how how)
{
	struct nic_reply reply;

	if (how == HOW_FLR)
		conn_flr(pf);
	else if (how == HOW_REGISTER)
		reg_write(pf, NIC_PF_RESET, NIC_PF_RESET_KEY);
	else
		CHECK_INT(conn_call(pf, VFU_RESET, "", 0, NULL, 0, &reply), 0);
}

static void pf_reset(enum how how)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;
	struct nic_reply reply;
	char answer[8192];
	unsigned i;

	nic_rig_start(&rig, (const char *[]){ "--latency", "vf1=300ms", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	reg_write(&pf, NIC_SCRATCH, 5);
	for (i = 0; i < 4; i++)
		(void)conn_send_read(&vf, VFU_REGION_BAR0, 0, 4);
	do { /* let them arrive */
		nic_rig_rpc(&rig, "show", "{\"table\":\"device-functions\"}",
			    answer, sizeof(answer));
	} while (!strstr(answer, "\"pending\":4"));
	reset_by(&pf, how);
	CHECK_INT(reg_read(&pf, NIC_SCRATCH), 0);
	CHECK_INT(reg_read(&pf, NIC_RESETS), 1);
	CHECK_INT(reg_read(&pf, NIC_PF_NUM_VFS), 0);
	/* What was accepted before is never answered; what comes now is. */
	CHECK(!conn_reply(&vf, 400, &reply));
	CHECK_INT(reg_read(&vf, NIC_ID), UINT32_MAX);
	conn_enable_vfs(&pf, 1);
	CHECK_INT(reg_read(&vf, NIC_ID), NIC_ID_VALUE);
	CHECK(nic_rig_await(&rig, "\"ev\":\"device.flr\""));
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static void test_pf_flr(void)
{
	pf_reset(HOW_FLR);
}

static void test_pf_reset_register(void)
{
	pf_reset(HOW_REGISTER);
}

static void test_pf_reset_command(void)
{
	pf_reset(HOW_COMMAND);
}

static void test_vf_flr(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf[2];

	nic_rig_start(&rig, NULL);
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 2);
	CHECK(conn_open(&vf[0], &rig, 1));
	CHECK(conn_open(&vf[1], &rig, 2));
	reg_write(&vf[0], NIC_SCRATCH, 1);
	reg_write(&vf[1], NIC_SCRATCH, 2);
	conn_bme(&vf[0], true);
	conn_flr(&vf[0]);
	CHECK_INT(reg_read(&vf[0], NIC_SCRATCH), 0);
	CHECK_INT(conn_read(&vf[0], VFU_REGION_CONFIG, PCI_COMMAND, 2), 0);
	CHECK_INT(reg_read(&vf[0], NIC_RESETS), 1);
	CHECK_INT(reg_read(&vf[1], NIC_SCRATCH), 2);
	CHECK_INT(reg_read(&pf, NIC_PF_NUM_VFS), 2);
	conn_close(&vf[0]);
	conn_close(&vf[1]);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* At a point, held: VF Enable is answered, and the FLR done, on release. */
static void test_held(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;
	struct nic_reply reply;
	char answer[256];

	nic_rig_start(&rig, (const char *[]){ "--at", "device.flr=hold", "--at",
					      "device.vf_enable=hold", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	{
		unsigned at = conn_ecap(&pf, PCI_EXT_CAP_ID_SRIOV);
		uint8_t payload[DATA + 2] = { 0 };
		struct vfu_region_access access = { at + PCI_SRIOV_CTRL,
						    VFU_REGION_CONFIG, 2 };

		CHECK_INT(conn_write(&pf, VFU_REGION_CONFIG,
				     at + PCI_SRIOV_NUM_VF, 1, 2),
			  0);
		memcpy(payload, &access, sizeof(access));
		payload[DATA] = PCI_SRIOV_CTRL_VFE;
		(void)conn_send(&pf, VFU_REGION_WRITE, payload, sizeof(payload),
				NULL, 0);
	}
	CHECK(!conn_reply(&pf, 50, &reply));
	CHECK(!conn_open(&vf, &rig, 1));
	CHECK_HAS(nic_rig_rpc(&rig, "release", "{}", answer, sizeof(answer)),
		  "\"released\":1");
	CHECK(conn_reply(&pf, RIG_PATIENCE_MS, &reply));
	CHECK(conn_open(&vf, &rig, 1));
	reg_write(&vf, NIC_SCRATCH, 9);
	conn_flr(&vf); /* answered although the reset is held */
	(void)conn_send_read(&vf, VFU_REGION_BAR0, NIC_SCRATCH, 4);
	CHECK(!conn_reply(&vf, 50, &reply));
	CHECK_HAS(nic_rig_rpc(&rig, "release", "{\"point\":\"device.flr\"}",
			      answer, sizeof(answer)),
		  "\"released\":1");
	CHECK(!conn_reply(&vf, 50, &reply)); /* it was accepted before */
	CHECK_INT(reg_read(&vf, NIC_SCRATCH), 0);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static bool fired(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void trigger(struct nic_conn *vf, uint32_t vector)
{
	struct vfu_irq_set set = { .argsz = sizeof(set),
				   .flags = VFU_IRQ_DATA_NONE |
					    VFU_IRQ_ACTION_TRIGGER,
				   .index = VFU_IRQ_MSIX,
				   .start = vector,
				   .count = 1 };
	struct nic_reply reply;

	CHECK_INT(
		conn_call(vf, VFU_SET_IRQS, &set, sizeof(set), NULL, 0, &reply),
		0);
}

static void test_msix(void)
{
	int fd = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK);
	struct nic_rig rig;
	struct nic_conn pf, vf;
	unsigned flags;

	nic_rig_start(&rig, NULL);
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	flags = conn_cap(&vf, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	conn_set_irq(&vf, 1, fd);
	CHECK_INT(reg_read(&vf, NIC_MSIX_TABLE + 16 + 12), 1);
	trigger(&vf, 1);
	CHECK_INT(reg_read(&vf, NIC_MSIX_PBA), 2);
	CHECK_INT(conn_write(&vf, VFU_REGION_CONFIG, flags,
			     PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2),
		  0);
	reg_write(&vf, NIC_MSIX_TABLE + 16 + 12, 0);
	conn_bme(&vf, true);
	CHECK(!fired(fd)); /* the function is masked */
	CHECK_INT(conn_write(&vf, VFU_REGION_CONFIG, flags,
			     PCI_MSIX_FLAGS_ENABLE, 2),
		  0);
	CHECK(fired(fd));
	CHECK_INT(reg_read(&vf, NIC_MSIX_PBA), 0);
	reg_write(&vf, NIC_MSIX_TABLE + 16 + 12, 1);
	trigger(&vf, 1);
	CHECK(!fired(fd));
	reg_write(&vf, NIC_MSIX_TABLE + 16 + 12, 0);
	CHECK(fired(fd));
	conn_bme(&vf, false);
	trigger(&vf, 1);
	CHECK(!fired(fd));
	conn_bme(&vf, true);
	CHECK(fired(fd));
	/* What the old eventfd holds goes to the new one. */
	trigger(&vf, 1);
	conn_set_irq(&vf, 1, other);
	CHECK(fired(other));
	CHECK(!fired(fd));
	conn_flr(&vf);
	CHECK_INT(reg_read(&vf, NIC_MSIX_TABLE + 16 + 12), 1);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
	close(other);
}

#define ARM (NIC_COMPLETION_ARM | NIC_VECTOR_COMPLETION)

/* a610-a630: once, behind what came before, whatever is masked. */
static void test_completion(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint8_t payload[DATA + 4];
	struct vfu_region_access access = { NIC_COMPLETION, VFU_REGION_BAR0,
					    4 };
	const uint32_t arm = ARM;
	struct nic_reply reply;
	struct nic_rig rig;
	struct nic_conn pf, vf;
	unsigned i;

	nic_rig_start(&rig, (const char *[]){ "--latency", "vf1=100ms", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 2);
	CHECK(conn_open(&vf, &rig, 1));
	conn_set_irq(&vf, NIC_VECTOR_COMPLETION, fd);
	CHECK(!fired(fd));
	memcpy(payload, &access, DATA);
	memcpy(payload + DATA, &arm, sizeof(arm));
	for (i = 0; i < 3; i++)
		(void)conn_send_read(&vf, VFU_REGION_BAR0, 0, 4);
	(void)conn_send(&vf, VFU_REGION_WRITE, payload, sizeof(payload), NULL,
			0);
	CHECK(!fired(fd));
	for (i = 0; i < 4; i++)
		CHECK(conn_reply(&vf, RIG_PATIENCE_MS, &reply));
	CHECK(fired(fd));
	CHECK_INT(reg_read(&vf, NIC_COMPLETION), 0);
	CHECK(!fired(fd));
	reg_write(&vf, NIC_COMPLETION, ARM + 1); /* no such vector */
	CHECK_INT(reg_read(&vf, NIC_COMPLETION), 0);
	conn_close(&vf);
	/* Without an eventfd it waits for one; a write of 0 takes it back. */
	CHECK(conn_open(&vf, &rig, 2));
	reg_write(&vf, NIC_COMPLETION, ARM);
	CHECK_INT(reg_read(&vf, NIC_COMPLETION), ARM);
	conn_set_irq(&vf, NIC_VECTOR_COMPLETION, fd);
	CHECK(fired(fd));
	CHECK_INT(reg_read(&vf, NIC_COMPLETION), 0);
	conn_set_irq(&vf, NIC_VECTOR_COMPLETION, fd);
	CHECK(!fired(fd));
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

/* A wide access is one to each of the registers. */
static void test_wide(void)
{
	uint32_t queues[0x30], table[0x10], again[0x30];
	struct nic_rig rig;
	struct nic_conn pf, vf;

	nic_rig_start(&rig, NULL);
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	regs_read(&vf, NIC_TX, queues, sizeof(queues));
	CHECK_INT(queues[NIC_Q_VECTOR / 4], UINT32_MAX);
	queues[NIC_Q_BASE / 4] = 0x10000;
	queues[NIC_Q_ENTRIES / 4] = 64;
	queues[NIC_Q_VECTOR / 4] = 2;
	queues[0x20 + NIC_Q_BASE / 4] = 0x20000;
	queues[0x20 + NIC_Q_VECTOR / 4] = 1;
	regs_write(&vf, NIC_TX, queues, sizeof(queues));
	CHECK_INT(reg_read(&vf, NIC_TX + NIC_Q_ENTRIES), 64);
	CHECK_INT(reg_read(&vf, NIC_RX + NIC_Q_BASE), 0x20000);
	regs_read(&vf, NIC_TX, again, sizeof(again));
	CHECK(!memcmp(queues, again, sizeof(again)));
	regs_read(&vf, NIC_MSIX_TABLE, table, sizeof(table));
	CHECK_INT(table[7], 1);
	table[6] = 0x55;
	table[7] = 0;
	regs_write(&vf, NIC_MSIX_TABLE, table, sizeof(table));
	CHECK_INT(reg_read(&vf, NIC_MSIX_TABLE + 28), 0);
	CHECK_INT(reg_read(&vf, NIC_MSIX_TABLE + 24), 0x55);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static void test_dma_maps(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct nic_rig rig;
	struct nic_conn pf, vf;

	CHECK_INT(ftruncate(fd, 65536), 0);
	nic_rig_start(&rig, NULL);
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	CHECK_INT(conn_dma_map(&vf, 0, 65536, -1), EINVAL);
	CHECK_INT(conn_dma_map(&vf, 0, 65536, fd), 0);
	CHECK_INT(conn_dma_map(&vf, 4096, 4096, fd), EEXIST);
	CHECK_INT(conn_dma_map(&vf, 65536, 131072, fd), EFBIG);
	CHECK_INT(conn_dma_unmap(&vf, 0, 4096), ENOENT);
	CHECK_INT(conn_dma_unmap(&vf, 0, 65536), 0);
	CHECK_INT(conn_dma_unmap(&vf, 0, 65536), ENOENT);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

static void test_doorbell_fds(void)
{
	struct vfu_io_fds ask = { .argsz = 4096 };
	struct vfu_io_fd sub;
	struct nic_reply reply;
	struct nic_rig rig;
	struct nic_conn pf, vf;
	unsigned i;

	nic_rig_start(&rig, NULL);
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	CHECK_INT(conn_call(&vf, VFU_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL,
			    0, &reply),
		  0);
	CHECK_INT(reply.n_fds, 2);
	CHECK_INT(reply.size, sizeof(ask) + 2 * sizeof(sub));
	memcpy(&sub, reply.data + sizeof(ask) + sizeof(sub), sizeof(sub));
	CHECK_INT(sub.offset, NIC_DOORBELL_RX);
	CHECK_INT(sub.size, 4);
	CHECK_INT(sub.fd_index, 1);
	for (i = 0; i < reply.n_fds; i++)
		close(reply.fds[i]);
	CHECK_INT(conn_call(&pf, VFU_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL,
			    0, &reply),
		  0);
	CHECK_INT(reply.n_fds, 0);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static void test_pf_mac(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;
	uint32_t block = NIC_PF_VF(1);

	nic_rig_start(&rig, (const char *[]){ "--mac-base", "02:00:00:00:00:10",
					      NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	CHECK(conn_open(&vf, &rig, 1));
	CHECK_INT(reg_read(&vf, NIC_MAC_HIGH), 0x1100);
	reg_write(&pf, block + NIC_PF_VF_MAC_LOW, 0x44332202);
	CHECK_INT(reg_read(&vf, NIC_MAC_LOW), 0x00000002);
	reg_write(&pf, block + NIC_PF_VF_MAC_HIGH, 0x6655);
	CHECK_INT(reg_read(&vf, NIC_MAC_LOW), 0x44332202);
	CHECK_INT(reg_read(&vf, NIC_MAC_HIGH), 0x6655);
	reg_write(&pf, block + NIC_PF_VF_MAC_LOW, 0x44332201); /* a group */
	reg_write(&pf, block + NIC_PF_VF_MAC_HIGH, 0x1111);
	CHECK_INT(reg_read(&vf, NIC_MAC_HIGH), 0x6655);
	conn_flr(&pf);
	CHECK_INT(reg_read(&pf, block + NIC_PF_VF_MAC_HIGH), 0x1100);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* The client dies with operations in hand, and in the middle of a message. */
static void test_client_dies(void)
{
	struct nic_rig rig;
	struct nic_conn pf, vf;
	unsigned i;

	nic_rig_start(&rig, (const char *[]){ "--latency", "vf1=20ms", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	conn_enable_vfs(&pf, 1);
	for (i = 0; i < 5; i++) {
		CHECK(conn_open(&vf, &rig, 1));
		(void)conn_send_read(&vf, VFU_REGION_BAR0, 0, 4);
		(void)conn_send_read(&vf, VFU_REGION_BAR0, 0, 4);
		CHECK_INT(write(vf.fd, "\1\0\11\0\40", 5), 5);
		conn_close(&vf);
	}
	CHECK(conn_open(&vf, &rig, 1));
	CHECK_INT(reg_read(&vf, NIC_ID), NIC_ID_VALUE);
	conn_close(&vf);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* A connected socket: the VFs are in the machine, and its end is ours. */
static void test_fd(void)
{
	struct nic_conn pf, vf;
	struct nic_rig rig;
	char number[16];
	int sv[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	CHECK_INT(fcntl(sv[0], F_SETFD, FD_CLOEXEC), 0);
	snprintf(number, sizeof(number), "%d", sv[1]);
	nic_rig_start(&rig, (const char *[]){ "--fd", number, NULL });
	close(sv[1]);
	CHECK(conn_use(&pf, sv[0]));
	CHECK_INT(reg_read(&pf, NIC_ID), NIC_ID_VALUE);
	conn_enable_vfs(&pf, 1);
	CHECK(conn_use(&vf, conn_connect(&rig, "m/dev/nic0/vf1.sock")));
	CHECK_INT(reg_read(&vf, NIC_ID), NIC_ID_VALUE);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, 0), 0);
	conn_close(&vf);
}

static const struct unit_case cases[] = {
	{ "identity", test_identity },
	{ "vf_enable", test_vf_enable },
	{ "order", test_order },
	{ "pf_flr", test_pf_flr },
	{ "pf_reset_register", test_pf_reset_register },
	{ "pf_reset_command", test_pf_reset_command },
	{ "vf_flr", test_vf_flr },
	{ "held", test_held },
	{ "msix", test_msix },
	{ "completion", test_completion },
	{ "wide", test_wide },
	{ "dma_maps", test_dma_maps },
	{ "doorbell_fds", test_doorbell_fds },
	{ "pf_mac", test_pf_mac },
	{ "client_dies", test_client_dies },
	{ "fd", test_fd },
	{ NULL, NULL },
};

const struct unit_suite nic_suite = { "nic", cases };
