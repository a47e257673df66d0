/* function.c - a PCI function: its connection, and what attach asks of it.
 *
 * Theory of operation.  After VERSION the function is asked, all at once, for
 * its regions, its interrupts and its doorbells, and a PF in a second round
 * for its config space.  When all is answered it is present: DMA maps and
 * interrupts follow on the same connection, so that they are in force before
 * anything that a VM sends through it.
 *
 * When the connection ends, every ID is answered with ENOTCONN: operations
 * become orphans, which still time out; what waited for an ID is answered with
 * all ones, as is what comes later.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/unixsock.h"

#include "cmd/rootbridge/bridge.h"

struct function *function_new(struct device *d, unsigned vf)
{
	struct function *f = calloc(1, sizeof(*f));
	struct function_name name = { .vf = vf };

	if (!f)
		return NULL;
	memcpy(name.device, d->name, sizeof(name.device));
	function_name_format(f->name, sizeof(f->name), &name);
	f->bridge = d->bridge;
	f->device = d;
	f->vf = vf;
	f->bdf = (uint16_t)(d->bus << 8);
	f->vm = PLATFORM_VM_NONE;
	f->retry_ns = BRIDGE_RETRY_MIN_NS;
	inflight_init(&f->inflight);
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->held);
	SLIST_INIT(&f->dma_waits);
	return f;
}

void function_free(struct function *f)
{
	if (!f)
		return;
	function_disconnect(f);
	relay_abort(f);
	loop_timer_cancel(&f->retry);
	loop_timer_cancel(&f->held_timer);
	free(f->mapped);
	free(f->config);
	free(f);
}

bool function_decodes(const struct function *f)
{
	const struct device *d = f->device;

	if (!f->present || !d->pf->present)
		return false;
	return !f->vf || (d->has_sriov && d->sriov.vf_enable &&
			  f->vf <= d->sriov.num_vfs);
}

/* A VF is looked for only while it is enabled. */
static bool is_wanted(const struct function *f)
{
	const struct device *d = f->device;

	if (!f->vf)
		return !d->removed;
	return d->pf->present && d->has_sriov && d->sriov.vf_enable &&
	       f->vf <= d->sriov.num_vfs;
}

static void retry(void *arg)
{
	struct function *f = arg;

	if (is_wanted(f))
		(void)function_connect(f);
}

static void retry_later(struct function *f)
{
	if (!is_wanted(f))
		return;
	loop_timer_in(f->bridge->loop, &f->retry, f->retry_ns, retry, f);
	f->retry_ns *= 2;
	if (f->retry_ns > BRIDGE_RETRY_MAX_NS)
		f->retry_ns = BRIDGE_RETRY_MAX_NS;
}

void function_disconnect(struct function *f)
{
	struct vfu_client *client = f->client;
	struct operation *op;

	loop_timer_cancel(&f->retry);
	if (!client)
		return;
	f->present = false;
	vfu_client_fail_all(client, -ENOTCONN);
	f->client = NULL;
	vfu_client_free(client);
	while ((op = TAILQ_FIRST(&f->waiting)))
		relay_unsupported(op);
	while ((op = TAILQ_FIRST(&f->held))) /* posted ones */
		relay_unsupported(op);
	doorbells_close(f);
	windows_gone(f);
	free(f->vector_set);
	f->vector_set = NULL;
	f->n_vectors = 0;
	dma_gone(f);
	if (f->congested) {
		f->congested = false;
		vm_resume_all(f->bridge);
	}
}

void function_gone(struct function *f, const char *why)
{
	function_disconnect(f);
	if (f->vf)
		event(f->bridge->log, "function.gone", "s:s, s:s, s:i",
		      "function", f->name, "why", why, "pending",
		      (int)f->inflight.n);
	else
		device_gone(f->device, why);
	bars_rebuild(f->bridge);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct function *f = arg;

	function_gone(f, why ? why : err ? strerror(-err) : "hung up");
	f->retry_ns = BRIDGE_RETRY_MIN_NS;
	retry_later(f);
}

static void on_stray(void *arg, uint16_t id, bool late)
{
	struct function *f = arg;
	uint64_t suppressed;

	if (limiter_pass(&f->strays, loop_now_ns(f->bridge->loop), &suppressed))
		event(f->bridge->log, late ? "reply.late" : "reply.unknown",
		      "s:s, s:i, s:I", "function", f->name, "id", (int)id,
		      "suppressed", (json_int_t)suppressed);
	f->counters.late++;
}

static void on_drained(void *arg)
{
	struct function *f = arg;

	f->congested = false;
	vm_resume_all(f->bridge);
}

static void refuse(struct function *f, const char *why)
{
	event(f->bridge->log, "function.refused", "s:s, s:s", "function",
	      f->name, "why", why);
	function_disconnect(f);
	f->retry_ns = BRIDGE_RETRY_MAX_NS;
	retry_later(f);
}

static void attached(struct function *f)
{
	f->present = true;
	if (f->contained)
		exceptions_notify(f->bridge, SUP_EX_UNCONTAINED, f->vm, f->bdf);
	f->contained = false;
	f->retry_ns = BRIDGE_RETRY_MIN_NS;
	if (!f->vf)
		bars_update(f->device, f->config);
	else
		bars_rebuild(f->bridge);
	event(f->bridge->log, "function.attached", "s:s, s:i, s:i", "function",
	      f->name, "bdf", (int)f->bdf, "pid", (int)f->pid);
	interrupts_attach(f);
	dma_update(f, NULL);
	if (f->vf)
		device_vf_settled(f->device);
	else
		device_attached(f->device);
}

