/* rigdev.c - a PCI device for tests of the bridge: rigdev DIR [VFS [QUIRK]]
 *
 * A PF with VFS virtual functions at DIR/pf0.sock and DIR/vfN.sock.  BAR 0 of
 * each function is 64 KiB (a VF's 16 KiB) of plain memory, but for
 *	0x800	a read is never answered
 *	0x810	a read is answered with an error
 *	0x820	a read is answered short
 *	0x830	a read is answered twice
 *	0x840	a read is answered when 0x848 is read
 *	0x850	an access ends the process in the middle of its reply
 *	0x860	a write fires the vector that it names
 *	0x870	a write stores 8 bytes at the DMA address that it names
 * Page 1 has a doorbell at 0x1000, counted at 0x1010.  QUIRK: no-unmap never
 * answers DMA_UNMAP; garbage answers VERSION with it.
 */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "libcore/loop.h"
#include "libcore/pci_config.h"
#include "libcore/status.h"
#include "libcore/unixsock.h"
#include "libcore/vfu_server.h"

#define PF_BAR  0x10000u
#define VF_BAR  0x4000u
#define VF_MAX  64u
#define VECTORS 4u

struct function {
	struct rig *rig;
	unsigned vf;
	struct pci_config config;
	uint8_t bar[PF_BAR];
	struct vfu_server *server;
	struct guest_memory memory;
	struct vfu_request *later;
	int irq[VECTORS];
	int bell;
	struct loop_watch bell_watch;
};

struct rig {
	struct loop *loop;
	const char *dir;
	unsigned n_vfs;
	bool no_unmap;
	struct function *function[VF_MAX + 1];
};

static void serve(struct function *f);

static uint32_t bar_size(const struct function *f)
{
	return f->vf ? VF_BAR : PF_BAR;
}

static void set_vfs(void *arg, bool enable, unsigned num_vfs)
{
	struct function *f = arg;
	unsigned i;

	for (i = 1; enable && i <= num_vfs; i++)
		if (!f->rig->function[i]->server)
			serve(f->rig->function[i]);
}

static void reset(void *arg)
{
	struct function *f = arg;

	pci_config_reset(&f->config);
	memset(f->bar, 0, sizeof(f->bar));
}

static const struct pci_config_ops config_ops = {
	.flr = reset,
	.vf_enable = set_vfs,
};

/* Half a reply, then the end. */
static void die(struct vfu_request *req)
{
	struct vfu_header header = { .id = req->id,
				     .command = req->command,
				     .size = 36,
				     .flags = VFU_FLAG_REPLY };
	int fd;

	/* The connection's own descriptor is not to be had: the highest is. */
	for (fd = 255; fd > 2; fd--)
		(void)send(fd, &header, sizeof(header), MSG_NOSIGNAL);
	_exit(9);
}

static void store(struct function *f, const struct vfu_request *req)
{
	uint64_t iova = 0;
	void *at;

	memcpy(&iova, req->data, req->count < 8 ? req->count : 8);
	at = guest_memory_at(&f->memory, iova, 8, GUEST_WRITE);
	if (at)
		memcpy(at, "iovkit!", 8);
}

static void fire(struct function *f, const struct vfu_request *req)
{
	unsigned vector = req->data[0];
	uint64_t one = 1;

	if (vector < VECTORS && f->irq[vector] >= 0 &&
	    write(f->irq[vector], &one, sizeof(one)) < 0)
		perror("rigdev: irq");
}

