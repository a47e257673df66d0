/* vfu_device.c - a vfio-user device for tests; see vfu_device.h */
#include <config.h>

#include "t/unit/vfu_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/unit.h"

static void on_attached(void *arg, struct vfu_session *session)
{
	struct device *r = arg;

	r->attached++;
	r->session = session;
	vfu_session_set_owner(session, r);
	CHECK(vfu_session_owner(session) == r);
	CHECK_INT(vfu_session_peer(session), getpid());
}

static void on_detached(void *arg, struct vfu_session *session, const char *why)
{
	struct device *r = arg;

	r->detached++;
	CHECK(vfu_session_conn(session) != NULL);
	if (r->session == session)
		r->session = NULL;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
}

static void on_refused(void *arg, struct vfu_session *session, const char *why)
{
	struct device *r = arg;

	CHECK(session != NULL);
	r->refused++;
	snprintf(r->refusal, sizeof(r->refusal), "%s", why);
}

void device_complete(struct device *r, struct vfu_request *req)
{
	if (req->command == VFU_REGION_READ)
		vfu_request_read_done(req, r->reg + req->offset);
	else
		vfu_request_ok(req);
}

static void hold_or_complete(struct device *r, struct vfu_request *req)
{
	r->posted = req->posted;
	if (r->hold) {
		req->next = r->held;
		r->held = req;
	} else {
		device_complete(r, req);
	}
}

static void on_access(void *arg, struct vfu_request *req)
{
	struct device *r = arg;

	r->accesses++;
	if (req->command == VFU_REGION_WRITE)
		memcpy(r->reg + req->offset, req->data, req->count);
	if (r->close_in_access)
		vfu_session_close(req->session, "test");
	if (r->free_in_access) {
		vfu_server_free(r->server);
		r->server = NULL;
	}
	hold_or_complete(r, req);
}

static int on_region_info(void *arg, struct vfu_region_info *info,
			  struct vfu_sparse_area areas[4], unsigned *n_areas,
			  int *fd)
{
	struct device *r = arg;

	CHECK_INT(info->argsz, sizeof(*info));
	info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	switch (info->index) {
	case 0:
		info->size = DEVICE_REGION_SIZE;
		break;
	case 1:
		info->size = DEVICE_DATA_SIZE;
		info->flags |= VFU_REGION_MMAP;
		areas[0] = (struct vfu_sparse_area){ 0x1000, 0x2000 };
		areas[1] = (struct vfu_sparse_area){ 0x8000, 0x1000 };
		*n_areas = 2;
		*fd = STDIN_FILENO;
		break;
	case 2:
		info->size = r->region_2 ? 0x10 : 0;
		break;
	case 3:
		info->size = DEVICE_REGION_SIZE;
		info->flags |= VFU_REGION_MMAP;
		*fd = STDIN_FILENO;
		break;
	case 4:
		return -EACCES;
	default:
		info->flags = 0;
	}
	return 0;
}

static unsigned on_irq_count(void *arg, uint32_t index)
{
	(void)arg;
	return index == VFU_IRQ_MSIX ? 8 : 0;
}

static void on_set_irqs(void *arg, struct vfu_request *req,
			const struct vfu_irq_set *set, int *fds, unsigned n_fds,
			const uint8_t *data)
{
	struct device *r = arg;

	(void)data;
	CHECK(n_fds == 0 || n_fds == set->count);
	if (n_fds) {
		close(fds[0]);
		fds[0] = -1; /* taken */
	}
	r->irq_sets++;
	r->n_fds = n_fds;
	hold_or_complete(r, req);
}

static void on_dma_map(void *arg, struct vfu_request *req,
		       const struct vfu_dma_map *map, int *fd)
{
	struct device *r = arg;

	r->maps++;
	r->map_fd = *fd;
	if (map->size == 0x3000)
		vfu_request_fail(req, EEXIST);
	else
		hold_or_complete(r, req);
}

static void on_dma_unmap(void *arg, struct vfu_request *req,
			 const struct vfu_dma_unmap *unmap)
{
	struct device *r = arg;

	(void)unmap;
	r->unmaps++;
	hold_or_complete(r, req);
}