static void got_config(void *arg, const struct vfu_reply *reply)
{
	struct function *f = arg;
	uint32_t size = (uint32_t)f->region_size[VFU_REGION_CONFIG];
	const uint8_t *data = vfu_reply_data(reply, size);

	if (reply->err == -ENOTCONN)
		return;
	if (!data) {
		refuse(f, "config space cannot be read");
		return;
	}
	memcpy(f->config, data, size);
	attached(f);
}

static void second_round(struct function *f)
{
	uint64_t size = f->region_size[VFU_REGION_CONFIG];

	if (f->vf) {
		attached(f);
		return;
	}
	if (size < PCI_STD_HEADER_SIZEOF || size > PCI_CFG_SPACE_EXP_SIZE) {
		refuse(f, "config space has no size of a PCI function's");
		return;
	}
	if (!f->config)
		f->config = malloc(PCI_CFG_SPACE_EXP_SIZE);
	if (!f->config) {
		refuse(f, "no memory");
		return;
	}
	memset(f->config, 0, PCI_CFG_SPACE_EXP_SIZE);
	if (vfu_client_read(f->client, VFU_REGION_CONFIG, 0, (uint32_t)size,
			    got_config, f) < 0)
		refuse(f, "config space cannot be asked for");
}

static void setup_put(struct function *f)
{
	if (--f->setup_left == 0)
		second_round(f);
}

static void got_region(void *arg, const struct vfu_reply *reply)
{
	struct vfu_region_info info;
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return;
	if (!reply->err && reply->size >= sizeof(info)) {
		memcpy(&info, reply->payload, sizeof(info));
		if (info.index < VFU_REGION_N)
			f->region_size[info.index] = info.size;
	}
	setup_put(f);
}

static void got_irqs(void *arg, const struct vfu_reply *reply)
{
	struct vfu_irq_info info = { 0 };
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return;
	if (!reply->err && reply->size >= sizeof(info))
		memcpy(&info, reply->payload, sizeof(info));
	if (info.count > BRIDGE_VECTORS_MAX)
		info.count = BRIDGE_VECTORS_MAX;
	f->vector_set = calloc(info.count + 1u, 1);
	f->n_vectors = f->vector_set ? info.count : 0;
	setup_put(f);
}

/* The fds of all sub-regions are ours from here on. */
static void take_doorbells(struct function *f, const struct vfu_reply *reply)
{
	struct vfu_io_fds head;
	struct vfu_io_fd sub;
	unsigned i;
	int fd;

	memcpy(&head, reply->payload, sizeof(head));
	for (i = 0; i < head.count && f->n_doorbells < BRIDGE_DOORBELLS; i++) {
		if (sizeof(head) + (i + 1u) * sizeof(sub) > reply->size)
			return;
		memcpy(&sub, reply->payload + sizeof(head) + i * sizeof(sub),
		       sizeof(sub));
		if (sub.type != VFU_IO_FD_IOEVENTFD ||
		    sub.fd_index >= reply->n_fds)
			continue;
		/* Several sub-regions may share one. */
		fd = dup(reply->fds[sub.fd_index]);
		if (fd < 0)
			continue;
		f->doorbell[f->n_doorbells].sub = sub;
		f->doorbell[f->n_doorbells++].fd = fd;
	}
}

static void got_doorbells(void *arg, const struct vfu_reply *reply)
{
	struct function *f = arg;

	if (reply->err == -ENOTCONN)
		return;
	if (!reply->err && reply->size >= sizeof(struct vfu_io_fds))
		take_doorbells(f, reply);
	setup_put(f);
}

static void on_ready(void *arg, int err, const char *why)
{
	struct function *f = arg;
	uint32_t region;
	int failed = 0;

	if (err) {
		refuse(f, why ? why : strerror(-err));
		return;
	}
	memset(f->region_size, 0, sizeof(f->region_size));
	f->setup_left = VFU_REGION_VGA + 2;
	for (region = 0; region < VFU_REGION_VGA; region++)
		failed |= vfu_client_region_info(f->client, region, got_region,
						 f);
	failed |= vfu_client_irq_info(f->client, VFU_IRQ_MSIX, got_irqs, f);
	failed |=
		vfu_client_io_fds(f->client, VFU_REGION_BAR0, got_doorbells, f);
	if (failed)
		refuse(f, "it cannot be asked what it is");
}

static const struct vfu_client_ops client_ops = {
	.ready = on_ready,
	.closed = on_closed,
	.stray = on_stray,
	.drained = on_drained,
};

bool function_connect(struct function *f)
{
	struct bridge *b = f->bridge;
	char path[PATH_MAX];
	int err, fd;

	if (f->client)
		return true;
	loop_timer_cancel(&f->retry);
	if (f->vf)
		machine_path(&b->program.machine, path, "dev/%s/vf%u.sock",
			     f->device->name, f->vf);
	else
		machine_path(&b->program.machine, path, "dev/%s/pf0.sock",
			     f->device->name);
	fd = unixsock_connect(path);
	if (fd == -ENOENT)
		return false; /* inotify tells when it comes */
	if (fd < 0) {
		retry_later(f);
		return false;
	}
	f->pid = unixsock_peer(fd);
	f->connection++;
	err = vfu_client_new(&f->client, b->loop, fd, &client_ops, f);
	if (err < 0) {
		f->client = NULL;
		retry_later(f);
	}
	return err == 0;
}
