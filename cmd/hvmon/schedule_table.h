/* schedule_table.h - the VM schedule table (spec 01, fig. 17): who may run,
 * for how long, and who runs.  VMs without a running time are not on the
 * schedule and run freely. */
#ifndef IOVKIT_HVMON_SCHEDULE_TABLE_H
#define IOVKIT_HVMON_SCHEDULE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"

#define SCHEDULE_TIME_MIN_NS (100 * NS_PER_US)
#define SCHEDULE_TIME_MAX_NS (10 * NS_PER_S)

struct schedule_row {
	uint32_t vm;
	uint64_t time_ns; /* continuous running time; 0: not scheduled */
	bool executable;
	unsigned resets; /* that keep it off the schedule (a510) */
	bool present;    /* it has a process */
	bool executing;  /* a scheduled one: it is its turn */
	uint64_t slices; /* that it had */
	bool urgent;     /* it runs freely for now, whatever its time is */
	/* How long it could run: since when it does, and before. */
	uint64_t runs_since_ns, ran_ns;
};

struct schedule_table {
	struct schedule_row *row; /* in the order of turns */
	unsigned n;
	unsigned at; /* whose turn it was last */
};

void schedule_table_init(struct schedule_table *table);
void schedule_table_fini(struct schedule_table *table);

/* The row of vm, or NULL. */
struct schedule_row *schedule_find(struct schedule_table *table, uint32_t vm);
/* The same, made at the end when there is none: executable, no time. */
struct schedule_row *schedule_get(struct schedule_table *table, uint32_t vm);
/* Who it is whose turn it is, or NULL. */
struct schedule_row *schedule_executing(struct schedule_table *table);
/* Whether any VM is scheduled. */
bool schedule_is_on(const struct schedule_table *table);
/* Whether it can have a turn. */
bool schedule_may_run(const struct schedule_row *row);
/* a2030, a2035: the next that can, from the one after the last on; NULL:
 * nobody can. */
struct schedule_row *schedule_next(struct schedule_table *table);
/* a2005, a2040: its turn. */
void schedule_turn(struct schedule_table *table, struct schedule_row *row);

/* "vm1=10ms,vm2=5ms,..."; all or nothing.  -EINVAL, -ERANGE with *c. */
int schedule_parse(struct schedule_table *table, const char *text,
		   struct complaint *c) __attribute__((warn_unused_result));
/* A running time in its bounds, or "0". */
int schedule_time_parse(const char *text, uint64_t *ns, struct complaint *c)
	__attribute__((warn_unused_result));

#endif
