/* state_area.h - the hypervisor state area (fig. 6 of spec 02), file "state".
 *
 * bmc makes it anew at power on; a program started by hand makes it when it
 * is missing.  Every program maps it.  It outlives the hypervisor.
 */
#ifndef IOVKIT_STATE_AREA_H
#define IOVKIT_STATE_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/machine.h"

#define STATE_AREA_MAGIC   0x74735649u /* "IVst" */
#define STATE_AREA_VERSION 1u
#define STATE_AREA_SIZE    4096u

#define STATE_SUCCESSORS   8u

/* A guest that takes over when the hypervisor fails (spec 02).  hvmon says
 * which VM it is, by which each guest finds its emergency links; the guest
 * itself writes the rest. */
struct state_successor {
	_Atomic uint64_t heartbeat; /* counted up by it */
	_Atomic uint32_t pid;       /* 0: none came yet */
	_Atomic uint32_t vm;        /* 0: none */
	_Atomic uint32_t able;      /* 1: it could take over now */
	uint8_t rsvd[44];
};
_Static_assert(sizeof(struct state_successor) == 64, "state successor");
_Static_assert(offsetof(struct state_successor, able) == 16, "layout");

#define STATE_PEERS 32u

/* A guest that shares devices with others (spec 03): its heartbeat, which it
 * counts up itself and the others look at.  hvmon writes `suspended` and
 * `turns`. */
struct state_peer {
	_Atomic uint64_t heartbeat;
	_Atomic uint64_t beat_ns;   /* CLOCK_MONOTONIC of the last one */
	_Atomic uint32_t vm;        /* 0: free */
	_Atomic uint32_t pid;       /* of its process */
	_Atomic uint32_t period_us; /* in which it counts */
	_Atomic uint32_t
		suspended;         /* 1: it stands because others have a turn */
	_Atomic uint32_t turns;    /* counts how often it was suspended */
	_Atomic uint32_t able;     /* 1: it takes devices that nobody has */
	_Atomic uint64_t delay_ns; /* its run delay at the last beat */
	uint8_t rsvd[16];
};
_Static_assert(sizeof(struct state_peer) == 64, "state peer");
_Static_assert(offsetof(struct state_peer, suspended) == 28, "layout");

struct state_area {
	uint32_t magic;
	uint32_t version;
	uint32_t size;
	uint32_t rsvd0;
	_Atomic uint64_t event_sequence; /* last event number given out */
	uint8_t rsvd1[104];
	_Atomic uint64_t heartbeat;    /* 1202: counted up by hvmon */
	_Atomic uint32_t hypervisor;   /* its pid; 0: none came yet */
	_Atomic uint32_t heartbeat_us; /* its period */
	_Atomic uint32_t power_off;    /* 1: bmc ends all, one by one */
	uint8_t rsvd2[108];
	_Atomic uint32_t shutdown; /* 1: cause is being written, 2: is there */
	char cause[252];           /* why the machine shut down, NUL ended */
	struct state_successor successor[STATE_SUCCESSORS]; /* by order - 1 */
	struct state_peer peer[STATE_PEERS];
	uint8_t rsvd3[1024];
};
_Static_assert(sizeof(struct state_area) == STATE_AREA_SIZE, "state area");
_Static_assert(offsetof(struct state_area, event_sequence) == 16, "layout");
_Static_assert(offsetof(struct state_area, heartbeat) == 128, "layout");
_Static_assert(offsetof(struct state_area, shutdown) == 256, "layout");
_Static_assert(offsetof(struct state_area, successor) == 512, "layout");
_Static_assert(offsetof(struct state_area, peer) == 1024, "layout");

/* Map the machine's state area, making the file when it is missing or
 * `fresh` is set.  -EBADMSG: wrong magic, version or size. */
int state_area_map(const struct machine *m, int fresh, struct state_area **area,
		   struct complaint *c) __attribute__((warn_unused_result));
void state_area_unmap(struct state_area *area);

/* The part of a guest that shares devices; `make`: a free one is taken, when it
 * has none.  NULL: there is none. */
struct state_peer *state_area_peer(struct state_area *area, uint32_t vm,
				   bool make);

/* Say once why the machine shuts down; the first caller wins. */
void state_area_set_cause(struct state_area *area, const char *text);
/* The cause, or NULL when nobody shut the machine down. */
const char *state_area_cause(const struct state_area *area);

#endif
