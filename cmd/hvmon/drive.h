/* drive.h - our driver of a real device: chains of accesses, one at a time. */
#ifndef IOVKIT_HVMON_DRIVE_H
#define IOVKIT_HVMON_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/hvmon/procedure.h"

struct virtual;

/* The first member of each chain; procedure_desc.fini is drive_fini(). */
struct drive {
	struct procedure p;
	struct virtual *v;
	bool interrupt; /* the device's is why */
};

/* Begin a chain of `size` bytes.  While one runs it is only remembered, in
 * v->drive_again and v->drive_interrupt, for the end of that, which clears
 * v->driving.  None begins at a device that stands, as it is loaded next. */
void drive_begin(struct virtual *v, const struct procedure_desc *desc,
		 size_t size, bool interrupt);
void drive_fini(struct procedure *p);

#endif
