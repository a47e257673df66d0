/* hca_card.h - the host channel adapter as a device. */
#ifndef IOVDEV_HCA_CARD_H
#define IOVDEV_HCA_CARD_H

#include "libcore/control.h"
#include "libcore/hca.h"
#include "libcore/loop.h"

struct nic;

struct hca_card {
	struct hca hca;
	struct loop_timer timer;
	struct loop_deferred work;
};

/* The function that is a partition; 0: the PF. */
struct function *hca_function(const struct nic *nic, unsigned partition);

extern const struct control_table hca_card_tables[]; /* hca_tables.c */

#endif
