/* guest_rig.c - a guest on a bus of the test's own. */
#include <config.h>

#include "t/unit/guest_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcore/ether_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"
#include "libcore/unixsock.h"
#include "t/unit/unit.h"

#define MSIX_CAP 0x40

static const struct point_desc points[POINT_N] = {
	[0 ... POINT_N - 1] = { "point", "of the test", true },
};
static const struct program_desc desc = { .role = "guestd" };

static void config_fill(struct guest_rig *rig)
{
	uint8_t *c = rig->config;

	memset(c, 0, PCI_CONFIG_SIZE);
	pci_put16(c, PCI_VENDOR_ID, NIC_VENDOR_ID);
	pci_put16(c, PCI_DEVICE_ID, rig->ether ? ETHER_DEVICE : NIC_VF_DEVICE);
	pci_put16(c, PCI_STATUS, PCI_STATUS_CAP_LIST);
	pci_put32(c, PCI_BASE_ADDRESS_0, (uint32_t)RIG_BAR);
	c[PCI_CAPABILITY_LIST] = MSIX_CAP;
	c[MSIX_CAP] = PCI_CAP_ID_MSIX;
	pci_put16(c, MSIX_CAP + PCI_MSIX_FLAGS, NIC_VECTORS - 1);
	pci_put32(c, MSIX_CAP + PCI_MSIX_TABLE, NIC_MSIX_TABLE);
	pci_put32(c, MSIX_CAP + PCI_MSIX_PBA, NIC_MSIX_PBA);
}

uint32_t guest_rig_reg(const struct guest_rig *rig, uint32_t offset)
{
	return pci_get32(rig->bar, offset);
}

void guest_rig_set(struct guest_rig *rig, uint32_t offset, uint32_t value)
{
	pci_put32(rig->bar, offset, value);
}

void guest_rig_reset(struct guest_rig *rig)
{
	unsigned i;

	memset(rig->bar, 0, sizeof(rig->bar));
	config_fill(rig);
	if (rig->ether) {
		guest_rig_set(rig, ETHER_ID, ETHER_ID_VALUE);
		return;
	}
	guest_rig_set(rig, NIC_ID, NIC_ID_VALUE);
	guest_rig_set(rig, NIC_VERSION, 1);
	guest_rig_set(rig, NIC_MAC_LOW, 0x016f6902);
	guest_rig_set(rig, NIC_MAC_HIGH, 0x0200);
	for (i = 0; i < NIC_VECTORS; i++)
		guest_rig_set(rig, NIC_MSIX_TABLE + 16 * i + 12, 1);
}

static void link_interrupt(struct guest_rig *rig)
{
	if (rig->irq_fd[platform_irq(RIG_SLOT, NIC_VECTOR_EVENT)] >= 0)
		guest_rig_interrupt(rig,
				    platform_irq(RIG_SLOT, NIC_VECTOR_EVENT));
}

void guest_rig_answer(struct guest_rig *rig)
{
	guest_rig_set(rig, NIC_MBX_LINK, rig->link);
	guest_rig_set(rig, NIC_MBX_BANDWIDTH, 1000);
	guest_rig_set(rig, NIC_MBX_ANSWER, guest_rig_reg(rig, NIC_MBX_REQUEST));
	link_interrupt(rig);
}

void guest_rig_notify(struct guest_rig *rig)
{
	guest_rig_set(rig, NIC_MBX_NOTICES,
		      guest_rig_reg(rig, NIC_MBX_NOTICES) + 1);
	link_interrupt(rig);
}

static void on_request(struct guest_rig *rig)
{
	rig->requests++;
	if (!rig->silent)
		guest_rig_answer(rig);
}

static uint8_t *place(struct guest_rig *rig, const struct vfu_request *req)
{
	uint64_t config = platform_guest_config(RIG_SLOT);

	if (req->region != PLATFORM_REGION_IO || !rig->present)
		return NULL;
	if (req->offset >= config &&
	    req->offset + req->count <= config + PCI_CONFIG_SIZE)
		return rig->config + (req->offset - config);
	if (!rig->refuse && req->offset >= RIG_BAR &&
	    req->offset + req->count <= RIG_BAR + NIC_VF_BAR_SIZE)
		return rig->bar + (req->offset - RIG_BAR);
	return NULL;
}

