/* hvmon.h - what hvmon holds: one table a module. */
#ifndef IOVKIT_HVMON_HVMON_H
#define IOVKIT_HVMON_HVMON_H

#include <stdbool.h>
#include <stdio.h>

#include "cmd/hvmon/address_layout.h"
#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/guests.h"
#include "cmd/hvmon/heartbeat.h"
#include "cmd/hvmon/level1.h"
#include "cmd/hvmon/management.h"
#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/schedule.h"
#include "cmd/hvmon/successors.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/vf_allocation.h"
#include "cmd/hvmon/vm_share.h"
#include "cmd/hvmon/vm_table.h"
#include "libcore/program.h"

struct level2;

struct hvmon {
	struct program *program;
	uint32_t vm;           /* on whose processors it runs; vm0 */
	unsigned partition;    /* of level 2 */
	struct level2 *level2; /* NULL: it is none, or did not start yet */
	unsigned level;        /* 0: no adapter is meant */
	struct guests guests;
	struct bridge_link bridge;
	struct procedure_queue queue;
	struct address_layout mmio; /* machine-physical, BARs */
	struct device_list devices; /* in bus order */
	struct vf_allocations allocations;
	struct connections connections;
	struct managements managements;
	struct vm_table vms;
	struct schedule schedule; /* of VMs */
	struct heartbeat heartbeat;
	struct successors successors;
	struct translations translations;
	struct bridge_tables tables; /* as last read */
	void *rooms;                 /* reset_record.h; NULL: none */
	uint32_t rooms_size;
	uint64_t drain_limit_ns; /* of a110; 0: none */
	struct vm_shares shares;
	struct level1 level1;
	unsigned max_vfs; /* VFs enabled per PF, at most */
	bool stopping;    /* nothing new is begun */
};

/* Before the options are read. */
void hvmon_init(struct hvmon *hv, struct program *program);
/* Connect and start; the rest happens on the loop.  0 or -errno with *c. */
int hvmon_start(struct hvmon *hv, struct complaint *c)
	__attribute__((warn_unused_result));
void hvmon_fini(struct hvmon *hv);
/* End the program (program_stop); procedures stand still from now on. */
void hvmon_stop(struct hvmon *hv, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Say ready once every wished function is set up. */
void hvmon_check_ready(struct hvmon *hv);
/* Print which ones are not, a line each; before hvmon_fini(). */
void hvmon_tell_missing(struct hvmon *hv, FILE *f);

#endif
