/* card_hold.h - a driver that is asked to rest: control methods hold-card and
 * release-card. */
#ifndef IOVKIT_GUESTD_CARD_HOLD_H
#define IOVKIT_GUESTD_CARD_HOLD_H

#include "cmd/guestd/card.h"
#include "libcore/control.h"

extern const struct control_method card_hold_methods[];

/* By the drivers: a message is over. */
void card_rests(struct card *card);
/* The card is freed. */
void card_hold_end(struct card *card);

#endif
