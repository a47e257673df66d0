/* vfu_client_private.h - what vfu_client.c and vfu_client_commands.c share */
#ifndef IOVKIT_VFU_CLIENT_PRIVATE_H
#define IOVKIT_VFU_CLIENT_PRIVATE_H

#include <sys/queue.h>

#include "libcore/vfu_client.h"
#include "libcore/vfu_version.h"

#define VFU_CLIENT_SLOTS 2048u

enum vfu_slot_state {
	VFU_SLOT_FREE,
	VFU_SLOT_RESERVED, /* outstanding, not handed to the connection */
	VFU_SLOT_SENT,
	VFU_SLOT_ABANDONED, /* in quarantine until its late reply came */
};

/* One message ID in use; at place ID % VFU_CLIENT_SLOTS. */
struct vfu_slot {
	TAILQ_ENTRY(vfu_slot) entry; /* in order, while outstanding */
	vfu_reply_fn *fn;
	void *arg;
	uint64_t seq; /* of arrival */
	uint16_t id;
	uint16_t command;
	enum vfu_slot_state state;
};

/* A message that cannot leave yet. */
struct vfu_queued {
	STAILQ_ENTRY(vfu_queued) entry;
	bool has_id;
	uint16_t id; /* if it has one */
	uint16_t command;
	vfu_reply_fn *fn; /* NULL: posted */
	void *arg;
	unsigned n_fds;
	int fds[VFU_MAX_FDS];
	size_t size;
	uint8_t data[];
};
STAILQ_HEAD(vfu_queue, vfu_queued);

/* A command that takes several messages; freed with the client. */
struct vfu_job {
	LIST_ENTRY(vfu_job) entry;
	struct vfu_client *client;
	vfu_reply_fn *fn;
	void *arg;
	/* an information asked for again with room for all of it */
	uint16_t command;
	uint32_t index;
	uint32_t argsz;
	bool again;
	/* SET_IRQS in several messages */
	unsigned left;
	int err;
};

enum vfu_client_state {
	VFU_CLIENT_NEGOTIATING,
	VFU_CLIENT_READY,
	VFU_CLIENT_DEAD, /* refused, or hung up */
};

struct vfu_client {
	struct loop *loop;
	struct vfu_conn *conn;
	const struct vfu_client_ops *ops;
	void *arg;
	enum vfu_client_state state;
	struct vfu_limits peer;
	unsigned depth; /* of our frames on the stack */
	bool freed;
	uint16_t next_id;
	uint64_t next_seq;
	unsigned outstanding;
	unsigned quarantined;
	TAILQ_HEAD(, vfu_slot) order;
	struct vfu_queue early;   /* until VERSION is answered */
	struct vfu_queue waiting; /* behind the 1,024 */
	LIST_HEAD(, vfu_job) jobs;
	struct vfu_slot slot[VFU_CLIENT_SLOTS];
};

#endif
