/* steps.h - what vfu can do: a step is a word and what it needs. */
#ifndef IOVKIT_TOOL_STEPS_H
#define IOVKIT_TOOL_STEPS_H

#include <stdint.h>

#include "t/tool/guest.h"
#include "t/tool/peer.h"

struct tool {
	struct peer peer;
	struct guest guest;
	uint64_t flooded;   /* requests that are not answered yet */
	int kept[PEER_FDS]; /* eventfds that the other end has, too */
	unsigned n_kept;
	char text[8300]; /* result, when it is more than "ok" */
};

/* word[0] is the step's own name; 0 or -errno. */
typedef int step_fn(struct tool *t, char **word, unsigned n);

struct step {
	const char *name;
	unsigned min, max; /* words, its own included */
	step_fn *fn;
	const char *what;
};

/* Ended by a NULL name. */
extern const struct step peer_steps[];
extern const struct step eventfd_steps[];
extern const struct step guest_steps[];

/* End with a complaint about the command line. */
void bad(const char *what, const char *which) __attribute__((noreturn));
/* Decimal or 0x...; or the end. */
uint64_t number(const char *text);
/* Decode hex digits in place; how many bytes. */
uint32_t unhex(char *text);

#endif
