/* sub_pf_driver.h - the sub PF driver: a PF that this guest has claimed, its
 * link states (130A), and what the PF driver does for them (1001 to 1004, 1101
 * to 1103). */
#ifndef IOVKIT_GUESTD_SUB_PF_DRIVER_H
#define IOVKIT_GUESTD_SUB_PF_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/bus_steps.h"
#include "libcore/link_state.h"
#include "libcore/supervisor.h"

struct successor;

/* Blocks of all VFs, read as one. */
#define SUB_PF_BLOCKS (LINK_VFS * NIC_PF_VF_SIZE)

struct sub_vf {
	uint16_t bdf;     /* 0: there is none */
	uint32_t vm;      /* assigned to; PLATFORM_VM_NONE */
	bool other;       /* of another guest: it is drained, and reset */
	bool takes;       /* that guest can empty its queue */
	bool sends;       /* the device can empty the other, before 1703 */
	bool late;        /* the drain limit passed it */
	bool notify;      /* 1003 */
	uint64_t written; /* bytes to memory at the end of the drain */
	struct link_state link;
};

struct sub_pf {
	struct successor *successor;
	char name[DEVICE_NAME_MAX + 1];
	uint16_t bdf;
	uint32_t epoch, owner; /* as last read */
	bool listed;           /* this VM may claim it */
	bool owned;
	bool works; /* its registers answer */
	uint64_t config, bar0;
	unsigned num_vfs;        /* the highest number that there is */
	struct link_values link; /* its own */
	struct sub_vf vf[1 + LINK_VFS];
	uint8_t header[64]; /* of config space */
	uint8_t regs[LINK_PF_SIZE];
	uint8_t blocks[SUB_PF_BLOCKS];

	/* serving */
	bool again; /* it interrupted meanwhile */
	struct link_causes causes;
	uint64_t answers; /* VFs that wait for one of ours */
	struct bus_steps steps;
	uint64_t n_events, n_notices, n_answers;
};

void sub_pf_init(struct sub_pf *pf, struct successor *s);
void sub_pf_fini(struct sub_pf *pf);
/* The PF interrupted, or may have: read why, and do it. */
void sub_pf_event(struct sub_pf *pf);
/* Nothing of it is under way. */
bool sub_pf_is_idle(const struct sub_pf *pf);

uint64_t sub_pf_block(const struct sub_pf *pf, unsigned vf);
/* Read all blocks at once, into pf->blocks; what one register says. */
void sub_pf_read_blocks(struct sub_pf *pf, struct bus_steps *steps);
uint32_t sub_pf_block32(const struct sub_pf *pf, unsigned vf, uint32_t reg);

/* 1705: from the blocks; false: it does not answer as a PF. */
bool sub_pf_take_blocks(struct sub_pf *pf);
/* 2001, or the first half of it: from what hvmon kept up to date; -errno: that
 * is not whole, and to be rebuilt. */
int sub_pf_take_mirror(struct sub_pf *pf, const struct link_page *page)
	__attribute__((warn_unused_result));
/* Hand 130A back. */
void sub_pf_give_mirror(const struct sub_pf *pf, struct link_page *page);

#endif
