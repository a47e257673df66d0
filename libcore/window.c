/* window.c - both sides of a window; see window.h
 *
 * Theory of operation.  As in queue.c, "I sleep" against "I moved my index" is
 * the one place where a store must be seen before a later load, so those four
 * accesses (S1 to S4) are seq_cst.  A reply needs no flag of its own: it is
 * written before the read index that covers it, and its place is used again
 * only after the guest took it, since the guest keeps no more than
 * WINDOW_SLOTS accesses outstanding.
 */
#include <config.h>

#include "libcore/window.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/guest_memory.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "accesses must be lock-free");

int window_create(void)
{
	int err, fd;

	fd = memfd_create("iovkit-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, WINDOW_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int window_map(struct window *w, int fd)
{
	void *map;
	int err;

	map = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (map == MAP_FAILED)
		return -errno;
	err = guest_memory_guard_add(map, WINDOW_SIZE, &w->lost);
	if (err) {
		munmap(map, WINDOW_SIZE);
		return err;
	}
	w->map = map;
	return 0;
}

void window_unmap(struct window *w)
{
	if (!w->map)
		return;
	guest_memory_guard_del(w->map);
	munmap(w->map, WINDOW_SIZE);
	w->map = NULL;
}

int window_check(const struct window_access *access, uint32_t rights)
{
	if (!access->size || access->size > sizeof(access->value) ||
	    access->offset > WINDOW_PAGE - access->size)
		return -EINVAL;
	return rights & (access->write ? WINDOW_WRITE : WINDOW_READ) ? 0
								     : -EPERM;
}

/* Sleeping. */

static bool publish(struct window_side *own, struct window_side *other,
		    uint32_t index)
{
	/* S1: seq_cst (a release too), pairs with R1, R2 and S4 */
	atomic_store_explicit(&own->index, index, memory_order_seq_cst);
	/* S2: seq_cst, pairs with S3 in go_to_sleep() */
	return atomic_load_explicit(&other->sleeping, memory_order_seq_cst);
}

static bool go_to_sleep(struct window_side *own, struct window_side *other,
			uint32_t seen)
{
	/* S3: seq_cst, pairs with S2 in publish() */
	atomic_store_explicit(&own->sleeping, 1, memory_order_seq_cst);
	/* S4: seq_cst, pairs with S1 in publish() */
	if (atomic_load_explicit(&other->index, memory_order_seq_cst) == seen)
		return true;
	atomic_store_explicit(&own->sleeping, 0, memory_order_relaxed);
	return false;
}

static void awake(struct window_side *own)
{
	/* Late is harmless: one wake-up too many. */
	atomic_store_explicit(&own->sleeping, 0, memory_order_relaxed);
}

/* The device's side. */

void window_open(struct window *w, uint64_t page, uint32_t rights)
{
	struct window_map *map = w->map;

	map->magic = WINDOW_MAGIC;
	map->version = WINDOW_VERSION;
	map->slots = WINDOW_SLOTS;
	map->rights = rights;
	map->page = page;
	w->own = w->peer = 0;
	atomic_store_explicit(&map->state, WINDOW_OPEN, memory_order_release);
}

int window_take(struct window *w, struct window_access *access)
{
	struct window_slot *slot;
	uint64_t what;

	if (w->peer == w->own) {
		/* R2: acquire, pairs with S1 in window_push() */
		w->peer = atomic_load_explicit(&w->map->write.index,
					       memory_order_acquire);
		if (w->peer == w->own)
			return 0;
	}
	if (w->peer - w->own > WINDOW_SLOTS)
		return -EBADMSG;
	slot = &w->map->ring[w->own % WINDOW_SLOTS];
	what = atomic_load_explicit(&slot->what, memory_order_relaxed);
	*access = (struct window_access){
		.offset = (uint32_t)what,
		.size = (uint8_t)(what >> 32),
		.write = what >> 40 & 1,
		.value = atomic_load_explicit(&slot->value,
					      memory_order_relaxed),
	};
	return 1;
}

void window_answer(struct window *w, int error, uint64_t value)
{
	struct window_reply *reply = &w->map->reply[w->own % WINDOW_SLOTS];

	atomic_store_explicit(&reply->value, value, memory_order_relaxed);
	atomic_store_explicit(&reply->error, (uint32_t)error,
			      memory_order_relaxed);
	w->own++;
}

bool window_publish(struct window *w)
{
	return publish(&w->map->read, &w->map->write, w->own);
}

bool window_device_sleep(struct window *w)
{
	return go_to_sleep(&w->map->read, &w->map->write, w->own);
}

void window_device_awake(struct window *w)
{
	awake(&w->map->read);
}

void window_end(struct window *w)
{
	struct window_map *map = w->map;

	atomic_store_explicit(&map->read.index, w->own, memory_order_release);
	atomic_store_explicit(&map->final, w->own, memory_order_relaxed);
	/* E1: release, pairs with E2 in window_ended() */
	atomic_store_explicit(&map->state, WINDOW_ENDED, memory_order_release);
}

/* The guest's side. */

int window_attach(struct window *w, uint32_t *rights)
{
	struct window_map *map = w->map;
	uint32_t r = map->rights, state, write, read;

	state = atomic_load_explicit(&map->state, memory_order_acquire);
	write = atomic_load_explicit(&map->write.index, memory_order_relaxed);
	read = atomic_load_explicit(&map->read.index, memory_order_acquire);
	if (map->magic != WINDOW_MAGIC || map->version != WINDOW_VERSION ||
	    map->slots != WINDOW_SLOTS || !r ||
	    r & ~(uint32_t)(WINDOW_READ | WINDOW_WRITE) || write != read ||
	    state != WINDOW_OPEN)
		return -EBADMSG;
	w->own = w->peer = w->done = write;
	*rights = r;
	return 0;
}

bool window_push(struct window *w, const struct window_access *access)
{
	struct window_slot *slot = &w->map->ring[w->own % WINDOW_SLOTS];

	atomic_store_explicit(&slot->what,
			      access->offset | (uint64_t)access->size << 32 |
				      (uint64_t)access->write << 40,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->value, access->value,
			      memory_order_relaxed);
	return publish(&w->map->write, &w->map->read, ++w->own);
}

int window_replies(struct window *w)
{
	if (w->peer == w->done)
		/* R1: acquire, pairs with S1 in window_publish() */
		w->peer = atomic_load_explicit(&w->map->read.index,
					       memory_order_acquire);
	if (w->peer - w->done > window_outstanding(w)) {
		w->peer = w->done;
		return -EBADMSG;
	}
	return (int)(w->peer - w->done);
}

int window_reply(struct window *w, uint64_t *value)
{
	struct window_reply *reply = &w->map->reply[w->done++ % WINDOW_SLOTS];

	*value = atomic_load_explicit(&reply->value, memory_order_relaxed);
	return (int)(atomic_load_explicit(&reply->error, memory_order_relaxed) &
		     0xfffu);
}

bool window_guest_sleep(struct window *w)
{
	return go_to_sleep(&w->map->write, &w->map->read, w->done);
}

void window_guest_awake(struct window *w)
{
	awake(&w->map->write);
}

int window_ended(struct window *w, uint32_t *final)
{
	uint32_t at;

	/* E2: acquire, pairs with E1 in window_end() */
	if (atomic_load_explicit(&w->map->state, memory_order_acquire) !=
	    WINDOW_ENDED)
		return 0;
	at = atomic_load_explicit(&w->map->final, memory_order_relaxed);
	if (at - w->done > window_outstanding(w))
		return -EBADMSG;
	*final = at;
	return 1;
}

void window_touch(struct window *w)
{
	(void)atomic_load_explicit(&w->map->write.index, memory_order_relaxed);
}
