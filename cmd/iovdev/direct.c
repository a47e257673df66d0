/* direct.c - the device's side of a window: accesses that a guest makes
 * without the bus (spec 05).
 *
 * Theory of operation.  The client, which is the root bridge, opens a window
 * on a page of registers and ends it.  In between a poller takes its accesses
 * and does what the same access over the bus would do; while there is none it
 * spins, then sleeps with the doorbell armed.  At the end what is in the ring
 * is done, and the record then says how far that went.  A ring that makes no
 * sense, or is truncated under us, ends the window as well, and so does a reset
 * of the function: the client should have ended it before.
 */
#include <config.h>

#include "cmd/iovdev/direct.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "libcore/peer_eventfd.h"
#include "libcore/window.h"

#define BATCH 32u

enum {
	DOORBELL,
	BELL
};

struct direct {
	struct function *f;
	struct window window;
	uint64_t page;
	uint32_t rights;
	int memory_fd;
	int fd[2]; /* DOORBELL, BELL */
	struct loop_watch doorbell;
	struct loop_poller poller;
	struct poll_spin spin;
	bool asleep;
	bool over; /* ended by itself; kept until the client ends it */
	uint64_t reads, writes, refused, sleeps;
};

static void direct_free(struct direct *d)
{
	unsigned i;

	loop_poller_del(&d->poller);
	loop_watch_del(&d->doorbell);
	window_unmap(&d->window);
	for (i = 0; i < 2; i++)
		if (d->fd[i] >= 0)
			close(d->fd[i]);
	if (d->memory_fd >= 0)
		close(d->memory_fd);
	free(d);
}

/* Serving. */

static int access_registers(struct direct *d, const struct window_access *a,
			    uint64_t *value)
{
	const struct device_type *type = d->f->nic->type;
	uint64_t data = htole64(a->value), offset = d->page + a->offset;
	int err = window_check(a, d->rights);

	if (err) {
		d->refused++;
		return -err;
	}
	if (a->write) {
		d->writes++;
		type->write(d->f, offset, (const uint8_t *)&data, a->size);
		return 0;
	}
	d->reads++;
	data = 0;
	type->read(d->f, offset, (uint8_t *)&data, a->size);
	*value = le64toh(data);
	return 0;
}

/* Up to n accesses; how many, or -EBADMSG. */
static int serve(struct direct *d, unsigned n)
{
	struct window_access access;
	uint64_t value;
	unsigned i;
	int got = 0, error;

	for (i = 0; i < n; i++) {
		got = window_take(&d->window, &access);
		if (got <= 0)
			break;
		value = 0;
		error = access_registers(d, &access, &value);
		window_answer(&d->window, error, value);
	}
	if (i && window_publish(&d->window))
		peer_eventfd_raise(d->fd[BELL]);
	return got < 0 ? got : (int)i;
}

/* The guest is told, too. */
static void finish(struct direct *d)
{
	d->over = true;
	loop_poller_del(&d->poller);
	window_end(&d->window);
	peer_eventfd_raise(d->fd[BELL]);
}

static void give_up(struct direct *d, const char *why)
{
	event(d->f->nic->log, "window.broken", "s:s, s:s", "function",
	      d->f->name, "why", why);
	finish(d);
}

static enum loop_poll rest(struct direct *d)
{
	struct nic *nic = d->f->nic;

	if (d->asleep)
		return LOOP_IDLE;
	if (poll_spins(&d->spin, &nic->options->poll, loop_now_ns(nic->loop)))
		return LOOP_SPINS;
	if (!window_device_sleep(&d->window))
		return LOOP_SPINS;
	d->asleep = true;
	d->sleeps++;
	return LOOP_IDLE;
}

static enum loop_poll on_poll(void *arg)
{
	struct direct *d = arg;
	struct nic *nic = d->f->nic;
	int n;

	if (d->f->order.busy) /* direct_kick() follows */
		return LOOP_IDLE;
	n = serve(d, BATCH);
	if (n < 0 || window_is_lost(&d->window)) {
		give_up(d, n < 0 ? "what lies there is no access"
				 : "it was truncated");
		return LOOP_IDLE;
	}
	if (!n)
		return rest(d);
	poll_found(&d->spin, &nic->options->poll, loop_now_ns(nic->loop));
	return LOOP_WORKED;
}

static void look(struct direct *d)
{
	if (d->asleep)
		window_device_awake(&d->window);
	d->asleep = false;
	while (!d->over && on_poll(d) == LOOP_WORKED)
		;
}

static void on_doorbell(void *arg, uint32_t events)
{
	struct direct *d = arg;

	(void)events;
	if (peer_eventfd_take(d->fd[DOORBELL]) && !d->over)
		look(d);
}

void direct_kick(struct function *f)
{
	if (f->direct && !f->direct->over)
		peer_eventfd_raise(f->direct->fd[DOORBELL]);
}

/* Opening and ending. */

static int open_files(struct direct *d)
{
	unsigned i;

	d->memory_fd = window_create();
	if (d->memory_fd < 0)
		return d->memory_fd;
	for (i = 0; i < 2; i++) {
		d->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->fd[i] < 0)
			return -errno;
	}
	return window_map(&d->window, d->memory_fd);
}

