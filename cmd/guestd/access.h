/* access.h - how the guest's CPU reaches registers: by a translation that it
 * holds (tlb.h), or over its bus.  Drivers of cards make their accesses here
 * and know nothing of the path that they take. */
#ifndef IOVKIT_GUESTD_ACCESS_H
#define IOVKIT_GUESTD_ACCESS_H

#include <stdint.h>
#include <sys/queue.h>

#include "cmd/guestd/bus_link.h"
#include "libcore/window.h"

/* An access is done: 0 or -errno, and of a read the value. */
typedef void access_fn(void *arg, int err, uint64_t value);

struct access;
struct tlb;
struct translation;

struct access_op {
	struct access *owner;
	access_fn *fn;
	void *arg;
	uint64_t gpa;
	struct window_access access;
	TAILQ_ENTRY(access_op) entry; /* free, or held */
	struct access_op *next_all;
};

struct access {
	struct bus_link *bus;
	struct tlb *tlb; /* NULL: there are no translations */
	uint64_t gpa;    /* of offset 0 */
	struct translation *hit;
	TAILQ_HEAD(access_ops, access_op) free;
	struct access_ops held; /* until the other path is done */
	struct access_op *all;
	unsigned on_bus, in_window;
};

void access_init(struct access *a, struct bus_link *bus, struct tlb *tlb,
		 uint64_t gpa);
/* After the bus link is gone: nothing is called any more. */
void access_fini(struct access *a);

/* Size is 1 to 8 bytes.  Accesses are done in the order of the calls, and may
 * overlap.  0, or -errno: it was not made, and fn is not called.  fn is never
 * called from inside. */
int access_read(struct access *a, uint32_t offset, uint32_t size, access_fn *fn,
		void *arg) __attribute__((warn_unused_result));
int access_write(struct access *a, uint32_t offset, uint32_t size,
		 uint64_t value, access_fn *fn, void *arg)
	__attribute__((warn_unused_result));

/* By the translation that has it: it is done. */
void access_done(struct access_op *op, int err, uint64_t value);
/* It was not done; the last one first.  access_run() follows. */
void access_again(struct access_op *op);
void access_run(struct access *a);

#endif