static void on_access(void *arg, struct vfu_request *req)
{
	struct guest_rig *rig = arg;
	uint8_t *at = place(rig, req);

	if (!at) {
		vfu_request_unsupported(req);
	} else if (req->command == VFU_REGION_READ) {
		vfu_request_read_done(req, at);
	} else {
		memcpy(at, req->data, req->count);
		rig->enables += (at == rig->bar + NIC_TX + NIC_Q_ENABLE ||
				 at == rig->bar + NIC_RX + NIC_Q_ENABLE) &&
				*at == 1;
		vfu_request_ok(req);
		if (at == rig->bar + NIC_MBX_REQUEST)
			on_request(rig);
	}
}

static int on_region_info(void *arg, struct vfu_region_info *info,
			  struct vfu_sparse_area areas[4], unsigned *n_areas,
			  int *fd)
{
	struct guest_rig *rig = arg;

	(void)areas;
	*n_areas = 0;
	if (info->index == PLATFORM_REGION_IO) {
		info->size = PLATFORM_IO_SIZE;
		info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	}
	if (info->index != PLATFORM_REGION_MEMORY)
		return 0;
	info->size = RIG_MEMORY;
	info->flags =
		VFU_REGION_READABLE | VFU_REGION_WRITEABLE | VFU_REGION_MMAP;
	*fd = rig->memory_fd;
	return 0;
}

static unsigned on_irq_count(void *arg, uint32_t index)
{
	(void)arg;
	return index == VFU_IRQ_MSIX ? PLATFORM_IRQS : index == VFU_IRQ_MSI;
}

static void on_set_irqs(void *arg, struct vfu_request *req,
			const struct vfu_irq_set *set, int *fds, unsigned n_fds,
			const uint8_t *data)
{
	struct guest_rig *rig = arg;
	unsigned i;

	(void)data;
	for (i = 0; i < n_fds && set->start + i < PLATFORM_IRQS; i++) {
		if (rig->irq_fd[set->start + i] >= 0)
			close(rig->irq_fd[set->start + i]);
		rig->irq_fd[set->start + i] = fds[i];
		fds[i] = -1;
	}
	vfu_request_ok(req);
}

static void on_io_fds(void *arg, struct vfu_request *req, uint32_t region)
{
	const struct guest_rig *rig = arg;
	const struct vfu_io_fd subs[2] = {
		{ .offset = RIG_BAR + NIC_DOORBELL_TX,
		  .size = 4,
		  .fd_index = 0 },
		{ .offset = RIG_BAR + NIC_DOORBELL_RX,
		  .size = 4,
		  .fd_index = 1 },
	};

	(void)region;
	vfu_request_io_fds(req, subs, 2, rig->bell_fd, 2);
}

static void on_attached(void *arg, struct vfu_session *session)
{
	((struct guest_rig *)arg)->session = session;
}

static void on_reply(void *arg, struct vfu_session *session,
		     struct vfu_msg *msg)
{
	(void)arg;
	(void)session;
	CHECK_INT(msg->header.flags & VFU_FLAG_ERROR, 0);
}

static void on_detached(void *arg, struct vfu_session *session, const char *why)
{
	(void)arg;
	(void)session;
	(void)why;
}

static const struct vfu_server_ops server_ops = {
	.attached = on_attached,
	.detached = on_detached,
	.access = on_access,
	.region_info = on_region_info,
	.irq_count = on_irq_count,
	.set_irqs = on_set_irqs,
	.io_fds = on_io_fds,
	.reply = on_reply,
};
static const struct vfu_server_desc server_desc = {
	.num_regions = PLATFORM_REGION_N,
	.max_sessions = 1,
};

