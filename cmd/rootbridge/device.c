/* device.c - discovery, attach, removal of devices.
 *
 * Theory of operation.  A device is a directory dev/NAME; it has its bus from
 * the moment that the directory is seen, for as long as the bridge lives.
 * inotify tells of directories and of sockets, which appear under their names
 * only once they listen.  A socket that refuses belongs to a process that is
 * gone or not there yet and is tried again, ever more slowly.
 *
 * A device that was removed, by a person or because it did not give memory
 * back, is taken again only when its socket is new.
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cmd/rootbridge/bridge.h"

#define WATCH_MASK (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

struct device *device_find(struct bridge *b, const char *name)
{
	struct device *d;

	LIST_FOREACH (d, &b->devices, entry)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

struct function *device_function(struct bridge *b, struct control_call *call,
				 const char *name)
{
	struct function_name fn;
	struct function *f;
	struct complaint c;
	struct device *d;

	if (function_name_parse(name, &fn, &c) < 0) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return NULL;
	}
	d = device_find(b, fn.device);
	f = d ? d->vf[fn.vf] : NULL;
	if (!f)
		control_fail(call, RPC_MISSING, "no function '%.40s'", name);
	return f;
}

struct function *device_function_at(struct bridge *b, uint16_t bdf)
{
	struct device *d = b->bus[bdf >> 8];
	unsigned i;

	for (i = 0; d && i <= FUNCTION_VF_MAX; i++)
		if (d->vf[i] && d->vf[i]->bdf == bdf)
			return d->vf[i];
	return NULL;
}

struct function *bridge_next_function(struct bridge *b, struct function *f)
{
	unsigned bus = f ? f->device->bus : 1, vf = f ? f->vf + 1 : 0;

	for (; bus <= b->n_buses && bus < BRIDGE_BUSES; bus++, vf = 0)
		for (; b->bus[bus] && vf <= FUNCTION_VF_MAX; vf++)
			if (b->bus[bus]->vf[vf])
				return b->bus[bus]->vf[vf];
	return NULL;
}

/* Attach and go. */

void device_attached(struct device *d)
{
	struct bridge *b = d->bridge;

	event(b->log, "device.attached", "s:s, s:i, s:i, s:i", "device",
	      d->name, "bdf", (int)d->pf->bdf, "pid", (int)d->pf->pid,
	      "total_vfs", d->has_sriov ? (int)d->sriov.total_vfs : 0);
	exceptions_notify(b, SUP_EX_ATTACHED, PLATFORM_VM_NONE, d->pf->bdf);
	if (d->has_sriov && d->sriov.vf_enable)
		device_enable_vfs(d, NULL);
}

static void end_vf_waits(struct device *d, bool enabled)
{
	struct operation *op;

	loop_timer_cancel(&d->vf_timer);
	while ((op = TAILQ_FIRST(&d->vf_waits))) {
		TAILQ_REMOVE(&d->vf_waits, op, queue);
		if (enabled)
			relay_data(op, NULL, 0);
		else
			relay_unsupported(op);
	}
}

void device_gone(struct device *d, const char *why)
{
	struct bridge *b = d->bridge;
	unsigned i, pending = 0;

	for (i = 0; i <= FUNCTION_VF_MAX; i++)
		pending += d->vf[i] ? d->vf[i]->inflight.n : 0;
	event(b->log, "device.gone", "s:s, s:s, s:i, s:i", "device", d->name,
	      "why", why, "pid", (int)d->pf->pid, "pending", (int)pending);
	bars_rebuild(b);
	end_vf_waits(d, false);
	exceptions_notify(b, SUP_EX_REMOVED, PLATFORM_VM_NONE, d->pf->bdf);
}

void device_remove(struct device *d, bool orderly, const char *why)
{
	bool was_there = d->pf->client;
	unsigned i;

	d->removed = true;
	for (i = 0; i <= FUNCTION_VF_MAX; i++) {
		if (!d->vf[i])
			continue;
		if (orderly)
			relay_abort(d->vf[i]);
		function_disconnect(d->vf[i]);
	}
	if (was_there)
		device_gone(d, why);
}

/* VFs. */

/* How many enabled VFs are not attached. */
static unsigned missing_vfs(const struct device *d)
{
	unsigned n, missing = 0;

	if (!d->has_sriov || !d->sriov.vf_enable)
		return 0;
	for (n = 1; n <= d->sriov.num_vfs && n <= FUNCTION_VF_MAX; n++)
		missing += !d->vf[n] || !d->vf[n]->present;
	return missing;
}

static void vfs_late(void *arg)
{
	struct device *d = arg;

	event(d->bridge->log, "vf.missing", "s:s, s:i, s:i", "device", d->name,
	      "num_vfs", (int)d->sriov.num_vfs, "missing", (int)missing_vfs(d));
	end_vf_waits(d, true);
}

void device_vf_settled(struct device *d)
{
	if (!missing_vfs(d))
		end_vf_waits(d, true);
}

void device_enable_vfs(struct device *d, struct operation *op)
{
	unsigned n;

	for (n = 1; n <= d->sriov.num_vfs && n <= FUNCTION_VF_MAX; n++)
		if (d->vf[n])
			(void)function_connect(d->vf[n]);
	if (op)
		TAILQ_INSERT_TAIL(&d->vf_waits, op, queue);
	if (missing_vfs(d))
		loop_timer_in(d->bridge->loop, &d->vf_timer,
			      BRIDGE_VF_ATTACH_NS, vfs_late, d);
	else
		end_vf_waits(d, true);
}

