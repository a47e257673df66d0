/* limit_ring.c - a plain single-producer single-consumer ring: frames are
 * copied in at one end and copied out at the other, and nothing is checked.
 *
 * It is the fast path's own shape, so that the two can be compared: free
 * running indexes, each on a cache line of its own, the peer's cached, one's
 * own published once a batch.  Frames begin on a cache line; their sizes lie
 * together, so that a small frame does not take two lines.
 */
#include <config.h>

#include "share/bench/limit.h"

#include <err.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "libcore/status.h"
#include "share/bench/child.h"

#define SLOT_UNIT 2048u
#define SLOTS_MAX 65536u

/* So many looks in vain before the CPU is left to another process. */
#define IDLE_LOOKS 32u

/* The clock is read once in so many batches. */
#define CLOCK_BATCHES 64u

struct ring {
	alignas(128) _Atomic uint32_t write;
	alignas(128) _Atomic uint32_t read;
	alignas(128) uint32_t bytes[SLOTS_MAX];
	alignas(4096) uint8_t slots[];
};

/* One end, in the memory of the process that holds it. */
struct end {
	struct ring *ring;
	size_t slot_bytes;
	uint32_t slots, batch;
	uint32_t own;  /* our index */
	uint32_t peer; /* last seen of the other side */
	unsigned idle; /* looks in vain since the last frame */
	bool yields;
};

struct rings {
	const struct limit_run *run;
	_Atomic bool *stop; /* shared */
	struct ring *ring[2];
	size_t slot_bytes;
};

void *limit_map(size_t size)
{
	int fd = memfd_create("limit", MFD_CLOEXEC);
	void *hva;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		err(STATUS_INTERNAL, "memfd");
	hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, 0);
	if (hva == MAP_FAILED)
		err(STATUS_INTERNAL, "mmap");
	close(fd);
	return hva;
}

static void rings_init(struct rings *r, const struct limit_run *run)
{
	size_t size;

	r->run = run;
	r->slot_bytes = ((run->bytes - 1) / SLOT_UNIT + 1) * SLOT_UNIT;
	size = sizeof(struct ring) + run->slots * r->slot_bytes;
	r->stop = limit_map(sizeof(*r->stop));
	r->ring[0] = limit_map(size);
	r->ring[1] = limit_map(size);
}

static struct end end_of(const struct rings *r, unsigned i, bool yields)
{
	return (struct end){
		.ring = r->ring[i],
		.slot_bytes = r->slot_bytes,
		.slots = r->run->slots,
		.batch = r->run->batch,
		.yields = yields,
	};
}

static inline uint8_t *slot_at(const struct end *e, uint32_t index)
{
	return e->ring->slots + (index & (e->slots - 1)) * e->slot_bytes;
}

static inline uint32_t *bytes_at(const struct end *e, uint32_t index)
{
	return &e->ring->bytes[index & (e->slots - 1)];
}

static void idle(struct end *e)
{
	if (e->yields && ++e->idle == IDLE_LOOKS) {
		e->idle = 0;
		sched_yield();
	}
}

/* Writer: a batch at most; 0: no room. */
static inline uint32_t room(struct end *e)
{
	uint32_t n = e->slots - (e->own - e->peer);

	if (n < e->batch) {
		/* acquire: pairs with the reader's publish_read() */
		e->peer = atomic_load_explicit(&e->ring->read,
					       memory_order_acquire);
		n = e->slots - (e->own - e->peer);
	}
	return n < e->batch ? n : e->batch;
}

/* Reader: a batch at most; 0: nothing is there. */
static inline uint32_t filled(struct end *e)
{
	uint32_t n = e->peer - e->own;

	if (n < e->batch) {
		/* acquire: pairs with the writer's publish_write() */
		e->peer = atomic_load_explicit(&e->ring->write,
					       memory_order_acquire);
		n = e->peer - e->own;
	}
	return n < e->batch ? n : e->batch;
}

static inline void publish_write(struct end *e, uint32_t n)
{
	e->own += n;
	/* release: pairs with filled() */
	atomic_store_explicit(&e->ring->write, e->own, memory_order_release);
}

static inline void publish_read(struct end *e, uint32_t n)
{
	e->own += n;
	/* release: pairs with room() */
	atomic_store_explicit(&e->ring->read, e->own, memory_order_release);
}

