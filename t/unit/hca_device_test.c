/* hca_device_test.c - `iovdev --type hca`, seen by clients of the real
 * process: a partition each. */
#include <config.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "libcore/hca_consumer.h"
#include "libcore/pci_caps.h"
#include "libcore/pci_config.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_rig.h"
#include "t/unit/unit.h"

#define ISC        2u
#define RING       16u
#define EQ_AT      0x1000u
#define CQ_AT      0x2000u
#define SEND_AT    0x3000u
#define RECEIVE_AT 0x4000u
#define ASB_AT     0x5000u
#define DATA_AT    0x8000u
#define DELAY_US   20000u

/* A partition, whose client has one of each. */
struct part {
	struct nic_conn conn;
	int memfd, irq;
	uint8_t *memory;
	uint32_t eq, cq, qp;
	struct hca_reader events, completions;
};

static uint64_t get(struct part *p, uint32_t offset)
{
	return conn_read(&p->conn, VFU_REGION_BAR0, offset, 8);
}

static void put(struct part *p, uint32_t offset, uint64_t value)
{
	CHECK_INT(conn_write(&p->conn, VFU_REGION_BAR0, offset, value, 8), 0);
}

static uint64_t verb(struct part *p, enum hca_opcode op, unsigned attribute,
		     uint32_t handle, uint64_t value, unsigned status)
{
	put(p, HCA_VALUE, value);
	put(p, HCA_VERB, hca_verb(op, attribute, handle));
	CHECK_INT(get(p, HCA_STATUS), status);
	return get(p, HCA_RESULT);
}

static uint32_t allocate(struct part *p, enum hca_kind kind)
{
	return (uint32_t)verb(p, HCA_ALLOCATE, kind, 0, 0, HCA_OK);
}

static void store(struct part *p, uint32_t handle, unsigned attribute,
		  uint64_t value)
{
	(void)verb(p, HCA_STORE, attribute, handle, value, HCA_OK);
}

static void enable_msix(struct part *p)
{
	unsigned msix = conn_cap(&p->conn, PCI_CAP_ID_MSIX);
	uint32_t entry = NIC_MSIX_TABLE + ISC * PCI_MSIX_ENTRY_SIZE;

	conn_set_irq(&p->conn, ISC, p->irq);
	CHECK_INT(conn_write(&p->conn, VFU_REGION_BAR0,
			     entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4),
		  0);
	CHECK_INT(conn_write(&p->conn, VFU_REGION_CONFIG, msix + PCI_MSIX_FLAGS,
			     PCI_MSIX_FLAGS_ENABLE, 2),
		  0);
	conn_bme(&p->conn, true);
}

static void make_queues(struct part *p)
{
	memset(p->memory, 0, RIG_MEMORY);
	p->eq = allocate(p, HCA_EQ);
	store(p, p->eq, HCA_BASE, EQ_AT);
	store(p, p->eq, HCA_ENTRIES, RING);
	store(p, p->eq, HCA_ASB, ASB_AT);
	store(p, p->eq, HCA_ISC, ISC);
	store(p, p->eq, HCA_IMMEDIATE, 1);
	store(p, p->eq, HCA_STATE, HCA_RUNNING);
	p->cq = allocate(p, HCA_CQ);
	store(p, p->cq, HCA_BASE, CQ_AT);
	store(p, p->cq, HCA_ENTRIES, RING);
	store(p, p->cq, HCA_TOKEN, 0xabcd);
	store(p, p->cq, HCA_EVENT_QUEUE, p->eq);
	store(p, p->cq, HCA_STATE, HCA_RUNNING);
	p->qp = allocate(p, HCA_QP);
	store(p, p->qp, HCA_SEND_BASE, SEND_AT);
	store(p, p->qp, HCA_SEND_ENTRIES, RING);
	store(p, p->qp, HCA_RECEIVE_BASE, RECEIVE_AT);
	store(p, p->qp, HCA_RECEIVE_ENTRIES, RING);
	store(p, p->qp, HCA_SEND_CQ, p->cq);
	store(p, p->qp, HCA_RECEIVE_CQ, p->cq);
	store(p, p->qp, HCA_WINDOW_BASE, DATA_AT);
	store(p, p->qp, HCA_WINDOW_SIZE, 0x1000);
	p->events = (struct hca_reader){ p->memory + EQ_AT, RING, 0 };
	p->completions = (struct hca_reader){ p->memory + CQ_AT, RING, 0 };
}

