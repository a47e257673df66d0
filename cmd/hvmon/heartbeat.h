/* heartbeat.h - the hypervisor's sign of life in the state area (spec 02: 1201,
 * 1202), and ways to lose it on request. */
#ifndef IOVKIT_HVMON_HEARTBEAT_H
#define IOVKIT_HVMON_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/control.h"
#include "libcore/loop.h"

#define HEARTBEAT_DEFAULT_NS 10000000ull    /* 10 ms */
#define HEARTBEAT_MIN_NS     100000ull      /* 100 us */
#define HEARTBEAT_MAX_NS     10000000000ull /* 10 s */

struct hvmon;

struct heartbeat {
	uint64_t period_ns; /* 0: none */
	uint64_t last_ns;
	bool asks;             /* whether it still is the hypervisor */
	bool stopped;          /* on request */
	bool spins;            /* hang busily */
	struct loop_timer end; /* of the loop, on request */
};

/* A period in its bounds, or 0.  -EINVAL, -ERANGE with *c. */
int heartbeat_parse(struct heartbeat *heartbeat, const char *text,
		    struct complaint *c) __attribute__((warn_unused_result));
/* We are the hypervisor from now on: say who we are, and begin. */
void heartbeat_start(struct hvmon *hv);
/* The end: in order, or not. */
void heartbeat_end(struct hvmon *hv);

/* Control methods: hang {spin?}, abort, stop-heartbeat.  The first two are
 * answered, and then they happen. */
void hang_method(void *hv, struct control_call *call, json_t *params);
void abort_method(void *hv, struct control_call *call, json_t *params);
void stop_heartbeat_method(void *hv, struct control_call *call, json_t *params);

#endif
