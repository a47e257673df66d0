/* nic_tx.h - transmit queues (spec 02, fig. 9). */
#ifndef IOVDEV_NIC_TX_H
#define IOVDEV_NIC_TX_H

#include <stdbool.h>

#include "libcore/loop.h"

struct function;
struct nic;
struct nic_queue;

/* Look at this VF's ring: it moved, or may run now. */
void nic_tx_kick(struct function *f);
/* One burst of each active VF, in turn. */
enum loop_poll nic_tx_poll(void *nic);
/* Not looked at any more until the next kick. */
void nic_tx_idle(struct nic_queue *tx);
/* Who waited for a fenced receiver looks again. */
void nic_tx_unstall(struct nic *nic);
/* A taken entry is due or was released. */
void nic_tx_faults_due(struct nic_queue *tx);

#endif
