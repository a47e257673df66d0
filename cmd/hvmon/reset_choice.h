/* reset_choice.h - how a reset suspends new requests (a105) and confirms that
 * the earlier ones are answered (a110).  Pure.
 */
#ifndef IOVKIT_HVMON_RESET_CHOICE_H
#define IOVKIT_HVMON_RESET_CHOICE_H

#include <stdbool.h>

#include "libcore/complaint.h"

enum reset_suspend {
	SUSPEND_TABLE,   /* set the rows to denied (fig. 3) */
	SUSPEND_INVALID, /* make the translation point nowhere */
	SUSPEND_VCPU,    /* stop the VMs (fig. 7) */
	SUSPEND_NONE,
	SUSPEND_N
};

enum reset_confirm {
	CONFIRM_BARRIER,   /* one non-posted request to each VF (fig. 4) */
	CONFIRM_INTERRUPT, /* completion interrupts (figs. 8 and 21) */
	CONFIRM_WAIT,      /* the largest waiting time (fig. 9) */
	CONFIRM_NONE,
	CONFIRM_N
};

struct reset_choice {
	enum reset_suspend suspend;
	enum reset_confirm confirm;
	bool grant; /* a115 is the PF driver's own second attempt */
};

const char *reset_suspend_name(enum reset_suspend suspend);
const char *reset_confirm_name(enum reset_confirm confirm);
/* From names; NULL leaves what *choice has.  -EINVAL: no such name. */
int reset_choice_parse(struct reset_choice *choice, const char *suspend,
		       const char *confirm, struct complaint *c)
	__attribute__((warn_unused_result));

#endif
