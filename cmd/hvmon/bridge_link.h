/* bridge_link.h - hvmon's connection to the root bridge: bus/vmN.sock, vm0's or that
 * of the VM on whose processors it runs (level 2).
 *
 * Region 0 is its I/O space (vm0: machine-physical, one to one), region 9 the supervisor
 * interface (supervisor.h).  Exceptions arrive in a ring, verdicts leave by
 * one, both in shared memory.  When the bridge hangs up, hvmon ends (71); when
 * it answers EPERM, somebody else owns the function and hvmon ends (75).
 */
#ifndef IOVKIT_HVMON_BRIDGE_LINK_H
#define IOVKIT_HVMON_BRIDGE_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/procedure.h"
#include "libcore/complaint.h"
#include "libcore/supervisor.h"
#include "libcore/vfu_client.h"

struct step_request;
struct verdict_entry;
LIST_HEAD(step_requests, step_request);

struct bridge_link {
	struct hvmon *hv;
	struct vfu_client *client;
	unsigned pending; /* answers that the start still waits for */
	loop_fn *up;      /* called with hv once when the link is usable */

	struct sup_channels *channels;
	_Atomic bool channels_lost;
	int notify_fd;   /* the bridge pushed exceptions */
	int doorbell_fd; /* we pushed verdicts */
	struct loop_watch notify;
	struct loop_timer retry;   /* the verdict ring was full */
	struct loop_deferred ring; /* once for all verdicts of a turn */
	bool listening;
	TAILQ_HEAD(, verdict_entry) verdicts; /* wait for room */
	struct step_requests requests;        /* of steps, unanswered */
};

/* The bridge's tables as read at one moment. */
struct bridge_tables {
	struct sup_info info;
	struct sup_function *functions;
	struct sup_vm *vms;
	struct sup_row *rows;
	struct sup_route *routes;
	struct sup_window *windows;
	unsigned n_functions, n_vms, n_rows, n_routes, n_windows;
};

/* Connect and negotiate; up(hv) follows.  0 or -errno with *c. */
int bridge_link_open(struct bridge_link *link, struct hvmon *hv, loop_fn *up,
		     struct complaint *c) __attribute__((warn_unused_result));
void bridge_link_close(struct bridge_link *link);

/* From now on take exceptions (exceptions.h), those that wait included. */
void bridge_link_listen(struct bridge_link *link);
/* Take what the bridge pushed until now. */
void bridge_link_catch_up(struct bridge_link *link);
/* Send a verdict; it waits when the ring is full. */
void bridge_link_verdict(struct bridge_link *link,
			 const struct sup_verdict *verdict);

/* Read the bridge's tables (functions, VMs, rows, routes) into *tables, which
 * must live as long as p; what it held before is freed. */
void step_read_tables(struct procedure *p, struct bridge_tables *tables);

void bridge_tables_fini(struct bridge_tables *tables);
const struct sup_function *
bridge_tables_function(const struct bridge_tables *tables, uint16_t bdf);
bool bridge_tables_has_route(const struct bridge_tables *tables,
			     const struct sup_route *route);

#endif
