/* bridge_link.c - hvmon's connection to the root bridge. */
#include <config.h>

#include "cmd/hvmon/bridge_link.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/guest_memory.h"
#include "libcore/unixsock.h"

#define VERDICT_RETRY_NS NS_PER_MS

struct verdict_entry {
	TAILQ_ENTRY(verdict_entry) entry;
	struct sup_verdict verdict;
};

/* Exceptions and verdicts. */

static void ring_doorbell(void *arg)
{
	struct bridge_link *link = arg;

	/* EAGAIN: the counter is full, so the bridge wakes up anyway. */
	if (eventfd_write(link->doorbell_fd, 1) < 0 && errno != EAGAIN)
		hvmon_stop(link->hv, STATUS_INTERNAL,
			   "cannot ring the root bridge: %s", strerror(errno));
}

static void push_verdicts(void *arg)
{
	struct bridge_link *link = arg;
	struct verdict_entry *entry;
	bool pushed = false;
	int err = 0;

	while ((entry = TAILQ_FIRST(&link->verdicts))) {
		err = channel_push(&link->channels->verdicts, &entry->verdict,
				   sup_verdict_bytes(&entry->verdict));
		if (err)
			break;
		pushed = true;
		TAILQ_REMOVE(&link->verdicts, entry, entry);
		free(entry);
	}
	if (pushed)
		loop_defer(link->hv->program->loop, &link->ring, ring_doorbell,
			   link);
	if (err == -EAGAIN)
		loop_timer_in(link->hv->program->loop, &link->retry,
			      VERDICT_RETRY_NS, push_verdicts, link);
	else if (err)
		hvmon_stop(link->hv, STATUS_DATA,
			   "the ring of verdicts is damaged");
}

void bridge_link_verdict(struct bridge_link *link,
			 const struct sup_verdict *verdict)
{
	size_t size = sup_verdict_bytes(verdict);
	struct verdict_entry *entry;

	entry = malloc(offsetof(struct verdict_entry, verdict) + size);
	if (!entry)
		abort();
	memcpy(&entry->verdict, verdict, size);
	TAILQ_INSERT_TAIL(&link->verdicts, entry, entry);
	if (!link->retry.loop)
		push_verdicts(link);
}

static void take_exceptions(struct bridge_link *link)
{
	struct sup_exception exception;
	int n;

	while (!link->hv->stopping) {
		n = channel_pop(&link->channels->exceptions, &exception,
				sizeof(exception));
		if (n == -EAGAIN)
			return;
		if (n < (int)offsetof(struct sup_exception, data) ||
		    (size_t)n != sup_exception_bytes(&exception) ||
		    link->channels_lost) {
			hvmon_stop(link->hv, STATUS_DATA,
				   "the ring of exceptions is damaged");
			return;
		}
		exception_take(link->hv, &exception);
	}
}

static void on_notify(void *arg, uint32_t events)
{
	struct bridge_link *link = arg;
	eventfd_t count;

	(void)events;
	/* Nothing to read: another look costs nothing. */
	if (eventfd_read(link->notify_fd, &count) < 0 && errno != EAGAIN)
		return;
	if (link->listening)
		take_exceptions(link);
}

void bridge_link_catch_up(struct bridge_link *link)
{
	if (link->listening)
		take_exceptions(link);
}

void bridge_link_listen(struct bridge_link *link)
{
	link->listening = true;
	take_exceptions(link);
}

/* The start: all requests leave at once, behind VERSION. */

static void start_failed(struct bridge_link *link, const char *what, int err)
{
	hvmon_stop(link->hv, STATUS_DATA, "root bridge: %s: %s", what,
		   strerror(-err));
}

static void start_answered(struct bridge_link *link)
{
	if (--link->pending || link->hv->stopping)
		return;
	if (!link->channels || link->doorbell_fd < 0) {
		hvmon_stop(link->hv, STATUS_DATA,
			   "the root bridge has no supervisor channel");
		return;
	}
	link->up(link->hv);
}

/* Where the channels lie in the file behind region 9. */
static int find_channels(const struct vfu_reply *reply, uint64_t *offset)
{
	struct vfu_region_info info;
	struct vfu_cap_sparse cap;
	struct vfu_sparse_area area;
	size_t at;
	unsigned i;

	if (reply->size < sizeof(info) || reply->n_fds != 1)
		return -EBADMSG;
	memcpy(&info, reply->payload, sizeof(info));
	at = info.cap_offset;
	if (!(info.flags & VFU_REGION_CAPS) || at > reply->size - sizeof(cap) ||
	    reply->size < sizeof(cap))
		return -EBADMSG;
	memcpy(&cap, reply->payload + at, sizeof(cap));
	at += sizeof(cap);
	if (cap.header.id != VFU_CAP_SPARSE_MMAP)
		return -EBADMSG;
	for (i = 0; i < cap.nr_areas; i++, at += sizeof(area)) {
		if (reply->size - at < sizeof(area))
			return -EBADMSG;
		memcpy(&area, reply->payload + at, sizeof(area));
		if (area.offset != SUP_OFFSET(SUP_CHANNELS) ||
		    area.size < SUP_CHANNELS_SIZE)
			continue;
		*offset = info.offset + area.offset;
		return 0;
	}
	return -ENOENT;
}

