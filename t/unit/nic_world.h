/* nic_world.h - a real iovdev with three guests. */
#ifndef IOVKIT_NIC_WORLD_H
#define IOVKIT_NIC_WORLD_H

#include "t/unit/nic_rig.h"

#define NIC_WORLD_GUESTS 3u /* on VF 1 to 3 */

struct nic_world {
	struct nic_rig rig;
	struct nic_conn pf;
	struct nic_guest guest[NIC_WORLD_GUESTS + 1]; /* by VF */
	char answer[8192];
};

/* Words end with NULL; more options for iovdev. */
void nic_world_open(struct nic_world *w, const char *const *options);
void nic_world_close(struct nic_world *w);
/* The control method "fault", which succeeds. */
void nic_world_fault(struct nic_world *w, const char *params);
/* Guest a still reaches guest b. */
void nic_world_reaches(struct nic_world *w, unsigned a, unsigned b);

#endif