/* Copy a batch of frames in. */
static uint32_t put(struct end *e, const uint8_t *frame, uint32_t bytes)
{
	uint32_t i, n = room(e);

	for (i = 0; i < n; i++) {
		*bytes_at(e, e->own + i) = bytes;
		memcpy(slot_at(e, e->own + i), frame, bytes);
	}
	if (n)
		publish_write(e, n);
	else
		idle(e);
	return n;
}

/* Copy a batch of frames out. */
static uint32_t take(struct end *e, uint8_t *frame)
{
	uint32_t i, n = filled(e);

	for (i = 0; i < n; i++) {
		memcpy(frame, slot_at(e, e->own + i), *bytes_at(e, e->own + i));
		/* The copy is wanted, although nobody looks at it. */
		__asm__ volatile("" : : "r"(frame) : "memory");
	}
	if (n)
		publish_read(e, n);
	else
		idle(e);
	return n;
}

/* Copy a batch of frames from one ring to the next. */
static uint32_t move(struct end *from, struct end *to)
{
	uint32_t i, n = filled(from), n_room = room(to);

	if (n_room < n)
		n = n_room;
	for (i = 0; i < n; i++) {
		uint32_t bytes = *bytes_at(from, from->own + i);

		*bytes_at(to, to->own + i) = bytes;
		memcpy(slot_at(to, to->own + i), slot_at(from, from->own + i),
		       bytes);
	}
	if (n) {
		publish_write(to, n);
		publish_read(from, n);
	} else {
		idle(from);
	}
	return n;
}

static bool stopped(const struct rings *r)
{
	/* relaxed: nothing else is read because of it */
	return atomic_load_explicit(r->stop, memory_order_relaxed);
}

static pid_t start_source(const struct rings *r, bool yields)
{
	struct end tx = end_of(r, 0, yields);
	uint8_t *frame;
	pid_t pid = child_fork(r->run->guest_cpu);

	if (pid)
		return pid;
	frame = limit_map(r->run->bytes);
	while (!stopped(r))
		put(&tx, frame, r->run->bytes);
	_exit(0);
}

static pid_t start_middle(const struct rings *r)
{
	struct end from = end_of(r, 0, false), to = end_of(r, 1, false);
	pid_t pid = child_fork(r->run->device_cpu);

	if (pid)
		return pid;
	while (!stopped(r))
		move(&from, &to);
	_exit(0);
}

/* Frames a second at the receiving end of a ring; with `tx` the same process
 * sends as well. */
static double sink(const struct rings *r, unsigned ring, struct end *tx,
		   bool yields)
{
	const struct limit_run *run = r->run;
	uint64_t begin = clock_now_ns(), start = 0, now, frames = 0;
	struct end rx = end_of(r, ring, yields);
	uint8_t *frame = limit_map(run->bytes);
	double rate = 0;
	unsigned i;

	while (rate == 0) {
		for (i = 0; i < CLOCK_BATCHES; i++) {
			if (tx)
				put(tx, frame, run->bytes);
			frames += take(&rx, frame);
		}
		now = clock_now_ns();
		if (!start && now - begin >= run->warm_up_ns) {
			start = now;
			frames = 0;
		} else if (start && now - start >= run->duration_ns) {
			/* Until one came: the others may not run yet. */
			rate = (double)frames * 1e9 / (double)(now - start);
		}
	}
	/* relaxed: the others only end */
	atomic_store_explicit(r->stop, true, memory_order_relaxed);
	return rate;
}

double ring_one_hop(const struct limit_run *run)
{
	struct rings r;
	double rate;
	pid_t source;

	rings_init(&r, run);
	child_pin(run->device_cpu);
	source = start_source(&r, false);
	rate = sink(&r, 0, NULL, false);
	child_wait(source);
	return rate;
}

/* Both ends in one process. */
double ring_two_hop(const struct limit_run *run)
{
	struct rings r;
	struct end tx;
	double rate;
	pid_t middle;

	rings_init(&r, run);
	child_pin(run->guest_cpu);
	middle = start_middle(&r);
	tx = end_of(&r, 0, false);
	rate = sink(&r, 1, &tx, false);
	child_wait(middle);
	return rate;
}

/* The ends are two processes that share a CPU and leave it to each other. */
double ring_two_hop_procs(const struct limit_run *run)
{
	struct rings r;
	pid_t source, middle;
	double rate;

	rings_init(&r, run);
	child_pin(run->guest_cpu);
	middle = start_middle(&r);
	source = start_source(&r, true);
	rate = sink(&r, 1, NULL, true);
	child_wait(source);
	child_wait(middle);
	return rate;
}
