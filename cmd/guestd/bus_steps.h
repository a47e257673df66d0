/* bus_steps.h - a procedure on the bus: a row of steps, each of which sends
 * its requests, all at once, and is checked when all are answered. */
#ifndef IOVKIT_GUESTD_BUS_STEPS_H
#define IOVKIT_GUESTD_BUS_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cmd/guestd/bus_link.h"
#include "libcore/points.h"

/* What check() returns besides the next step and -errno. */
enum {
	STEPS_DONE = 1000,
	STEPS_WAIT, /* until bus_steps_go(), which issues the step anew */
};
#define BUS_STEP_NO_POINT UINT32_MAX

struct bus_step {
	unsigned point; /* passed before it is issued first */
	void (*issue)(void *arg);
	/* NULL: the next step, or the first error of its requests. */
	int (*check)(void *arg);
};

struct bus_steps_desc {
	const struct bus_step *step;
	/* It is over: 0 or -errno; `at` is the step that failed. */
	void (*over)(void *arg, int err, unsigned at);
};

struct bus_op;

struct bus_steps {
	const struct bus_steps_desc *desc;
	void *arg;
	struct bus_link *bus;
	struct points *points;
	unsigned step, pending;
	int err; /* the first of this step's requests */
	bool running, passed, issued, waiting;
	struct point_hold hold;
	LIST_HEAD(, bus_op) ops;
};

void bus_steps_init(struct bus_steps *steps, struct bus_link *bus,
		    struct points *points, const struct bus_steps_desc *desc,
		    void *arg);
/* What is on its way is not told any more; after the bus link is gone. */
void bus_steps_fini(struct bus_steps *steps);
void bus_steps_start(struct bus_steps *steps, unsigned first);
/* After STEPS_WAIT. */
void bus_steps_go(struct bus_steps *steps);

/* Requests of a step, in issue(). */
void steps_read(struct bus_steps *steps, uint32_t region, uint64_t offset,
		uint32_t size, void *out);
void steps_write(struct bus_steps *steps, uint32_t region, uint64_t offset,
		 const void *data, uint32_t size);
void steps_write32(struct bus_steps *steps, uint64_t gpa, uint32_t value);
/* Map the memory that is shared with a VM; *page stays NULL if none is. */
void steps_map(struct bus_steps *steps, uint32_t vm, void **page);
/* Vectors of VFU_IRQ_MSIX. */
void steps_set_irq(struct bus_steps *steps, uint32_t irq, const int *fd);

#endif
