/* procedure.h - procedures as tables of steps, run one after the other on the
 * event loop.
 *
 * Theory of operation.  A procedure is a table of steps; each step has a point
 * (points.h) and a function.  The function starts what the step needs (reads,
 * writes, sleeps, procedures inside this one: machine_access.h, supervisor
 * writes: bridge_link.h) and returns at once.  When all of it was answered,
 * the next step's point is passed and its function called: the answers lie in
 * the procedure's own structure by then.  So a step's function sees what the
 * step before it asked for, and a procedure reads from top to bottom:
 *
 *	static const struct step reset_steps[] = {
 *		{ POINT_RESET_A100, reset_detect },
 *		{ POINT_RESET_A115, reset_flr },
 *		...
 *		{ 0, NULL },
 *	};
 *
 * A step that fails (it returned -errno, an access was refused, its point was
 * made to fail) ends the procedure: the steps from `cleanup` on are still run,
 * then `end` is told.  A procedure about a device fails with -ENODEV before
 * its next step when that device went away.
 *
 * Procedures that must not mix own lanes: one lane a device.  A procedure
 * starts when all of its lanes are free, in order of arrival; one held at a
 * point keeps its lanes and nothing else.
 *
 * Later steps of a spec become rows of a table: a choice (fence by table, by
 * vcpu...) is a step that calls the chosen procedure inside.
 */
#ifndef IOVKIT_HVMON_PROCEDURE_H
#define IOVKIT_HVMON_PROCEDURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cmd/hvmon/hvmon_points.h"
#include "libcore/control.h"
#include "libcore/function_name.h"
#include "libcore/loop.h"
#include "libcore/points.h"

struct hvmon;
struct device;
struct vf;
struct procedure;

/* What a step's function says; or -errno, best by step_fail(). */
enum step_result {
	STEP_NEXT,  /* go on when all that it started is answered */
	STEP_AGAIN, /* the same: then call it again (p->round counts) */
	STEP_FLOW,  /* go on at once; the next step waits for this one too */
	STEP_DONE,  /* the same: then the procedure is done, at once */
};

typedef int step_fn(struct procedure *p);

struct step {
	unsigned point; /* enum hvmon_point; POINT_NONE */
	step_fn *run;   /* NULL ends the table */
};

struct procedure_desc {
	const char *name;
	const struct step *steps;
	/* Index of the first step that runs after a failure as well; 0: none
	 * does. */
	unsigned cleanup;
	/* It is over; p->err and p->why say how.  May be NULL. */
	void (*end)(struct procedure *p);
	/* Free what the procedure's structure owns.  May be NULL. */
	void (*fini)(struct procedure *p);
};

/* The functions that a procedure is about, and what reading them gave. */
struct vf_set {
	unsigned n;
	struct vf *vf[FUNCTION_VF_MAX];
	uint32_t word[FUNCTION_VF_MAX];    /* command and status, as read */
	uint32_t control[FUNCTION_VF_MAX]; /* device control and status */
};

struct procedure {
	const struct procedure_desc *desc;
	struct hvmon *hv;

	/* What it is about: set between procedure_new() and the start. */
	char function[FUNCTION_NAME_MAX]; /* for events; empty: none */
	uint32_t vm;                      /* PLATFORM_VM_NONE: none */
	struct device *device;            /* its end ends the procedure */
	struct vf_set vfs;
	struct control_call *call; /* to be answered by `end` */

	/* For the steps. */
	unsigned round;         /* how often this step ran before */
	uint64_t step_began_ns; /* when it ran first */
	uint64_t began_ns;      /* when the procedure did */
	int err;                /* first failure, -errno */
	char why[200];

	/* At its end, before `end`: what it has besides lanes is given back.
	 * NULL: nothing. */
	void (*give_back)(struct procedure *p);

	/* The runner's own. */
	TAILQ_ENTRY(procedure) entry;
	struct procedure *parent;
	struct point_hold hold;
	uint64_t lanes;
	unsigned generation; /* of the device */
	unsigned step, pending;
	int result;
	bool waiting, running, passed, held, flows;
};

TAILQ_HEAD(procedure_list, procedure);

struct procedure_queue {
	struct procedure_list running, waiting;
	uint64_t lanes; /* owned by running ones */
	struct loop_deferred start_waiting;
};

void procedure_queue_init(struct procedure_queue *queue);
/* Free all procedures; nobody is told. */
void procedure_queue_fini(struct procedure_queue *queue);

/* A procedure of `size` bytes that begins with a struct procedure, zeroed.
 * Ends the process when memory is out, as timers do.  The runner frees it. */
void *procedure_new(struct hvmon *hv, const struct procedure_desc *desc,
		    size_t size);
/* It is about this device (may be NULL) as it is now. */
void procedure_about(struct procedure *p, struct device *device);
/* Start it when all lanes of the mask are free. */
void procedure_start(struct procedure *p, uint64_t lanes);
/* Run `child` inside a step of `parent` (and in its lanes). The parent fails
 * when the child does. */
void procedure_call(struct procedure *parent, struct procedure *child);

/* The step fails; the first failure is kept.  Returns err (-errno). */
int step_fail(struct procedure *p, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Something more (or less) is under way: the step ends at none. */
void step_get(struct procedure *p);
void step_put(struct procedure *p);

/* Answer p->call, if there is one, with what became of the procedure: result
 * (stolen) or its failure. */
void procedure_answer(struct procedure *p, json_t *result);

#endif
