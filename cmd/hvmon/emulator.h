/* emulator.h - kinds of devices that are emulated (spec 05, fig. 3): each is
 * one file emulate_KIND.c with its state machine in one table.  A backend is
 * what the monitor's own driver does at a real device for it: one file
 * KIND_on_REAL.c each.
 *
 * The framework (virtual.h) calls both; they keep what must survive hvmon in
 * virtual_state(), call virtual_keep_record() after each change of it and
 * before the access is answered, and virtual_changed() when something that
 * somebody may wait for came true.
 */
#ifndef IOVKIT_HVMON_EMULATOR_H
#define IOVKIT_HVMON_EMULATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/hvmon/procedure.h"
#include "libcore/supervisor.h"

struct virtual;
struct access;

/* A state machine.  State 0 is none. */
struct state_machine {
	unsigned n_states, n_inputs;
	const uint8_t *next;      /* [n_states][n_inputs]; 0: illegal */
	const char *const *names; /* [n_states] */
	uint32_t starts, ends;    /* masks of states */
};

enum {
	INPUT_NONE = -1 /* the access is part of no sequence */
};

struct emulator {
	const char *name;
	uint16_t vendor, device; /* of a real one, too */
	uint32_t class_code;     /* 24 bits */
	uint32_t regs_bytes;     /* of BAR 0, from its start: what is trapped */
	struct state_machine machine;

	/* Which input of the machine the access is. */
	int (*input)(const struct virtual *v, const struct access *a);
	/* The state in which a sequence begins, as the device's mode says. */
	unsigned (*start)(const struct virtual *v);
	/* Emulate one access, answer it by exception_*() now or later. */
	void (*access)(struct virtual *v, const struct access *a);
};

/* Only a device of the emulated kind can be searched, parted from and let go
 * of: others need none of what serves that. */
struct backend {
	const struct emulator *emulator; /* what the guest sees */
	const struct emulator *real;     /* the kind of v->worker */

	/* Before the search (218): ask for what `start` must know.  In the
	 * search: an access is let through.  Both may be NULL. */
	void (*look)(struct virtual *v, struct procedure *p);
	void (*watch)(struct virtual *v, const struct access *a);
	/* Before 218, --hold busy: ask for the status; whether what the guest
	 * began itself is over.  What that takes from the device is the guest's
	 * to know: the data of a read that is let through show it, and a device
	 * that is not ready.  NULL: it cannot look busy by then. */
	void (*peek)(struct virtual *v, struct procedure *p);
	bool (*peeked)(struct virtual *v);
	void (*show)(struct virtual *v, const struct access *a, uint8_t *data);

	/* Emulation begins (420), goes on with a new hypervisor (`taken_up`), or
	 * the device was reset: ask for registers, then take them; the latter
	 * may ask again (STEP_AGAIN).  What is logged in the record and was not
	 * done at the device is done from here on. */
	void (*ask)(struct virtual *v, struct procedure *p);
	int (*load)(struct virtual *v, struct procedure *p, bool taken_up);
	/* Then: set the mode that the monitor prefers.  May be NULL. */
	void (*prefer)(struct virtual *v, struct procedure *p);
	/* All that is done.  May be NULL. */
	void (*loaded)(struct virtual *v);
	/* The device was reset, and forgot everything. */
	void (*reset)(struct virtual *v);

	/* Our driver: the device interrupts, or may have something to do. */
	void (*drive)(struct virtual *v, bool interrupt);
	/* Whether it has, after an access.  NULL: the emulator knows. */
	bool (*wants_drive)(const struct virtual *v);

	/* 712: nothing is queued or under way; 714: our driver does not run,
	 * and the guest knows all that the device told us. */
	bool (*is_done)(const struct virtual *v);
	bool (*is_quiet)(const struct virtual *v);
	/* 710: the guest has to take something first that our driver took from
	 * the device; until then it goes on.  May be NULL. */
	bool (*goes_on)(const struct virtual *v);
	/* Another device of this kind is to do the work (behind.h).  NULL:
	 * none can.  May it be taken from this one now: nothing is in it that
	 * the guest would miss; then silence it and ask for registers; whether
	 * nothing came meanwhile, and the next device is to be given what this
	 * one had, when it is loaded. */
	bool (*may_part)(const struct virtual *v);
	void (*part)(struct virtual *v, struct procedure *p);
	bool (*has_parted)(struct virtual *v);
	/* The one that did the work is gone, and another one is loaded. */
	void (*lost)(struct virtual *v);
	/* Before 720: the mode is the guest's again, its changes included, and
	 * our driver does no more. */
	void (*restore)(struct virtual *v, struct procedure *p);
};

extern const struct emulator ether_emulator;
extern const struct emulator uart_emulator;
extern const struct backend ether_on_ether;
extern const struct backend uart_on_uart;
extern const struct backend uart_on_ether;

/* By vendor and device ID; NULL: none is emulated here. */
const struct emulator *emulator_find(uint16_t vendor, uint16_t device);
/* By name. */
const struct emulator *emulator_named(const char *name);
/* For the record: by number from 1, and back. */
const struct emulator *emulator_by_number(uint32_t number);
uint32_t emulator_number(const struct emulator *emulator);
/* By which a real device does the work of an emulated one; NULL: it cannot. */
const struct backend *backend_find(const struct emulator *emulator,
				   const struct emulator *real);

#endif
