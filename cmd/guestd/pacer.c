/* pacer.c - so many a second: what is due now, and when to look again. */
#include <config.h>

#include "cmd/guestd/pacer.h"

#include "libcore/loop.h"

void pacer_init(struct pacer *p, uint64_t rate, uint64_t now_ns)
{
	*p = (struct pacer){ .rate = rate, .start_ns = now_ns };
}

/* When item n is due, after start_ns. */
static uint64_t item_ns(const struct pacer *p, uint64_t n)
{
	return (uint64_t)((unsigned __int128)n * NS_PER_S / p->rate);
}

uint64_t pacer_due(struct pacer *p, uint64_t now_ns)
{
	uint64_t elapsed, allowed;

	if (!p->rate)
		return UINT64_MAX;
	elapsed = now_ns > p->start_ns ? now_ns - p->start_ns : 0;
	if (elapsed > item_ns(p, p->done) + PACER_DEBT_NS) {
		p->start_ns = now_ns - PACER_DEBT_NS;
		p->done = 0;
		elapsed = PACER_DEBT_NS;
	}
	allowed = (uint64_t)((unsigned __int128)elapsed * p->rate / NS_PER_S);
	return allowed + 1 > p->done ? allowed + 1 - p->done : 0;
}

uint64_t pacer_next_ns(const struct pacer *p, uint64_t now_ns)
{
	/* Rounded up: at that time the item is due. */
	uint64_t due = p->start_ns + item_ns(p, p->done) + 1;
	uint64_t rested = now_ns + PACER_REST_NS;

	/* Slower than the rest: exact, one wake-up each. */
	if (p->rate <= NS_PER_S / PACER_REST_NS)
		return due;
	return due > rested ? due : rested;
}