static void part_open(struct part *p, const struct nic_rig *rig,
		      unsigned partition)
{
	p->irq = eventfd(0, EFD_NONBLOCK);
	p->memfd = guest_memory_create("test", RIG_MEMORY);
	p->memory = mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
			 p->memfd, 0);
	CHECK(conn_open(&p->conn, rig, partition));
	CHECK_INT(get(p, HCA_ID), HCA_ID_VALUE);
	CHECK_INT(get(p, HCA_PARTITION), partition);
	CHECK_INT(conn_dma_map(&p->conn, 0, RIG_MEMORY, p->memfd), 0);
	enable_msix(p);
	make_queues(p);
}

static void part_close(struct part *p)
{
	conn_close(&p->conn);
	munmap(p->memory, RIG_MEMORY);
	close(p->memfd);
	close(p->irq);
}

static void join(struct part *a, struct part *b)
{
	store(a, a->qp, HCA_PEER, b->qp);
	store(b, b->qp, HCA_PEER, a->qp);
	store(a, a->qp, HCA_STATE, HCA_RUNNING);
	store(b, b->qp, HCA_STATE, HCA_RUNNING);
}

/* Entry number n of the receive and the send queue. */
static void post_receive(struct part *p, uint32_t n)
{
	*((struct hca_wqe *)(p->memory + RECEIVE_AT) + n % RING) =
		(struct hca_wqe){ .address = DATA_AT, .length = 64, .id = n };
	put(p, HCA_BELL_AT(0) + HCA_BELL_RECEIVE, hca_bell(p->qp, n + 1));
}

static void post(struct part *p, uint32_t n, unsigned work, const char *text)
{
	strcpy((char *)p->memory + 0x9000, text);
	*((struct hca_wqe *)(p->memory + SEND_AT) + n % RING) =
		(struct hca_wqe){ .address = 0x9000,
				  .length = (uint32_t)strlen(text) + 1,
				  .work = work,
				  .id = n };
	put(p, HCA_BELL_AT(0) + HCA_BELL_SEND, hca_bell(p->qp, n + 1));
}

static bool fired(struct part *p)
{
	struct pollfd fd = { .fd = p->irq, .events = POLLIN };
	eventfd_t count;

	return poll(&fd, 1, RIG_PATIENCE_MS) == 1 &&
	       !eventfd_read(p->irq, &count);
}

static void check_event(struct part *p, unsigned event, uint64_t token)
{
	struct hca_eqe eqe = { 0 };

	CHECK(hca_summary_take((_Atomic uint8_t *)p->memory + ASB_AT));
	CHECK(hca_take_event(&p->events, &eqe));
	CHECK_INT(eqe.event, event);
	CHECK_INT(eqe.token, token);
}

static void check_completion(struct part *p, unsigned work, uint64_t id)
{
	struct hca_cqe cqe = { 0 };

	CHECK(hca_take_completion(&p->completions, &cqe));
	CHECK_INT(cqe.work, work);
	CHECK_INT(cqe.status, HCA_DONE);
	CHECK_INT(cqe.id, id);
}

static void rig_start(struct nic_rig *rig, struct nic_conn *pf, unsigned n)
{
	nic_rig_start(rig,
		      (const char *[]){ "--type", "hca", "--vfs", "3", NULL });
	CHECK(conn_open(pf, rig, 0));
	conn_enable_vfs(pf, n);
}

