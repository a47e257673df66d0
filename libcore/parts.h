/* parts.h - safety parts that a test can leave out (--without PART), to show
 * that it would notice. */
#ifndef IOVKIT_PARTS_H
#define IOVKIT_PARTS_H

#include <stdbool.h>

#include "libcore/complaint.h"

struct part_desc {
	const char *name; /* "fence" */
	const char *what; /* what is not done when it is left out */
};

struct parts {
	const struct part_desc *table;
	unsigned n; /* at most 32 */
	unsigned without;
};

int parts_leave_out(struct parts *parts, const char *name, struct complaint *c)
	__attribute__((warn_unused_result));
/* Whether part `index` is in force. */
static inline bool part(const struct parts *parts, unsigned index)
{
	return !(parts->without & (1u << index));
}

#endif
