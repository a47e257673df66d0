/* poll_mode.h - how long one who found his queue empty goes on looking before
 * he sleeps with the doorbell armed (--poll). */
#ifndef IOVKIT_POLL_MODE_H
#define IOVKIT_POLL_MODE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/complaint.h"

/* Twice what waking two halted CPUs costs, there and back: who spins for less
 * may be asleep each time that the answer to his doorbell comes. */
#define POLL_SPIN_NS 100000ull

enum poll_kind {
	POLL_ADAPTIVE, /* for a while, then sleep */
	POLL_BUSY,     /* for ever */
	POLL_SLEEP,    /* not at all */
	POLL_KIND_N
};

struct poll_mode {
	enum poll_kind kind;
	uint64_t spin_ns; /* POLL_ADAPTIVE: at most */
};

#define POLL_MODE_DEFAULT                                      \
	{                                                      \
		.kind = POLL_ADAPTIVE, .spin_ns = POLL_SPIN_NS \
	}

/* One who looks at a queue; zeroed at the start. */
struct poll_spin {
	uint64_t idle_ns; /* since when nothing came; 0: something did */
	uint64_t spin_ns; /* POLL_ADAPTIVE: how long to look now */
};

/* "busy", "adaptive", "adaptive:TIME" or "sleep"; -EINVAL, -ERANGE with *c. */
int poll_mode_parse(const char *text, struct poll_mode *mode,
		    struct complaint *c) __attribute__((warn_unused_result));

/* Nothing is there: whether to look again, rather than to sleep. */
bool poll_spins(struct poll_spin *spin, const struct poll_mode *mode,
		uint64_t now_ns);
/* The wait is over; what it took says how long the next one may spin. */
void poll_learn(struct poll_spin *spin, const struct poll_mode *mode,
		uint64_t now_ns);
/* Something came. */
static inline void poll_found(struct poll_spin *spin,
			      const struct poll_mode *mode, uint64_t now_ns)
{
	if (spin->idle_ns)
		poll_learn(spin, mode, now_ns);
}

#endif
