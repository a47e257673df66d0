/* nic_rx.h - receive queues (spec 02, fig. 10). */
#ifndef IOVDEV_NIC_RX_H
#define IOVDEV_NIC_RX_H

#include "cmd/iovdev/switch.h"

struct function;
struct nic;
struct nic_queue;

/* A frame for this VF; published by nic_rx_flush(). */
void nic_rx_deliver(struct function *f, const struct frame *frame);
/* Publish what was delivered since the last flush. */
void nic_rx_flush(struct nic *nic);
/* A taken entry is due or was released. */
void nic_rx_faults_due(struct nic_queue *rx);
/* Publish later what was taken and is due. */
void nic_rx_finish_taken(struct nic_queue *rx);

#endif
