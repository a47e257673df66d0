/* bus_link.h - the guest's connection to its bus socket: main memory, the
 * platform's interrupt, accesses to guest-physical I/O space. */
#ifndef IOVKIT_GUESTD_BUS_LINK_H
#define IOVKIT_GUESTD_BUS_LINK_H

#include <limits.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/guest_memory.h"
#include "libcore/loop.h"
#include "libcore/vfu_client.h"

struct bus_link_ops {
	/* Nobody answers: another process is this VM, or it is reset. */
	void (*waits)(void *arg);
	/* Memory is mapped, the platform's interrupt is unmasked. */
	void (*up)(void *arg);
	/* The link is over: exit status and why. */
	void (*down)(void *arg, int status, const char *why);
	/* The platform's interrupt: look at config space. */
	void (*platform)(void *arg);
};

struct bus_link {
	struct loop *loop;
	const struct bus_link_ops *ops;
	void *arg;
	char path[PATH_MAX];
	struct vfu_client *client; /* NULL: not connected */
	struct guest_memory memory;
	uint64_t memory_size;
	struct loop_timer retry, patience;
};

/* Connect to the socket at path.  -ENOENT, -ECONNREFUSED: nobody there; with
 * *c.  The rest is told by the ops. */
int bus_link_init(struct bus_link *link, struct loop *loop, const char *path,
		  const struct bus_link_ops *ops, void *arg,
		  struct complaint *c) __attribute__((warn_unused_result));
/* Safe on a zeroed link. */
void bus_link_fini(struct bus_link *link);

/* Access guest-physical I/O space; 0 or -errno (not sent, fn not called). */
int bus_read(struct bus_link *link, uint64_t gpa, uint32_t count,
	     vfu_reply_fn *fn, void *arg) __attribute__((warn_unused_result));
/* fn NULL: posted. */
int bus_write(struct bus_link *link, uint64_t gpa, const void *data,
	      uint32_t count, vfu_reply_fn *fn, void *arg)
	__attribute__((warn_unused_result));

#endif
