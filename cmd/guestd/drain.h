/* drain.h - 1701 to 1703: when the queues of a VF are at rest, by what the PF's
 * registers show of them. */
#ifndef IOVKIT_GUESTD_DRAIN_H
#define IOVKIT_GUESTD_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/nic_regs.h"

enum drain {
	DRAIN_DONE,
	DRAIN_TX, /* entries to send */
	DRAIN_RX, /* frames that the guest has not taken */
};

/* Of a VF's block (NIC_PF_VF()): whether the device sends what it finds. */
bool drain_sends(const uint8_t block[NIC_PF_VF_SIZE]);
/* `sends`: as it was before 1703; `takes`: its guest can take frames. */
enum drain drain_look(const uint8_t block[NIC_PF_VF_SIZE], bool sends,
		      bool takes);

#endif
