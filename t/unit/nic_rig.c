/* nic_rig.c - a real iovdev process, and small clients and guests of it. */
#include <config.h>

#include "t/unit/nic_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "libcore/loop.h"
#include "libcore/pci_caps.h"
#include "libcore/vfu_proto.h"
#include "t/unit/unit.h"

#define OPTIONS_MAX 24

/* build/bin/iovdev, beside build/t/unit/unit. */
static void program_path(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 32);

	if (n < 0)
		abort();
	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/../../bin/iovdev");
}

static void run_device(const struct nic_rig *rig, const char *const *options,
		       int ready)
{
	char path[PATH_MAX], socket[PATH_MAX], machine[PATH_MAX], fd[16];
	const char *argv[OPTIONS_MAX + 10] = { "iovdev", "--name=nic0" };
	unsigned n = 2;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	program_path(path);
	snprintf(fd, sizeof(fd), "%d", ready);
	argv[n++] = "--machine";
	argv[n++] = scratch_path(&rig->dir, machine, "m");
	if (!*options || strcmp(*options, "--fd")) {
		argv[n++] = "--socket-path";
		argv[n++] = scratch_path(&rig->dir, socket, "pf");
	}
	argv[n++] = "--ready-fd";
	argv[n++] = fd;
	while (*options && n < OPTIONS_MAX + 9)
		argv[n++] = *options++;
	execv(path, (char **)argv);
	perror(path);
	_exit(127);
}

