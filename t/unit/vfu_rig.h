/* vfu_rig.h - the raw other end of a vfio-user connection, for tests. */
#ifndef IOVKIT_VFU_RIG_H
#define IOVKIT_VFU_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcore/loop.h"
#include "libcore/vfu_proto.h"

/* A message as a receiver sees it that reads the header with one call, takes
 * descriptors from that call only, then reads the payload. */
struct rig_msg {
	struct vfu_header header;
	uint8_t payload[16 << 10];
	size_t size; /* of the payload */
	int fds[32];
	unsigned n_fds;
};

struct loop *rig_loop(void);
/* Some iterations of the loop, without sleeping. */
void rig_settle(struct loop *loop);
/* A connected pair of non-blocking sockets of this type. */
void rig_pair(int type, int sv[2]);
/* Open descriptors of this process. */
unsigned rig_count_fds(void);

/* Write a message with header and payload into buf; its size. */
size_t rig_build(uint8_t *buf, uint16_t id, uint16_t command, uint32_t flags,
		 const void *payload, size_t size);
/* One sendmsg; false unless all was taken. */
bool rig_send_raw(int fd, const void *data, size_t size, const int *fds,
		  unsigned n_fds);
bool rig_send(int fd, uint16_t id, uint16_t command, uint32_t flags,
	      const void *payload, size_t size);
bool rig_send_fds(int fd, uint16_t id, uint16_t command, uint32_t flags,
		  const void *payload, size_t size, const int *fds,
		  unsigned n_fds);
/* Take one message; false when there is none. */
bool rig_recv(int fd, struct rig_msg *msg);
/* Take one record (or what is there of a stream): its size or -1; the
 * descriptors go to msg. */
ssize_t rig_recv_raw(int fd, void *buf, size_t size, struct rig_msg *msg);
void rig_close_fds(struct rig_msg *msg);
/* Whether the other end has hung up (nothing is left to read). */
bool rig_at_end(int fd);

#endif
