/* exceptions.h - what the root bridge reports to its supervisor. */
#ifndef IOVKIT_HVMON_EXCEPTIONS_H
#define IOVKIT_HVMON_EXCEPTIONS_H

#include <stdint.h>

#include "libcore/supervisor.h"

struct hvmon;

/* Take one exception. */
void exception_take(struct hvmon *hv, const struct sup_exception *exception);

/* Answer an access that waits for it; serial 0 (a posted write) needs no
 * verdict.  data may be NULL. */
void exception_done(struct hvmon *hv, const struct sup_exception *exception,
		    const void *data);
/* It is refused with this errno. */
void exception_fail(struct hvmon *hv, const struct sup_exception *exception,
		    int err);
/* It reads as all ones, a write is dropped. */
void exception_unsupported(struct hvmon *hv,
			   const struct sup_exception *exception);

#endif
