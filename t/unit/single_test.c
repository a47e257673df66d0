/* single_test.c - `iovdev --type ether` and `--type uart`, seen by a client of
 * the real process. */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/ether_regs.h"
#include "libcore/guest_memory.h"
#include "libcore/pci_caps.h"
#include "libcore/pci_config.h"
#include "libcore/uart_regs.h"
#include "libcore/vfu_proto.h"
#include "t/unit/nic_rig.h"
#include "t/unit/unit.h"

#define OWN 0x0000006f6902ull

static bool fired(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	return poll(&p, 1, RIG_PATIENCE_MS) == 1 && !eventfd_read(fd, &count);
}

static uint64_t get(struct nic_conn *conn, uint32_t offset, uint32_t size)
{
	return conn_read(conn, VFU_REGION_BAR0, offset, size);
}

static void put(struct nic_conn *conn, uint32_t offset, uint64_t value,
		uint32_t size)
{
	CHECK_INT(conn_write(conn, VFU_REGION_BAR0, offset, value, size), 0);
}

/* Vector 0 to fd, unmasked, MSI-X on. */
static void enable_msix(struct nic_conn *conn, int fd)
{
	unsigned msix = conn_cap(conn, PCI_CAP_ID_MSIX);

	conn_set_irq(conn, 0, fd);
	put(conn, NIC_MSIX_TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	CHECK_INT(conn_write(conn, VFU_REGION_CONFIG, msix + PCI_MSIX_FLAGS,
			     PCI_MSIX_FLAGS_ENABLE, 2),
		  0);
	conn_bme(conn, true);
}

static void set_intx(struct nic_conn *conn, uint32_t action, int fd)
{
	struct vfu_irq_set set = {
		.argsz = sizeof(set),
		.flags = action |
			 (fd >= 0 ? VFU_IRQ_DATA_EVENTFD : VFU_IRQ_DATA_NONE),
		.index = VFU_IRQ_INTX,
		.count = 1,
	};
	struct nic_reply reply;

	CHECK_INT(conn_call(conn, VFU_SET_IRQS, &set, sizeof(set), &fd, fd >= 0,
			    &reply),
		  0);
}

static void check_identity(struct nic_conn *pf, uint32_t id, uint32_t class)
{
	CHECK_INT(conn_read(pf, VFU_REGION_CONFIG, PCI_VENDOR_ID, 4), id);
	CHECK_INT(conn_read(pf, VFU_REGION_CONFIG, PCI_CLASS_REVISION, 4) >> 8,
		  class);
	CHECK_INT(conn_read(pf, VFU_REGION_CONFIG, PCI_INTERRUPT_PIN, 1), 1);
	CHECK_INT(conn_ecap(pf, PCI_EXT_CAP_ID_SRIOV), 0);
	CHECK_INT(conn_read(pf, VFU_REGION_CONFIG,
			    conn_cap(pf, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2),
		  0); /* one vector */
	/* The table has one entry, masked after a reset. */
	CHECK_INT(get(pf, NIC_MSIX_TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	CHECK_INT(get(pf, NIC_MSIX_TABLE + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4),
		  0);
}

static void test_ether(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	int memfd = guest_memory_create("test", RIG_MEMORY);
	struct nic_rig rig;
	struct nic_conn pf;
	uint8_t *memory;

	memory = mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
		      memfd, 0);
	nic_rig_start(&rig, (const char *[]){ "--type", "ether", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	check_identity(&pf, ETHER_DEVICE << 16 | ETHER_VENDOR_ID, ETHER_CLASS);
	CHECK_INT(get(&pf, ETHER_ID, 8), ETHER_ID_VALUE);
	CHECK_INT(get(&pf, ETHER_MAC, 8), OWN);
	CHECK_INT(get(&pf, ETHER_MAC + 2, 2), 0x6f);
	CHECK_INT(conn_dma_map(&pf, 0, RIG_MEMORY, memfd), 0);
	enable_msix(&pf, fd);
	put(&pf, ETHER_IRQ_ENABLE, ETHER_STATUS_MESSAGE, 8);
	put(&pf, ETHER_RX_ADDRESS, 0x1000, 8);
	put(&pf, ETHER_RX_LENGTH, 2048, 8);
	strcpy((char *)memory + 0x102, "to myself");
	put(&pf, ETHER_CSR_A, 0x100, 8);
	put(&pf, ETHER_CSR_B, 12, 4); /* not whole: dropped */
	put(&pf, ETHER_CSR_B, 12, 8);
	CHECK_INT(ETHER_STATUS_STATE(get(&pf, ETHER_STATUS, 8)), 3);
	put(&pf, ETHER_CSR_C, OWN, 8);
	CHECK(fired(fd));
	CHECK_STR((char *)memory + 0x1000 + 14, "to myself");
	CHECK_INT(get(&pf, ETHER_RX_SIZE, 8), 24);
	CHECK(get(&pf, ETHER_STATUS, 8) & ETHER_STATUS_MESSAGE);
	put(&pf, ETHER_CSR_C, OWN, 8);
	CHECK(nic_rig_await(&rig, "\"ev\":\"ether.illegal\""));
	conn_flr(&pf);
	CHECK_INT(get(&pf, ETHER_IRQ_ENABLE, 8), 0);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	munmap(memory, RIG_MEMORY);
	close(memfd);
	close(fd);
}

/* Without Bus Master Enable a message waits in the end state. */
static void test_ether_fenced(void)
{
	int memfd = guest_memory_create("test", RIG_MEMORY);
	struct nic_rig rig;
	struct nic_conn pf;

	nic_rig_start(&rig, (const char *[]){ "--type", "ether", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	CHECK_INT(conn_dma_map(&pf, 0, RIG_MEMORY, memfd), 0);
	put(&pf, ETHER_CSR_A, 0x100, 8);
	put(&pf, ETHER_CSR_B, 60, 8);
	put(&pf, ETHER_CSR_C, 0, 8);
	CHECK(!(get(&pf, ETHER_STATUS, 8) & ETHER_STATUS_READY));
	conn_bme(&pf, true);
	CHECK(get(&pf, ETHER_STATUS, 8) & ETHER_STATUS_SENT);
	CHECK_INT(get(&pf, ETHER_SENT, 8), 1);
	/* Memory that went away is none. */
	CHECK_INT(conn_dma_unmap(&pf, 0, RIG_MEMORY), 0);
	put(&pf, ETHER_CSR_A, 0x100, 8);
	put(&pf, ETHER_CSR_B, 60, 8);
	put(&pf, ETHER_CSR_C, 0, 8);
	CHECK(get(&pf, ETHER_STATUS, 8) & ETHER_STATUS_BAD_SEND);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(memfd);
}

/* INTA is a level: told again after the unmask while it is there. */
static void test_intx(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct vfu_irq_info info = { sizeof(info), 0, VFU_IRQ_INTX, 0 };
	struct nic_reply reply;
	struct nic_rig rig;
	struct nic_conn pf;
	eventfd_t count;

	nic_rig_start(&rig, (const char *[]){ "--type", "uart", NULL });
	CHECK(conn_open(&pf, &rig, 0));
	CHECK_INT(conn_call(&pf, VFU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0,
			    &reply),
		  0);
	memcpy(&info, reply.data, sizeof(info));
	CHECK_INT(info.count, 1);
	CHECK_INT(info.flags, VFU_IRQ_INFO_EVENTFD | VFU_IRQ_INFO_MASKABLE |
				      VFU_IRQ_INFO_AUTOMASKED);
	set_intx(&pf, VFU_IRQ_ACTION_TRIGGER, fd);
	put(&pf, UART_IER, UART_IER_THRI, 1);
	CHECK(fired(fd));
	CHECK(conn_read(&pf, VFU_REGION_CONFIG, PCI_STATUS, 2) &
	      PCI_STATUS_INTERRUPT);
	set_intx(&pf, VFU_IRQ_ACTION_UNMASK, -1);
	CHECK(fired(fd));
	CHECK_INT(get(&pf, UART_IIR, 1), UART_IIR_THRI);
	set_intx(&pf, VFU_IRQ_ACTION_UNMASK, -1);
	CHECK(!(conn_read(&pf, VFU_REGION_CONFIG, PCI_STATUS, 2) &
		PCI_STATUS_INTERRUPT));
	CHECK(eventfd_read(fd, &count) < 0);
	/* With INTx Disable it is not told until that is cleared. */
	CHECK_INT(conn_write(&pf, VFU_REGION_CONFIG, PCI_COMMAND,
			     PCI_COMMAND_INTX_DISABLE, 2),
		  0);
	put(&pf, UART_IER, 0, 1);
	put(&pf, UART_IER, UART_IER_THRI, 1);
	CHECK(eventfd_read(fd, &count) < 0);
	CHECK_INT(conn_write(&pf, VFU_REGION_CONFIG, PCI_COMMAND, 0, 2), 0);
	CHECK(fired(fd));
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	close(fd);
}

static void check_echo(struct nic_conn *pf, int line, int irq, uint8_t mask)
{
	struct pollfd p = { .fd = line, .events = POLLIN };
	unsigned i;
	uint8_t b;

	for (i = 0; i < 256; i += 51) {
		put(pf, UART_TX, i, 1);
		CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
		CHECK_INT(read(line, &b, 1), 1);
		CHECK_INT(b, i & mask);
		b = (uint8_t)~i;
		CHECK_INT(write(line, &b, 1), 1);
		CHECK(fired(irq));
		CHECK_INT(get(pf, UART_IIR, 1) & 0xf, UART_IIR_RDI);
		CHECK_INT(get(pf, UART_RX, 1), (uint8_t)~i & mask);
	}
}

/* Over a Unix socket, in the four word lengths, with FIFOs and without. */
static void test_uart(void)
{
	static const uint8_t masks[] = { 0x1f, 0x3f, 0x7f, 0xff };
	int irq = eventfd(0, EFD_NONBLOCK), line;
	char text[PATH_MAX + 5] = "unix:";
	struct nic_rig rig, outside;
	struct nic_conn pf;
	unsigned i;

	scratch_make(&outside.dir);
	scratch_path(&outside.dir, text + 5, "line");
	nic_rig_start(&rig, (const char *[]){ "--type", "uart", "--line", text,
					      NULL });
	CHECK(conn_open(&pf, &rig, 0));
	check_identity(&pf, UART_DEVICE << 16 | UART_VENDOR_ID, UART_CLASS);
	CHECK_INT(get(&pf, UART_MSR, 1), 0);
	line = conn_connect(&outside, "line");
	CHECK(nic_rig_await(&rig, "\"on\":true"));
	CHECK_INT(get(&pf, UART_MSR, 1), 0xbb); /* DCD, DSR, CTS and changes */
	enable_msix(&pf, irq);
	put(&pf, UART_IER, UART_IER_RDI, 1);
	for (i = 0; i < 8; i++) {
		put(&pf, UART_FCR, i < 4 ? 0 : UART_FCR_ENABLE_FIFO, 1);
		put(&pf, UART_LCR, i & 3, 1);
		check_echo(&pf, line, irq, masks[i & 3]);
	}
	close(line);
	CHECK(nic_rig_await(&rig, "\"on\":false"));
	CHECK_INT(get(&pf, UART_MSR, 1), 0x0b);
	put(&pf, UART_TX, 'x', 1); /* nobody is there: lost */
	CHECK_INT(get(&pf, UART_LSR, 1), UART_LSR_THRE | UART_LSR_TEMT);
	conn_close(&pf);
	CHECK_INT(nic_rig_stop(&rig, SIGTERM), 0);
	scratch_remove(&outside.dir);
	close(irq);
}

static const struct unit_case cases[] = {
	{ "ether", test_ether }, { "ether_fenced", test_ether_fenced },
	{ "intx", test_intx },   { "uart", test_uart },
	{ NULL, NULL },
};

const struct unit_suite single_suite = { "single", cases };