static void read_bar(struct function *f, struct vfu_request *req)
{
	struct vfu_region_access access = { req->offset, req->region,
					    req->count };
	struct iovec iov[2] = { { &access, sizeof(access) },
				{ f->bar + req->offset, req->count } };
	struct vfu_header header = { .id = req->id,
				     .command = req->command,
				     .flags = VFU_FLAG_REPLY };

	switch (req->offset) {
	case 0x800:
		return;
	case 0x810:
		vfu_request_fail(req, ENXIO);
		return;
	case 0x820:
		(void)vfu_conn_send(vfu_session_conn(req->session), &header,
				    iov, 1, NULL, 0);
		return;
	case 0x830:
		(void)vfu_conn_send(vfu_session_conn(req->session), &header,
				    iov, 2, NULL, 0);
		break;
	case 0x840:
		f->later = req;
		return;
	case 0x848:
		if (f->later)
			vfu_request_read_done(f->later, f->bar + 0x840);
		f->later = NULL;
		break;
	case 0x850:
		die(req);
	}
	vfu_request_read_done(req, f->bar + req->offset);
}

static void write_bar(struct function *f, struct vfu_request *req)
{
	if (req->offset == 0x850)
		die(req);
	else if (req->offset == 0x860)
		fire(f, req);
	else if (req->offset == 0x870)
		store(f, req);
	else
		memcpy(f->bar + req->offset, req->data, req->count);
	vfu_request_ok(req);
}

static void on_access(void *arg, struct vfu_request *req)
{
	bool is_write = req->command == VFU_REGION_WRITE;
	struct function *f = arg;
	static uint8_t data[PCI_CONFIG_SIZE];

	if (req->region == VFU_REGION_BAR0 && is_write) {
		write_bar(f, req);
	} else if (req->region == VFU_REGION_BAR0) {
		read_bar(f, req);
	} else if (is_write) {
		pci_config_write(&f->config, (uint32_t)req->offset, req->data,
				 req->count);
		vfu_request_ok(req);
	} else {
		pci_config_read(&f->config, (uint32_t)req->offset, data,
				req->count);
		vfu_request_read_done(req, data);
	}
}

static int on_region_info(void *arg, struct vfu_region_info *info,
			  struct vfu_sparse_area areas[4], unsigned *n_areas,
			  int *fd)
{
	(void)areas;
	(void)n_areas;
	(void)fd;
	info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	if (info->index == VFU_REGION_BAR0)
		info->size = bar_size(arg);
	else if (info->index == VFU_REGION_CONFIG)
		info->size = PCI_CONFIG_SIZE;
	else
		info->flags = 0;
	return 0;
}

static unsigned on_irq_count(void *arg, uint32_t index)
{
	(void)arg;
	return index == VFU_IRQ_MSIX ? VECTORS : 0;
}

static void on_set_irqs(void *arg, struct vfu_request *req,
			const struct vfu_irq_set *set, int *fds, unsigned n_fds,
			const uint8_t *data)
{
	struct function *f = arg;
	unsigned i, v;

	(void)data;
	for (i = 0; i < set->count; i++) {
		v = set->start + i;
		if (f->irq[v] >= 0)
			close(f->irq[v]);
		f->irq[v] = -1;
		if (n_fds) {
			f->irq[v] = fds[i];
			fds[i] = -1;
		}
	}
	vfu_request_ok(req);
}

static void on_dma_map(void *arg, struct vfu_request *req,
		       const struct vfu_dma_map *map, int *fd)
{
	struct function *f = arg;
	int err;

	err = guest_memory_map(&f->memory, map->iova, map->size,
			       GUEST_READ | GUEST_WRITE, *fd, map->offset);
	if (err)
		vfu_request_fail(req, -err);
	else
		vfu_request_ok(req);
}

static void on_dma_unmap(void *arg, struct vfu_request *req,
			 const struct vfu_dma_unmap *unmap)
{
	struct function *f = arg;
	int err;

	if (f->rig->no_unmap)
		return;
	err = guest_memory_unmap(&f->memory, unmap->iova, unmap->size);
	if (err)
		vfu_request_fail(req, -err);
	else
		vfu_request_ok(req);
}

static void on_io_fds(void *arg, struct vfu_request *req, uint32_t region)
{
	struct vfu_io_fd sub = { .offset = 0x1000, .size = 4 };
	struct function *f = arg;

	vfu_request_io_fds(req, &sub, region == VFU_REGION_BAR0, &f->bell,
			   region == VFU_REGION_BAR0);
}