static void on_region_info(void *arg, const struct vfu_reply *reply)
{
	struct bridge_link *link = arg;
	uint64_t offset = 0;
	int err = reply->err ? reply->err : find_channels(reply, &offset);
	void *hva = MAP_FAILED;

	if (!err) {
		hva = mmap(NULL, SUP_CHANNELS_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED, reply->fds[0], (off_t)offset);
		err = hva == MAP_FAILED ? -errno : 0;
	}
	if (!err)
		err = guest_memory_guard_add(hva, SUP_CHANNELS_SIZE,
					     &link->channels_lost);
	if (!err)
		link->channels = hva;
	else if (hva != MAP_FAILED)
		munmap(hva, SUP_CHANNELS_SIZE);
	if (err && !link->hv->stopping)
		start_failed(link, "mapping the supervisor channel", err);
	start_answered(link);
}

static void on_set_irqs(void *arg, const struct vfu_reply *reply)
{
	struct bridge_link *link = arg;

	if (reply->err && !link->hv->stopping)
		start_failed(link, "its notification", reply->err);
	start_answered(link);
}

static void on_io_fds(void *arg, const struct vfu_reply *reply)
{
	struct bridge_link *link = arg;

	if (!reply->err && reply->n_fds >= 1) {
		link->doorbell_fd = reply->fds[0];
		reply->fds[0] = -1;
	} else if (!link->hv->stopping) {
		start_failed(link, "its doorbell",
			     reply->err ? reply->err : -EBADMSG);
	}
	start_answered(link);
}

static void on_ready(void *arg, int err, const char *why)
{
	struct bridge_link *link = arg;

	if (err)
		hvmon_stop(link->hv, STATUS_DATA, "root bridge: %s",
			   why ? why : strerror(-err));
}

static void on_closed(void *arg, int err, const char *why)
{
	struct bridge_link *link = arg;
	struct program *program = link->hv->program;
	const char *cause;

	cause = program->state ? state_area_cause(program->state) : NULL;
	if (err)
		hvmon_stop(link->hv, STATUS_SHUTDOWN, "root bridge is gone: %s",
			   why ? why : strerror(-err));
	else
		hvmon_stop(link->hv, STATUS_SHUTDOWN, "root bridge is gone%s%s",
			   cause ? ": " : "", cause ? cause : "");
}

static const struct vfu_client_ops client_ops = {
	.ready = on_ready,
	.closed = on_closed,
};

static int ask(struct bridge_link *link)
{
	int err;

	link->pending = 3;
	err = vfu_client_region_info(link->client, PLATFORM_REGION_SUPERVISOR,
				     on_region_info, link);
	if (!err)
		err = vfu_client_set_irqs(link->client, VFU_IRQ_REQ, 0, 1,
					  &link->notify_fd, 1, on_set_irqs,
					  link);
	if (!err)
		err = vfu_client_io_fds(link->client,
					PLATFORM_REGION_SUPERVISOR, on_io_fds,
					link);
	return err;
}

static int watch_notify(struct bridge_link *link, struct loop *loop)
{
	link->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->notify_fd < 0)
		return -errno;
	return loop_watch_add(loop, &link->notify, link->notify_fd, EPOLLIN,
			      on_notify, link);
}

int bridge_link_open(struct bridge_link *link, struct hvmon *hv, loop_fn *up,
		     struct complaint *c)
{
	struct loop *loop = hv->program->loop;
	char path[PATH_MAX];
	int fd, err;

	memset(link, 0, sizeof(*link));
	link->hv = hv;
	link->up = up;
	link->notify_fd = link->doorbell_fd = -1;
	TAILQ_INIT(&link->verdicts);
	LIST_INIT(&link->requests);
	machine_path(&hv->program->machine, path, "bus/vm%u.sock", hv->vm);
	fd = unixsock_connect(path);
	if (fd < 0)
		return complain(c, -fd, "no root bridge at %s: %s", path,
				strerror(-fd));
	err = vfu_client_new(&link->client, loop, fd, &client_ops, link);
	if (!err)
		err = watch_notify(link, loop);
	if (!err)
		err = ask(link);
	if (err)
		return complain(c, -err, "connecting to %s: %s", path,
				strerror(-err));
	return 0;
}

void bridge_link_close(struct bridge_link *link)
{
	struct verdict_entry *entry;

	if (!link->hv)
		return;
	vfu_client_free(link->client);
	step_requests_free(&link->requests);
	while ((entry = TAILQ_FIRST(&link->verdicts))) {
		TAILQ_REMOVE(&link->verdicts, entry, entry);
		free(entry);
	}
	loop_timer_cancel(&link->retry);
	loop_defer_cancel(&link->ring);
	loop_watch_del(&link->notify);
	if (link->channels) {
		guest_memory_guard_del(link->channels);
		munmap(link->channels, SUP_CHANNELS_SIZE);
	}
	if (link->notify_fd >= 0)
		close(link->notify_fd);
	if (link->doorbell_fd >= 0)
		close(link->doorbell_fd);
	link->hv = NULL;
}
