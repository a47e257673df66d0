/* card_reset.h - a card of its own is reset by the guest: control method
 * reset-card. */
#ifndef IOVKIT_GUESTD_CARD_RESET_H
#define IOVKIT_GUESTD_CARD_RESET_H

#include "cmd/guestd/card.h"
#include "libcore/control.h"

extern const struct control_method card_reset_methods[];

/* The card is freed. */
void card_reset_end(struct card *card);

#endif