static void on_detached(void *arg, struct vfu_session *session, const char *why)
{
	struct function *f = arg;

	(void)session;
	(void)why;
	guest_memory_clear(&f->memory);
}

static const struct vfu_server_ops server_ops = {
	.detached = on_detached,
	.access = on_access,
	.region_info = on_region_info,
	.irq_count = on_irq_count,
	.set_irqs = on_set_irqs,
	.dma_map = on_dma_map,
	.dma_unmap = on_dma_unmap,
	.io_fds = on_io_fds,
};

static const struct vfu_server_desc server_desc = {
	.num_regions = VFU_REGION_N,
	.max_sessions = 1,
};

static void on_bell(void *arg, uint32_t events)
{
	struct function *f = arg;
	uint64_t n;

	(void)events;
	if (read(f->bell, &n, sizeof(n)) == sizeof(n))
		f->bar[0x1010] += (uint8_t)n;
}

static void serve(struct function *f)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), f->vf ? "%s/vf%u.sock" : "%s/pf%u.sock",
		 f->rig->dir, f->vf);
	fd = unixsock_listen(path, NULL);
	if (fd < 0 || vfu_server_new(&f->server, f->rig->loop, fd, &server_desc,
				     &server_ops, f) < 0)
		exit(STATUS_INTERNAL);
}

static void make_config(struct function *f)
{
	struct pci_identity id = { .vendor = 0x1b36,
				   .device = 0x10f0,
				   .class_code = 0x020000 };
	uint64_t vf_bars[6] = { VF_BAR };

	pci_config_init(&f->config, &id, f->vf > 0, &config_ops, f);
	if (!f->vf)
		pci_config_add_bar(&f->config, 0, PF_BAR, false);
	pci_config_add_pcie(&f->config);
	pci_config_add_msix(&f->config, VECTORS, 0, 0x2000, 0, 0x3000);
	pci_config_add_aer(&f->config);
	pci_config_add_ari(&f->config, 0);
	if (!f->vf && f->rig->n_vfs)
		pci_config_add_sriov(&f->config, 0x10f1, f->rig->n_vfs, 1, 1,
				     vf_bars, 0);
	pci_config_seal(&f->config);
}

static void make(struct rig *rig, unsigned vf)
{
	struct function *f = calloc(1, sizeof(*f));
	unsigned i;

	if (!f)
		exit(STATUS_INTERNAL);
	rig->function[vf] = f;
	f->rig = rig;
	f->vf = vf;
	for (i = 0; i < VECTORS; i++)
		f->irq[i] = -1;
	f->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop_watch_add(rig->loop, &f->bell_watch, f->bell, EPOLLIN, on_bell,
			   f) < 0)
		exit(STATUS_INTERNAL);
	make_config(f);
}

/* Speaks something else. */
static int babble(const char *dir)
{
	char path[PATH_MAX];
	int fd, peer;

	snprintf(path, sizeof(path), "%s/pf0.sock", dir);
	fd = unixsock_listen(path, NULL);
	if (fd < 0)
		return STATUS_INTERNAL;
	for (;;) {
		peer = accept(fd, NULL, NULL);
		if (peer >= 0 &&
		    write(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28)
			close(peer);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	static struct rig rig;
	unsigned i;

	if (argc < 2)
		return STATUS_USAGE;
	signal(SIGPIPE, SIG_IGN);
	rig.dir = argv[1];
	rig.n_vfs = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	if (rig.n_vfs > VF_MAX || loop_new(&rig.loop) < 0)
		return STATUS_USAGE;
	if (argc > 3 && !strcmp(argv[3], "garbage"))
		return babble(argv[1]);
	rig.no_unmap = argc > 3 && !strcmp(argv[3], "no-unmap");
	for (i = 0; i <= rig.n_vfs; i++)
		make(&rig, i);
	serve(rig.function[0]);
	return loop_run(rig.loop);
}
