/* vfu_client_commands.c - the commands of a vfio-user client by name */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/vfu_client_private.h"

/* What is asked for at first; most replies fit. */
#define REGION_INFO_ARGSZ 256u
#define IO_FDS_ARGSZ      (sizeof(struct vfu_io_fds) + 64 * sizeof(struct vfu_io_fd))

int vfu_client_read(struct vfu_client *client, uint32_t region, uint64_t offset,
		    uint32_t count, vfu_reply_fn *fn, void *arg)
{
	struct vfu_region_access access = { offset, region, count };
	struct iovec iov = { &access, sizeof(access) };

	if (count > client->peer.max_data)
		return -EMSGSIZE;
	return vfu_client_request(client, VFU_REGION_READ, &iov, 1, NULL, 0, fn,
				  arg);
}

int vfu_client_write(struct vfu_client *client, uint32_t region,
		     uint64_t offset, const void *data, uint32_t count,
		     vfu_reply_fn *fn, void *arg)
{
	struct vfu_region_access access = { offset, region, count };
	struct iovec iov[2] = { { &access, sizeof(access) },
				{ (void *)data, count } };

	if (count > client->peer.max_data)
		return -EMSGSIZE;
	return vfu_client_request(client, VFU_REGION_WRITE, iov, 2, NULL, 0, fn,
				  arg);
}

const uint8_t *vfu_reply_data(const struct vfu_reply *reply, uint32_t count)
{
	struct vfu_region_access access;

	if (reply->err || reply->size < sizeof(access) ||
	    reply->size - sizeof(access) < count)
		return NULL;
	memcpy(&access, reply->payload, sizeof(access));
	return access.count == count ? reply->payload + sizeof(access) : NULL;
}

/* Jobs: commands that take several messages. */

static struct vfu_job *new_job(struct vfu_client *client, vfu_reply_fn *fn,
			       void *arg)
{
	struct vfu_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->client = client;
	job->fn = fn;
	job->arg = arg;
	LIST_INSERT_HEAD(&client->jobs, job, entry);
	return job;
}

static void end_job(struct vfu_job *job, const struct vfu_reply *reply)
{
	vfu_reply_fn *fn = job->fn;
	void *arg = job->arg;

	LIST_REMOVE(job, entry);
	free(job);
	if (fn)
		fn(arg, reply);
}

static void drop_job(struct vfu_job *job)
{
	LIST_REMOVE(job, entry);
	free(job);
}

/* GET_REGION_INFO and GET_REGION_IO_FDS. */

static void on_info(void *arg, const struct vfu_reply *reply);

static int ask_info(struct vfu_job *job)
{
	struct vfu_region_info info = { .argsz = job->argsz,
					.index = job->index };
	struct vfu_io_fds io = { .argsz = job->argsz, .index = job->index };
	struct iovec iov = { &info, sizeof(info) };

	if (job->command == VFU_GET_REGION_IO_FDS)
		iov = (struct iovec){ &io, sizeof(io) };
	return vfu_client_request(job->client, job->command, &iov, 1, NULL, 0,
				  on_info, job);
}

static void on_info(void *arg, const struct vfu_reply *reply)
{
	struct vfu_job *job = arg;
	uint32_t argsz = 0;

	/* argsz is the first field of both. */
	if (!reply->err && reply->size >= sizeof(argsz))
		memcpy(&argsz, reply->payload, sizeof(argsz));
	if (argsz > job->argsz && argsz <= VFU_MAX_DATA && !job->again) {
		job->again = true;
		job->argsz = argsz;
		if (!ask_info(job))
			return;
	}
	end_job(job, reply);
}

static int begin_info(struct vfu_client *client, uint16_t command,
		      uint32_t index, uint32_t argsz, vfu_reply_fn *fn,
		      void *arg)
{
	struct vfu_job *job = new_job(client, fn, arg);
	int ret;

	if (!job)
		return -ENOMEM;
	job->command = command;
	job->index = index;
	job->argsz = argsz;
	ret = ask_info(job);
	if (ret)
		drop_job(job);
	return ret;
}

int vfu_client_region_info(struct vfu_client *client, uint32_t region,
			   vfu_reply_fn *fn, void *arg)
{
	return begin_info(client, VFU_GET_REGION_INFO, region,
			  REGION_INFO_ARGSZ, fn, arg);
}

int vfu_client_io_fds(struct vfu_client *client, uint32_t region,
		      vfu_reply_fn *fn, void *arg)
{
	return begin_info(client, VFU_GET_REGION_IO_FDS, region, IO_FDS_ARGSZ,
			  fn, arg);
}

int vfu_client_irq_info(struct vfu_client *client, uint32_t index,
			vfu_reply_fn *fn, void *arg)
{
	struct vfu_irq_info info = { .argsz = sizeof(info), .index = index };
	struct iovec iov = { &info, sizeof(info) };

	return vfu_client_request(client, VFU_GET_IRQ_INFO, &iov, 1, NULL, 0,
				  fn, arg);
}

