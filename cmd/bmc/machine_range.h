/* machine_range.h - one line of a machine file that means many programs.
 *
 *	guest[1-1000]: guestd --vm %i
 *
 * The name of each is the word before the bracket with a number of the range;
 * in its other words %i is that number, %n how many there are up to it, and %%
 * a percent sign.  In a line without a range % is what it is.
 */
#ifndef BMC_MACHINE_RANGE_H
#define BMC_MACHINE_RANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "libcore/complaint.h"

#define MACHINE_RANGE_MAX 99999u /* the largest number */

struct machine_range {
	unsigned first, last;
};

/* Whether the name that stands before the colon has a range. */
bool machine_range_is_in(const char *name, size_t size);
/* Read "[1-1000]" at the end of the name, of which *size bytes are left in
 * front of it.  -EINVAL. */
int machine_range_parse(struct machine_range *range, const char *name,
			size_t *size, struct complaint *c)
	__attribute__((warn_unused_result));
/* The word as the program with this number has it; new.  -EINVAL, -ENOMEM. */
int machine_range_expand(const struct machine_range *range, unsigned number,
			 const char *word, char **result, struct complaint *c)
	__attribute__((warn_unused_result));

#endif
