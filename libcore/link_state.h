/* link_state.h - the link states of a device's VFs (spec 02, fig. 3), as the
 * PF driver keeps them: hvmon's, and 130A in the first guest.  What either does
 * at 1001 to 1004 and 1101 to 1103 is here; each has its own way to the
 * registers.
 *
 * The table lies in memory that hvmon and a successor share
 * (platform_shared_region()), so that hvmon may keep 130A up to date (1803,
 * 1902) and take it back after a failover.  An entry is written by one side
 * at a time and read whole: its sequence is odd while it is written.
 */
#ifndef IOVKIT_LINK_STATE_H
#define IOVKIT_LINK_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcore/function_name.h"
#include "libcore/nic_regs.h"
#include "libcore/platform.h"

#define LINK_PAGE_MAGIC   0x6b6c5649u /* "IVlk" */
#define LINK_PAGE_VERSION 1u
#define LINK_DEVICES      16u
#define LINK_VFS          64u /* of a device; entry 0 is the PF's */

/* Link, and bandwidth in bit/s: 210, 221, 222 or 211, 231, 232. */
struct link_values {
	bool up;
	uint64_t max, allocated; /* 0: unlimited */
};

struct link_state {
	struct link_values physical;
	struct link_values notified; /* of a VF */
	uint32_t vm;                 /* that has the VF; PLATFORM_VM_NONE */
};

struct link_entry {
	_Atomic uint32_t sequence; /* odd: being written */
	uint32_t vm;
	uint32_t physical_up, notified_up;
	uint64_t physical_max, physical_allocated;
	uint64_t notified_max, notified_allocated;
};
_Static_assert(sizeof(struct link_entry) == 48, "link entry");

struct link_device {
	char name[32]; /* "nic0"; empty: end of the array */
	uint16_t bdf;
	uint16_t num_vfs;
	/* Of the owner whose table this is; 0: nobody keeps it up to date. */
	_Atomic uint32_t epoch;
	/* Of the PF, guest-physical of the successor: platform_owner_bar(). */
	uint64_t bar0, bar0_size;
	struct link_entry entry[1 + LINK_VFS];
};
_Static_assert(sizeof(struct link_device) == 56 + 65 * 48, "link device");

/* What hvmon and a successor share: the way of 130A there and back.
 *
 * While hvmon owns the PF: it fills name, bdf, num_vfs, bar0 and epoch (of its
 * claim) before magic and version.  In the form "mirror" it stores each entry
 * before it notifies (1004) or answers (1103); in the form "rebuild" epoch is
 * 0 and nobody reads the entries.
 *
 * The successor copies the entries once, after its claim, if epoch is the one
 * that it took the PF from; a device whose entries cannot be read whole is
 * rebuilt.  It works on its copy, since a fenced hvmon that goes on may still
 * write here.
 *
 * Back: a hvmon that finds the PF owned by a VM writes its pid to wanted, then
 * injects PLATFORM_IRQ_PF into that VM.  When its failover is over (after
 * 1707) the successor writes the entries and, last, its epoch; releases every
 * PF; sets returned = wanted.  At SUP_EX_RELEASED the entries are complete:
 * they are those of sup_function.epoch before the new claim.  When the owner's
 * process is gone, the epoch here is another, and 1002 and 1003 begin with
 * everything notified as down. */
struct link_page {
	_Atomic uint32_t magic;
	uint32_t version;
	_Atomic uint32_t wanted;   /* hvmon asks for the PFs: its pid */
	_Atomic uint32_t returned; /* they were handed over: as asked */
	uint8_t rsvd[112];
	struct link_device device[LINK_DEVICES];
};
_Static_assert(sizeof(struct link_page) <= PLATFORM_SHARED_SIZE, "link page");

/* What a successor shares with another guest: the emergency link. */
#define EMERGENCY_MAGIC 0x6d655649u /* "IVem" */
struct emergency_page {
	_Atomic uint32_t magic; /* set by who comes first */
	/* 1603: the number of the VM that stops the other, whose sends fail
	 * (1404).  Cleared by it after it handed the PFs over, and when it
	 * starts; by the other when its process is dead (state_area.h). */
	_Atomic uint32_t stop;
	_Atomic uint32_t seen; /* the other saw it, and sends nothing */
};

/* Registers of the PF, each read as one: from 0 on, why it interrupts; in a
 * VF's block (NIC_PF_VF()) its state; and what answers a request. */
#define LINK_PF_SIZE     0x70u
#define LINK_VF_AT       NIC_PF_VF_LINK
#define LINK_VF_SIZE     (NIC_PF_VF_BW + 8u - LINK_VF_AT)
#define LINK_ANSWER_AT   NIC_PF_VF_ANS_MAX
#define LINK_ANSWER_SIZE (NIC_PF_VF_ANSWER + 4u - LINK_ANSWER_AT)

/* Why the PF interrupts.  VF n at bit n - 1. */
struct link_causes {
	uint64_t changed; /* 1001 */
	uint64_t asked;   /* 1101 */
	bool pf_changed;
	struct link_values pf; /* its own physical link */
};

static inline bool link_vf_in(uint64_t set, unsigned vf)
{
	return set >> (vf - 1) & 1;
}

/* From the PF's registers; false: it does not answer as a PF. */
bool link_causes_take(struct link_causes *causes,
		      const uint8_t regs[LINK_PF_SIZE]);
/* 1001: from a VF's block; false: refused. */
bool link_values_take(struct link_values *physical,
		      const uint8_t regs[LINK_VF_SIZE]);
/* 1002; whether it is another than before. */
bool link_state_store(struct link_state *state,
		      const struct link_values *physical);
/* 1003: whether the VM that has the VF must be told (1004). */
bool link_state_differs(const struct link_state *state);
/* 1102: the VM knows the physical state from now on. */
void link_state_notified(struct link_state *state);
/* 1103: what to write into the VF's block. */
void link_answer_put(const struct link_state *state, uint32_t request,
		     uint8_t regs[LINK_ANSWER_SIZE]);
/* 1706: nobody told the VM anything: down, no bandwidth. */
void link_state_forget(struct link_state *state);

/* Read an entry whole; -EAGAIN: its writer never finished.  -EINVAL: no such
 * VF. */
int link_entry_load(const struct link_device *device, unsigned vf,
		    struct link_state *state)
	__attribute__((warn_unused_result));
/* Write an entry; the only writer. */
void link_entry_store(struct link_device *device, unsigned vf,
		      const struct link_state *state);

#endif
