/* mailbox.h - by which a VF asks whoever drives the PF, and is answered. */
#ifndef IOVDEV_MAILBOX_H
#define IOVDEV_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/link_state.h"

struct function;

struct mailbox {
	uint32_t request, answer, notices;
	struct link_values answered; /* what the VF reads */
	struct link_values next;     /* what the PF driver wrote for it */
};

/* Registers of a VF, offset in BAR 0; not its mailbox's: 0. */
uint32_t mailbox_read(const struct function *vf, uint32_t offset);
/* NIC_MBX_REQUEST is written. */
void mailbox_request(struct function *vf, uint32_t value);

/* The same of the VF's block in the PF's BAR; false: nothing there can be
 * written. */
uint32_t mailbox_read_block(const struct function *vf, uint32_t offset);
bool mailbox_write_block(struct function *vf, uint32_t offset, uint32_t value);

/* A reset of the VF empties it. */
void mailbox_reset(struct function *vf);

#endif
