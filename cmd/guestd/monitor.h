/* monitor.h - the monitor (spec 02, fig. 17): notices that the hypervisor does
 * not count its heartbeat, or is gone (1601, 1602). */
#ifndef IOVKIT_GUESTD_MONITOR_H
#define IOVKIT_GUESTD_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/guestd/run_delay.h"
#include "libcore/loop.h"
#include "libcore/state_area.h"

struct guest;

enum detect {
	DETECT_EXIT = 1,
	DETECT_HEARTBEAT = 2,
	DETECT_BOTH = DETECT_EXIT | DETECT_HEARTBEAT,
};

/* Who counts, and since when it does not. */
struct heartbeat {
	uint64_t value;
	uint64_t stale_ns; /* how long it has not moved, by our looks */
	uint64_t looked_ns;
};

/* Look at the counter, at the time for which the look was planned; how long it
 * has not moved.  No look counts for more than a period: when it comes late we
 * were kept from running, as the other may have been. */
uint64_t heartbeat_look(struct heartbeat *h, uint64_t value, uint64_t now_ns,
			uint64_t period_ns);
/* Count from here on. */
void heartbeat_restart(struct heartbeat *h, uint64_t value, uint64_t now_ns);
/* Whether one that has not counted for so long, of which it waited so long for
 * a CPU (and does so now), has failed.  Waits do not count, but for at most
 * eight limits: then something is wrong with it or with the computer. */
bool heartbeat_has_failed(uint64_t stale_ns, uint64_t limit_ns,
			  uint64_t delayed_ns, bool waits);
/* The limit in force: that one, but never below two of the other's periods. */
uint64_t heartbeat_limit(uint64_t limit_ns, uint64_t beat_ns);
/* Whether a busy computer may take a living hypervisor for dead. */
bool heartbeat_limit_is_low(uint64_t limit_ns, uint64_t beat_ns);

/* One that is watched: the hypervisor, or a successor of lower order. */
struct watched {
	struct monitor *monitor;
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none, or gone */
	bool gone;
	struct loop_watch watch;
	struct heartbeat beat;
	struct run_delay delay; /* since it counted last */
};

struct monitor {
	struct guest *guest;
	struct loop_timer timer;
	uint64_t look_ns; /* for when the last look was planned */
	struct watched hypervisor, lower[STATE_SUCCESSORS];
	bool warned;
	uint64_t beat_ns; /* its last beat, as seen */
};

void monitor_init(struct monitor *m, struct guest *g);
void monitor_start(struct monitor *m);
void monitor_fini(struct monitor *m);
/* Begin anew: it is given the whole limit. */
void monitor_restart(struct monitor *m);
/* What the hypervisor has counted. */
uint64_t monitor_beats(const struct monitor *m);
/* Why the hypervisor has failed, by --detect; NULL: it has not. */
const char *monitor_verdict(const struct monitor *m);
/* This guest can take over from now on. */
void monitor_able(struct monitor *m);
/* Whether no other successor lives that can take over, nor one that cannot but
 * comes first. */
bool monitor_is_alone(const struct monitor *m);
/* Whether everybody who comes first has failed too, or cannot take over: one
 * that was started again while there is no hypervisor. */
bool monitor_is_first(const struct monitor *m);
/* Whether the successor that is this VM lives. */
bool monitor_vm_lives(const struct monitor *m, uint32_t vm);

#endif
