/* vfu_server_requests.c - checks what a vfio-user client asks for and hands
 * it to the owner.
 *
 * Theory of operation.  A table says for each command how long its payload
 * is and how many file descriptors may come with it; the handler checks the
 * rest.  Nothing of a message reaches the owner before all of it was found
 * well formed.
 */
#include <config.h>

#include "libcore/vfu_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/vfu_server_private.h"

/* The session, the message, and the reason why it is refused. */
struct ask {
	struct vfu_session *session;
	struct vfu_server *server;
	struct vfu_msg *msg;
	const char *why;
};

/* 0 when it was handed on or answered; or -errno with ask->why. */
typedef int handler_fn(struct ask *ask);

static int refuse(struct ask *ask, int err, const char *why)
{
	ask->why = why;
	return -err;
}

static void reply(struct ask *ask, const void *payload, size_t size)
{
	struct iovec iov = { (void *)payload, size };

	vfu_server_reply(ask->session, &ask->msg->header, &iov, 1, NULL, 0);
}

static int new_req(struct ask *ask, struct vfu_req **req)
{
	*req = vfu_req_new(ask->session, &ask->msg->header);
	return *req ? 0 : refuse(ask, ENOMEM, "out of memory");
}

static int on_version(struct ask *ask)
{
	return refuse(ask, EINVAL, "a second VERSION");
}

/* Information. */

