/* nic_burst.h - a burst of frames that nothing slows down. */
#ifndef IOVDEV_NIC_BURST_H
#define IOVDEV_NIC_BURST_H

#include <stdint.h>

#define NIC_BURST 64u

struct nic_queue;

/* Send the first of `n` entries after our index (at most NIC_BURST), as far as
 * they are ordinary: good, and for one receiver that takes them or is full.
 * Their status is set; the index is not moved, what was delivered not
 * published.  The caller has seen that nothing is armed, planted, captured or
 * limited at this queue.  Returns how many were sent; the next one is no
 * ordinary one. */
uint32_t nic_burst(struct nic_queue *tx, uint32_t n);
/* Bring what the next frame for this queue is written to. */
void nic_burst_fetch(const struct nic_queue *rx);

#endif
