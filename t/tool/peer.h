/* peer.h - one end of a vfio-user connection that says whatever it is told
 * to, right or wrong; blocking, for tests. */
#ifndef IOVKIT_TOOL_PEER_H
#define IOVKIT_TOOL_PEER_H

#include <stdint.h>

#include "libcore/vfu_proto.h"

#define PEER_FDS 32u /* twice of what is allowed */

struct peer {
	int fd;
	uint16_t id;       /* of the last message */
	int fds[PEER_FDS]; /* go with the next message */
	unsigned n_fds;
	/* What came last. */
	struct vfu_header header;
	uint8_t *payload; /* VFU_MAX_MSG bytes */
	uint32_t size;
	int in_fd; /* the first descriptor that came, -1 none; the user's */
};

/* Connect, for 5 s when nobody listens yet.  -errno */
int peer_open(struct peer *peer, const char *path)
	__attribute__((warn_unused_result));

/* Serve at path and wait for one client; makes the path's directory. */
int peer_serve(struct peer *peer, const char *path)
	__attribute__((warn_unused_result));

/* Bytes as they are, with the descriptors that wait; -errno. */
int peer_send(struct peer *peer, const void *data, size_t size)
	__attribute__((warn_unused_result));
/* One message with a new ID. */
int peer_say(struct peer *peer, uint16_t command, uint32_t flags,
	     const void *payload, size_t size)
	__attribute__((warn_unused_result));
/* The next message: 0, -ENOTCONN (hung up), -ETIMEDOUT (nothing for 5 s),
 * -EBADMSG (it is malformed). */
int peer_listen(struct peer *peer) __attribute__((warn_unused_result));
/* A reply to the last message; error is a positive errno or 0. */
int peer_answer(struct peer *peer, int error, const void *payload, size_t size)
	__attribute__((warn_unused_result));
/* Say and wait for the reply; also the peer's error as -errno. */
int peer_ask(struct peer *peer, uint16_t command, const void *payload,
	     size_t size) __attribute__((warn_unused_result));

/* REGION_READ and REGION_WRITE; data of a read is at peer->payload + 16. */
int peer_read(struct peer *peer, uint32_t region, uint64_t offset,
	      uint32_t count) __attribute__((warn_unused_result));
int peer_write(struct peer *peer, uint32_t region, uint64_t offset,
	       const void *data, uint32_t count)
	__attribute__((warn_unused_result));

/* "EINVAL", "hung up"...; "ok" for 0. */
const char *peer_error(int err);

#endif
