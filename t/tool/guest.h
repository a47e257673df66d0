/* guest.h - drives the VF of a nic as it is told to, right or wrong: as a VM
 * on its bus socket, or as the client of the VF's own socket. */
#ifndef IOVKIT_TOOL_GUEST_H
#define IOVKIT_TOOL_GUEST_H

#include <stdint.h>

#include "libcore/queue.h"
#include "t/tool/peer.h"

struct guest {
	struct peer *peer;
	int memory_fd;
	uint8_t *memory; /* mapped */
	uint64_t memory_size;
	uint32_t config_region, bar_region;
	uint64_t config, bar0; /* in their regions */
	uint32_t n;            /* entries of the rings */
	struct queue_ring *tx, *rx;
};

/* On a bus socket: map the VM's memory, find the VF in `slot`, enable it. */
int guest_attach(struct guest *g, struct peer *peer, unsigned slot)
	__attribute__((warn_unused_result));
/* On a VF's socket: map memory of our own, which is not sealed. */
int guest_attach_device(struct guest *g, struct peer *peer)
	__attribute__((warn_unused_result));
/* On a PF's socket: set NumVFs and VF Enable. */
int guest_enable_vfs(struct peer *peer, unsigned n)
	__attribute__((warn_unused_result));
/* Lay out rings of n entries, receive buffers included; program and enable
 * the queues. */
int guest_rings(struct guest *g, uint32_t n)
	__attribute__((warn_unused_result));
/* A register of BAR 0. */
int guest_register(struct guest *g, uint32_t offset, uint32_t size,
		   uint64_t *value) __attribute__((warn_unused_result));
int guest_set_register(struct guest *g, uint32_t offset, uint32_t size,
		       uint64_t value) __attribute__((warn_unused_result));
/* Program a queue's registers anew, the ring as it is, and enable it. */
int guest_enable(struct guest *g, struct queue_ring *ring)
	__attribute__((warn_unused_result));
/* The field of a ring or of an entry by name: magic, version, n, enable,
 * write, read, write.sleeping, read.sleeping, addr.I, size.I, status.I.
 * -ENOENT: no such field. */
int guest_poke(struct guest *g, struct queue_ring *ring, const char *field,
	       uint64_t value) __attribute__((warn_unused_result));
/* A frame of `size` bytes to `mac` in the buffer of entry i. */
void guest_frame(struct guest *g, uint32_t i, const uint8_t mac[6],
		 uint32_t size);
/* While a second thread writes nonsense into both rings, enable the queues
 * again and again and ring, for `ms` and until one has stopped; -errno.  *stops: how
 * often a queue stopped; 0: never, in much longer. */
int guest_churn(struct guest *g, unsigned ms, unsigned *stops)
	__attribute__((warn_unused_result));

#endif
