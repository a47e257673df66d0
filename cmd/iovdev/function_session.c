/* function_session.c - a function's vfio-user server: its client, DMA maps,
 * interrupts, sockets. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/iovdev/direct.h"
#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "libcore/unixsock.h"
#include "libcore/window.h"

static void on_attached(void *arg, struct vfu_session *session)
{
	struct function *f = arg;

	f->session = session;
	event(f->nic->log, "client.attached", "s:s, s:i", "function", f->name,
	      "pid", (int)vfu_session_peer(session));
}

static void detach_queues(struct function *f)
{
	nic_queue_detach(&f->queue[NIC_QUEUE_TX]);
	nic_queue_detach(&f->queue[NIC_QUEUE_RX]);
}

static void on_detached(void *arg, struct vfu_session *session, const char *why)
{
	struct function *f = arg;
	struct nic *nic = f->nic;

	(void)session;
	f->session = NULL;
	direct_close(f);
	detach_queues(f);
	guest_memory_clear(&f->memory);
	f->memory_lost = false;
	interrupts_release(&f->irq);
	interrupt_line_release(&f->line);
	completion_reset(f);
	access_order_drop(f);
	nic_tx_unstall(nic);
	event(nic->log, "client.detached", "s:s, s:s*", "function", f->name,
	      "why", why);
	if (f->vf || nic->leaving)
		return;
	if (!nic->standalone)
		program_stop(nic->program, STATUS_SHUTDOWN,
			     "%s: the root bridge is gone", f->name);
	else if (!f->socket_path)
		program_stop(nic->program, STATUS_OK, NULL);
}

static void on_access(void *arg, struct vfu_request *req)
{
	struct function *f = arg;

	if (f->live) {
		access_order_add(f, req);
		return;
	}
	f->unsupported++;
	vfu_request_unsupported(req);
}

static int on_region_info(void *arg, struct vfu_region_info *info,
			  struct vfu_sparse_area areas[4], unsigned *n_areas,
			  int *fd)
{
	const struct function *f = arg;
	const struct device_type *type = f->nic->type;

	(void)areas, (void)n_areas;
	if (info->index == WINDOW_REGION) {
		direct_info(f, info, fd);
		return 0;
	}
	if (info->index == VFU_REGION_CONFIG)
		info->size = PCI_CONFIG_SIZE;
	else if (info->index == VFU_REGION_BAR0)
		info->size = f->vf ? type->vf_bar_size : type->bar_size;
	if (info->size)
		info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	return 0;
}

static unsigned on_irq_count(void *arg, uint32_t index)
{
	const struct device_type *type = ((struct function *)arg)->nic->type;

	if (index == VFU_IRQ_MSIX)
		return type->vectors;
	return index == VFU_IRQ_INTX && type->intx;
}

static void answer(struct vfu_request *req, int err)
{
	if (err)
		vfu_request_fail(req, -err);
	else
		vfu_request_ok(req);
}

static void on_set_irqs(void *arg, struct vfu_request *req,
			const struct vfu_irq_set *set, int *fds, unsigned n_fds,
			const uint8_t *data)
{
	struct function *f = arg;

	if (set->index == VFU_IRQ_MSIX)
		answer(req, interrupts_set(f, set, fds, n_fds, data));
	else if (set->index == VFU_IRQ_INTX && f->nic->type->intx)
		answer(req, interrupt_line_set_irqs(f, set, fds, n_fds, data));
	else
		vfu_request_ok(req); /* nothing there to disable */
}

/* What could not be reached before may be there now. */
static void look_again(struct function *f)
{
	unsigned i;

	if (!function_has_rings(f)) {
		function_reaches(f);
		return;
	}
	for (i = 0; i < NIC_QUEUE_N; i++)
		(void)nic_queue_runs(&f->queue[i], true);
	if (f->queue[NIC_QUEUE_TX].attached)
		nic_tx_kick(f);
}

