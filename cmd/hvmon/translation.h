/* translation.h - translations that guests propose for devices which they have
 * whole (spec 05, fig. 5): accepted, changed or rejected, and taken back. */
#ifndef IOVKIT_HVMON_TRANSLATION_H
#define IOVKIT_HVMON_TRANSLATION_H

#include <stdbool.h>

struct device;

/* It is done, or err says what failed (-errno). */
typedef void translation_fn(void *arg, int err);

/* Proposals for this device are inspected from now on (direct; as at first) or
 * all rejected (trapped).  Windows that are granted stay. */
void translation_allow(struct device *device, bool allowed);
/* Take the windows of the device back; done(arg, err) once neither side can
 * use one any more (at once if there is none). */
void translation_revoke(struct device *device, translation_fn *done, void *arg);

#endif
