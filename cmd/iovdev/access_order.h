/* access_order.h - a function's register operations, in order of arrival,
 * each with its latency (spec 01, fig. 20). */
#ifndef IOVDEV_ACCESS_ORDER_H
#define IOVDEV_ACCESS_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "libcore/fault.h"
#include "libcore/loop.h"
#include "libcore/vfu_server.h"

struct function;
struct op;

struct access_order {
	STAILQ_HEAD(, op) ops;  /* arrived, not begun */
	STAILQ_HEAD(, op) free; /* for reuse */
	unsigned n_ops, n_free;
	struct loop_timer timer;
	bool busy; /* one is being executed, or held at a point */
	struct latency latency;
	uint64_t rng;
	uint64_t completed;
};

/* What the function did with an operation. */
enum op_result {
	OP_DONE, /* the request is answered or dropped */
	OP_WAIT, /* not yet; access_order_resume() follows */
};

void access_order_init(struct access_order *o, uint64_t seed);
void access_order_fini(struct access_order *o);
/* Takes the request. */
void access_order_add(struct function *f, struct vfu_request *req);
/* Begin what is due and not blocked. */
void access_order_run(struct function *f);
/* The operation that answered OP_WAIT is done. */
void access_order_resume(struct function *f);
/* All that has not begun is never answered (a reset). */
void access_order_drop(struct function *f);

#endif
