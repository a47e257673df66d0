/* fault.h - one grammar for faults, close to tc-netem(8).
 *
 *	delay TIME [JITTER]	later by TIME +- up to JITTER (uniform)
 *	loss PERCENT		swallowed, never answered
 *	corrupt PERCENT		one bit of the data flipped
 *	duplicate PERCENT	done twice
 *	reorder PERCENT		overtakes its predecessor
 *	fail N			the next N end in an error
 *	hold			kept until completed, failed, dropped, released
 *	count N			the random ones stop after N fired
 *	seed N			of the random ones
 *	none			no fault
 *
 * Several may be given at once.  Where they fire: register operations at the
 * root bridge, queue entries at the device.
 */
#ifndef IOVKIT_FAULT_H
#define IOVKIT_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"

enum {
	FAULT_DELAY = 1 << 0,
	FAULT_LOSS = 1 << 1,
	FAULT_CORRUPT = 1 << 2,
	FAULT_DUPLICATE = 1 << 3,
	FAULT_REORDER = 1 << 4,
	FAULT_FAIL = 1 << 5,
	FAULT_HOLD = 1 << 6,
	FAULT_N = 7
};

struct fault {
	unsigned kinds; /* FAULT_* that are set */
	uint64_t delay_ns, jitter_ns;
	uint32_t loss_p32, corrupt_p32, duplicate_p32, reorder_p32;
	uint64_t fail_left;  /* one-shot failures still to come */
	uint64_t count_left; /* firings left, UINT64_MAX: no end */
	uint64_t seed;
	uint64_t rng; /* state */
};

/* What happens to one operation. */
struct fault_verdict {
	unsigned kinds; /* FAULT_* that fire on it, 0: none */
	uint64_t delay_ns;
	uint64_t bit; /* FAULT_CORRUPT: random; the caller takes it modulo */
};

/* Parse words; -EINVAL/-ERANGE with *c quoting the word.  Without `seed` one
 * is drawn and kept in the fault. `allowed`: kinds that fit the target. */
int fault_parse(const char *text, unsigned allowed, struct fault *f,
		struct complaint *c) __attribute__((warn_unused_result));
/* Draw for one operation.  Cheap when f->kinds is 0. */
struct fault_verdict fault_draw(struct fault *f);
/* The fault as text that parses to the same; returns buf. */
char *fault_format(char *buf, size_t size, const struct fault *f);
/* "delay", "loss"... of one FAULT_ bit. */
const char *fault_kind_name(unsigned kind);

/* A latency: "2ms" fixed, "1ms..3ms" uniform, "exp:2ms" exponential with that
 * mean (capped at 10 times). */
struct latency {
	enum {
		LATENCY_FIXED,
		LATENCY_UNIFORM,
		LATENCY_EXPONENTIAL
	} kind;
	uint64_t a_ns, b_ns;
};
int latency_parse(const char *text, struct latency *l, struct complaint *c)
	__attribute__((warn_unused_result));
uint64_t latency_draw(const struct latency *l, uint64_t *rng);
/* splitmix64: the next number of a stream. */
uint64_t rng_next(uint64_t *rng);

#endif
