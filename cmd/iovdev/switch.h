/* switch.h - the device's layer-2 switch: VFs and one uplink. */
#ifndef IOVDEV_SWITCH_H
#define IOVDEV_SWITCH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "libcore/copy.h"
#include "libcore/nic_regs.h"

#define SWITCH_UPLINK 0u /* port of the uplink; VF n is port n */
#define SWITCH_SETS   256u
#define SWITCH_WAYS   4u
#define MAC_SIZE      6u
#define FRAME_HEAD    16u /* or NIC_FRAME_MIN, of a frame that is shorter */

struct nic;

/* A frame where its sender has it.  The sender may be a guest that changes
 * it meanwhile, so what is decided by is read once, into `head`. */
struct frame {
	uint8_t head[FRAME_HEAD];
	const uint8_t *data;
	uint32_t size; /* NIC_FRAME_MIN or more */
};

struct fdb_entry {
	uint64_t mac; /* 48 bits; 0: free */
	uint64_t seen_ns;
	uint8_t port;
	bool fixed; /* a VF's own address */
};

/* Where a frame goes, if it goes to one port. */
struct switch_path {
	unsigned port;
	bool flooded; /* since there is no other */
};

struct l2_switch {
	struct fdb_entry fdb[SWITCH_SETS][SWITCH_WAYS];
	uint16_t known[1 + NIC_VF_MAX]; /* entries of each port */
	uint64_t forwarded, flooded, filtered;
};

static inline void frame_read_head(struct frame *frame)
{
	if (frame->size >= FRAME_HEAD)
		memcpy(frame->head, frame->data, FRAME_HEAD);
	else
		memcpy(frame->head, frame->data, NIC_FRAME_MIN);
}
void frame_init(struct frame *frame, const uint8_t *data, uint32_t size);
/* The whole frame into `to`, with the head that was read. */
static inline void frame_copy(uint8_t *to, const struct frame *frame)
{
	if (frame->size >= FRAME_HEAD) {
		copy_headed(to, frame->head, frame->data, frame->size);
	} else {
		memcpy(to, frame->data, frame->size);
		memcpy(to, frame->head, NIC_FRAME_MIN);
	}
}

/* Forward a frame that came in at `port`.  0: done (delivered, dropped or
 * filtered).  -EAGAIN: a receiver is fenced; nothing was delivered, try again
 * when *until_ns is reached or a function changed. */
int switch_forward(struct nic *nic, unsigned port, const struct frame *frame,
		   uint64_t *until_ns);
/* The same in two halves, for several frames of a VF with the same addresses.
 * False: they take the other way (groups, filtered ones). */
bool switch_find(struct nic *nic, unsigned from, const struct frame *frame,
		 struct switch_path *path);
/* n of them were delivered or dropped. */
void switch_passed(struct nic *nic, unsigned from, const struct frame *frame,
		   const struct switch_path *path, unsigned n);
/* A VF's own address appears or goes. */
void switch_set_mac(struct nic *nic, unsigned port, const uint8_t mac[6]);
void switch_forget_port(struct nic *nic, unsigned port);
/* What is known of all ports but the uplink. */
void switch_forget_vfs(struct nic *nic);
/* Rows of the table "fdb". */
json_t *switch_fdb_rows(struct nic *nic);

#endif
