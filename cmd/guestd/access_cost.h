/* access_cost.h - what an access to a register costs: the control method
 * access-cost. */
#ifndef IOVKIT_GUESTD_ACCESS_COST_H
#define IOVKIT_GUESTD_ACCESS_COST_H

#include "libcore/control.h"

struct card;

extern const struct control_method access_cost_methods[];

/* The card is freed. */
void access_cost_end(struct card *card);

#endif
