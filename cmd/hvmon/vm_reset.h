/* vm_reset.h - VMs whose processes come and go. */
#ifndef IOVKIT_HVMON_VM_RESET_H
#define IOVKIT_HVMON_VM_RESET_H

#include <stdint.h>

struct hvmon;

/* Reset all VMs that are lost. */
void vm_reset_lost(struct hvmon *hv);
/* What the root bridge told. */
void vm_event_started(struct hvmon *hv, uint32_t vm);
void vm_event_lost(struct hvmon *hv, uint32_t vm);

#endif
