/* parts.c - safety parts that a test can leave out. */
#include <config.h>

#include "libcore/parts.h"

#include <errno.h>
#include <string.h>

int parts_leave_out(struct parts *parts, const char *name, struct complaint *c)
{
	unsigned i;

	for (i = 0; i < parts->n; i++) {
		if (!strcmp(parts->table[i].name, name)) {
			parts->without |= 1u << i;
			return 0;
		}
	}
	return complain(c, EINVAL, "no part '%s' (see --list-parts)", name);
}
