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

/* The same by serial number.  data may be NULL, size is then 0. */
void exception_answer(struct hvmon *hv, uint64_t serial, const void *data,
		      uint32_t size);
void exception_all_ones(struct hvmon *hv, uint64_t serial);
void exception_refuse(struct hvmon *hv, uint64_t serial, int err);
/* It ends in a target abort, which is an error to whoever made it. */
void exception_abort(struct hvmon *hv, uint64_t serial);
/* Its row has changed: it shall be looked up again. */
void exception_again(struct hvmon *hv, uint64_t serial);

#endif
