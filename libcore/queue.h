/* queue.h - the queue of spec 02 (fig. 5) in guest memory: boundary between
 * guest and device.
 *
 * A ring of n entries (a power of two) has one writer, which enqueues and
 * moves the write index, and one reader, which dequeues and moves the read
 * index.  The indexes run freely modulo 2^32; entry = index modulo n.  Empty:
 * read = write.  Full: write + 1 = read modulo n, so n - 1 entries fit.
 *
 * Transmit (401): the guest writes, the device reads.  Receive (402): the
 * device writes; the guest put a buffer into every entry before (1504), its
 * capacity in `size`, and moves the read index.
 *
 * Neither side trusts the other: the peer's index is loaded once, and an
 * index that claims more than n - 1 entries is refused (QUEUE_BAD_INDEX).
 */
#ifndef IOVKIT_QUEUE_H
#define IOVKIT_QUEUE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"

#define QUEUE_MAGIC   0x71765649u /* "IVvq" */
#define QUEUE_VERSION 1u
#define QUEUE_MIN     4u
#define QUEUE_MAX     65536u

struct queue_entry {
	uint64_t addr;   /* guest-physical, of the buffer */
	uint32_t size;   /* bytes: of the frame; receive before use: capacity */
	uint32_t status; /* QUEUE_OK or why not */
};
_Static_assert(sizeof(struct queue_entry) == 16, "queue entry");

/* The same as two words: address; size and, above it, status. */
typedef uint64_t queue_entry_words
	__attribute__((vector_size(sizeof(struct queue_entry)), may_alias));
typedef uint64_t queue_entry_half __attribute__((may_alias));
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "entry as words");

enum queue_status {
	QUEUE_OK = 0,
	QUEUE_BAD_ADDRESS = 1, /* the buffer is not in the VM's memory */
	QUEUE_BAD_SIZE = 2,    /* empty, too long, or longer than the buffer */
	QUEUE_BAD_INDEX = 3,   /* the index claims more than n - 1 entries */
	QUEUE_BAD_RING = 4,    /* header, size or place of the ring */
	QUEUE_LOST = 5,        /* the memory was truncated */
	QUEUE_FAULT = 6,       /* a planted fault (iovctl fault) */
	QUEUE_STATUS_N
};

/* What one side writes; its own 128 bytes. */
struct queue_side {
	alignas(128) _Atomic uint32_t index;
	/* 1: this side is about to sleep and wants a doorbell (read side) or
	 * an interrupt when the other side moves its index. */
	_Atomic uint32_t sleeping;
	uint8_t rsvd[120];
};

struct queue_ring {
	alignas(128) uint32_t magic;
	uint32_t version;
	uint32_t n;
	uint32_t rsvd0;
	_Atomic uint32_t enable; /* the guest's own enable bit */
	uint8_t rsvd1[108];
	struct queue_side write; /* moved by the one that enqueues */
	struct queue_side read;  /* moved by the one that dequeues */
	struct queue_entry entry[];
};
_Static_assert(offsetof(struct queue_ring, enable) == 16, "queue");
_Static_assert(offsetof(struct queue_ring, write) == 128, "queue");
_Static_assert(offsetof(struct queue_ring, read) == 256, "queue");
_Static_assert(offsetof(struct queue_ring, entry) == 384, "queue");
_Static_assert(sizeof(struct queue_side) == 128, "queue side");

/* Bytes of a ring of n entries. */
static inline size_t queue_ring_size(uint32_t n)
{
	return sizeof(struct queue_ring) +
	       (size_t)n * sizeof(struct queue_entry);
}

/* One end of a queue, in the private memory of the one who holds it.  Use as
 * writer or as reader, never both. */
struct queue {
	struct queue_ring *ring;
	uint32_t n;    /* checked once, never re-read */
	uint32_t mask; /* n - 1 */
	uint32_t own;  /* our index, ahead of the published one */
	uint32_t peer; /* last seen of the other side */
};

/* Lay out an empty ring at `hva` (queue_ring_size(n) bytes, 128-aligned).
 * Guest side, before the device knows of it. */
void queue_init(void *hva, uint32_t n);
/* Take hold of an end.  `n` is what the register says; the ring's header must
 * agree.  Our index is taken from the ring: a queue goes on where it stood.
 * -EBADMSG: wrong magic, version or n, or indexes that cannot be. */
int queue_attach_writer(struct queue *q, struct queue_ring *ring, uint32_t n)
	__attribute__((warn_unused_result));
int queue_attach_reader(struct queue *q, struct queue_ring *ring, uint32_t n)
	__attribute__((warn_unused_result));

/* Reader: how many entries can be taken; looks at the peer's index when it
 * knows of fewer than `want`.  -EBADMSG: the writer's index is wild. */
int queue_available(struct queue *q, uint32_t want);
/* Writer: how many can be put; -EBADMSG: the reader's index is wild. */
int queue_space(struct queue *q, uint32_t want);
/* The i-th entry from our index on (i < what the last call returned). */
static inline struct queue_entry *queue_entry(struct queue *q, uint32_t i)
{
	return &q->ring->entry[(q->own + i) & q->mask];
}
/* Fill an entry with one store: many that wait for lines of the other side
 * would leave no room in the CPU for those of the next entries. */
static inline void queue_entry_set(struct queue_entry *e, uint64_t addr,
				   uint32_t size)
{
	*(queue_entry_words *)e = (queue_entry_words){ addr, size };
}
/* Move our index over k entries; nothing is visible before queue_publish(). */
static inline void queue_advance(struct queue *q, uint32_t k)
{
	q->own += k;
}
/* Make our index visible. Returns whether the other side sleeps and must be
 * woken (doorbell or interrupt). */
bool queue_publish_write(struct queue *q);
bool queue_publish_read(struct queue *q);
/* About to sleep until the other side moves: set our flag and look again.
 * True: still nothing, sleep.  False: there is work, the flag is cleared. */
bool queue_reader_sleep(struct queue *q);
bool queue_writer_sleep(struct queue *q);
/* Awake again: clear our flag. */
void queue_reader_awake(struct queue *q);
void queue_writer_awake(struct queue *q);
/* The guest's enable bit.  E1: acquire, pairs with the release store with
 * which the guest sets it when its ring is laid out. */
static inline bool queue_enabled(const struct queue *q)
{
	return atomic_load_explicit(&q->ring->enable, memory_order_acquire);
}

#endif
