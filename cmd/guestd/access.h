/* access.h - how the guest's CPU reaches registers.  Drivers of cards make
 * their accesses here and know nothing of the path that they take. */
#ifndef IOVKIT_GUESTD_ACCESS_H
#define IOVKIT_GUESTD_ACCESS_H

#include <stdint.h>

#include "cmd/guestd/bus_link.h"

/* An access is done: 0 or -errno, and of a read the value. */
typedef void access_fn(void *arg, int err, uint64_t value);

struct access_op;

struct access {
	struct bus_link *bus;
	uint64_t gpa; /* of offset 0 */
	struct access_op *all, *free;
	unsigned outstanding;
};

void access_init(struct access *a, struct bus_link *bus, uint64_t gpa);
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

#endif
