/* hca_verbs.h - verbs of an adapter, in batches. */
#ifndef IOVKIT_GUESTD_HCA_VERBS_H
#define IOVKIT_GUESTD_HCA_VERBS_H

#include <stdint.h>

#include "cmd/guestd/access.h"
#include "libcore/hca_regs.h"

/* A batch is done: 0; -EPROTO: a verb was refused, with its status; or what
 * became of an access. */
typedef void hca_verbs_fn(void *arg, int err, enum hca_status status);

struct hca_verbs {
	struct access *bar;
	hca_verbs_fn *done;
	void *arg;
	unsigned pending;
	int err;
	enum hca_status status;
};

/* Begin a batch; `done` is called after hca_verbs_end(), and from inside of
 * that only when the bus takes nothing any more.
 * The window does one verb after the other, so a batch need not wait for what
 * it does not need the result of. */
void hca_verbs_begin(struct hca_verbs *v, struct access *bar,
		     hca_verbs_fn *done, void *arg);
/* *result (may be NULL) is there when the batch is done. */
void hca_verbs_do(struct hca_verbs *v, enum hca_opcode op, unsigned attribute,
		  uint32_t handle, uint64_t value, uint64_t *result);
void hca_verbs_store(struct hca_verbs *v, uint32_t handle, unsigned attribute,
		     uint64_t value);
void hca_verbs_end(struct hca_verbs *v);
/* "bad handle" */
const char *hca_status_name(enum hca_status status);

#endif