static int check(const struct function *f, const struct window_request *r)
{
	if (f->nic->type->max_vfs)
		return -ENOTSUP;
	if (f->direct)
		return -EBUSY;
	/* The pages of the MSI-X table and its bits stay on the bus. */
	if (r->page % WINDOW_PAGE || r->page > NIC_MSIX_TABLE - WINDOW_PAGE ||
	    r->rights & ~(uint32_t)(WINDOW_READ | WINDOW_WRITE))
		return -EINVAL;
	return 0;
}

static int direct_open(struct function *f, const struct window_request *r)
{
	struct loop *loop = f->nic->loop;
	struct direct *d;
	int err = check(f, r);

	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->f = f;
	d->page = r->page;
	d->rights = r->rights;
	d->memory_fd = d->fd[DOORBELL] = d->fd[BELL] = -1;
	err = open_files(d);
	if (!err)
		err = loop_watch_add(loop, &d->doorbell, d->fd[DOORBELL],
				     EPOLLIN, on_doorbell, d);
	if (err) {
		direct_free(d);
		return err;
	}
	window_open(&d->window, r);
	loop_poller_add(loop, &d->poller, on_poll, d);
	f->direct = d;
	event(f->nic->log, "window.opened", "s:s, s:I, s:i", "function",
	      f->name, "page", (json_int_t)d->page, "rights", (int)d->rights);
	return 0;
}

/* No more than fit is done: whoever goes on pushing is not waited for. */
static void end(struct direct *d)
{
	if (!d->over)
		(void)serve(d, WINDOW_SLOTS);
	finish(d);
}

void direct_close(struct function *f)
{
	struct direct *d = f->direct;

	if (!d)
		return;
	end(d);
	event(f->nic->log, "window.ended", "s:s, s:I, s:I, s:I", "function",
	      f->name, "reads", (json_int_t)d->reads, "writes",
	      (json_int_t)d->writes, "refused", (json_int_t)d->refused);
	f->direct = NULL;
	direct_free(d);
}

void direct_reset(struct function *f)
{
	struct direct *d = f->direct;

	if (!d || d->over)
		return;
	event(f->nic->log, "window.broken", "s:s, s:s", "function", f->name,
	      "why", "the function is reset");
	end(d);
}

void direct_request(struct function *f, struct vfu_request *req,
		    const uint8_t *data)
{
	struct window_request r;
	int err = 0;

	if (req->command != VFU_REGION_WRITE || req->offset ||
	    req->count != sizeof(r)) {
		vfu_request_fail(req, EINVAL);
		return;
	}
	memcpy(&r, data, sizeof(r));
	if (r.rights)
		err = direct_open(f, &r);
	else
		direct_close(f);
	if (err)
		vfu_request_fail(req, -err);
	else
		vfu_request_ok(req);
}

void direct_info(const struct function *f, struct vfu_region_info *info,
		 int *fd)
{
	if (f->nic->type->max_vfs)
		return;
	info->size = WINDOW_SIZE;
	info->flags = VFU_REGION_WRITEABLE;
	if (!f->direct)
		return;
	info->flags |= VFU_REGION_READABLE | VFU_REGION_MMAP;
	*fd = f->direct->memory_fd;
}

void direct_tell(const struct function *f, struct vfu_request *req)
{
	static const struct vfu_io_fd subs[] = {
		{ .offset = 0, .size = 8, .fd_index = DOORBELL },
		{ .offset = 8, .size = 8, .fd_index = BELL },
	};

	if (f->direct)
		vfu_request_io_fds(req, subs, 2, f->direct->fd, 2);
	else
		vfu_request_io_fds(req, NULL, 0, NULL, 0);
}

static json_t *direct_rows(void *arg)
{
	const struct nic *nic = arg;
	const struct direct *d = nic->pf->direct;
	json_t *rows = json_array();

	if (d)
		json_array_append_new(
			rows,
			json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}",
				  "function", nic->pf->name, "page",
				  (json_int_t)d->page, "rights",
				  d->rights & WINDOW_WRITE ? "rw" : "r",
				  "state",
				  d->over     ? "broken"
				  : d->asleep ? "sleeps"
					      : "looks",
				  "reads", (json_int_t)d->reads, "writes",
				  (json_int_t)d->writes, "refused",
				  (json_int_t)d->refused, "sleeps",
				  (json_int_t)d->sleeps));
	return rows;
}

static const struct control_column direct_columns[] = {
	{ "function", "FUNCTION" },
	{ "page", "PAGE" },
	{ "rights", "RIGHTS" },
	{ "state", "STATE" },
	{ "reads", "READS" },
	{ "writes", "WRITES" },
	{ "refused", "REFUSED" },
	{ "sleeps", "SLEEPS" },
	{ NULL, NULL },
};

const struct control_table direct_tables[] = {
	{ "device-windows", "windows through which guests reach registers",
	  direct_columns, direct_rows },
	{ NULL, NULL, NULL, NULL },
};