void nic_rig_start(struct nic_rig *rig, const char *const *options)
{
	static const char *const none[] = { NULL };
	int ready[2];
	char byte;

	scratch_make(&rig->dir);
	if (pipe(ready) < 0)
		abort();
	rig->pid = fork();
	if (!rig->pid) {
		close(ready[0]);
		run_device(rig, options ? options : none, ready[1]);
	}
	close(ready[1]);
	CHECK_INT(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

int nic_rig_stop(struct nic_rig *rig, int signo)
{
	int status;

	if (signo)
		kill(rig->pid, signo);
	if (waitpid(rig->pid, &status, 0) != rig->pid)
		abort();
	scratch_remove(&rig->dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *read_events(const struct nic_rig *rig)
{
	char path[PATH_MAX], *text = NULL;
	size_t size = 0;
	FILE *f = fopen(scratch_path(&rig->dir, path, "m/events/nic0.jsonl"),
			"r");

	if (!f || getdelim(&text, &size, '\0', f) < 0)
		abort();
	fclose(f);
	return text;
}

unsigned nic_rig_count(const struct nic_rig *rig, const char *text)
{
	char *log = read_events(rig), *at = log;
	unsigned n = 0;

	while ((at = strstr(at, text))) {
		n++;
		at++;
	}
	free(log);
	return n;
}

static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

bool nic_rig_await(const struct nic_rig *rig, const char *text)
{
	uint64_t until = clock_now_ns() + RIG_PATIENCE_MS * NS_PER_MS;

	while (!nic_rig_count(rig, text)) {
		if (clock_now_ns() > until)
			return false;
		pause_ms(2);
	}
	return true;
}

int conn_connect(const struct nic_rig *rig, const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	scratch_path(&rig->dir, path, name);
	if (strlen(path) >= sizeof(sun.sun_path))
		abort();
	strcpy(sun.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One sendmsg with fds along. */
static void send_all(int fd, const void *data, size_t size, const int *fds,
		     unsigned n_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { { 0 } };
	struct iovec iov = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	CHECK_INT(sendmsg(fd, &msg, MSG_NOSIGNAL), size);
}

int nic_rig_ask(const struct nic_rig *rig, const char *method,
		const char *params, int fd)
{
	int socket = conn_connect(rig, "m/ctl/nic0.sock");
	char line[1024];
	int n;

	n = snprintf(line, sizeof(line),
		     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\","
		     "\"params\":%s}\n",
		     method, params);
	send_all(socket, line, (size_t)n, &fd, fd >= 0);
	return socket;
}

const char *nic_rig_answer(int socket, char *buf, size_t size)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	size_t n = 0;
	ssize_t got;

	while (n < size - 1 && poll(&p, 1, RIG_PATIENCE_MS) == 1) {
		got = read(socket, buf + n, 1);
		if (got != 1 || buf[n] == '\n')
			break;
		n++;
	}
	buf[n] = '\0';
	close(socket);
	return buf;
}

const char *nic_rig_rpc(const struct nic_rig *rig, const char *method,
			const char *params, char *buf, size_t size)
{
	return nic_rig_answer(nic_rig_ask(rig, method, params, -1), buf, size);
}

/* vfio-user */

uint16_t conn_send(struct nic_conn *conn, uint16_t command, const void *payload,
		   size_t size, const int *fds, unsigned n_fds)
{
	struct vfu_header header = { .id = ++conn->id, .command = command };
	uint8_t data[4096];

	header.size = (uint32_t)(sizeof(header) + size);
	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), payload, size);
	send_all(conn->fd, data, header.size, fds, n_fds);
	return conn->id;
}

static bool receive(int fd, void *data, size_t size, int ms,
		    struct nic_reply *reply)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { { 0 } };
	struct iovec iov = { data, size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, ms) != 1 ||
	    recvmsg(fd, &msg, MSG_WAITALL) != (ssize_t)size)
		return false;
	if (msg.msg_controllen >= CMSG_LEN(sizeof(int))) {
		reply->n_fds =
			(unsigned)((control.header.cmsg_len - CMSG_LEN(0)) /
				   sizeof(int));
		memcpy(reply->fds, CMSG_DATA(&control.header),
		       reply->n_fds * sizeof(int));
	}
	return true;
}

bool conn_reply(struct nic_conn *conn, int ms, struct nic_reply *reply)
{
	struct vfu_header header;

	reply->n_fds = 0;
	if (!receive(conn->fd, &header, sizeof(header), ms, reply))
		return false;
	reply->id = header.id;
	reply->err = header.flags & VFU_FLAG_ERROR ? header.error : 0;
	reply->size = header.size - sizeof(header);
	if (reply->size > sizeof(reply->data))
		abort();
	return !reply->size || receive(conn->fd, reply->data, reply->size,
				       RIG_PATIENCE_MS, reply);
}

int conn_call(struct nic_conn *conn, uint16_t command, const void *payload,
	      size_t size, const int *fds, unsigned n_fds,
	      struct nic_reply *reply)
{
	uint16_t id = conn_send(conn, command, payload, size, fds, n_fds);

	if (!conn_reply(conn, RIG_PATIENCE_MS, reply))
		return -1;
	CHECK_INT(reply->id, id);
	return (int)reply->err;
}

bool conn_use(struct nic_conn *conn, int fd)
{
	static const char hello[] =
		"\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8}}";
	struct nic_reply reply;

	conn->id = 0;
	conn->fd = fd;
	return fd >= 0 && !conn_call(conn, VFU_VERSION, hello, sizeof(hello),
				     NULL, 0, &reply);
}

bool conn_open(struct nic_conn *conn, const struct nic_rig *rig, unsigned vf)
{
	char name[16];

	snprintf(name, sizeof(name), vf ? "pf.vf%u" : "pf", vf);
	return conn_use(conn, conn_connect(rig, name));
}

void conn_close(struct nic_conn *conn)
{
	close(conn->fd);
}

uint16_t conn_send_read(struct nic_conn *conn, uint32_t region, uint64_t offset,
			uint32_t count)
{
	struct vfu_region_access access = { offset, region, count };

	return conn_send(conn, VFU_REGION_READ, &access, sizeof(access), NULL,
			 0);
}

uint64_t conn_read(struct nic_conn *conn, uint32_t region, uint64_t offset,
		   uint32_t count)
{
	struct vfu_region_access access = { offset, region, count };
	struct nic_reply reply;
	uint64_t value = 0;

	CHECK_INT(conn_call(conn, VFU_REGION_READ, &access, sizeof(access),
			    NULL, 0, &reply),
		  0);
	CHECK_INT(reply.size, sizeof(access) + count);
	memcpy(&value, reply.data + sizeof(access), count);
	return value;
}

int conn_write(struct nic_conn *conn, uint32_t region, uint64_t offset,
	       uint64_t value, uint32_t count)
{
	uint8_t payload[sizeof(struct vfu_region_access) + 8];
	struct vfu_region_access access = { offset, region, count };
	struct nic_reply reply;

	memcpy(payload, &access, sizeof(access));
	memcpy(payload + sizeof(access), &value, sizeof(value));
	return conn_call(conn, VFU_REGION_WRITE, payload,
			 sizeof(access) + count, NULL, 0, &reply);
}

void regs_read(struct nic_conn *conn, uint32_t offset, void *data,
	       uint32_t count)
{
	struct vfu_region_access access = { offset, VFU_REGION_BAR0, count };
	struct nic_reply reply;

	CHECK_INT(conn_call(conn, VFU_REGION_READ, &access, sizeof(access),
			    NULL, 0, &reply),
		  0);
	CHECK_INT(reply.size, sizeof(access) + count);
	memcpy(data, reply.data + sizeof(access), count);
}

void regs_write(struct nic_conn *conn, uint32_t offset, const void *data,
		uint32_t count)
{
	struct vfu_region_access access = { offset, VFU_REGION_BAR0, count };
	uint8_t payload[sizeof(access) + 4096];
	struct nic_reply reply;

	memcpy(payload, &access, sizeof(access));
	memcpy(payload + sizeof(access), data, count);
	CHECK_INT(conn_call(conn, VFU_REGION_WRITE, payload,
			    sizeof(access) + count, NULL, 0, &reply),
		  0);
}

uint32_t reg_read(struct nic_conn *conn, uint32_t offset)
{
	return (uint32_t)conn_read(conn, VFU_REGION_BAR0, offset, 4);
}

void reg_write(struct nic_conn *conn, uint32_t offset, uint32_t value)
{
	CHECK_INT(conn_write(conn, VFU_REGION_BAR0, offset, value, 4), 0);
}

int conn_dma_map(struct nic_conn *conn, uint64_t iova, uint64_t size, int fd)
{
	struct vfu_dma_map map = { .argsz = sizeof(map),
				   .flags =
					   VFU_DMA_READABLE | VFU_DMA_WRITEABLE,
				   .iova = iova,
				   .size = size };
	struct nic_reply reply;

	return conn_call(conn, VFU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0,
			 &reply);
}

int conn_dma_unmap(struct nic_conn *conn, uint64_t iova, uint64_t size)
{
	struct vfu_dma_unmap unmap = { .argsz = sizeof(unmap),
				       .iova = iova,
				       .size = size };
	struct nic_reply reply;

	return conn_call(conn, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0,
			 &reply);
}

void conn_set_irq(struct nic_conn *conn, uint32_t vector, int fd)
{
	struct vfu_irq_set set = { .argsz = sizeof(set),
				   .flags = VFU_IRQ_DATA_EVENTFD |
					    VFU_IRQ_ACTION_TRIGGER,
				   .index = VFU_IRQ_MSIX,
				   .start = vector,
				   .count = 1 };
	struct nic_reply reply;

	CHECK_INT(conn_call(conn, VFU_SET_IRQS, &set, sizeof(set), &fd, 1,
			    &reply),
		  0);
}

static void read_config(struct nic_conn *conn, uint8_t config[4096])
{
	struct vfu_region_access access = { 0, VFU_REGION_CONFIG, 4096 };
	struct nic_reply reply;

	CHECK_INT(conn_call(conn, VFU_REGION_READ, &access, sizeof(access),
			    NULL, 0, &reply),
		  0);
	memcpy(config, reply.data + sizeof(access), 4096);
}

unsigned conn_cap(struct nic_conn *conn, uint8_t id)
{
	uint8_t config[4096];

	read_config(conn, config);
	return pci_find_cap(config, id);
}

unsigned conn_ecap(struct nic_conn *conn, uint16_t id)
{
	uint8_t config[4096];

	read_config(conn, config);
	return pci_find_ecap(config, id);
}

void conn_bme(struct nic_conn *conn, bool on)
{
	CHECK_INT(conn_write(conn, VFU_REGION_CONFIG, PCI_COMMAND,
			     on ? PCI_COMMAND_MASTER : 0, 2),
		  0);
}

void conn_flr(struct nic_conn *conn)
{
	unsigned at = conn_cap(conn, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

	CHECK_INT(conn_write(conn, VFU_REGION_CONFIG, at,
			     PCI_EXP_DEVCTL_BCR_FLR, 2),
		  0);
}

void conn_enable_vfs(struct nic_conn *pf, unsigned n)
{
	unsigned at = conn_ecap(pf, PCI_EXT_CAP_ID_SRIOV);

	CHECK_INT(
		conn_write(pf, VFU_REGION_CONFIG, at + PCI_SRIOV_NUM_VF, n, 2),
		0);
	CHECK_INT(conn_write(pf, VFU_REGION_CONFIG, at + PCI_SRIOV_CTRL,
			     PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE, 2),
		  0);
}

/* Guests */

static struct queue_ring *ring_at(struct nic_guest *g, uint32_t gpa)
{
	return (struct queue_ring *)(g->memory + gpa);
}

static void lay_out(struct nic_guest *g)
{
	struct queue_ring *rx = ring_at(g, RIG_RX_RING);
	unsigned i;

	queue_init(ring_at(g, RIG_TX_RING), RIG_ENTRIES);
	queue_init(rx, RIG_ENTRIES);
	for (i = 0; i < RIG_ENTRIES; i++) {
		rx->entry[i].addr = RIG_RX_BUFFERS + i * RIG_BUFFER;
		rx->entry[i].size = RIG_BUFFER;
	}
	CHECK_INT(queue_attach_writer(&g->tx, ring_at(g, RIG_TX_RING),
				      RIG_ENTRIES),
		  0);
	CHECK_INT(queue_attach_reader(&g->rx, rx, RIG_ENTRIES), 0);
	atomic_store(&g->tx.ring->enable, 1);
	atomic_store(&rx->enable, 1);
}

void guest_open(struct nic_guest *g, const struct nic_rig *rig, unsigned vf)
{
	unsigned i;

	g->vf = vf;
	g->memfd = memfd_create("guest", MFD_CLOEXEC);
	if (ftruncate(g->memfd, RIG_MEMORY) < 0)
		abort();
	g->memory = mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
			 g->memfd, 0);
	CHECK(conn_open(&g->conn, rig, vf));
	CHECK_INT(conn_dma_map(&g->conn, 0, RIG_MEMORY, g->memfd), 0);
	for (i = 0; i < NIC_VECTORS; i++) {
		g->irq[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		conn_set_irq(&g->conn, i, g->irq[i]);
	}
	lay_out(g);
	guest_set_up(g);
}

static void set_up_queue(struct nic_guest *g, uint32_t block, uint32_t ring,
			 uint32_t vector)
{
	CHECK_INT(conn_write(&g->conn, VFU_REGION_BAR0, block + NIC_Q_BASE,
			     ring, 8),
		  0);
	reg_write(&g->conn, block + NIC_Q_ENTRIES, RIG_ENTRIES);
	reg_write(&g->conn, block + NIC_Q_VECTOR, vector);
	reg_write(&g->conn, block + NIC_Q_ENABLE, 1);
}

void guest_set_up(struct nic_guest *g)
{
	unsigned msix = conn_cap(&g->conn, PCI_CAP_ID_MSIX), i;

	CHECK_INT(conn_write(&g->conn, VFU_REGION_CONFIG, msix + PCI_MSIX_FLAGS,
			     PCI_MSIX_FLAGS_ENABLE, 2),
		  0);
	for (i = 0; i < NIC_VECTORS; i++)
		reg_write(&g->conn, NIC_MSIX_TABLE + 16 * i + 12, 0);
	set_up_queue(g, NIC_TX, RIG_TX_RING, NIC_VECTOR_TX);
	set_up_queue(g, NIC_RX, RIG_RX_RING, NIC_VECTOR_RX);
	conn_bme(&g->conn, true);
}

void guest_close(struct nic_guest *g)
{
	unsigned i;

	conn_close(&g->conn);
	munmap(g->memory, RIG_MEMORY);
	close(g->memfd);
	for (i = 0; i < NIC_VECTORS; i++)
		close(g->irq[i]);
}

static void put_mac(uint8_t *at, unsigned vf)
{
	const uint8_t mac[6] = { 0x02, 0x69, 0x6f, 0, 0, (uint8_t)vf };

	if (vf)
		memcpy(at, mac, sizeof(mac));
	else
		memset(at, 0xff, sizeof(mac));
}

static uint8_t filler(uint32_t number, uint32_t i)
{
	return (uint8_t)(number * 31 + i);
}

void guest_put(struct nic_guest *g, unsigned to, uint32_t number, uint32_t size)
{
	uint32_t slot = g->tx.own & g->tx.mask, i;
	uint32_t gpa = RIG_TX_BUFFERS + slot * RIG_BUFFER;
	uint8_t *frame = g->memory + gpa;
	struct queue_entry *e;

	put_mac(frame, to);
	put_mac(frame + 6, g->vf);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 14, &number, sizeof(number));
	for (i = 18; i < size; i++)
		frame[i] = filler(number, i);
	CHECK(queue_space(&g->tx, 1) > 0);
	e = queue_entry(&g->tx, 0);
	e->addr = gpa;
	e->size = size;
	e->status = UINT32_MAX;
	queue_advance(&g->tx, 1);
}

void guest_publish(struct nic_guest *g)
{
	(void)queue_publish_write(&g->tx);
}

void guest_ring(struct nic_guest *g, uint32_t doorbell)
{
	reg_write(&g->conn, doorbell, 1);
}

void guest_send(struct nic_guest *g, unsigned to, uint32_t number,
		uint32_t size)
{
	guest_put(g, to, number, size);
	if (queue_publish_write(&g->tx))
		guest_ring(g, NIC_DOORBELL_TX);
}

static bool wait_rx(struct nic_guest *g, int ms)
{
	uint64_t until = clock_now_ns() + (uint64_t)ms * NS_PER_MS, count;
	struct pollfd p = { .fd = g->irq[NIC_VECTOR_RX], .events = POLLIN };

	while (queue_available(&g->rx, 1) <= 0) {
		if (clock_now_ns() >= until)
			return false;
		if (queue_reader_sleep(&g->rx)) {
			poll(&p, 1, ms);
			(void)!read(p.fd, &count, sizeof(count));
		}
		queue_reader_awake(&g->rx);
	}
	return true;
}

int64_t guest_receive(struct nic_guest *g, int ms)
{
	struct queue_entry *e;
	uint32_t number, bad = 0, i;
	const uint8_t *frame;
	int64_t result;

	if (!wait_rx(g, ms))
		return -1;
	e = queue_entry(&g->rx, 0);
	frame = g->memory + e->addr;
	memcpy(&number, frame + 14, sizeof(number));
	for (i = 18; i < e->size; i++)
		bad += frame[i] != filler(number, i);
	result = e->status ? -1000 - (int64_t)e->status
			   : (int64_t)number + ((int64_t)bad << 40);
	e->size = RIG_BUFFER;
	queue_advance(&g->rx, 1);
	(void)queue_publish_read(&g->rx);
	return result;
}

bool guest_sent(struct nic_guest *g, int ms)
{
	uint64_t until = clock_now_ns() + (uint64_t)ms * NS_PER_MS;

	while (queue_space(&g->tx, g->tx.mask) != (int)g->tx.mask) {
		if (clock_now_ns() >= until)
			return false;
		pause_ms(1);
	}
	return true;
}
