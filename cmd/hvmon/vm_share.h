/* vm_share.h - the CPU shares of VMs that share devices (spec 03, 4), and the
 * table "vms". */
#ifndef IOVKIT_HVMON_VM_SHARE_H
#define IOVKIT_HVMON_VM_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"

struct hvmon;

struct vm_shares {
	uint32_t standby; /* of one that stands by, in parts per 2^32; 0: off */
	struct loop_timer look;
};

/* Before the options are read. */
void vm_shares_init(struct hvmon *hv);
void vm_shares_fini(struct hvmon *hv);
/* "5%" or "0". */
int vm_share_parse(struct vm_shares *shares, const char *text,
		   struct complaint *c) __attribute__((warn_unused_result));

/* A connection changed, or a VM came or went: set the running times. */
void vm_shares_update(struct hvmon *hv);
/* Whether the VM has the low share. */
bool vm_share_is_low(struct hvmon *hv, uint32_t vm);

json_t *vm_share_rows(void *hv);

#endif
