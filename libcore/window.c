/* window.c - both sides of a window; see window.h
 *
 * Theory of operation.  A slot's mark is the turn of the ring, so one that was
 * not written yet, or is of the turn before, does not have it.  A place is used
 * again only after the guest took its reply, since the guest keeps no more than
 * WINDOW_SLOTS accesses outstanding.
 *
 * As in queue.c, "I sleep" against "there is more" is the one place where a
 * store must be seen before a later load, so those accesses (S1 to S4) are
 * seq_cst.  The guest's S1 is a fence behind each mark; the device's is its
 * index, which covers a batch of marks.
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

/* Marks. */

#define MARK_SHIFT 48u
#define MARK_VALID 0x8000u /* no slot that is zero has one */

static uint64_t mark_of(uint32_t index)
{
	return (uint64_t)(MARK_VALID |
			  (index / WINDOW_SLOTS & (MARK_VALID - 1)))
	       << MARK_SHIFT;
}

static bool has_mark(uint64_t word, uint32_t index)
{
	return word >> MARK_SHIFT == mark_of(index) >> MARK_SHIFT;
}

/* The device's side. */

void window_open(struct window *w, const struct window_request *request)
{
	struct window_map *map = w->map;

	map->magic = WINDOW_MAGIC;
	map->version = WINDOW_VERSION;
	map->slots = WINDOW_SLOTS;
	map->rights = request->rights;
	map->page = request->page;
	map->gpa = request->gpa;
	w->own = 0;
	atomic_store_explicit(&map->state, WINDOW_OPEN, memory_order_release);
}

int window_take(struct window *w, struct window_access *access)
{
	struct window_slot *slot = &w->map->ring[w->own % WINDOW_SLOTS];
	uint64_t what;

	/* R2: acquire, pairs with W1 in window_push() */
	what = atomic_load_explicit(&slot->what, memory_order_acquire);
	if (!has_mark(what, w->own))
		return 0;
	*access = (struct window_access){
		.offset = (uint32_t)what,
		.size = (uint8_t)(what >> 32),
		.write = what >> 40 & 1,
		.value = atomic_load_explicit(&slot->value,
					      memory_order_relaxed),
	};
	return window_check(access, WINDOW_READ | WINDOW_WRITE) ? -EBADMSG : 1;
}

void window_answer(struct window *w, int error, uint64_t value)
{
	struct window_reply *reply = &w->map->reply[w->own % WINDOW_SLOTS];

	atomic_store_explicit(&reply->value, value, memory_order_relaxed);
	/* A1: release, pairs with R1 in window_replies() */
	atomic_store_explicit(&reply->status, (uint32_t)error | mark_of(w->own),
			      memory_order_release);
	w->own++;
}

bool window_publish(struct window *w)
{
	/* S1: seq_cst, pairs with S4 in window_guest_sleep() */
	atomic_store_explicit(&w->map->index, w->own, memory_order_seq_cst);
	/* S2: seq_cst, pairs with S3 there */
	return atomic_load_explicit(&w->map->guest.sleeps,
				    memory_order_seq_cst);
}

bool window_device_sleep(struct window *w)
{
	struct window_slot *slot = &w->map->ring[w->own % WINDOW_SLOTS];
	struct window_sleeper *own = &w->map->device;

	/* S3: seq_cst, pairs with S2 in window_push() */
	atomic_store_explicit(&own->sleeps, 1, memory_order_seq_cst);
	/* S4: seq_cst, pairs with S1 there */
	if (!has_mark(atomic_load_explicit(&slot->what, memory_order_seq_cst),
		      w->own))
		return true;
	window_device_awake(w);
	return false;
}

void window_device_awake(struct window *w)
{
	/* Late is harmless: one wake-up too many. */
	atomic_store_explicit(&w->map->device.sleeps, 0, memory_order_relaxed);
}

