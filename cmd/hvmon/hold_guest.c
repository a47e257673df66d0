/* hold_guest.c - 710, pause and lock: the guest's driver is asked to rest.
 *
 * Theory of operation.  The guest's process has a control socket, as an
 * operating system has a way to tell a driver; which one it is says the pid of
 * who listens there.  A driver that does not rest in time, or that is of
 * another make, is stopped as by `block`.
 */
#include <config.h>

#include "cmd/hvmon/hold_guest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "libcore/rpc_client.h"

#define RELEASE_LIMIT_NS (2 * NS_PER_S)

struct hold_guest {
	struct device *device;
	struct rpc_client *client;
	struct procedure *p; /* waits */
	uint32_t slot;
};

void hold_guest_close(struct device *device)
{
	struct hold_guest *h = device->hold_guest;

	device->hold_guest = NULL;
	if (h)
		rpc_client_close(h->client);
	free(h);
}

static void settled(struct hold_guest *h, const char *why)
{
	struct device *device = h->device;
	struct procedure *p = h->p;

	h->p = NULL;
	if (why)
		event(device->hv->program->log, "hold.refused", "s:s, s:s",
		      "device", device->name, "why", why);
	if (p)
		step_put(p);
}

static void on_held(void *arg, const struct rpc_answer *answer)
{
	settled(arg, answer->err ? answer->message : NULL);
}

static void on_gone(void *arg)
{
	struct hold_guest *h = arg;

	hold_guest_close(h->device);
}

/* The control socket at which this process listens; -ENOENT. */
static int find_client(struct hold_guest *h, uint32_t pid)
{
	struct program *program = h->device->hv->program;
	char path[PATH_MAX], name[NAME_MAX + 8];
	const struct dirent *entry;
	int err = -ENOENT;
	DIR *dir;

	dir = opendir(machine_path(&program->machine, path, "ctl"));
	while (dir && err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "ctl/%s", entry->d_name);
		machine_path(&program->machine, path, "%s", name);
		if (rpc_client_open(&h->client, program->loop, path, on_gone,
				    h))
			continue;
		if (rpc_client_peer(h->client) == (pid_t)pid) {
			err = 0;
		} else {
			rpc_client_close(h->client);
			h->client = NULL;
		}
	}
	if (dir)
		closedir(dir);
	return err;
}

static int ask(struct hold_guest *h, enum hold hold, uint64_t limit_ns)
{
	struct hvmon *hv = h->device->hv;
	const struct vf_allocation *row;
	struct function_name name;
	const struct vm *vm;
	int err;

	vf_name(&h->device->whole, &name);
	row = vf_allocations_find(&hv->allocations, &name);
	vm = row ? vm_find(&hv->vms, row->vm) : NULL;
	if (!vm || !vm->pid)
		return -ESRCH;
	h->slot = row->slot;
	err = find_client(h, vm->pid);
	if (err)
		return err;
	return rpc_client_call(h->client, "hold-card",
			       json_pack("{s:I, s:s}", "slot",
					 (json_int_t)h->slot, "how",
					 hold_name(hold)),
			       limit_ns, on_held, h, NULL);
}

void step_hold_guest(struct procedure *p, struct device *device, enum hold hold,
		     uint64_t limit_ns)
{
	struct hold_guest *h;
	int err;

	hold_guest_close(device);
	h = calloc(1, sizeof(*h));
	if (!h)
		abort();
	h->device = device;
	h->p = p;
	device->hold_guest = h;
	step_get(p);
	err = ask(h, hold, limit_ns);
	if (err) {
		/* Not from within the step that waits for it. */
		h->p = NULL;
		event(device->hv->program->log, "hold.refused", "s:s, s:s",
		      "device", device->name, "why", strerror(-err));
		hold_guest_close(device);
		step_put(p);
	}
}

static void on_released(void *arg, const struct rpc_answer *answer)
{
	struct hold_guest *h = arg;

	(void)answer;
	hold_guest_close(h->device);
}

void hold_guest_release(struct device *device)
{
	struct hold_guest *h = device->hold_guest;

	if (!h)
		return;
	h->p = NULL;
	if (!h->client ||
	    rpc_client_call(h->client, "release-card",
			    json_pack("{s:I}", "slot", (json_int_t)h->slot),
			    RELEASE_LIMIT_NS, on_released, h, NULL))
		hold_guest_close(device);
}
