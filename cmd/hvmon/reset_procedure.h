/* reset_procedure.h - a reset under way, for the files that are its parts. */
#ifndef IOVKIT_HVMON_RESET_PROCEDURE_H
#define IOVKIT_HVMON_RESET_PROCEDURE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/reset_choice.h"
#include "cmd/hvmon/reset_record.h"
#include "cmd/hvmon/schedule.h"
#include "cmd/hvmon/vf_allocation.h"
#include "libcore/loop.h"
#include "libcore/parts.h"
#include "libcore/supervisor.h"

/* Safety parts (--without). */
enum hvmon_part {
	PART_A105,
	PART_A110,
	PART_BUS_MASTER,
	PART_SAVE,
	PART_N
};
extern const struct part_desc hvmon_parts[PART_N];

struct reset {
	struct procedure p; /* vfs: a102's list; word, control: as polled */
	struct reset_choice choice;
	bool is_pf;
	bool broken;   /* the PF is not set up: only reset it, then do that */
	unsigned pcie; /* of the PF */

	bool awaits_attempt, has_attempt;
	bool retries; /* the driver was told to */
	bool granted; /* and did */
	unsigned attempt_number;
	struct sup_exception attempt; /* of the PF driver, not answered yet */

	struct vm_list vms;  /* a500 */
	bool suspended;      /* a105 was begun */
	bool stopped;        /* the VMs were */
	bool asked;          /* the VFs were, by a barrier */
	bool fenced;         /* Bus Master Enable is to be clear */
	bool saved;          /* registers are being read, or were */
	bool flr;            /* a115 was begun */
	unsigned interrupts; /* a605 */
	struct loop_timer drain;
	uint64_t suspended_ns, confirmed_ns;
	unsigned n_contained;

	uint8_t pf_word[4], pf_header[8], pf_control[2];
	uint8_t msix[FUNCTION_VF_MAX][4]; /* of VFs without a window */
	struct sup_load loads[FUNCTION_VF_MAX * 2];
	struct reset_record record; /* vfs[i] is of p.vfs.vf[i] */
};

static inline struct reset *reset_of(struct procedure *p)
{
	return (struct reset *)p;
}

/* The allocation of VF i of the list; NULL: none any more. */
struct vf_allocation *reset_row(struct procedure *p, unsigned i);
/* A point inside a step: it cannot be held.  A failure is the step's. */
void reset_point(struct procedure *p, unsigned point);
/* The list and the registers of VF n join. */
void reset_add_vf(struct reset *r, struct vf *vf);
/* Tell the successor how far we are. */
void reset_record_write(struct reset *r, enum reset_phase phase);

/* a105: new requests of the VFs do not reach them from here on. */
void suspend_table(struct procedure *p);
void suspend_invalid(struct procedure *p);
void suspend_vcpu(struct procedure *p);
/* Steps of vcpu: what the VMs sent before they stood has been looked up. */
int suspend_vcpu_settle(struct procedure *p);
/* Each row gets its former flag and offset back. */
void suspend_rows_back(struct procedure *p);
void suspend_vcpu_back(struct procedure *p);

/* a110; part of a step. */
void confirm_barrier(struct procedure *p);
void confirm_interrupt(struct procedure *p);
void confirm_wait(struct procedure *p);
/* A VF will not interrupt any more. */
void confirm_interrupt_lost(struct reset *r);
/* The deadline of a110, if there is one. */
void drain_limit_start(struct procedure *p);
void drain_limit_cancel(struct procedure *p);

/* One config read to each VF, and to the PF, answered after all earlier
 * requests. */
void vf_states_barrier(struct procedure *p);
/* Whether VF i answered it; and not with all ones, as one that is contained. */
bool vf_has_answered(struct procedure *p, unsigned i);
bool vf_is_quiet(struct procedure *p, unsigned i);
/* The queues of all VFs: no new entry is taken. */
void vf_states_fence(struct procedure *p);
/* Fence and ask those anew that are not at rest by what was read; how many. */
unsigned vf_states_fence_again(struct procedure *p);
/* The registers of VFs that are quiet; what was read, for the record. */
void vf_states_read(struct procedure *p);
void vf_states_note(struct procedure *p);
/* Steps: write them back; Bus Master Enable comes last. */
int vf_states_write(struct procedure *p);
int vf_states_bus_master(struct procedure *p);

/* a115 and after it. */
void flr_start(struct procedure *p);
int flr_settle(struct procedure *p);
/* Look at the PF; whether what was seen in the round before is a PF that was
 * reset: STEP_NEXT, else STEP_AGAIN, or an error after too long. */
void flr_poll(struct procedure *p);
int flr_settled(struct procedure *p);
/* Steps: configure the PF as before, its driver's part included. */
int pf_restore(struct procedure *p);
int pf_restore_driver(struct procedure *p);
/* The PF's transmit enable of all its allocated VFs. */
void pf_transmit(struct procedure *p, bool on);

#endif
