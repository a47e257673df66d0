/* control_signal.h - control signals of guests (libcore/control_signal.h). */
#ifndef IOVKIT_HVMON_CONTROL_SIGNAL_H
#define IOVKIT_HVMON_CONTROL_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/supervisor.h"

struct hvmon;

/* An access to the page of control signals: true when it is one, and is or will
 * be answered. */
bool control_signal_takes(struct hvmon *hv,
			  const struct sup_exception *exception);
/* Answer the one of this serial, 0: none: 0 or -errno. */
void control_signal_answer(struct hvmon *hv, uint64_t serial, int err);
/* The VM has failed: those who stand by for its devices are told, and do what
 * there is to do. */
void control_signal_tell(struct hvmon *hv, uint32_t vm);

#endif
