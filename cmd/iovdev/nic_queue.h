/* nic_queue.h - the device's end of a VF's transmit or receive queue. */
#ifndef IOVDEV_NIC_QUEUE_H
#define IOVDEV_NIC_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcore/poll_mode.h"
#include "libcore/queue.h"

struct function;
struct queue_faults;

enum nic_queue_kind {
	NIC_QUEUE_TX,
	NIC_QUEUE_RX,
	NIC_QUEUE_N
};

struct nic_queue {
	struct function *function;
	enum nic_queue_kind kind;
	/* Registers. */
	uint64_t base;
	uint32_t entries, enable, vector;
	enum queue_status status;
	bool pf_enable; /* the PF's register, 1 after reset */
	/* The ring, while attached; indexes stay readable afterwards. */
	struct queue q;
	bool attached;
	struct poll_spin spin;       /* transmit */
	struct queue_faults *faults; /* NULL: none was ever planted */
	/* Since power on. */
	uint64_t frames, bytes, dropped, errors;
	uint64_t written; /* bytes put into the guest's memory */
};

/* An entry as it was at one moment: the guest may change it at any time. */
static inline struct queue_entry entry_load(struct queue_entry *e)
{
	struct queue_entry local;

	local.addr = atomic_load_explicit((_Atomic uint64_t *)&e->addr,
					  memory_order_relaxed);
	local.size = atomic_load_explicit((_Atomic uint32_t *)&e->size,
					  memory_order_relaxed);
	local.status = atomic_load_explicit((_Atomic uint32_t *)&e->status,
					    memory_order_relaxed);
	return local;
}

static inline void entry_finish(struct queue_entry *e, enum queue_status status)
{
	atomic_store_explicit((_Atomic uint32_t *)&e->status, status,
			      memory_order_relaxed);
}

/* Receive: the frame's size as well, with one store (see queue_entry_set()). */
static inline void entry_fill(struct queue_entry *e, uint32_t size,
			      enum queue_status status)
{
	atomic_store_explicit((_Atomic queue_entry_half *)&e->size,
			      (uint64_t)status << 32 | size,
			      memory_order_relaxed);
}

const char *nic_queue_name(const struct nic_queue *q); /* "tx", "rx" */
const char *queue_status_name(enum queue_status status);

void nic_queue_init(struct nic_queue *q, struct function *f,
		    enum nic_queue_kind kind);
void nic_queue_fini(struct nic_queue *q);
/* NIC_Q_ENABLE is written. */
void nic_queue_enable(struct nic_queue *q, uint32_t value);
/* All enables are on and the ring is held; attaches when needed.  With
 * `quiet` a ring that is not reachable now is no error. */
bool nic_queue_runs(struct nic_queue *q, bool quiet);
/* Bus Master Enable came on: go on with the ring as it stands, and wake a
 * guest that a reset left asleep with something to do (not one whose pending
 * interrupts come back as well). */
void nic_queue_go_on(struct nic_queue *q);
/* The guest did something that it may not: stop, say so. */
void nic_queue_stop(struct nic_queue *q, enum queue_status status);
/* The ring's memory goes away; entries that were taken and not finished are
 * forgotten. */
void nic_queue_detach(struct nic_queue *q);
/* A reset of the function: registers as after power on. */
void nic_queue_reset(struct nic_queue *q);
/* Entries taken and not finished. */
uint32_t nic_queue_held(const struct nic_queue *q);
/* The indexes as registers show them. */
uint32_t nic_queue_write_index(const struct nic_queue *q);
uint32_t nic_queue_read_index(const struct nic_queue *q);
/* Publish our index, and wake the guest if it asked for that. */
void nic_queue_publish(struct nic_queue *q);

#endif
