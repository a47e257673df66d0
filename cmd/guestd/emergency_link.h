/* emergency_link.h - the emergency link (spec 02): memory that a successor
 * shares with each other guest, by which it stops the other's sends with the
 * hypervisor dead (1603, 1403, 1404).  Both sides of it. */
#ifndef IOVKIT_GUESTD_EMERGENCY_LINK_H
#define IOVKIT_GUESTD_EMERGENCY_LINK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "cmd/guestd/bus_steps.h"
#include "libcore/link_state.h"
#include "libcore/loop.h"
#include "libcore/state_area.h"

struct guest;

struct emergency_link {
	struct guest *guest;
	/* As the one who is stopped: by the order of who may. */
	struct emergency_page *from[STATE_SUCCESSORS];
	uint32_t from_vm[STATE_SUCCESSORS];
	unsigned n_from;
	bool stopped, look_again;
	struct bus_steps steps;
	struct loop_timer look;
	/* As the one who stops. */
	struct emergency_page *to[PLATFORM_SHARED_VMS];
};

void emergency_link_init(struct emergency_link *link, struct guest *g);
void emergency_link_fini(struct emergency_link *link);
/* Find those who may stop this guest, as the state area says. */
void emergency_link_look(struct emergency_link *link);
/* 1403: whether its sends shall fail. */
bool emergency_link_is_stopped(struct emergency_link *link);

/* 1603: to all other guests; how many. */
unsigned emergency_link_stop(struct emergency_link *link);
/* Take back what this VM stopped. */
unsigned emergency_link_clear(struct emergency_link *link);

#endif
