/* guestd.h - the guest: what its parts share. */
#ifndef IOVKIT_GUESTD_H
#define IOVKIT_GUESTD_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/bus_link.h"
#include "cmd/guestd/checker.h"
#include "cmd/guestd/emergency_link.h"
#include "cmd/guestd/memory_pool.h"
#include "cmd/guestd/pci_probe.h"
#include "cmd/guestd/pf_driver.h"
#include "cmd/guestd/rate_log.h"
#include "cmd/guestd/tlb.h"
#include "cmd/guestd/workload.h"
#include "libcore/platform.h"
#include "libcore/poll_mode.h"
#include "libcore/program.h"

/* Points; names in guest_points.c. */
enum guest_point {
	POINT_DRIVER_PROBE,
	POINT_DRIVER_PROGRAM,
	POINT_DRIVER_1301,
	POINT_DRIVER_1302,
	POINT_DRIVER_1303,
	POINT_SEND_1401,
	POINT_SEND_1402,
	POINT_SEND_1403,
	POINT_SEND_1404,
	POINT_SEND_1405,
	POINT_SEND_1406,
	POINT_SEND_1407,
	POINT_SEND_1408,
	POINT_RECEIVE_1501,
	POINT_RECEIVE_1502,
	POINT_RECEIVE_1503,
	POINT_RECEIVE_1504,
	POINT_RECEIVE_1505,
	/* of a successor: the sub PF driver, ... */
	POINT_DRIVER_EVENT,
	POINT_DRIVER_1001,
	POINT_DRIVER_1002,
	POINT_DRIVER_1003,
	POINT_DRIVER_1004,
	POINT_DRIVER_1101,
	POINT_DRIVER_1102,
	POINT_DRIVER_1103,
	/* ... monitor and failover */
	POINT_FAILOVER_1601,
	POINT_FAILOVER_1602,
	POINT_FAILOVER_1603,
	POINT_FAILOVER_1604,
	POINT_FAILOVER_1701,
	POINT_FAILOVER_1702,
	POINT_FAILOVER_1703,
	POINT_FAILOVER_1704,
	POINT_FAILOVER_1705,
	POINT_FAILOVER_1706,
	POINT_FAILOVER_2001,
	POINT_FAILOVER_1707,
	POINT_FAILOVER_RETURN,
	/* of one that shares devices */
	POINT_ROLE_BEAT,
	POINT_ROLE_DEACTIVATE,
	POINT_ROLE_CONNECT,
	POINT_N
};
extern const struct point_desc guest_points[];

/* Safety parts; names in guest_points.c. */
enum guest_part {
	PART_FORCED_STOP,
	PART_DRAIN,
	PART_N
};
extern const struct part_desc guest_parts[];

#define GUEST_WORKLOADS 32u

struct guest_options {
	struct program_options program;
	char name[16]; /* "vm1", unless --name is given */
	uint32_t vm;   /* 0: not given */
	uint32_t ring;
	uint32_t ring_start; /* first index */
	uint32_t buffer_bytes;
	struct poll_mode poll;
	bool once;
	bool management;  /* it may have a PF */
	uint64_t idle_ns; /* --once: a receiver is done after this silence */
	uint64_t frames;  /* receivers are done after so many; 0: no limit */
	const char *rate_log; /* NULL: none */
	struct vf_select vf;  /* default of the workloads */
	struct workload_spec specs[GUEST_WORKLOADS];
	unsigned n_specs;
	/* a successor's; order 0: it is none */
	uint32_t successor;
	unsigned detect;    /* enum detect */
	unsigned link_sync; /* enum link_sync */
	uint64_t heartbeat_limit_ns, monitor_ns, drain_limit_ns;
	unsigned role; /* enum role_wish */
	bool check_memory;
	/* of -r, which may come before or after it */
	bool have_pps, timing;
	uint64_t pps;
};

struct card;
struct role;
struct successor;
struct vf;

struct guest {
	struct program program;
	struct guest_options options;
	/* Tell a person something; main.c's. */
	void (*notice)(const struct guest *g, const char *text);
	struct bus_link bus;
	struct tlb tlb;
	struct memory_pool memory;
	struct pci_probe probe;
	struct pf_driver pf; /* --management */
	struct emergency_link emergency;
	struct successor *successor; /* NULL: it is none */
	struct role *role;           /* NULL: it shares no device */
	struct loop_deferred panic;
	struct vf *vf[PLATFORM_SLOTS];     /* NULL: never seen */
	struct card *card[PLATFORM_SLOTS]; /* single functions */
	bool probed;                       /* all slots were read once */
	bool over;                         /* --once: the workloads are done */
	struct checker checker;
	struct rate_log rates; /* --rate-log */
	struct workloads workloads;
};

/* Connect to the bus and go on from there.  Returns 0 or an exit status; the
 * program's cause is set then. */
int guest_start(struct guest *g) __attribute__((warn_unused_result));
/* Frees all but the program. */
void guest_fini(struct guest *g);

/* A VF finished its setup, well or not; or its link changed. */
void guest_vf_settled(struct guest *g);
/* The VF that is up and that `select` means; NULL: none. */
struct vf *guest_find_vf(struct guest *g, const struct vf_select *select);
bool guest_vf_matches(const struct vf *vf, const struct vf_select *select);

/* Pass a point of the data path: true when it was made to fail. */
static inline bool guest_point_fails(struct guest *g, enum guest_point p)
{
	if (!point_armed(g->program.points, p))
		return false;
	return point(g->program.points, p, NULL, NULL, NULL, NULL) ==
	       POINT_FAIL;
}

#endif