static int on_get_info(struct ask *ask)
{
	const struct vfu_server_desc *desc = ask->server->desc;
	struct vfu_device_info info;

	memcpy(&info, ask->msg->payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return refuse(ask, EINVAL, "GET_INFO: argsz too small");
	info.argsz = sizeof(info);
	info.flags = VFU_DEVICE_PCI | (desc->reset ? VFU_DEVICE_RESET : 0);
	info.num_regions = desc->num_regions;
	info.num_irqs = VFU_IRQ_N;
	reply(ask, &info, sizeof(info));
	return 0;
}

struct region {
	struct vfu_region_info info;
	struct vfu_sparse_area areas[4];
	unsigned n_areas;
	int fd;
};

static int ask_region(struct vfu_server *server, uint32_t index,
		      struct region *r)
{
	int ret;

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->info.argsz = sizeof(r->info);
	r->info.index = index;
	ret = server->ops->region_info(server->arg, &r->info, r->areas,
				       &r->n_areas, &r->fd);
	server->region_size[index] = ret ? 0 : r->info.size;
	return ret;
}

static int on_get_region_info(struct ask *ask)
{
	struct vfu_cap_sparse cap = { .header = { .id = VFU_CAP_SPARSE_MMAP,
						  .version = 1 } };
	struct iovec iov[3];
	struct region r;
	uint32_t argsz;
	int ret, n_fds = 0, n_iov = 1;

	memcpy(&r.info, ask->msg->payload, sizeof(r.info));
	argsz = r.info.argsz;
	if (argsz < sizeof(r.info))
		return refuse(ask, EINVAL, "GET_REGION_INFO: argsz too small");
	if (r.info.index >= ask->server->desc->num_regions)
		return refuse(ask, EINVAL, "GET_REGION_INFO: no such region");
	ret = ask_region(ask->server, r.info.index, &r);
	if (ret)
		return refuse(ask, -ret, NULL);
	iov[0] = (struct iovec){ &r.info, sizeof(r.info) };
	cap.nr_areas = r.n_areas;
	iov[1] = (struct iovec){ &cap, sizeof(cap) };
	iov[2] = (struct iovec){ r.areas, r.n_areas * sizeof(r.areas[0]) };
	r.info.argsz = sizeof(r.info);
	if (r.n_areas)
		r.info.argsz += iov[1].iov_len + iov[2].iov_len;
	/* The chain and the fd come together, or neither: a client asks again
	 * with room enough. */
	if (argsz >= r.info.argsz) {
		n_fds = r.info.flags & VFU_REGION_MMAP && r.fd >= 0 &&
			ask->session->peer.max_fds > 0;
		if (r.n_areas) {
			r.info.flags |= VFU_REGION_CAPS;
			r.info.cap_offset = sizeof(r.info);
			n_iov = 3;
		}
	}
	vfu_server_reply(ask->session, &ask->msg->header, iov, n_iov, &r.fd,
			 n_fds);
	return 0;
}

static int on_get_io_fds(struct ask *ask)
{
	struct vfu_server *server = ask->server;
	struct vfu_io_fds io;
	struct vfu_req *req;
	int ret;

	memcpy(&io, ask->msg->payload, sizeof(io));
	if (io.argsz < sizeof(io))
		return refuse(ask, EINVAL,
			      "GET_REGION_IO_FDS: argsz too small");
	if (io.flags || io.count)
		return refuse(ask, EINVAL,
			      "GET_REGION_IO_FDS: flags or count not zero");
	if (io.index >= server->desc->num_regions)
		return refuse(ask, EINVAL, "GET_REGION_IO_FDS: no such region");
	if (!server->ops->io_fds) {
		io.argsz = sizeof(io);
		reply(ask, &io, sizeof(io));
		return 0;
	}
	ret = new_req(ask, &req);
	if (ret)
		return ret;
	req->pub.region = io.index;
	req->argsz = io.argsz;
	server->ops->io_fds(server->arg, &req->pub, io.index);
	return 0;
}

static unsigned irq_count(const struct vfu_server *server, uint32_t index)
{
	return server->ops->irq_count
		       ? server->ops->irq_count(server->arg, index)
		       : 0;
}

static int on_get_irq_info(struct ask *ask)
{
	struct vfu_irq_info info;

	memcpy(&info, ask->msg->payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return refuse(ask, EINVAL, "GET_IRQ_INFO: argsz too small");
	if (info.index >= VFU_IRQ_N)
		return refuse(ask, EINVAL, "GET_IRQ_INFO: no such index");
	info.argsz = sizeof(info);
	info.count = irq_count(ask->server, info.index);
	info.flags = info.count ? VFU_IRQ_INFO_EVENTFD : 0;
	if (info.count && info.index == VFU_IRQ_INTX) /* a level */
		info.flags |= VFU_IRQ_INFO_MASKABLE | VFU_IRQ_INFO_AUTOMASKED;
	reply(ask, &info, sizeof(info));
	return 0;
}

/* SET_IRQS. */

static bool one_bit(uint32_t bits)
{
	return bits && !(bits & (bits - 1));
}

/* Flags and vectors; NULL or what is wrong. */
static const char *check_irq_set(const struct vfu_server *server,
				 const struct vfu_irq_set *set)
{
	uint32_t data = set->flags & (VFU_IRQ_DATA_NONE | VFU_IRQ_DATA_BOOL |
				      VFU_IRQ_DATA_EVENTFD);
	uint32_t action =
		set->flags & (VFU_IRQ_ACTION_MASK | VFU_IRQ_ACTION_UNMASK |
			      VFU_IRQ_ACTION_TRIGGER);
	unsigned n;

	if (set->argsz < sizeof(*set))
		return "SET_IRQS: argsz too small";
	if (!one_bit(data) || !one_bit(action) || set->flags & ~(data | action))
		return "SET_IRQS: not one kind of data and one action";
	if (set->index >= VFU_IRQ_N)
		return "SET_IRQS: no such index";
	if (!set->count && (set->start || data != VFU_IRQ_DATA_NONE ||
			    action != VFU_IRQ_ACTION_TRIGGER))
		return "SET_IRQS: no vectors";
	n = irq_count(server, set->index);
	if (set->count && (set->start >= n || set->count > n - set->start))
		return "SET_IRQS: vectors out of range";
	return NULL;
}

/* What comes with it; NULL or what is wrong. */
static const char *check_irq_data(const struct vfu_irq_set *set, size_t bytes,
				  unsigned n_fds)
{
	bool eventfd = set->flags & VFU_IRQ_DATA_EVENTFD;
	bool flags = set->flags & VFU_IRQ_DATA_BOOL;

	if (n_fds && (!eventfd || n_fds != set->count))
		return "SET_IRQS: as many file descriptors as vectors, or none";
	if (bytes != (flags ? set->count : 0))
		return "SET_IRQS: wrong amount of data";
	return NULL;
}

static int on_set_irqs(struct ask *ask)
{
	struct vfu_server *server = ask->server;
	struct vfu_msg *msg = ask->msg;
	struct vfu_irq_set set;
	struct vfu_req *req;
	const char *why;
	int ret;

	memcpy(&set, msg->payload, sizeof(set));
	why = check_irq_set(server, &set);
	if (!why)
		why = check_irq_data(&set, msg->size - sizeof(set), msg->n_fds);
	if (why)
		return refuse(ask, EINVAL, why);
	if (!server->ops->set_irqs)
		return refuse(ask, ENOTSUP, "SET_IRQS: not supported");
	ret = new_req(ask, &req);
	if (ret)
		return ret;
	server->ops->set_irqs(server->arg, &req->pub, &set, msg->fds,
			      msg->n_fds, msg->payload + sizeof(set));
	return 0;
}

/* Region access. */

/* NULL or what is wrong with it. */
static const char *check_access(struct vfu_server *server, uint64_t offset,
				uint32_t region, uint32_t count)
{
	struct region r;
	uint64_t size;

	if (region >= server->desc->num_regions)
		return "access to a region that does not exist";
	if (!count)
		return NULL;
	if (count > VFU_MAX_DATA)
		return "access longer than max_data_xfer_size";
	/* A region of size 0 may have come to life since. */
	if (!server->region_size[region] && ask_region(server, region, &r))
		return "access to a region that does not exist";
	size = server->region_size[region];
	if (offset > size || count > size - offset)
		return "access beyond the end of a region";
	return NULL;
}

static int hand_access(struct ask *ask, const struct vfu_region_access *access,
		       const uint8_t *data, const struct vfu_header *header)
{
	struct vfu_req *req = vfu_req_new(ask->session, header);

	if (!req)
		return refuse(ask, ENOMEM, "out of memory");
	req->pub.region = access->region;
	req->pub.offset = access->offset;
	req->pub.count = access->count;
	req->pub.data = data;
	vfu_req_owe(req);
	ask->server->ops->access(ask->server->arg, &req->pub);
	return 0;
}

static int on_access(struct ask *ask)
{
	bool write = ask->msg->header.command == VFU_REGION_WRITE;
	const uint8_t *data = ask->msg->payload;
	struct vfu_region_access access;
	const char *why;

	memcpy(&access, data, sizeof(access));
	data += sizeof(access);
	if (ask->msg->size - sizeof(access) != (write ? access.count : 0))
		return refuse(ask, EINVAL, "access: length and count differ");
	why = check_access(ask->server, access.offset, access.region,
			   access.count);
	if (why)
		return refuse(ask, EINVAL, why);
	if (!access.count) {
		reply(ask, &access, sizeof(access));
		return 0;
	}
	return hand_access(ask, &access, write ? data : NULL,
			   &ask->msg->header);
}

/* NULL or what is wrong with an entry. */
static const char *check_multi(struct ask *ask, const uint8_t *at, uint64_t n)
{
	struct vfu_write_multi_entry e;
	const char *why = NULL;

	for (; n && !why; n--, at += sizeof(e)) {
		memcpy(&e, at, sizeof(e));
		if (e.count > sizeof(e.data))
			why = "WRITE_MULTI: more than 8 bytes in an entry";
		else
			why = check_access(ask->server, e.offset, e.region,
					   e.count);
	}
	return why;
}

/* Becomes as many posted writes. */
static int on_write_multi(struct ask *ask)
{
	struct vfu_header header = { .id = ask->msg->header.id,
				     .command = VFU_REGION_WRITE,
				     .flags = VFU_FLAG_NO_REPLY };
	const uint8_t *at = ask->msg->payload;
	size_t room = ask->msg->size;
	struct vfu_region_access access;
	struct vfu_write_multi_entry e;
	const char *why;
	uint64_t n, i;
	int ret = 0;

	memcpy(&n, at, sizeof(n));
	at += sizeof(n);
	room -= sizeof(n);
	if (n != room / sizeof(e) || room % sizeof(e))
		return refuse(ask, EINVAL,
			      "WRITE_MULTI: length and count differ");
	why = check_multi(ask, at, n);
	if (why)
		return refuse(ask, EINVAL, why);
	for (i = 0; i < n && !ret && !ask->session->dead; i++) {
		memcpy(&e, at + i * sizeof(e), sizeof(e));
		access = (struct vfu_region_access){ e.offset, e.region,
						     e.count };
		if (e.count)
			ret = hand_access(ask, &access, e.data, &header);
	}
	if (!ret)
		reply(ask, &n, sizeof(n));
	return ret;
}

/* DMA windows, reset. */

static int on_dma_map(struct ask *ask)
{
	struct vfu_server *server = ask->server;
	struct vfu_msg *msg = ask->msg;
	struct vfu_dma_map map;
	struct vfu_req *req;
	int none = -1, ret;

	memcpy(&map, msg->payload, sizeof(map));
	if (map.argsz < sizeof(map))
		return refuse(ask, EINVAL, "DMA_MAP: argsz too small");
	if (map.flags & ~(VFU_DMA_READABLE | VFU_DMA_WRITEABLE))
		return refuse(ask, EINVAL, "DMA_MAP: unknown flags");
	if (!map.size || map.iova + (map.size - 1) < map.iova ||
	    map.offset + map.size < map.offset)
		return refuse(ask, EINVAL, "DMA_MAP: empty or beyond the end");
	if (!server->ops->dma_map)
		return refuse(ask, ENOTSUP, "DMA_MAP: not supported");
	ret = new_req(ask, &req);
	if (ret)
		return ret;
	server->ops->dma_map(server->arg, &req->pub, &map,
			     msg->n_fds ? &msg->fds[0] : &none);
	return 0;
}

static int on_dma_unmap(struct ask *ask)
{
	struct vfu_server *server = ask->server;
	struct vfu_dma_unmap unmap;
	struct vfu_req *req;
	bool all;
	int ret;

	memcpy(&unmap, ask->msg->payload, sizeof(unmap));
	all = unmap.flags == VFU_DMA_UNMAP_ALL;
	if (unmap.argsz < sizeof(unmap))
		return refuse(ask, EINVAL, "DMA_UNMAP: argsz too small");
	if (unmap.flags && !all)
		return refuse(ask, EINVAL, "DMA_UNMAP: unknown flags");
	if (all && (unmap.iova || unmap.size))
		return refuse(ask, EINVAL, "DMA_UNMAP: all, and a range");
	if (!all && (!unmap.size || unmap.iova + (unmap.size - 1) < unmap.iova))
		return refuse(ask, EINVAL,
			      "DMA_UNMAP: empty or beyond the end");
	if (!server->ops->dma_unmap)
		return refuse(ask, ENOTSUP, "DMA_UNMAP: not supported");
	ret = new_req(ask, &req);
	if (ret)
		return ret;
	req->unmap = unmap;
	server->ops->dma_unmap(server->arg, &req->pub, &unmap);
	return 0;
}

static int on_reset(struct ask *ask)
{
	struct vfu_server *server = ask->server;
	struct vfu_req *req;
	int ret;

	if (!server->ops->reset)
		return refuse(ask, ENOTSUP, "RESET: not supported");
	ret = new_req(ask, &req);
	if (ret)
		return ret;
	server->ops->reset(server->arg, &req->pub);
	return 0;
}

/* One row a command; no handler: not supported. */
static const struct {
	handler_fn *fn;
	size_t min; /* of the payload */
	size_t max;
	unsigned max_fds;
} commands[] = {
	[VFU_VERSION] = { on_version, 0, VFU_MAX_MSG, 0 },
	[VFU_DMA_MAP] = { on_dma_map, sizeof(struct vfu_dma_map),
			  sizeof(struct vfu_dma_map), 1 },
	/* Older clients have room for a bitmap behind it. */
	[VFU_DMA_UNMAP] = { on_dma_unmap, sizeof(struct vfu_dma_unmap),
			    VFU_MAX_MSG, 0 },
	[VFU_GET_INFO] = { on_get_info, sizeof(struct vfu_device_info),
			   VFU_MAX_MSG, 0 },
	[VFU_GET_REGION_INFO] = { on_get_region_info,
				  sizeof(struct vfu_region_info), VFU_MAX_MSG,
				  0 },
	[VFU_GET_REGION_IO_FDS] = { on_get_io_fds, sizeof(struct vfu_io_fds),
				    VFU_MAX_MSG, 0 },
	[VFU_GET_IRQ_INFO] = { on_get_irq_info, sizeof(struct vfu_irq_info),
			       VFU_MAX_MSG, 0 },
	[VFU_SET_IRQS] = { on_set_irqs, sizeof(struct vfu_irq_set), VFU_MAX_MSG,
			   VFU_MAX_FDS },
	[VFU_REGION_READ] = { on_access, sizeof(struct vfu_region_access),
			      sizeof(struct vfu_region_access), 0 },
	[VFU_REGION_WRITE] = { on_access, sizeof(struct vfu_region_access),
			       VFU_MAX_MSG, 0 },
	[VFU_RESET] = { on_reset, 0, 0, 0 },
	[VFU_REGION_WRITE_MULTI] = { on_write_multi, sizeof(uint64_t),
				     VFU_MAX_MSG, 0 },
	[VFU_COMMAND_N] = { NULL },
};

static int dispatch(struct ask *ask)
{
	const struct vfu_msg *msg = ask->msg;
	uint16_t command = msg->header.command;

	if (command >= VFU_COMMAND_N || !commands[command].fn)
		return refuse(ask, ENOTSUP, "unknown command");
	if (msg->n_fds > commands[command].max_fds)
		return refuse(ask, EINVAL, "too many file descriptors");
	if (msg->size < commands[command].min)
		return refuse(ask, EINVAL, "payload too short");
	if (msg->size > commands[command].max)
		return refuse(ask, EINVAL, "payload too long");
	return commands[command].fn(ask);
}

void vfu_server_command(struct vfu_session *session, struct vfu_msg *msg)
{
	struct ask ask = { session, session->server, msg, NULL };
	int ret = dispatch(&ask);

	if (ret)
		vfu_server_refuse(session, &msg->header, -ret, ask.why);
}
