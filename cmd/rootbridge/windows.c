/* windows.c - windows through which VMs reach registers without the bridge
 * (spec 05; libcore/window.h).
 *
 * Theory of operation.  The device makes a window; what is asked of it to get
 * one is sent at once.  The bridge keeps memory, doorbell and bell, hands them
 * to the VM, and remembers whose it is, so that the next hypervisor finds it.
 * At the end the device is told first, which then has done and published all
 * that it will ever do; after its answer the memory is truncated.  A device
 * that is gone, contained or late publishes nothing: the memory is truncated
 * without it, and the VM knows from that what became of its accesses.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/peer_eventfd.h"
#include "libcore/window.h"

#include "cmd/rootbridge/bridge.h"

enum {
	DOORBELL,
	BELL
};

struct window_grant {
	struct function *f; /* NULL: it ended */
	struct sup_window sup;
	struct change *change; /* which opens it; or NULL */
	unsigned left;         /* answers that are awaited */
	int err;               /* the first failure while it opened */
	bool open, ending;
	struct loop_timer late;          /* the device does not answer */
	int memory_fd;                   /* -1: none */
	int fd[2];                       /* DOORBELL, BELL */
	SLIST_HEAD(, change_wait) waits; /* for its end */
};

static void grant_free(struct window_grant *g)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (g->fd[i] >= 0)
			close(g->fd[i]);
	if (g->memory_fd >= 0)
		close(g->memory_fd);
	free(g);
}

static void grant_put(struct window_grant *g)
{
	if (!--g->left && !g->f)
		grant_free(g);
}

/* Neither side can use it from now on. */
static void grant_over(struct window_grant *g, const char *why)
{
	struct function *f = g->f;
	struct change_wait *wait;

	if (!f)
		return;
	g->f = NULL;
	f->window = NULL;
	loop_timer_cancel(&g->late);
	if (g->memory_fd >= 0 && ftruncate(g->memory_fd, WINDOW_KEEP) < 0)
		why = strerror(errno);
	if (g->fd[BELL] >= 0)
		peer_eventfd_raise(g->fd[BELL]);
	event(f->bridge->log, "window.closed", "s:s, s:s, s:s", "function",
	      f->name, "vm", f->bridge->vms[g->sup.vm].name, "why", why);
	change_put(g->change, g->err ? g->err : -ECANCELED);
	g->change = NULL;
	while ((wait = SLIST_FIRST(&g->waits))) {
		SLIST_REMOVE_HEAD(&g->waits, entry);
		change_put(wait->change, 0);
		free(wait);
	}
	if (!g->left)
		grant_free(g);
}

static void on_late(void *arg)
{
	struct window_grant *g = arg;

	g->left++;
	if (!g->ending)
		windows_end(g->f, NULL);
	grant_over(g, "its device does not answer");
	grant_put(g);
}

/* As for DMA_UNMAP. */
static void await_device(struct window_grant *g)
{
	struct bridge *b = g->f->bridge;

	if (b->options.dma_ns)
		loop_timer_in(b->loop, &g->late, b->options.dma_ns, on_late, g);
}

/* Opening. */

static void grant_opened(struct window_grant *g)
{
	struct function *f = g->f;
	struct change *change = g->change;

	/* Without a connection windows_gone() follows. */
	if (!f || g->ending || g->err == -ENOTCONN)
		return;
	if (!g->err && (g->memory_fd < 0 || g->fd[BELL] < 0))
		g->err = -EBADMSG;
	if (g->err) {
		windows_end(f, NULL);
		return;
	}
	g->open = true;
	g->change = NULL;
	loop_timer_cancel(&g->late);
	event(f->bridge->log, "window.granted", "s:s, s:s, s:I, s:i, s:I",
	      "function", f->name, "vm", f->bridge->vms[g->sup.vm].name, "gpa",
	      (json_int_t)g->sup.gpa, "rights", (int)g->sup.rights, "page",
	      (json_int_t)g->sup.page);
	change_put(change, 0);
}