static void test_identity(void)
{
	struct nic_rig rig;
	struct nic_conn pf;
	unsigned sriov;

	rig_start(&rig, &pf, 3);
	CHECK_INT(conn_read(&pf, VFU_REGION_CONFIG, PCI_VENDOR_ID, 4),
		  HCA_PF_DEVICE << 16 | HCA_VENDOR_ID);
	CHECK_INT(conn_read(&pf, VFU_REGION_CONFIG, PCI_CLASS_REVISION, 4) >> 8,
		  HCA_CLASS);
	sriov = conn_ecap(&pf, PCI_EXT_CAP_ID_SRIOV);
	CHECK_INT(
		conn_read(&pf, VFU_REGION_CONFIG, sriov + PCI_SRIOV_VF_DID, 2),
		HCA_VF_DEVICE);
	CHECK_INT(conn_read(&pf, VFU_REGION_CONFIG, sriov + PCI_SRIOV_TOTAL_VF,
			    2),
		  3);
	CHECK_INT(conn_read(&pf, VFU_REGION_CONFIG,
			    conn_cap(&pf, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2),
		  HCA_ISCS - 1);
	CHECK_INT(conn_read(&pf, VFU_REGION_BAR0, HCA_PARTITION, 8), 0);
	CHECK_INT(conn_read(&pf, VFU_REGION_BAR0, HCA_ID + 2, 2),
		  HCA_ID_VALUE >> 16);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* A message and an RDMA write between two partitions' memories. */
static void test_transfer(void)
{
	struct part a, b;
	struct nic_rig rig;
	struct nic_conn pf;

	rig_start(&rig, &pf, 2);
	part_open(&a, &rig, 1);
	part_open(&b, &rig, 2);
	join(&a, &b);
	post_receive(&b, 0);
	post(&a, 0, HCA_SEND, "a message");
	CHECK(fired(&b));
	check_event(&b, HCA_EVENT_COMPLETION, 0xabcd);
	check_completion(&b, HCA_RECEIVE, 0);
	CHECK_STR((char *)b.memory + DATA_AT, "a message");
	CHECK(fired(&a));
	check_event(&a, HCA_EVENT_COMPLETION, 0xabcd);
	check_completion(&a, HCA_SEND, 0);
	post(&a, 1, HCA_WRITE, "an RDMA write");
	CHECK(fired(&a));
	check_completion(&a, HCA_WRITE, 1);
	CHECK_STR((char *)b.memory + DATA_AT, "an RDMA write");
	/* No handle of the other is one's own. */
	(void)verb(&a, HCA_STORE, HCA_ISC, b.eq, 0, HCA_BAD_HANDLE);
	CHECK(nic_rig_await(&rig, "verb for what it does not have"));
	part_close(&a);
	part_close(&b);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* Without immediate control the interrupt comes by the timer; while Bus Master
 * Enable is clear nothing comes, and all of it after. */
static void test_delay_and_fence(void)
{
	struct part a, b;
	struct nic_rig rig;
	struct nic_conn pf;

	rig_start(&rig, &pf, 2);
	part_open(&a, &rig, 1);
	part_open(&b, &rig, 2);
	join(&a, &b);
	store(&b, b.eq, HCA_IMMEDIATE, 0);
	store(&b, b.eq, HCA_DELAY, DELAY_US);
	conn_bme(&b.conn, false);
	post_receive(&b, 0);
	post(&a, 0, HCA_SEND, "late");
	CHECK_INT(get(&a, HCA_ID), HCA_ID_VALUE);
	CHECK_STR((char *)b.memory + DATA_AT, "");
	conn_bme(&b.conn, true);
	CHECK(fired(&b));
	check_event(&b, HCA_EVENT_COMPLETION, 0xabcd);
	CHECK_STR((char *)b.memory + DATA_AT, "late");
	part_close(&a);
	part_close(&b);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

/* A partition that is reset has nothing any more; the other learns it. */
static void test_reset(void)
{
	struct part a, b;
	struct nic_rig rig;
	struct nic_conn pf;
	struct hca_cqe cqe = { 0 };

	rig_start(&rig, &pf, 2);
	part_open(&a, &rig, 1);
	part_open(&b, &rig, 2);
	join(&a, &b);
	conn_flr(&b.conn);
	(void)verb(&b, HCA_LOAD, HCA_STATE, b.eq, 0, HCA_BAD_HANDLE);
	post(&a, 0, HCA_SEND, "nobody");
	CHECK(fired(&a));
	CHECK(hca_take_completion(&a.completions, &cqe));
	CHECK_INT(cqe.status, HCA_REMOTE_GONE);
	CHECK_INT(verb(&a, HCA_LOAD, HCA_STATE, a.qp, 0, HCA_OK), HCA_ERROR);
	part_close(&a);
	part_close(&b);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
}

static const struct unit_case cases[] = {
	{ "identity", test_identity },
	{ "transfer", test_transfer },
	{ "delay_and_fence", test_delay_and_fence },
	{ "reset", test_reset },
	{ NULL, NULL },
};

const struct unit_suite hca_device_suite = { "hca_device", cases };
