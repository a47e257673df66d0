/* completion.h - NIC_COMPLETION: tell once that all before it is done. */
#ifndef IOVDEV_COMPLETION_H
#define IOVDEV_COMPLETION_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/iovdev/nic_queue.h"

struct completion {
	uint32_t armed;             /* the register as it reads; 0: not armed */
	uint32_t left[NIC_QUEUE_N]; /* entries in hand when it was armed */
};

/* NIC_COMPLETION is written; false: there is no such vector. */
bool completion_write(struct function *f, uint32_t value);
/* The k oldest entries in hand are finished, published or not yet. */
void completion_finished(struct nic_queue *q, uint32_t k);
/* All that was in hand is published, or an eventfd came: fire if due. */
void completion_update(struct function *f);
/* As after a reset: not armed. */
void completion_reset(struct function *f);

#endif
