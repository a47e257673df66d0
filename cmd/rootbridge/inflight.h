/* inflight.h - the in-flight operation list (spec 01, figs. 18 and 19).
 *
 * One list a function, in order of arrival.  An operation is on it from a2110
 * until its reply came (a1025), it was answered otherwise, or it timed out.
 */
#ifndef IOVKIT_ROOTBRIDGE_INFLIGHT_H
#define IOVKIT_ROOTBRIDGE_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "libcore/vfu_server.h"

struct function;
struct vm;

enum operation_state {
	OPERATION_NEW,     /* nowhere yet */
	OPERATION_TRAPPED, /* waits for the supervisor; no function yet */
	OPERATION_PARKED,  /* behind a fence; the same */
	OPERATION_WAITING, /* for one of the function's 1,024 IDs */
	OPERATION_HELD,    /* has an ID, is not sent */
	OPERATION_SENT,    /* the device has it */
	OPERATION_LOST,    /* never sent (fault), never to be answered */
	OPERATION_DROPPED, /* sent; its reply will be thrown away */
	OPERATION_ORPHAN,  /* the device it was sent to is gone */
	OPERATION_ENDING,  /* replied, off the list; the answer is delayed */
	OPERATION_STATE_N
};

/* What a config write does beside being written (bars.c). */
enum {
	SNOOP_DECODE = 1, /* touches what decides about decoding */
	SNOOP_FLR = 2     /* Initiate FLR */
};

/* End of one of the bridge's own operations; data is NULL when it failed. */
typedef void operation_fn(void *arg, const uint8_t *data, uint32_t count);

struct operation {
	TAILQ_ENTRY(operation) inflight; /* struct inflight */
	TAILQ_ENTRY(operation) queue;    /* trapped, waiting, held or free */
	struct vfu_request *req;         /* NULL: the bridge's own, see done */
	operation_fn *done;
	void *done_arg;
	struct vm *vm;             /* NULL: the bridge's own */
	struct function *function; /* NULL: not routed yet */
	uint64_t arrival_ns;
	uint64_t address; /* guest-physical as it came */
	uint64_t offset;  /* in the function's region */
	uint64_t due_ns;  /* held: go on then; UINT64_MAX: when told */
	uint64_t serial;  /* trapped: names the access in the verdict */
	uint64_t bit;     /* of the reply's data to flip, plus 1 */
	uint8_t *data;    /* a write's, when it had to be copied */
	uint32_t region;
	uint32_t count;
	uint32_t connection; /* of the function, to which it was sent */
	uint32_t look;       /* which one at the device follows it (bars.c) */
	uint16_t id;   /* of the message to the device; posted: see posted_id */
	uint8_t state; /* enum operation_state */
	bool write, posted, config, denied, duplicate, swap;
	bool counted;  /* in the VM's count of kept operations */
	uint8_t snoop; /* SNOOP_* */
};

struct inflight {
	TAILQ_HEAD(inflight_rows, operation) rows;
	unsigned n;
};

TAILQ_HEAD(operations, operation);

void inflight_init(struct inflight *list);
/* a2110; arrival_ns is set by the caller and never less than the last's. */
void inflight_add(struct inflight *list, struct operation *op);
/* a1025 */
void inflight_del(struct inflight *list, struct operation *op);
/* By ID; NULL: no such row. */
struct operation *inflight_find(struct inflight *list, uint16_t id);
/* The oldest row; with skip_held one that somebody holds does not count.
 * NULL: none. */
struct operation *inflight_oldest(struct inflight *list, bool skip_held);
/* "held", "sent"... */
const char *operation_state_name(const struct operation *op);

#endif
