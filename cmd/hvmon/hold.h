/* hold.h - 710: the ways in which new sequences are held off. */
#ifndef IOVKIT_HVMON_HOLD_H
#define IOVKIT_HVMON_HOLD_H

#include <stdbool.h>

#include "cmd/hvmon/virtual.h"
#include "libcore/complaint.h"

/* "pause", "lock", "busy", "block" or "log"; -EINVAL with *c. */
int hold_parse(const char *text, enum hold *hold, struct complaint *c)
	__attribute__((warn_unused_result));
const char *hold_name(enum hold hold);
/* How long to wait for the guest; as units_duration(). */
int hold_limit_parse(const char *text, uint64_t *ns, struct complaint *c)
	__attribute__((warn_unused_result));

/* Whether the access begins a sequence that is held off, or comes behind such a
 * one. */
bool hold_stops(const struct virtual *v, const struct access *a);
/* Take one that hold_stops() into the log, and answer it; false: it waits. */
bool hold_takes(struct virtual *v, const struct access *a);
/* Whether the device shall look as if it were not ready. */
bool hold_looks_busy(const struct virtual *v);

#endif
