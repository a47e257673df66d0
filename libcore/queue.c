/* queue.c - the two ends of a queue in guest memory (spec 02, fig. 5).
 *
 * Theory of operation.  Each side owns one index and publishes it in batches
 * with a release; the other loads it with an acquire, only when its cached
 * copy shows too little.  "I sleep" against "I moved my index" is the one
 * place where a store must be seen before a later load (Dekker), so those
 * four accesses are seq_cst:
 *
 *	mover:   store index (S1), load the other's sleeping (S2)
 *	sleeper: store sleeping (S3), load the other's index (S4)
 *
 * In the one order of all four, S2 comes after S3 or S4 after S1, so either
 * the mover wakes the sleeper or the sleeper sees the entry.
 * share/models/queue-sleep.pml is a model of it; t/unit/queue_race.c runs both
 * ends as threads that ThreadSanitizer watches.
 */
#include <config.h>

#include "libcore/queue.h"

#include <errno.h>
#include <string.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "indexes must be lock-free");

void queue_init(void *hva, uint32_t n)
{
	struct queue_ring *ring = hva;

	memset(hva, 0, queue_ring_size(n));
	ring->magic = QUEUE_MAGIC;
	ring->version = QUEUE_VERSION;
	ring->n = n;
}

static int attach(struct queue *q, struct queue_ring *ring, uint32_t n)
{
	if (n < QUEUE_MIN || n > QUEUE_MAX || (n & (n - 1)))
		return -EBADMSG;
	if (ring->magic != QUEUE_MAGIC || ring->version != QUEUE_VERSION ||
	    ring->n != n)
		return -EBADMSG;
	q->ring = ring;
	q->n = n;
	q->mask = n - 1;
	return 0;
}

int queue_attach_writer(struct queue *q, struct queue_ring *ring, uint32_t n)
{
	uint32_t write, read;
	int err;

	err = attach(q, ring, n);
	if (err)
		return err;
	write = atomic_load_explicit(&ring->write.index, memory_order_relaxed);
	/* R1: acquire, pairs with S1 in queue_publish_read() */
	read = atomic_load_explicit(&ring->read.index, memory_order_acquire);
	if (write - read > q->mask)
		return -EBADMSG;
	q->own = write;
	q->peer = read;
	return 0;
}

int queue_attach_reader(struct queue *q, struct queue_ring *ring, uint32_t n)
{
	uint32_t write, read;
	int err;

	err = attach(q, ring, n);
	if (err)
		return err;
	read = atomic_load_explicit(&ring->read.index, memory_order_relaxed);
	/* R2: acquire, pairs with S1 in queue_publish_write() */
	write = atomic_load_explicit(&ring->write.index, memory_order_acquire);
	if (write - read > q->mask)
		return -EBADMSG;
	q->own = read;
	q->peer = write;
	return 0;
}

int queue_available(struct queue *q, uint32_t want)
{
	uint32_t peer = q->peer;

	if (peer - q->own >= want)
		return (int)(peer - q->own);
	/* R2: acquire, pairs with S1 in queue_publish_write() */
	peer = atomic_load_explicit(&q->ring->write.index,
				    memory_order_acquire);
	if (peer - q->own > q->mask)
		return -EBADMSG;
	q->peer = peer;
	return (int)(peer - q->own);
}

int queue_space(struct queue *q, uint32_t want)
{
	uint32_t peer = q->peer;

	if (q->mask - (q->own - peer) >= want)
		return (int)(q->mask - (q->own - peer));
	/* R1: acquire, pairs with S1 in queue_publish_read() */
	peer = atomic_load_explicit(&q->ring->read.index, memory_order_acquire);
	if (q->own - peer > q->mask)
		return -EBADMSG;
	q->peer = peer;
	return (int)(q->mask - (q->own - peer));
}

static bool publish(struct queue_side *own, struct queue_side *other,
		    uint32_t index)
{
	/* S1: seq_cst (a release too), pairs with R1, R2 and S4 */
	atomic_store_explicit(&own->index, index, memory_order_seq_cst);
	/* S2: seq_cst, pairs with S3 in go_to_sleep() */
	return atomic_load_explicit(&other->sleeping, memory_order_seq_cst);
}

bool queue_publish_write(struct queue *q)
{
	return publish(&q->ring->write, &q->ring->read, q->own);
}

bool queue_publish_read(struct queue *q)
{
	return publish(&q->ring->read, &q->ring->write, q->own);
}

/* seen: the other side's index as we know it. */
static bool go_to_sleep(struct queue_side *own, struct queue_side *other,
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

bool queue_reader_sleep(struct queue *q)
{
	return go_to_sleep(&q->ring->read, &q->ring->write, q->own);
}

bool queue_writer_sleep(struct queue *q)
{
	return go_to_sleep(&q->ring->write, &q->ring->read, q->peer);
}

void queue_reader_awake(struct queue *q)
{
	/* Late is harmless: one wake-up too many. */
	atomic_store_explicit(&q->ring->read.sleeping, 0, memory_order_relaxed);
}

void queue_writer_awake(struct queue *q)
{
	atomic_store_explicit(&q->ring->write.sleeping, 0,
			      memory_order_relaxed);
}
