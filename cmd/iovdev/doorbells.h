/* doorbells.h - a VF's doorbells: eventfds that the guest rings, or writes to
 * the doorbell page. */
#ifndef IOVDEV_DOORBELLS_H
#define IOVDEV_DOORBELLS_H

#include <stdint.h>

#include "libcore/loop.h"
#include "libcore/vfu_server.h"

struct function;

struct doorbells {
	int fd[2]; /* by enum nic_queue_kind; -1: none */
	struct loop_watch watch[2];
	uint64_t rung;
};

int doorbells_open(struct function *f) __attribute__((warn_unused_result));
void doorbells_close(struct function *f);
/* Page 1 was written; false: no doorbell there. */
bool doorbells_write(struct function *f, uint32_t offset);
/* Answer GET_REGION_IO_FDS. */
void doorbells_tell(struct function *f, struct vfu_request *req,
		    uint32_t region);

#endif
