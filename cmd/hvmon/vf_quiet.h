/* vf_quiet.h - bringing VFs to rest, in steps that several procedures share.
 * All work on p->vfs and pass over VFs whose device is away. */
#ifndef IOVKIT_HVMON_VF_QUIET_H
#define IOVKIT_HVMON_VF_QUIET_H

#include "cmd/hvmon/procedure.h"

/* Single functions: nobody else reaches them until p is over (turn_to_reset()). */
int vfs_turn(struct procedure *p);
/* Clear Bus Master Enable: no new queue entry is taken. */
int vfs_bus_master_off(struct procedure *p);
/* One config read to each; it is answered when all earlier requests are. */
int vfs_barrier(struct procedure *p);
/* Initiate FLR of each. */
int vfs_flr(struct procedure *p);
/* Until each answers, has Bus Master Enable clear and nothing pending, and a
 * single function its BARs again; fails with -ETIMEDOUT after a second. */
int vfs_settle(struct procedure *p);
/* What the guests had set of the VFs' config spaces is gone. */
void vfs_forget_config(struct procedure *p);

/* How long a function may take to settle, and the pause between looks. */
#define SETTLE_LIMIT_NS 1000000000ull
#define SETTLE_PAUSE_NS 1000000ull

#endif
