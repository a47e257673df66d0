/* window.h - a window: the direct way from a guest's CPU to a page of a
 * device's registers (spec 05).  Boundary between guestd and iovdev; the root
 * bridge truncates it.
 *
 * A window is a ring of accesses that the guest writes and the device reads,
 * and a reply slot for each place of the ring, in a memfd made for one grant.
 * Accesses are done in order.  Each slot and each reply carries the mark of its
 * turn of the ring, stored last, so that an access and its answer take one
 * cache line each way.  The device's index follows in batches; it runs freely
 * modulo 2^32.  Doorbell and bell are eventfds, rung only when the other side
 * says that it sleeps.
 *
 * The end: the device does what is in the ring, publishes in the grant record
 * the index up to which everything was done, and looks no more; then the file
 * is truncated to WINDOW_KEEP bytes.  Record and replies stay, the ring is
 * gone, and whoever touches it gets SIGBUS, which window_is_lost() tells.
 *
 * Neither side trusts the other: the index, accesses and replies are loaded
 * once, checked, then used.
 */
#ifndef IOVKIT_WINDOW_H
#define IOVKIT_WINDOW_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_MAGIC   0x646e6957u /* "Wind" */
#define WINDOW_VERSION 3u
#define WINDOW_SLOTS   256u
#define WINDOW_PAGE    4096u /* of registers, which a window shows */

enum {
	WINDOW_READ = 1,
	WINDOW_WRITE = 2,
};

enum window_state {
	WINDOW_OPEN = 1,
	WINDOW_ENDED, /* `final` is valid */
};

struct window_access {
	uint32_t offset; /* in the page */
	uint8_t size;    /* 1 to 8 bytes */
	bool write;
	uint64_t value; /* of a write */
};

/* An access as it lies in the ring. */
struct window_slot {
	_Atomic uint64_t what; /* offset, size << 32, write << 40, mark << 48 */
	_Atomic uint64_t value;
};
_Static_assert(sizeof(struct window_slot) == 16, "window slot");

struct window_reply {
	_Atomic uint64_t value;  /* of a read */
	_Atomic uint64_t status; /* 0 or an errno, mark << 48 */
};
_Static_assert(sizeof(struct window_reply) == 16, "window reply");

/* That one side sleeps, in 128 bytes that nothing else moves. */
struct window_sleeper {
	alignas(128) _Atomic uint32_t sleeps; /* 1: ring when there is more */
	uint8_t rsvd[124];
};
_Static_assert(sizeof(struct window_sleeper) == 128, "window sleeper");

struct window_map {
	/* The grant record; the device writes it. */
	alignas(128) uint32_t magic;
	uint32_t version;
	uint32_t slots;
	uint32_t rights; /* WINDOW_READ | WINDOW_WRITE */
	uint64_t page;   /* offset in BAR 0 */
	_Atomic uint32_t state;
	_Atomic uint32_t final; /* the first access that was not done */
	uint64_t gpa;           /* where the guest has the page */
	uint8_t rsvd0[88];
	alignas(128) _Atomic uint32_t index; /* accesses before it are done */
	struct window_sleeper device;
	uint8_t rsvd1[4096 - 384];
	struct window_reply reply[WINDOW_SLOTS];
	/* From here on it is truncated; the guest writes it. */
	struct window_sleeper guest;
	uint8_t rsvd2[4096 - 128];
	struct window_slot ring[WINDOW_SLOTS];
};
_Static_assert(offsetof(struct window_map, page) == 16, "window");
_Static_assert(offsetof(struct window_map, state) == 24, "window");
_Static_assert(offsetof(struct window_map, final) == 28, "window");
_Static_assert(offsetof(struct window_map, gpa) == 32, "window");
_Static_assert(offsetof(struct window_map, index) == 128, "window");
_Static_assert(offsetof(struct window_map, device) == 256, "window");
_Static_assert(offsetof(struct window_map, reply) == 4096, "window");
_Static_assert(offsetof(struct window_map, guest) == 8192, "window");
_Static_assert(offsetof(struct window_map, ring) == 12288, "window");
_Static_assert(sizeof(struct window_map) == 16384, "window");

