/* virtual.h - devices that are virtualised at run time (spec 05): the guest's
 * accesses are exceptions, which an emulator (emulator.h) answers. */
#ifndef IOVKIT_HVMON_VIRTUAL_H
#define IOVKIT_HVMON_VIRTUAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "cmd/hvmon/emulator.h"
#include "cmd/hvmon/procedure.h"
#include "cmd/hvmon/virtual_record.h"
#include "libcore/limiter.h"
#include "libcore/loop.h"
#include "libcore/supervisor.h"

struct device;
struct vf_allocation;
struct virtual;

#define ACCESS_LARGEST 64u /* bytes; larger ones are refused */
#define ACCESS_MAX     80u /* with what is read around them */
#define VIRTUAL_LOADED 10u

/* An access of the guest to the registers, which waits for its answer. */
struct access {
	uint64_t serial;
	uint32_t offset; /* in BAR 0 */
	uint32_t size;
	bool write;
	/* Of a read that was made larger: what the guest asked for. */
	uint32_t skip, asked;
	uint8_t data[ACCESS_MAX];
};

struct kept_access {
	STAILQ_ENTRY(kept_access) entry;
	struct access access;
};

/* How new sequences are held off (710). */
enum hold {
	HOLD_NONE,
	HOLD_PAUSE,
	HOLD_LOCK,
	HOLD_BUSY,
	HOLD_BLOCK,
	HOLD_LOG,
	HOLD_N
};

struct virtual
{
	struct hvmon *hv;
	struct device *device; /* NULL: it is over; see users */
	struct device *worker; /* it does the work: device, or one behind it */
	struct device *wanted; /* it shall stand behind the device; or NULL */
	const struct emulator *emulator;
	const struct backend *backend; /* at the worker */
	struct virtual_record record;
	bool trapping;  /* 214 is done */
	bool taken_up;  /* a former hypervisor's */
	bool searching; /* since 218 */
	unsigned watch; /* so many whole sequences more */
	bool loading, load_again;
	enum hold hold;     /* of new sequences */
	bool closing;       /* every access is kept: 720 is under way */
	uint64_t stands_ns; /* since when: it is to be reset; or 0 */
	STAILQ_HEAD(, kept_access) kept; /* in order, not answered */
	unsigned n_kept;
	struct limiter complaints;

	bool driving, drive_again, drive_interrupt; /* the own driver */
	/* When it looks at the device by itself, or has it reset. */
	struct loop_timer look;
	bool own_seen;   /* an operation of ours is done: no more strays */
	bool interrupts; /* the device has, since it was reset */
	bool level;      /* of the interrupt that the guest sees */
	uint64_t loaded[VIRTUAL_LOADED]; /* by ask(), as read */

	unsigned running; /* accesses that the device has not answered */
	unsigned users;   /* procedures that have a pointer to this */
	struct procedure *waiter;
	struct loop_deferred changed;
	uint64_t trapped, emulated, passed_on, dropped, illegal;
};

/* The life of one.  From virtual_new() on translations are rejected, and rows and
 * routes are those of a virtual device. */
struct virtual *virtual_new(struct device *device, enum virtual_phase phase);
/* It is direct from now on: what is kept is forgotten. NULL is fine. */
void virtual_end(struct device *device);
void virtual_get(struct virtual *v);
void virtual_put(struct virtual *v);

/* Read the device's registers, then emulate what was kept meanwhile. */
void virtual_load(struct virtual *v);
/* The device is to be reset: the guest's accesses wait, and ours are not begun;
 * whether all that was on its way is answered, or is not waited for any more. */
bool virtual_stand(struct virtual *v);
/* The device was reset. */
void virtual_was_reset(struct device *device);
/* If it stands, that came to nothing; why it did. */
void virtual_not_reset(struct virtual *v, const char *why);
/* 610: a device that is set up is virtual where the option says so. */
void step_virtual_wished(struct procedure *p, struct device *device);
/* Its guest is to look at it again: tell it, if that was not done. */
void virtual_tell(struct device *device);
/* It is set up or adopted: a virtual one is emulated from here on. */
void virtual_started(struct device *device);
/* Adoption: take up what a former hypervisor left, where the bridge's rows say
 * so; else it is let go. */
void virtual_take_up(struct device *device);
/* The hypervisor ends, and the next one shall find it as it is. */
void virtual_close(struct device *device);
/* What is left of a device that is no more. */
void virtual_forget(const struct device *device);

/* Take the exception if it is of such a device; false: nothing was done. */
bool virtual_takes(struct hvmon *hv, const struct sup_exception *exception);
/* The device interrupts us. */
void virtual_interrupt(struct virtual *v);

/* Whether the machine is in a start state, and no sequence is open. */
bool virtual_at_start(const struct virtual *v);
/* Holding begins or ends; what was kept goes on at the end. */
void virtual_hold(struct virtual *v, enum hold hold);
/* What is kept runs, in order; one that is held off is kept again, and those
 * behind it too. */
void virtual_run_kept(struct virtual *v);
/* Answer what is kept as if nobody was there; how many. */
unsigned virtual_refuse_kept(struct virtual *v);
/* After 720 what is kept has run by itself. */
void virtual_forget_kept(struct virtual *v);
/* A step of p waits until virtual_changed(): return STEP_AGAIN. */
void virtual_wait(struct virtual *v, struct procedure *p);

/* For emulators and procedures. */

static inline void *virtual_state(const struct virtual *v)
{
	return (void *)(uintptr_t)v->record.state;
}
void virtual_keep_record(struct virtual *v);
/* Where its record pair lies; NULL: vm0's memory is too small. */
void *virtual_room(const struct device *device);
/* What was left of the device's; false: nothing that is whole. */
bool virtual_read_record(const struct device *device,
			 struct virtual_record *record);
void virtual_changed(struct virtual *v);
/* Whether another device does the work. */
bool virtual_leans(const struct virtual *v);
/* Machine-physical address of a register of the device that does the work. */
uint64_t virtual_register(const struct virtual *v, uint32_t offset);
/* The guest's row of the allocation table; NULL: it is gone. */
struct vf_allocation *virtual_row(const struct virtual *v);
/* 412-418: the machine follows the access; false: there is no transition, and
 * it is in a start state again. */
bool virtual_step(struct virtual *v, int input);
/* Make the access at the device, then `done` (with its data if err is 0). */
typedef void virtual_done_fn(struct virtual *v, const struct access *a,
			     const uint8_t *data, int err);
void virtual_pass(struct virtual *v, const struct access *a,
		  virtual_done_fn *done);
/* Answer an access: with data of a read, or NULL; all ones. */
void virtual_answer(struct virtual *v, const struct access *a,
		    const uint8_t *data);
void virtual_refuse(struct virtual *v, const struct access *a);
/* An access without a transition: event, then drop or target abort. */
void virtual_illegal(struct virtual *v, const struct access *a,
		     const char *what);
/* The interrupt line that the guest sees. */
void virtual_set_level(struct virtual *v, bool level);
/* Interrupt the guest. */
void virtual_inject(struct virtual *v);

const char *virtual_machine_name(const struct virtual *v);

#endif