/* SET_IRQS. */

static void on_irqs(void *arg, const struct vfu_reply *reply)
{
	struct vfu_reply whole = { 0 };
	struct vfu_job *job = arg;

	if (!job->err)
		job->err = reply->err;
	if (--job->left)
		return;
	whole.err = job->err;
	end_job(job, &whole);
}

static int send_irqs(struct vfu_client *client, struct vfu_irq_set set,
		     const int *fds, unsigned n, vfu_reply_fn *fn, void *arg)
{
	struct iovec iov = { &set, sizeof(set) };

	set.argsz = sizeof(set);
	return vfu_client_request(client, VFU_SET_IRQS, &iov, 1, fds, n, fn,
				  arg);
}

/* Vectors of fds[0..n) that go in one message: as many as the peer takes, or
 * a run of absent ones; no message mixes the two. */
static unsigned irq_run(const int *fds, unsigned n, unsigned max)
{
	unsigned run = 1;

	if (fds[0] >= 0 && n > max)
		n = max;
	while (run < n && (fds[run] < 0) == (fds[0] < 0))
		run++;
	return run;
}

static int send_irq_runs(struct vfu_job *job, struct vfu_irq_set set,
			 const int *fds, unsigned n)
{
	struct vfu_client *client = job->client;
	unsigned at, run;
	int ret;

	for (at = 0; at < n; at += run) {
		run = irq_run(fds + at, n - at, client->peer.max_fds);
		set.count = run;
		ret = send_irqs(client, set, fds + at, fds[at] < 0 ? 0 : run,
				on_irqs, job);
		if (ret && !job->left)
			return ret;
		if (ret) {
			/* Some are on their way: fail with their replies. */
			job->err = ret;
			return 0;
		}
		job->left++;
		set.start += run;
	}
	return 0;
}

int vfu_client_set_irqs(struct vfu_client *client, uint32_t index,
			uint32_t start, uint32_t count, const int *fds,
			unsigned n, vfu_reply_fn *fn, void *arg)
{
	struct vfu_irq_set set = {
		.flags = VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACTION_TRIGGER,
		.index = index,
		.start = start,
		.count = count,
	};
	struct vfu_job *job;
	int ret;

	if ((n && n != count) || (n && !client->peer.max_fds))
		return -EINVAL;
	if (!count)
		set.flags = VFU_IRQ_DATA_NONE | VFU_IRQ_ACTION_TRIGGER;
	if (!n)
		return send_irqs(client, set, NULL, 0, fn, arg);
	job = new_job(client, fn, arg);
	if (!job)
		return -ENOMEM;
	ret = send_irq_runs(job, set, fds, n);
	if (ret)
		drop_job(job);
	return ret;
}

int vfu_client_unmask_irqs(struct vfu_client *client, uint32_t index,
			   uint32_t start, uint32_t count, vfu_reply_fn *fn,
			   void *arg)
{
	const struct vfu_irq_set set = {
		.flags = VFU_IRQ_DATA_NONE | VFU_IRQ_ACTION_UNMASK,
		.index = index,
		.start = start,
		.count = count,
	};

	return send_irqs(client, set, NULL, 0, fn, arg);
}

/* DMA windows, reset. */

int vfu_client_dma_map(struct vfu_client *client, uint64_t iova, uint64_t size,
		       uint32_t flags, int fd, uint64_t offset,
		       vfu_reply_fn *fn, void *arg)
{
	struct vfu_dma_map map = { .argsz = sizeof(map),
				   .flags = flags,
				   .offset = offset,
				   .iova = iova,
				   .size = size };
	struct iovec iov = { &map, sizeof(map) };

	/* A peer that takes no descriptors reaches the memory by messages. */
	return vfu_client_request(client, VFU_DMA_MAP, &iov, 1, &fd,
				  fd >= 0 && client->peer.max_fds ? 1 : 0, fn,
				  arg);
}

int vfu_client_dma_unmap(struct vfu_client *client, uint64_t iova,
			 uint64_t size, vfu_reply_fn *fn, void *arg)
{
	struct vfu_dma_unmap unmap = { .argsz = sizeof(unmap),
				       .iova = iova,
				       .size = size };
	struct iovec iov = { &unmap, sizeof(unmap) };

	if (!iova && !size)
		unmap.flags = VFU_DMA_UNMAP_ALL;
	return vfu_client_request(client, VFU_DMA_UNMAP, &iov, 1, NULL, 0, fn,
				  arg);
}

int vfu_client_reset(struct vfu_client *client, vfu_reply_fn *fn, void *arg)
{
	return vfu_client_request(client, VFU_RESET, NULL, 0, NULL, 0, fn, arg);
}