static void on_dma_map(void *arg, struct vfu_request *req,
		       const struct vfu_dma_map *map, int *fd)
{
	struct function *f = arg;
	unsigned prot = 0;
	int err = -EINVAL;

	if (map->flags & VFU_DMA_READABLE)
		prot |= GUEST_READ;
	if (map->flags & VFU_DMA_WRITEABLE)
		prot |= GUEST_WRITE;
	/* Memory that comes without an fd would have to be reached by
	 * messages; a queue there could not run. */
	if (*fd >= 0 && prot)
		err = guest_memory_map(&f->memory, map->iova, map->size, prot,
				       *fd, map->offset);
	answer(req, err);
	if (!err)
		look_again(f);
}

static bool ring_within(const struct nic_queue *q, uint64_t gpa, uint64_t size)
{
	return q->attached && q->base - gpa < size;
}

/* Buffers are looked up anew for each entry, so after the rings are let go
 * nothing can reach the memory. */
static void on_dma_unmap(void *arg, struct vfu_request *req,
			 const struct vfu_dma_unmap *unmap)
{
	struct function *f = arg;
	unsigned i;
	int err = 0;

	if (unmap->flags & VFU_DMA_UNMAP_ALL) {
		detach_queues(f);
		guest_memory_clear(&f->memory);
	} else {
		err = guest_memory_unmap(&f->memory, unmap->iova, unmap->size);
		for (i = 0; !err && i < NIC_QUEUE_N; i++)
			if (ring_within(&f->queue[i], unmap->iova, unmap->size))
				nic_queue_detach(&f->queue[i]);
	}
	f->memory_lost = guest_memory_lost(&f->memory);
	nic_tx_unstall(f->nic);
	answer(req, err);
}

static void on_io_fds(void *arg, struct vfu_request *req, uint32_t region)
{
	if (region == WINDOW_REGION)
		direct_tell(arg, req);
	else
		doorbells_tell(arg, req, region);
}

static void on_reset(void *arg, struct vfu_request *req)
{
	struct function *f = arg;

	if (f->live)
		access_order_add(f, req);
	else
		vfu_request_ok(req);
}

static void on_refused(void *arg, struct vfu_session *session, const char *why)
{
	struct function *f = arg;
	uint64_t suppressed;

	if (function_tells(f, &suppressed))
		event(f->nic->log, "client.refused", "s:s, s:i, s:s, s:I",
		      "function", f->name, "pid",
		      (int)vfu_session_peer(session), "why", why, "suppressed",
		      (json_int_t)suppressed);
}

static const struct vfu_server_ops server_ops = {
	.attached = on_attached,
	.detached = on_detached,
	.access = on_access,
	.region_info = on_region_info,
	.irq_count = on_irq_count,
	.set_irqs = on_set_irqs,
	.dma_map = on_dma_map,
	.dma_unmap = on_dma_unmap,
	.io_fds = on_io_fds,
	.reset = on_reset,
	.refused = on_refused,
};

static const struct vfu_server_desc server_desc = {
	.num_regions = WINDOW_REGION + 1,
	.max_sessions = 1,
	.reset = true,
};

int function_listen(struct function *f, const char *path, struct complaint *c)
{
	int fd, err;

	if (f->server)
		return 0;
	fd = unixsock_listen(path, c);
	if (fd < 0)
		return fd;
	f->socket_path = strdup(path);
	err = vfu_server_new(&f->server, f->nic->loop, fd, &server_desc,
			     &server_ops, f);
	if (!f->socket_path)
		err = -ENOMEM;
	return err ? complain(c, -err, "%s: %s", path, strerror(-err)) : 0;
}

int function_serve_fd(struct function *f, int fd, struct complaint *c)
{
	int listens = 0, err;
	socklen_t size = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0) {
		err = complain(c, errno, "--fd=%d: %s", fd, strerror(errno));
		close(fd);
		return err;
	}
	err = vfu_server_new(&f->server, f->nic->loop, listens ? fd : -1,
			     &server_desc, &server_ops, f);
	if (!err && !listens)
		err = vfu_server_adopt(f->server, fd);
	return err ? complain(c, -err, "--fd=%d: %s", fd, strerror(-err)) : 0;
}