/* One of three answers. */
static void answered(struct window_grant *g, int err)
{
	if (err && !g->err)
		g->err = err;
	if (g->left == 1)
		grant_opened(g);
	grant_put(g);
}

static void on_opened(void *arg, const struct vfu_reply *reply)
{
	answered(arg, reply->err);
}

static void on_info(void *arg, const struct vfu_reply *reply)
{
	struct window_grant *g = arg;

	if (!reply->err && reply->n_fds == 1) {
		g->memory_fd = reply->fds[0];
		reply->fds[0] = -1;
	}
	answered(g, reply->err);
}

static void on_io_fds(void *arg, const struct vfu_reply *reply)
{
	struct window_grant *g = arg;
	unsigned i;

	for (i = 0; !reply->err && reply->n_fds == 2 && i < 2; i++) {
		if (peer_eventfd_accept(reply->fds[i]) < 0)
			continue;
		g->fd[i] = reply->fds[i];
		reply->fds[i] = -1;
	}
	answered(g, reply->err);
}

static int ask(struct window_grant *g)
{
	struct vfu_client *client = g->f->client;
	struct window_request request = { .page = g->sup.page,
					  .gpa = g->sup.gpa,
					  .rights = g->sup.rights };
	int err;

	err = vfu_client_write(client, WINDOW_REGION, 0, &request,
			       sizeof(request), on_opened, g);
	g->left += !err;
	if (!err)
		err = vfu_client_region_info(client, WINDOW_REGION, on_info, g);
	g->left += !err;
	if (!err)
		err = vfu_client_io_fds(client, WINDOW_REGION, on_io_fds, g);
	g->left += !err;
	return err;
}

/* A VM that uses a region for another page has dropped what was there. */
static void vacate(struct bridge *b, const struct sup_window *sup)
{
	struct function *f = NULL;

	while ((f = bridge_next_function(b, f)))
		if (f->window && f->window->sup.vm == sup->vm &&
		    f->window->sup.region == sup->region)
			f->window->sup.region = SUP_WINDOW_NOWHERE;
}

static int grant(struct function *f, const struct sup_window *sup,
		 struct change *change)
{
	struct window_grant *g = f->window;
	int err;

	if (g) {
		if (!g->open || g->ending || g->sup.vm != sup->vm ||
		    g->sup.page != sup->page || g->sup.gpa != sup->gpa ||
		    g->sup.rights != sup->rights)
			return -EEXIST;
		vacate(f->bridge, sup);
		g->sup = *sup;
		return 0;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	vacate(f->bridge, sup);
	g->f = f;
	g->sup = *sup;
	g->memory_fd = g->fd[DOORBELL] = g->fd[BELL] = -1;
	SLIST_INIT(&g->waits);
	f->window = g;
	g->change = change;
	change_get(change);
	await_device(g);
	err = ask(g);
	if (err)
		grant_over(g, strerror(-err));
	return 0;
}

/* Ending. */

static void on_ended(void *arg, const struct vfu_reply *reply)
{
	struct window_grant *g = arg;

	if (reply->err != -ENOTCONN)
		grant_over(g, g->err ? strerror(-g->err) : "asked for");
	grant_put(g);
}

static void wait_for(struct window_grant *g, struct change *change)
{
	struct change_wait *wait = change ? malloc(sizeof(*wait)) : NULL;

	if (!change)
		return;
	change_get(change);
	if (!wait) {
		change_put(change, -ENOMEM);
		return;
	}
	wait->change = change;
	SLIST_INSERT_HEAD(&g->waits, wait, entry);
}

void windows_end(struct function *f, struct change *change)
{
	const struct window_request request = { .rights = 0 };
	struct window_grant *g = f->window;

	if (!g)
		return;
	wait_for(g, change);
	if (g->ending)
		return;
	g->ending = true;
	g->left++;
	await_device(g);
	if (vfu_client_write(f->client, WINDOW_REGION, 0, &request,
			     sizeof(request), on_ended, g) < 0) {
		grant_over(g, "its device is gone");
		grant_put(g);
	}
}

void windows_gone(struct function *f)
{
	if (f->window)
		grant_over(f->window,
			   f->contained ? "contained" : "its device is gone");
}

void windows_forget(const struct vm *vm)
{
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f)))
		if (f->window && f->window->sup.vm == vm->number)
			windows_end(f, NULL);
}