/* Discovery. */

static struct device *device_new(struct bridge *b, const char *name)
{
	struct device *d;

	if (b->n_buses + 1 >= BRIDGE_BUSES)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->bridge = b;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->bus = (uint8_t)(b->n_buses + 1);
	d->wd = -1;
	TAILQ_INIT(&d->written);
	TAILQ_INIT(&d->vf_waits);
	d->pf = d->vf[0] = function_new(d, 0);
	if (!d->pf) {
		free(d);
		return NULL;
	}
	b->n_buses++;
	b->bus[d->bus] = d;
	LIST_INSERT_HEAD(&b->devices, d, entry);
	event(b->log, "device.found", "s:s, s:i", "device", d->name, "bus",
	      (int)d->bus);
	return d;
}

/* A directory of dev/ was seen; watched before it is looked into, so that no
 * socket is missed. */
static void found_directory(struct bridge *b, const char *name)
{
	struct device *d = device_find(b, name);
	char path[PATH_MAX];

	if (!name_is_valid(name) || strlen(name) > DEVICE_NAME_MAX)
		return;
	if (!d)
		d = device_new(b, name);
	if (!d) {
		event(b->log, "device.refused", "s:s, s:s", "device", name,
		      "why", "no bus is left");
		return;
	}
	machine_path(&b->program.machine, path, "dev/%s", name);
	d->wd = inotify_add_watch(b->inotify_fd, path, WATCH_MASK);
	if (!d->removed)
		(void)function_connect(d->pf);
}

static void found_socket(struct device *d, const char *name)
{
	char vf_name[24];
	unsigned n;

	if (!strcmp(name, "pf0.sock")) {
		d->removed = false;
		d->pf->retry_ns = BRIDGE_RETRY_MIN_NS;
		(void)function_connect(d->pf);
		return;
	}
	if (!d->has_sriov || !d->sriov.vf_enable)
		return;
	for (n = 1; n <= d->sriov.num_vfs && n <= FUNCTION_VF_MAX; n++) {
		snprintf(vf_name, sizeof(vf_name), "vf%u.sock", n);
		if (d->vf[n] && !strcmp(name, vf_name))
			(void)function_connect(d->vf[n]);
	}
}

static void inotify_one(struct bridge *b, const struct inotify_event *e)
{
	struct device *d;

	if (!e->len)
		return;
	if (e->wd == b->dev_wd) {
		found_directory(b, e->name);
		return;
	}
	LIST_FOREACH (d, &b->devices, entry) {
		if (d->wd == e->wd) {
			found_socket(d, e->name);
			return;
		}
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Everything that is there already, in the order of names. */
static void scan(struct bridge *b)
{
	char path[PATH_MAX];
	struct dirent **list;
	int i, n;

	n = scandir(machine_path(&b->program.machine, path, "dev"), &list, NULL,
		    by_name);
	if (n < 0)
		return;
	for (i = 0; i < n; i++) {
		found_directory(b, list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

static void inotify_ready(void *arg, uint32_t events)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct inotify_event *e;
	struct bridge *b = arg;
	ssize_t size, at;

	(void)events;
	size = read(b->inotify_fd, buf, sizeof(buf));
	for (at = 0; at < size; at += (ssize_t)(sizeof(*e) + e->len)) {
		e = (const struct inotify_event *)(void *)(buf + at);
		if (e->mask & IN_Q_OVERFLOW)
			scan(b);
		else
			inotify_one(b, e);
	}
}

int device_start(struct bridge *b, struct complaint *c)
{
	char path[PATH_MAX];
	int err;

	machine_path(&b->program.machine, path, "dev");
	b->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (b->inotify_fd < 0)
		return complain(c, errno, "inotify: %s", strerror(errno));
	b->dev_wd = inotify_add_watch(b->inotify_fd, path, WATCH_MASK);
	if (b->dev_wd < 0)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	err = loop_watch_add(b->loop, &b->inotify, b->inotify_fd, EPOLLIN,
			     inotify_ready, b);
	if (err < 0)
		return complain(c, -err, "inotify: %s", strerror(-err));
	scan(b);
	return 0;
}

void device_stop(struct bridge *b)
{
	struct device *d;
	unsigned i;

	loop_watch_del(&b->inotify);
	if (b->inotify_fd >= 0)
		close(b->inotify_fd);
	b->inotify_fd = -1;
	while ((d = LIST_FIRST(&b->devices))) {
		d->removed = true;
		end_vf_waits(d, false);
		bars_stop(d);
		for (i = FUNCTION_VF_MAX + 1; i--; d->vf[i] = NULL)
			function_free(d->vf[i]);
		b->bus[d->bus] = NULL;
		LIST_REMOVE(d, entry);
		free(d);
	}
}

int device_attach(struct bridge *b, const char *name, struct complaint *c)
{
	struct device *d = device_find(b, name);

	if (!d)
		return complain(c, ENOENT, "no device '%.32s' in dev/", name);
	if (d->pf->client)
		return complain(c, EEXIST, "%s is attached", name);
	d->removed = false;
	d->pf->retry_ns = BRIDGE_RETRY_MIN_NS;
	if (!function_connect(d->pf))
		return complain(c, ENOENT, "nobody serves dev/%s/pf0.sock",
				name);
	return 0;
}
