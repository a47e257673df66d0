/* bus_link.c - the guest's connection to its bus socket. */
#include <config.h>

#include "cmd/guestd/bus_link.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "libcore/platform.h"
#include "libcore/status.h"
#include "libcore/unixsock.h"

#define RETRY_NS    (20 * NS_PER_MS)
#define PATIENCE_NS NS_PER_S

static void link_failed(struct bus_link *link, int err, const char *what)
{
	struct complaint c;

	complain(&c, -err, "bus: %s: %s", what, strerror(-err));
	link->ops->down(link->arg,
			err == -EBADMSG ? STATUS_DATA : STATUS_MISSING, c.text);
}

static void on_unmasked(void *arg, const struct vfu_reply *reply)
{
	struct bus_link *link = arg;

	if (reply->err == -ENOTCONN)
		return;
	if (reply->err)
		link_failed(link, reply->err, "platform interrupt refused");
	else
		link->ops->up(link->arg);
}

/* The number of the interrupt that this message is; PLATFORM_IRQS: none. */
static uint32_t interrupt_of(const struct vfu_msg *msg)
{
	struct vfu_dma_access access;
	uint32_t irq;

	if (msg->header.command != VFU_DMA_WRITE ||
	    msg->size != sizeof(access) + sizeof(irq))
		return PLATFORM_IRQS;
	memcpy(&access, msg->payload, sizeof(access));
	memcpy(&irq, msg->payload + sizeof(access), sizeof(irq));
	if (access.address != PLATFORM_MSI || access.count != sizeof(irq))
		return PLATFORM_IRQS;
	return le32toh(irq);
}

static void on_command(void *arg, struct vfu_msg *msg)
{
	struct bus_link *link = arg;
	bool known = interrupt_of(msg) == PLATFORM_IRQ_PLATFORM;

	(void)vfu_client_answer(link->client, &msg->header, known ? 0 : ENOTSUP,
				NULL, 0);
	if (known)
		link->ops->platform(link->arg);
}

static void on_memory_info(void *arg, const struct vfu_reply *reply)
{
	struct bus_link *link = arg;
	struct vfu_region_info info;
	int err;

	if (reply->err == -ENOTCONN)
		return;
	if (reply->err) {
		link_failed(link, reply->err, "no main memory");
		return;
	}
	if (reply->size < sizeof(info) || reply->n_fds < 1) {
		link_failed(link, -EBADMSG, "main memory without a descriptor");
		return;
	}
	memcpy(&info, reply->payload, sizeof(info));
	err = guest_memory_map(&link->memory, 0, info.size,
			       GUEST_READ | GUEST_WRITE, reply->fds[0],
			       info.offset);
	if (err < 0) {
		link_failed(link, err, "cannot map main memory");
		return;
	}
	link->memory_size = info.size;
	err = vfu_client_unmask_irqs(link->client, VFU_IRQ_MSI, 0, 1,
				     on_unmasked, link);
	if (err < 0)
		link_failed(link, err, "cannot unmask the platform interrupt");
}

static void on_ready(void *arg, int err, const char *why)
{
	struct bus_link *link = arg;
	struct complaint c;

	loop_timer_cancel(&link->patience);
	if (!err)
		err = vfu_client_region_info(link->client,
					     PLATFORM_REGION_MEMORY,
					     on_memory_info, link);
	if (!err)
		return;
	complain(&c, -err, "bus: %s", why ? why : strerror(-err));
	link->ops->down(link->arg, STATUS_DATA, c.text);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct bus_link *link = arg;
	struct complaint c;

	complain(&c, err < 0 ? -err : ENOTCONN, "root bridge hung up%s%s",
		 why ? ": " : "", why ? why : "");
	link->ops->down(link->arg, STATUS_SHUTDOWN, c.text);
}

static const struct vfu_client_ops client_ops = {
	.ready = on_ready,
	.closed = on_closed,
	.command = on_command,
};

static void on_patience(void *arg)
{
	struct bus_link *link = arg;

	link->ops->waits(link->arg);
}

static void on_retry(void *arg);

static int link_connect(struct bus_link *link)
{
	int fd = unixsock_connect(link->path);

	/* The backlog is full of others who wait for this VM. */
	if (fd == -EAGAIN) {
		loop_timer_in(link->loop, &link->retry, RETRY_NS, on_retry,
			      link);
		return 0;
	}
	if (fd < 0)
		return fd;
	return vfu_client_new(&link->client, link->loop, fd, &client_ops, link);
}

static void on_retry(void *arg)
{
	struct bus_link *link = arg;
	int err = link_connect(link);

	if (err < 0)
		link_failed(link, err, "cannot connect");
}

int bus_link_init(struct bus_link *link, struct loop *loop, const char *path,
		  const struct bus_link_ops *ops, void *arg,
		  struct complaint *c)
{
	int err;

	*link = (struct bus_link){ .loop = loop, .ops = ops, .arg = arg };
	strlcpy(link->path, path, sizeof(link->path));
	err = link_connect(link);
	if (err < 0)
		return complain(c, -err, "bus socket %s: %s", path,
				strerror(-err));
	loop_timer_in(loop, &link->patience, PATIENCE_NS, on_patience, link);
	return 0;
}

void bus_link_fini(struct bus_link *link)
{
	if (!link->loop)
		return;
	loop_timer_cancel(&link->retry);
	loop_timer_cancel(&link->patience);
	vfu_client_free(link->client);
	link->client = NULL;
	guest_memory_clear(&link->memory);
}

int bus_read(struct bus_link *link, uint64_t gpa, uint32_t count,
	     vfu_reply_fn *fn, void *arg)
{
	return vfu_client_read(link->client, PLATFORM_REGION_IO, gpa, count, fn,
			       arg);
}

int bus_write(struct bus_link *link, uint64_t gpa, const void *data,
	      uint32_t count, vfu_reply_fn *fn, void *arg)
{
	return vfu_client_write(link->client, PLATFORM_REGION_IO, gpa, data,
				count, fn, arg);
}