#define WINDOW_SIZE sizeof(struct window_map)
#define WINDOW_KEEP offsetof(struct window_map, guest)

/* Region of a device's socket at which its client (the root bridge) asks for
 * a window: a REGION_WRITE of struct window_request opens one (EBUSY: there is
 * one) or ends it (no rights); answered when it is done.  While one is open
 * GET_REGION_INFO gives the memfd, GET_REGION_IO_FDS the doorbell (offset 0)
 * and the bell (offset 8), which the device rings. */
#define WINDOW_REGION 9u

struct window_request {
	uint64_t page;   /* offset in BAR 0 */
	uint64_t gpa;    /* for the record */
	uint32_t rights; /* 0: end it */
	uint32_t rsvd0;
};
_Static_assert(sizeof(struct window_request) == 24, "window request");

/* One side's hold of a window, in its private memory. */
struct window {
	struct window_map *map; /* NULL: none */
	_Atomic bool lost;
	uint32_t own;     /* index of our side */
	uint32_t replied; /* guest: replies seen */
	uint32_t done;    /* guest: replies taken */
};

/* A new file for a window, or -errno.  It can shrink, and not grow. */
int window_create(void) __attribute__((warn_unused_result));
/* Map it (fd stays the caller's) into a zeroed *w; -errno. */
int window_map(struct window *w, int fd) __attribute__((warn_unused_result));
/* Safe on a zeroed or unmapped one. */
void window_unmap(struct window *w);
/* Whether the part that is truncated was touched after that. */
static inline bool window_is_lost(const struct window *w)
{
	return atomic_load_explicit(&w->lost, memory_order_acquire);
}
/* 0; -EINVAL: it does not lie in the page or has no size of an access;
 * -EPERM: rights lack it. */
int window_check(const struct window_access *access, uint32_t rights);

/* The device's side. */

/* Write the record and begin. */
void window_open(struct window *w, const struct window_request *request);
/* The next access, which must then be answered: 1, 0: none, -EBADMSG: what the
 * guest put there is none. */
int window_take(struct window *w, struct window_access *access);
/* Of the access that was taken last; error is an errno. */
void window_answer(struct window *w, int error, uint64_t value);
/* Something was answered; true: the guest sleeps, ring the bell. */
bool window_publish(struct window *w);
/* About to sleep: false: there is work. */
bool window_device_sleep(struct window *w);
void window_device_awake(struct window *w);
/* Everything that was taken is done, and nothing is taken any more. */
void window_end(struct window *w);

/* The guest's side. */

/* Take hold of the window of the page at gpa; -EBADMSG: it is none, or one in
 * use; -ENXIO: it is that of another page. */
int window_attach(struct window *w, uint64_t gpa, uint32_t *rights)
	__attribute__((warn_unused_result));
static inline uint32_t window_outstanding(const struct window *w)
{
	return w->own - w->done;
}
static inline bool window_has_room(const struct window *w)
{
	return window_outstanding(w) < WINDOW_SLOTS;
}
/* Put an access, for which there is room, and publish it; true: the device
 * sleeps, ring the doorbell. */
bool window_push(struct window *w, const struct window_access *access);
/* How many replies can be taken. */
unsigned window_replies(struct window *w);
/* Take one: 0 or an errno of the device's. */
int window_reply(struct window *w, uint64_t *value);
/* About to sleep until a reply comes: 1; 0: there is one; -EBADMSG: the
 * device's index is wild. */
int window_guest_sleep(struct window *w);
void window_guest_awake(struct window *w);
/* Whether the device ended it; what is from *final on was not done.  -EBADMSG:
 * the index is wild. */
int window_ended(struct window *w, uint32_t *final);
/* Touch what is truncated at the end; then see window_is_lost(). */
void window_touch(struct window *w);

#endif
