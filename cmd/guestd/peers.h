/* peers.h - the guests with which this one shares devices, watched by their
 * heartbeats in the state area (spec 03, 2), which needs no hypervisor. */
#ifndef IOVKIT_GUESTD_PEERS_H
#define IOVKIT_GUESTD_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/guestd/monitor.h"
#include "cmd/guestd/run_delay.h"
#include "libcore/state_area.h"

struct guest;

struct peer {
	uint32_t vm;
	pid_t pid; /* 0: it never counted */
	struct heartbeat beat;
	struct run_delay delay; /* since it counted last */
	bool told;              /* its failure, in an event */
	uint64_t absent_ns;     /* since when it is missed; 0: it is not */
	uint64_t again_ns;      /* it is not asked to be deactivated before */
};

struct peers {
	const struct guest *guest;
	struct state_peer *own;
	struct run_delay delay; /* our own */
	uint64_t look_ns;       /* for when the last look was planned */
	uint64_t next_ns;       /* and how long after it the next one is */
	uint64_t gap_ns;        /* that it may count for */
	uint32_t turns;         /* own->turns then */
	uint32_t suspended;     /* own->suspended then */
	struct peer *peer;
	unsigned n;
};

/* -ENOENT: there is no state area; -ENOSPC, -ENOMEM. */
int peers_init(struct peers *peers, const struct guest *g)
	__attribute__((warn_unused_result));
/* A guest that ends in good order is not taken for failed. */
void peers_fini(struct peers *peers);
/* It is on the bus, and counts from now on. */
void peers_join(struct peers *peers);

/* Plan this look. */
void peers_plan(struct peers *peers, uint64_t now_ns);
/* When the next one is due: after a period, or sooner if the heartbeat of one
 * reaches its limit before. */
uint64_t peers_due(struct peers *peers);
/* Count the own heartbeat up. */
void peers_beat(struct peers *peers, uint64_t now_ns);
/* Whether this guest takes devices that nobody has. */
void peers_set_able(struct peers *peers, bool able);
/* Look at all heartbeats. */
void peers_look(struct peers *peers);

/* That VM, watched from now on; NULL: too many. */
struct peer *peers_get(struct peers *peers, uint32_t vm);
/* It is given the whole limit. */
void peer_restart(struct peer *peer, uint64_t beat);
/* Its heartbeat has failed.  One that never counted is not judged by it. */
bool peer_stands(const struct peers *peers, const struct peer *peer);
/* It has a process, and a heartbeat. */
bool peer_lives(const struct peers *peers, const struct peer *peer);
/* Whether the VM takes devices that nobody has. */
bool peers_is_able(const struct peers *peers, uint32_t vm);
/* The machine is being powered off: nobody who ends has failed. */
bool peers_power_off(const struct peers *peers);

#endif