static void on_io_fds(void *arg, struct vfu_request *req, uint32_t region)
{
	const struct vfu_io_fd subs[3] = {
		{ .offset = 0x10, .size = 4, .fd_index = 0, .datamatch = 1 },
		{ .offset = 0x20, .size = 4, .fd_index = 1, .datamatch = 2 },
		{ .offset = 0x30, .size = 4, .fd_index = 0, .datamatch = 3 },
	};
	const int fds[2] = { STDIN_FILENO, STDIN_FILENO };

	(void)arg;
	vfu_request_io_fds(req, subs, region ? 0 : 3, fds, region ? 0 : 2);
}

static void on_reset(void *arg, struct vfu_request *req)
{
	struct device *r = arg;

	r->resets++;
	hold_or_complete(r, req);
}

static void on_reply(void *arg, struct vfu_session *session,
		     struct vfu_msg *msg)
{
	struct device *r = arg;

	CHECK(session == r->session);
	CHECK_INT(msg->header.command, VFU_DMA_READ);
	r->replies++;
}

const struct vfu_server_ops device_full_ops = {
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
	.reply = on_reply,
	.refused = on_refused,
};
const struct vfu_server_ops device_small_ops = {
	.attached = on_attached,
	.detached = on_detached,
	.access = on_access,
	.region_info = on_region_info,
	.irq_count = on_irq_count,
};

struct device *device_new(const struct vfu_server_ops *ops)
{
	struct device *r = calloc(1, sizeof(*r));
	int sv[2];

	if (!r)
		abort();
	r->loop = rig_loop();
	r->desc = (struct vfu_server_desc){ 9, 1, true };
	if (vfu_server_new(&r->server, r->loop, -1, &r->desc, ops, r))
		abort();
	rig_pair(SOCK_STREAM, sv);
	r->peer = sv[1];
	CHECK_INT(vfu_server_adopt(r->server, sv[0]), 0);
	return r;
}

void device_free(struct device *r)
{
	struct vfu_request *req;

	vfu_server_free(r->server);
	while ((req = r->held)) {
		r->held = req->next;
		CHECK(!req->session);
		device_complete(r, req);
	}
	if (r->peer >= 0)
		close(r->peer);
	loop_free(r->loop);
	free(r);
}

void device_hang_up(struct device *r)
{
	close(r->peer);
	r->peer = -1;
	rig_settle(r->loop);
}

/* Send VERSION with JSON of this many bytes; true when a reply came. */
bool device_hello(struct device *r, uint16_t major, uint16_t minor,
		  const char *json, size_t size, struct rig_msg *m)
{
	struct vfu_version v = { major, minor };
	uint8_t payload[512];

	memcpy(payload, &v, sizeof(v));
	if (size)
		memcpy(payload + sizeof(v), json, size);
	CHECK(rig_send(r->peer, 77, VFU_VERSION, 0, payload, sizeof(v) + size));
	rig_settle(r->loop);
	return rig_recv(r->peer, m);
}

struct device *device_ready_ops(const struct vfu_server_ops *ops)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8}}";
	struct device *r = device_new(ops);
	struct rig_msg m;

	CHECK(device_hello(r, 0, 1, json, sizeof(json), &m));
	CHECK_INT(r->attached, 1);
	return r;
}

struct device *device_ready(void)
{
	return device_ready_ops(&device_full_ops);
}

/* Ask and take the answer; its error, or -1 when none came. */
int device_ask_fds(struct device *r, uint16_t command, const void *payload,
		   size_t size, const int *fds, unsigned n_fds,
		   struct rig_msg *m)
{
	CHECK(rig_send_fds(r->peer, 5, command, 0, payload, size, fds, n_fds));
	rig_settle(r->loop);
	if (!rig_recv(r->peer, m))
		return -1;
	CHECK_INT(m->header.id, 5);
	CHECK_INT(m->header.command, command);
	if (m->header.flags == VFU_FLAG_REPLY)
		return 0;
	CHECK_INT(m->header.flags, VFU_FLAG_REPLY | VFU_FLAG_ERROR);
	CHECK_INT(m->header.size, 16);
	CHECK(m->header.error > 0);
	return m->header.error;
}

int device_ask(struct device *r, uint16_t command, const void *payload,
	       size_t size, struct rig_msg *m)
{
	return device_ask_fds(r, command, payload, size, NULL, 0, m);
}
