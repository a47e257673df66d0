/* pacer.h - so many a second: what is due now, and when to look again. */
#ifndef IOVKIT_GUESTD_PACER_H
#define IOVKIT_GUESTD_PACER_H

#include <stdint.h>

/* At high rates one wake-up serves a batch: none is asked for sooner. */
#define PACER_REST_NS 500000ull
/* Who fell further behind than this (full ring, function away) does not catch
 * up on it: the burst would run over the receiver's ring. */
#define PACER_DEBT_NS 10000000ull

struct pacer {
	uint64_t rate; /* a second; 0: as fast as it goes */
	uint64_t start_ns;
	uint64_t done; /* since start_ns */
};

void pacer_init(struct pacer *p, uint64_t rate, uint64_t now_ns);
/* How many may go now; the first goes at once. */
uint64_t pacer_due(struct pacer *p, uint64_t now_ns);
static inline void pacer_take(struct pacer *p, uint64_t n)
{
	p->done += n;
}
/* When the next is due, and not before the rest is over. rate is not 0. */
uint64_t pacer_next_ns(const struct pacer *p, uint64_t now_ns);

#endif