static void bus_start(struct guest_rig *rig)
{
	char path[PATH_MAX];
	struct complaint c;
	unsigned i;
	int fd;

	mkdir(scratch_path(&rig->scratch, path, "bus"), 0700);
	scratch_path(&rig->scratch, path, "bus/vm1.sock");
	fd = unixsock_listen(path, &c);
	rig->memory_fd = guest_memory_create("rig", RIG_MEMORY);
	if (fd < 0 || rig->memory_fd < 0 ||
	    guest_memory_map(&rig->memory, 0, RIG_MEMORY,
			     GUEST_READ | GUEST_WRITE, rig->memory_fd, 0) < 0 ||
	    vfu_server_new(&rig->server, rig->guest.program.loop, fd,
			   &server_desc, &server_ops, rig) < 0)
		abort();
	for (i = 0; i < PLATFORM_IRQS; i++)
		rig->irq_fd[i] = -1;
	for (i = 0; i < 2; i++)
		rig->bell_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static bool is_ready(struct guest_rig *rig)
{
	return rig->guest.program.is_ready;
}

static void start(struct guest_rig *rig, const char *send, bool ether)
{
	struct guest *g = &rig->guest;
	struct program *p = &g->program;

	memset(rig, 0, sizeof(*rig));
	scratch_make(&rig->scratch);
	p->desc = &desc;
	p->ready_fd = -1;
	snprintf(p->machine.dir, sizeof(p->machine.dir), "%s",
		 rig->scratch.dir);
	if (loop_new(&p->loop) < 0 ||
	    points_new(&p->points, points, POINT_N, NULL) < 0)
		abort();
	rig->present = rig->link = true;
	rig->ether = ether;
	guest_rig_reset(rig);
	bus_start(rig);
	g->options.vm = 1;
	g->options.ring = RIG_RING;
	g->options.buffer_bytes = 2048;
	if (send) {
		g->options.n_specs = 1;
		if (workload_parse(WORKLOAD_SEND, send, &g->options.specs[0],
				   NULL) < 0)
			abort();
	}
	CHECK_INT(guest_start(g), 0);
	CHECK(guest_rig_until(rig, is_ready));
}

void guest_rig_start(struct guest_rig *rig, const char *send)
{
	start(rig, send, false);
}

void guest_rig_start_ether(struct guest_rig *rig)
{
	start(rig, NULL, true);
}

void guest_rig_stop(struct guest_rig *rig)
{
	unsigned i;

	guest_fini(&rig->guest);
	vfu_server_free(rig->server);
	points_free(rig->guest.program.points);
	loop_free(rig->guest.program.loop);
	guest_memory_clear(&rig->memory);
	close(rig->memory_fd);
	for (i = 0; i < PLATFORM_IRQS; i++)
		if (rig->irq_fd[i] >= 0)
			close(rig->irq_fd[i]);
	close(rig->bell_fd[0]);
	close(rig->bell_fd[1]);
	scratch_remove(&rig->scratch);
}

static void on_time(void *arg)
{
	loop_stop(arg, 0);
}

void guest_rig_run(struct guest_rig *rig, uint64_t ns)
{
	struct loop *loop = rig->guest.program.loop;
	struct loop_timer timer = { 0 };

	loop_timer_in(loop, &timer, ns, on_time, loop);
	loop_run(loop);
	loop_timer_cancel(&timer);
}

bool guest_rig_until(struct guest_rig *rig, bool (*done)(struct guest_rig *))
{
	unsigned i;

	for (i = 0; i < RIG_PATIENCE; i++) {
		if (done(rig))
			return true;
		guest_rig_run(rig, NS_PER_MS);
	}
	return false;
}

struct vf *guest_rig_vf(struct guest_rig *rig)
{
	return rig->guest.vf[RIG_SLOT];
}

void guest_rig_interrupt(struct guest_rig *rig, uint32_t irq)
{
	struct vfu_dma_access access = { PLATFORM_MSI, sizeof(irq) };
	struct iovec iov[] = { { &access, sizeof(access) },
			       { &irq, sizeof(irq) } };
	const uint64_t one = 1;

	if (irq == PLATFORM_IRQ_PLATFORM)
		CHECK_INT(vfu_session_command(rig->session, 0, VFU_DMA_WRITE,
					      iov, 2),
			  0);
	else
		CHECK_INT(write(rig->irq_fd[irq], &one, sizeof(one)),
			  sizeof(one));
}

bool guest_rig_rang(struct guest_rig *rig, unsigned bell)
{
	uint64_t count;

	return read(rig->bell_fd[bell], &count, sizeof(count)) == sizeof(count);
}

void *guest_rig_at(struct guest_rig *rig, uint64_t gpa, uint64_t size)
{
	return guest_memory_at(&rig->memory, gpa, size,
			       GUEST_READ | GUEST_WRITE);
}

static struct queue_ring *ring(struct guest_rig *rig, uint32_t block)
{
	uint64_t gpa = guest_rig_reg(rig, block + NIC_Q_BASE);

	return guest_rig_at(rig, gpa, queue_ring_size(RIG_RING));
}

struct queue guest_rig_tx(struct guest_rig *rig)
{
	struct queue q = { 0 };

	CHECK_INT(queue_attach_reader(&q, ring(rig, NIC_TX), RIG_RING), 0);
	return q;
}

struct queue guest_rig_rx(struct guest_rig *rig)
{
	struct queue q = { 0 };

	CHECK_INT(queue_attach_writer(&q, ring(rig, NIC_RX), RIG_RING), 0);
	return q;
}
