/* drain.c - when the queues of a VF are at rest. */
#include <config.h>

#include "cmd/guestd/drain.h"

#include "libcore/pci_caps.h"

bool drain_sends(const uint8_t block[NIC_PF_VF_SIZE])
{
	uint32_t state = pci_get32(block, NIC_PF_VF_QSTATE);

	return (state & NIC_QSTATE_TX_ON) && (state & NIC_QSTATE_BME) &&
	       pci_get32(block, NIC_PF_VF_LINK) == 1;
}

/* A queue that does not run, or cannot, is not waited for: nobody would empty
 * it, and the device writes nothing for it. */
enum drain drain_look(const uint8_t block[NIC_PF_VF_SIZE], bool sends,
		      bool takes)
{
	if (pci_get32(block, NIC_PF_VF_HELD))
		return DRAIN_TX;
	if (sends && pci_get32(block, NIC_PF_VF_TX_WRITE) !=
			     pci_get32(block, NIC_PF_VF_TX_READ))
		return DRAIN_TX;
	if (takes && pci_get32(block, NIC_PF_VF_RX_WRITE) !=
			     pci_get32(block, NIC_PF_VF_RX_READ))
		return DRAIN_RX;
	return DRAIN_DONE;
}
