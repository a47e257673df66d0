/* queue_faults.h - faults at queue entries: the entries that the device took
 * and has not finished, and why. */
#ifndef IOVDEV_QUEUE_FAULTS_H
#define IOVDEV_QUEUE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/fault.h"
#include "libcore/loop.h"
#include "libcore/queue.h"

struct function;
struct nic_queue;

struct taken {
	uint64_t due_ns;
	uint64_t bit;   /* to flip */
	unsigned kinds; /* FAULT_* that fired on it */
	bool held;      /* until released */
	bool done;      /* transmit: sent already, before its predecessor */
	/* Receive: what the entry will say.  Until then its size remains the
	 * buffer's capacity, in case a reset comes first. */
	uint32_t size;
	enum queue_status status;
};

struct queue_faults {
	struct nic_queue *queue;
	struct fault fault;
	/* A ring of `room` places; the head is the queue's own index. */
	struct taken *taken;
	uint32_t room, head, n;
	struct loop_timer timer;
	/* Receive only: a frame that the next one overtakes. */
	uint8_t *late;
	uint32_t late_size;
	uint64_t fired;
};

/* Plant; replaces what was planted, and leaves held entries held. */
int queue_faults_set(struct nic_queue *q, const char *text, struct complaint *c)
	__attribute__((warn_unused_result));
void queue_faults_free(struct nic_queue *q);
/* Whether the slow path is needed. */
bool queue_faults_active(const struct nic_queue *q);
/* Draw for the entry with this index, write the event; false: nothing fires
 * on it. */
struct fault_verdict queue_faults_draw(struct nic_queue *q, uint32_t index);
/* Remember one more taken entry; NULL: no memory. */
struct taken *queue_faults_take(struct nic_queue *q,
				const struct fault_verdict *v);
struct taken *queue_faults_at(struct nic_queue *q, uint32_t i);
/* The first `k` are finished. */
void queue_faults_finish(struct nic_queue *q, uint32_t k);
/* Look again at due_ns. */
void queue_faults_wait(struct nic_queue *q, uint64_t due_ns);
/* Forget all. */
void queue_faults_drop(struct nic_queue *q);
/* Entries go on that are held; returns how many. */
unsigned queue_faults_release(struct nic_queue *q);

#endif
