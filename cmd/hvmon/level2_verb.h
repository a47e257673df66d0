/* level2_verb.h - a verb of a guest under way: between level2_plan.c, which
 * checks it, and level2_verbs.c, which does it. */
#ifndef IOVKIT_HVMON_LEVEL2_VERB_H
#define IOVKIT_HVMON_LEVEL2_VERB_H

#include "cmd/hvmon/level2.h"

#define ANSWERS 4u

struct verb {
	struct procedure p;
	struct level2_guest *guest;
	uint64_t serial; /* of the access */
	unsigned attribute;
	uint32_t handle;
	uint64_t value;
	int row;
	enum hca_status status;
	uint64_t result;
	uint64_t geqcb; /* that is tied */
	uint32_t busy;
	struct level2_answer answer[ANSWERS];
};

/* How it is done. */
enum verb_kind {
	VERB_DONE,
	VERB_ALLOCATE_EQ,
	VERB_ALLOCATE_CQ,
	VERB_ALLOCATE_QP,
	VERB_STORE,
	VERB_TIE,
	VERB_NAME,
	VERB_START_EQ,
	VERB_STORE_ASB,
	VERB_LOAD,
	VERB_FREE,
	VERB_KIND_N
};

/* What kind of verb it is, with v completed: all that is known without the
 * adapter is checked, and what needs nothing of it is done (VERB_DONE). */
enum verb_kind verb_plan(struct verb *v, uint64_t verb);

/* The EQ's ASB and ISC go into its control block. */
void verb_set_asb(struct level2_guest *guest, uint32_t row);

#endif