void window_end(struct window *w)
{
	struct window_map *map = w->map;

	atomic_store_explicit(&map->index, w->own, memory_order_release);
	atomic_store_explicit(&map->final, w->own, memory_order_relaxed);
	/* E1: release, pairs with E2 in window_ended() */
	atomic_store_explicit(&map->state, WINDOW_ENDED, memory_order_release);
}

/* The guest's side. */

int window_attach(struct window *w, uint64_t gpa, uint32_t *rights)
{
	struct window_map *map = w->map;
	uint32_t r = map->rights, state, index;
	uint64_t next;

	state = atomic_load_explicit(&map->state, memory_order_acquire);
	index = atomic_load_explicit(&map->index, memory_order_relaxed);
	next = atomic_load_explicit(&map->ring[index % WINDOW_SLOTS].what,
				    memory_order_relaxed);
	if (map->magic != WINDOW_MAGIC || map->version != WINDOW_VERSION ||
	    map->slots != WINDOW_SLOTS || !r ||
	    r & ~(uint32_t)(WINDOW_READ | WINDOW_WRITE) ||
	    has_mark(next, index) || state != WINDOW_OPEN)
		return -EBADMSG;
	if (map->gpa != gpa)
		return -ENXIO;
	w->own = w->replied = w->done = index;
	*rights = r;
	return 0;
}

bool window_push(struct window *w, const struct window_access *access)
{
	struct window_slot *slot = &w->map->ring[w->own % WINDOW_SLOTS];

	if (access->write)
		atomic_store_explicit(&slot->value, access->value,
				      memory_order_relaxed);
	/* W1: release, pairs with R2 in window_take() */
	atomic_store_explicit(&slot->what,
			      access->offset | (uint64_t)access->size << 32 |
				      (uint64_t)access->write << 40 |
				      mark_of(w->own),
			      memory_order_release);
	w->own++;
	/* S1: pairs with S4 in window_device_sleep().  A fence, since a
	 * seq_cst store would first wait for the value, whose line the device
	 * takes away meanwhile. */
	atomic_thread_fence(memory_order_seq_cst);
	/* S2: seq_cst, pairs with S3 there */
	return atomic_load_explicit(&w->map->device.sleeps,
				    memory_order_seq_cst);
}

static bool is_answered(const struct window *w, uint32_t at)
{
	const struct window_reply *reply = &w->map->reply[at % WINDOW_SLOTS];

	/* R1: acquire, pairs with A1 in window_answer() */
	return has_mark(
		atomic_load_explicit(&reply->status, memory_order_acquire), at);
}

unsigned window_replies(struct window *w)
{
	while (w->replied != w->own && is_answered(w, w->replied))
		w->replied++;
	return w->replied - w->done;
}

int window_reply(struct window *w, uint64_t *value)
{
	struct window_reply *reply = &w->map->reply[w->done++ % WINDOW_SLOTS];

	*value = atomic_load_explicit(&reply->value, memory_order_relaxed);
	return (int)(atomic_load_explicit(&reply->status,
					  memory_order_relaxed) &
		     0xfffu);
}

int window_guest_sleep(struct window *w)
{
	uint32_t index;

	/* S3: seq_cst, pairs with S2 in window_publish() */
	atomic_store_explicit(&w->map->guest.sleeps, 1, memory_order_seq_cst);
	/* S4: seq_cst (an acquire too), pairs with S1 there.  What it covers is
	 * marked, and it may be behind what was taken. */
	index = atomic_load_explicit(&w->map->index, memory_order_seq_cst);
	if (window_replies(w)) {
		window_guest_awake(w);
		return 0;
	}
	return (int32_t)(index - w->done) > 0 ? -EBADMSG : 1;
}

void window_guest_awake(struct window *w)
{
	atomic_store_explicit(&w->map->guest.sleeps, 0, memory_order_relaxed);
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
	(void)atomic_load_explicit(&w->map->guest.sleeps, memory_order_relaxed);
}
