/* ether_driver.h - the driver of the idealised Ethernet card. */
#ifndef IOVKIT_GUESTD_ETHER_DRIVER_H
#define IOVKIT_GUESTD_ETHER_DRIVER_H

#include <stdint.h>

#include "cmd/guestd/card.h"
#include "cmd/guestd/mac.h"

/* A message was sent: 0, or -EINVAL: the card refused it. */
typedef void ether_sent_fn(void *arg, int err);

const uint8_t *ether_mac(const struct card *card);
/* Send one frame, without its source address, which is the card's; `sent`
 * follows.  -EBUSY: another one is on its way. */
int ether_send(struct card *card, const uint8_t *frame, uint32_t size,
	       ether_sent_fn *sent, void *arg)
	__attribute__((warn_unused_result));
/* Whoever sent the last one does not want to know. */
void ether_forget(struct card *card);

#endif