/* The supervisor's. */

bool windows_read(struct bridge *b, unsigned i, void *entry)
{
	struct sup_window *sup = entry;
	struct function *f = NULL;

	while ((f = bridge_next_function(b, f)))
		if (f->window && !f->window->ending && !i--)
			break;
	if (f)
		*sup = f->window->sup;
	return f;
}

static int check(struct vm *vm, const struct sup_window *sup)
{
	struct function *f = device_function_at(vm->bridge, sup->bdf);

	if (!f)
		return -ENOENT;
	if (ownership_fenced(vm, f))
		return -EPERM;
	if (!sup->rights)
		return 0;
	if (sup->rsvd0 || sup->region >= PLATFORM_TLB_ENTRIES ||
	    sup->vm == PLATFORM_HYPERVISOR ||
	    sup->rights & ~(WINDOW_READ | WINDOW_WRITE))
		return -EINVAL;
	return f->vm == sup->vm && f->present && !f->contained ? 0 : -ENOENT;
}

/* One at a time opens; any number ends. */
int windows_write(struct vm *vm, const struct sup_window *windows, size_t n,
		  struct change *change)
{
	struct bridge *b = vm->bridge;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = check(vm, &windows[i]);
		if (!err && windows[i].rights && n > 1)
			err = -EINVAL;
		if (err)
			return err;
	}
	if (n == 1 && windows->rights)
		return grant(device_function_at(b, windows->bdf), windows,
			     change);
	for (i = 0; i < n; i++)
		windows_end(device_function_at(b, windows[i].bdf), change);
	return 0;
}

/* The VM's. */

static struct window_grant *find(const struct vm *vm, uint32_t region)
{
	struct function *f = NULL;
	struct window_grant *g;

	while ((f = bridge_next_function(vm->bridge, f))) {
		g = f->window;
		if (g && g->open && !g->ending && g->sup.vm == vm->number &&
		    g->sup.region == region)
			return g;
	}
	return NULL;
}

void windows_info(const struct vm *vm, struct vfu_region_info *info, int *fd)
{
	const struct window_grant *g =
		find(vm, info->index - PLATFORM_REGION_WINDOW);

	if (!g)
		return;
	info->size = WINDOW_SIZE;
	info->flags =
		VFU_REGION_MMAP | VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	*fd = g->memory_fd;
}

void windows_tell(const struct vm *vm, struct vfu_request *req, uint32_t region)
{
	static const struct vfu_io_fd subs[] = {
		{ .offset = 0, .size = 8, .fd_index = DOORBELL },
		{ .offset = 8, .size = 8, .fd_index = BELL },
	};
	const struct window_grant *g = find(vm, region);

	if (g)
		vfu_request_io_fds(req, subs, 2, g->fd, 2);
	else
		vfu_request_io_fds(req, NULL, 0, NULL, 0);
}

json_t *windows_rows(void *arg)
{
	json_t *rows = json_array();
	const struct sup_window *sup;
	struct function *f = NULL;
	struct bridge *b = arg;

	while ((f = bridge_next_function(b, f))) {
		if (!f->window)
			continue;
		sup = &f->window->sup;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "function",
				  f->name, "vm", b->vms[sup->vm].name, "gpa",
				  (json_int_t)sup->gpa, "page",
				  (json_int_t)sup->page, "rights",
				  sup->rights & WINDOW_WRITE ? "rw" : "r",
				  "state",
				  f->window->ending ? "ending"
				  : f->window->open ? "open"
						    : "opening"));
	}
	return rows;
}
