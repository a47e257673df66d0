/* reset.c - the safe reset (spec 01, fig. 2): the order is the point.
 *
 * Theory of operation.  a100 the root bridge stops the PF driver's attempt; a102
 * list the VFs; a105 new requests and new queue entries of them stop; a110
 * everything earlier is answered; a115 reset anew; then everything is as
 * before, and access is given back.
 *
 * Steps leave together where the order on the connections is enough: the rows,
 * Bus Master Enable and the barrier of a VF are done in that order although
 * none waits for the others (STEP_FLOW), so that a reset costs what was in
 * flight and a few round trips for all VFs together.  Each choice of a105 and
 * a110 has a file of its own.
 *
 * What the VFs lose is read and written at the PF, of all VFs at once: so a
 * VF that is asked nothing else is asked twice, to stop and to answer, and none
 * sends before all can receive, so that nothing is lost.
 *
 * One VF is reset in the same way; the others of its device only do not
 * transmit while it cannot receive.
 */
#include <config.h>

#include "cmd/hvmon/reset.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/enumerate.h"
#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/give.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/management.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/reset_procedure.h"
#include "cmd/hvmon/whole.h"

const struct part_desc hvmon_parts[PART_N] = {
	[PART_A105] = { "a105", "a reset suspends new requests" },
	[PART_A110] = { "a110",
			"it waits until the earlier ones are answered" },
	[PART_BUS_MASTER] = { "bus-master", "it stops the queues before" },
	[PART_SAVE] = { "save", "it writes the VFs' registers back" },
};

#define CLEANUP_STEP 18u

static bool has_part(const struct procedure *p, enum hvmon_part index)
{
	return part(&p->hv->program->parts, index);
}

struct vf_allocation *reset_row(struct procedure *p, unsigned i)
{
	struct function_name name;

	vf_name(p->vfs.vf[i], &name);
	return vf_allocations_find(&p->hv->allocations, &name);
}

void reset_point(struct procedure *p, unsigned at)
{
	if (point(p->hv->program->points, at, NULL, NULL, NULL, "s:s",
		  "function", p->function) == POINT_FAIL)
		step_fail(p, -ECANCELED, "made to fail at %s",
			  hvmon_points[at].name);
}

/* The PF driver tries; the step ends when the root bridge stopped it. */
static int reset_attempt(struct procedure *p)
{
	struct reset *r = reset_of(p);

	p->device->reset = r;
	r->broken = p->device->state != DEVICE_READY;
	r->pcie = pci_find_cap(p->device->config, PCI_CAP_ID_EXP);
	if (r->is_pf && !r->pcie)
		return step_fail(p, -ENOTSUP, "%s has no FLR", p->function);
	if (!r->is_pf && r->broken)
		return step_fail(p, -ENODEV, "%s is not there", p->function);
	/* Without protection, and while nobody drives it, we are the first to
	 * know. */
	if (!r->is_pf || r->has_attempt || r->broken ||
	    (!p->hv->tables.info.protection &&
	     management_driver(p->device) == PLATFORM_HYPERVISOR))
		return STEP_NEXT;
	r->awaits_attempt = true;
	step_get(p);
	r->attempt_number = ++p->device->n_attempts;
	pf_guard_attempt(p->device, r->attempt_number);
	return STEP_NEXT;
}

/* a100 */
static int reset_detect(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (r->broken)
		p->device->state = DEVICE_STARTING;
	p->device->resetting = true;
	return STEP_NEXT;
}

/* a102 */
static int reset_list(struct procedure *p)
{
	struct reset *r = reset_of(p);
	const struct vf_allocation *row;
	struct vf *vf;

	TAILQ_FOREACH (row, &p->hv->allocations.list, entry) {
		vf = vf_find(p->hv, &row->vf);
		if (vf && vf->device == p->device && row->ready &&
		    (r->is_pf || vf->number == r->record.vf) && !r->broken)
			reset_add_vf(r, vf);
	}
	if (!r->is_pf && !p->vfs.n)
		reset_add_vf(r, &p->device->vf[r->record.vf - 1]);
	return STEP_NEXT;
}

/* a105 */
static int reset_suspend(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	r->suspended_ns = clock_now_ns();
	reset_record_write(r, RESET_PHASE_SUSPENDING);
	if (r->choice.suspend != SUSPEND_NONE) {
		r->suspended = true;
		if (r->is_pf)
			step_management_fence(p, p->device, true);
		for (i = 0; i < p->vfs.n; i++)
			p->vfs.vf[i]->suspended = true;
	}
	switch (r->choice.suspend) {
	case SUSPEND_TABLE:
		suspend_table(p);
		break;
	case SUSPEND_INVALID:
		suspend_invalid(p);
		break;
	case SUSPEND_VCPU:
		/* Config accesses that they sent before still count. */
		for (i = 0; i < p->vfs.n; i++)
			p->vfs.vf[i]->suspended = false;
		suspend_vcpu(p);
		return STEP_NEXT;
	case SUSPEND_NONE:
	case SUSPEND_N:
		break;
	}
	return STEP_FLOW;
}

/* Queue entries: none is begun from here on. */
static int reset_bus_master(struct procedure *p)
{
	struct reset *r = reset_of(p);

	step_sup_read(p, SUP_LOADS, r->loads, sizeof(r->loads));
	/* Unconfirmed it would be one more request to be lost. */
	if (r->suspended && r->choice.confirm != CONFIRM_NONE &&
	    has_part(p, PART_BUS_MASTER))
		vf_states_fence(p);
	return STEP_FLOW;
}

/* a110 */
static int reset_confirm(struct procedure *p)
{
	struct reset *r = reset_of(p);

	/* While it only waits it asks nothing. */
	if (r->choice.confirm != CONFIRM_NONE &&
	    r->choice.confirm != CONFIRM_WAIT)
		drain_limit_start(p);
	switch (r->choice.confirm) {
	case CONFIRM_BARRIER:
		confirm_barrier(p);
		break;
	case CONFIRM_INTERRUPT:
		confirm_interrupt(p);
		break;
	case CONFIRM_WAIT:
		confirm_wait(p);
		break;
	case CONFIRM_NONE:
	case CONFIRM_N:
		break;
	}
	return STEP_NEXT;
}

static int reset_confirmed(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (!p->round)
		r->confirmed_ns = clock_now_ns();
	if (r->choice.confirm == CONFIRM_BARRIER)
		reset_point(p, POINT_RESET_A305);
	/* After nothing, reading registers would be a confirmation. */
	if (r->choice.confirm == CONFIRM_NONE)
		return STEP_NEXT;
	/* After a wait, those that are not quiet make themselves felt now. */
	if (!r->asked) {
		drain_limit_start(p);
		vf_states_barrier(p);
		return STEP_AGAIN;
	}
	vf_states_read(p);
	return STEP_NEXT;
}

/* One asked by itself, in order, is at rest when it answers. */
static int reset_rest(struct procedure *p)
{
	switch (p->round) {
	case 0:
		return vf_states_fence_again(p) ? STEP_AGAIN : STEP_NEXT;
	case 1:
		vf_states_read(p);
		return STEP_AGAIN;
	}
	return STEP_NEXT;
}

static int reset_save(struct procedure *p)
{
	struct reset *r = reset_of(p);

	drain_limit_cancel(p);
	vf_states_note(p);
	if (r->saved && has_part(p, PART_SAVE))
		reset_record_write(r, RESET_PHASE_SAVED);
	if (r->is_pf || !p->device->has_driver)
		return STEP_FLOW;
	pf_transmit(p, false);
	return STEP_NEXT;
}

/* Whether the driver can make a second attempt.  A posted one is not told to,
 * and a VM that stands makes none. */
static bool can_grant(const struct reset *r)
{
	unsigned i;

	if (!r->choice.grant || !r->has_attempt ||
	    (r->attempt.flags & SUP_EX_POSTED))
		return false;
	for (i = 0; r->stopped && i < r->vms.n; i++)
		if (r->vms.vm[i] == r->attempt.vm)
			return false;
	return true;
}

/* a115 */
static int reset_again(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (r->is_pf && p->device->contained)
		return step_fail(p, -EHOSTDOWN, "%s is contained", p->function);
	r->granted = can_grant(r);
	r->flr = true;
	if (r->granted)
		step_grant(p, r->attempt.vm, true);
	else
		flr_start(p);
	return STEP_NEXT;
}

/* The row is there before the driver hears of it. */
static int reset_retry(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (!r->granted)
		return STEP_FLOW;
	r->has_attempt = false;
	r->retries = true;
	exception_fail(p->hv, &r->attempt, EAGAIN);
	step_granted(p, r->attempt.vm, &r->granted);
	return STEP_NEXT;
}

/* It made none. */
static int reset_ungranted(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (!r->retries || r->granted)
		return STEP_FLOW;
	flr_start(p);
	return STEP_NEXT;
}

/* What VFs had before is of no use to a device that was not set up. */
static int reset_restore(struct procedure *p)
{
	struct reset *r = reset_of(p);

	if (!r->broken)
		return pf_restore(p);
	step_setup(p, p->device);
	return STEP_NEXT;
}

static int reset_driver(struct procedure *p)
{
	return reset_of(p)->broken ? STEP_NEXT : pf_restore_driver(p);
}

static int reset_registers(struct procedure *p)
{
	return reset_of(p)->broken ? STEP_NEXT : vf_states_write(p);
}

static int reset_masters(struct procedure *p)
{
	return reset_of(p)->broken ? STEP_NEXT : vf_states_bus_master(p);
}

/* a525: access is given back, after a failure too. */
static int reset_resume(struct procedure *p)
{
	struct reset *r = reset_of(p);
	bool there = p->device->generation == p->generation;
	unsigned i;

	drain_limit_cancel(p);
	/* It failed before a115: the queues go on. */
	if (r->suspended && !r->flr && there)
		vf_states_bus_master(p);
	if (!r->is_pf && r->flr && p->device->has_driver && there && !p->err)
		pf_transmit(p, true);
	for (i = 0; i < p->vfs.n; i++)
		p->vfs.vf[i]->suspended = false;
	p->device->resetting = false;
	if (r->suspended && r->is_pf && there)
		step_management_fence(p, p->device, false);
	config_emulation_go_on(p->device);
	if (r->suspended && (r->choice.suspend == SUSPEND_TABLE ||
			     r->choice.suspend == SUSPEND_INVALID))
		suspend_rows_back(p);
	suspend_vcpu_back(p);
	if (!p->err)
		reset_record_clear(p->device);
	return STEP_FLOW;
}

/* Setting a PF up told its VMs already. */
static int reset_inject(struct procedure *p)
{
	if (!reset_of(p)->broken)
		step_inject_vms(p, &p->vfs);
	return STEP_NEXT;
}

static unsigned count_in_flight(const struct reset *r)
{
	unsigned i, k, n = 0;

	for (k = 0; k < sizeof(r->loads) / sizeof(r->loads[0]); k++)
		for (i = 0; i < r->p.vfs.n; i++)
			if (r->loads[k].bdf == r->p.vfs.vf[i]->bdf)
				n += r->loads[k].in_flight;
	return n;
}

static json_t *reset_result(const struct reset *r)
{
	uint64_t now = clock_now_ns();

	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:I, s:I, s:f}",
			 "function", r->p.function, "suspend",
			 reset_suspend_name(r->choice.suspend), "confirm",
			 reset_confirm_name(r->choice.confirm), "grant",
			 (int)r->granted, "vfs", (int)r->p.vfs.n, "in_flight",
			 (int)count_in_flight(r), "contained",
			 (int)r->n_contained, "drain_ns",
			 (json_int_t)(r->confirmed_ns - r->suspended_ns),
			 "took_ns", (json_int_t)(now - r->p.began_ns),
			 "reset_ms", (double)(now - r->p.began_ns) / NS_PER_MS);
}

static void reset_end(struct procedure *p)
{
	struct event_log *log = p->hv->program->log;
	struct reset *r = reset_of(p);
	json_t *result = reset_result(r);

	p->device->reset = NULL;
	p->device->resetting = false;
	/* It is neither what it was nor set up again. */
	if (p->err && r->is_pf && (r->flr || r->broken))
		device_started(p, p->device);
	if (r->has_attempt && p->err)
		exception_fail(p->hv, &r->attempt, EIO);
	else if (r->has_attempt)
		exception_done(p->hv, &r->attempt, NULL);
	if (p->err)
		event(log, "reset.failed", "s:s, s:s", "function", p->function,
		      "why", p->why);
	else
		event(log, "reset.done",
		      "s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I", "function",
		      p->function, "suspend",
		      reset_suspend_name(r->choice.suspend), "confirm",
		      reset_confirm_name(r->choice.confirm), "vfs",
		      (int)p->vfs.n, "in_flight", (int)count_in_flight(r),
		      "contained", (int)r->n_contained, "drain_ns",
		      (json_int_t)(r->confirmed_ns - r->suspended_ns),
		      "took_ns", (json_int_t)(clock_now_ns() - p->began_ns));
	procedure_answer(p, result);
}

static void reset_fini(struct procedure *p)
{
	drain_limit_cancel(p);
}

static const struct step reset_steps[] = {
	{ POINT_NONE, reset_attempt },
	{ POINT_RESET_A100, reset_detect },
	{ POINT_RESET_A102, reset_list },
	{ POINT_RESET_A105, reset_suspend },
	{ POINT_NONE, suspend_vcpu_settle },
	{ POINT_RESET_BUS_MASTER, reset_bus_master },
	{ POINT_RESET_A110, reset_confirm },
	{ POINT_NONE, reset_confirmed },
	{ POINT_NONE, reset_rest },
	{ POINT_RESET_SAVE, reset_save },
	{ POINT_RESET_A115, reset_again },
	{ POINT_NONE, reset_retry },
	{ POINT_NONE, reset_ungranted },
	{ POINT_RESET_SETTLE, flr_settle },
	{ POINT_RESET_SETUP, reset_restore },
	{ POINT_RESET_DRIVER, reset_driver },
	{ POINT_RESET_REGISTERS, reset_registers },
	{ POINT_RESET_MASTERS, reset_masters },
	{ POINT_RESET_A525, reset_resume },
	{ POINT_RESET_INJECT, reset_inject },
	{ 0, NULL },
};
_Static_assert(sizeof(reset_steps) / sizeof(reset_steps[0]) == CLEANUP_STEP + 3,
	       "a525 is where the cleanup begins");

static const struct procedure_desc reset_desc = {
	.name = "reset",
	.steps = reset_steps,
	.cleanup = CLEANUP_STEP,
	.end = reset_end,
	.fini = reset_fini,
};

static struct reset *reset_new(struct device *device, unsigned vf,
			       const struct reset_choice *choice)
{
	struct function_name name = { .vf = vf };
	struct hvmon *hv = device->hv;
	struct reset *r = procedure_new(hv, &reset_desc, sizeof(*r));

	strcpy(name.device, device->name);
	function_name_format(r->p.function, sizeof(r->p.function), &name);
	r->is_pf = !vf;
	r->record.vf = (uint16_t)vf;
	r->record.bdf = device->bdf;
	r->choice = *choice;
	/* What is left out is as if it had not been chosen. */
	if (!has_part(&r->p, PART_A105))
		r->choice.suspend = SUSPEND_NONE;
	if (!has_part(&r->p, PART_A110))
		r->choice.confirm = CONFIRM_NONE;
	procedure_about(&r->p, device);
	return r;
}

/* Without protection only a VM that stands makes no new requests. */
static struct reset_choice default_choice(const struct hvmon *hv)
{
	return (struct reset_choice){ .suspend = hv->tables.info.protection
							 ? SUSPEND_TABLE
							 : SUSPEND_VCPU };
}

void reset_detected(struct device *device, const struct sup_exception *attempt)
{
	struct reset_choice otherwise = default_choice(device->hv);
	struct reset *r = device->reset;

	if (r && r->awaits_attempt &&
	    attempt->vm == management_driver(device)) {
		r->awaits_attempt = false;
		r->has_attempt = true;
		r->attempt = *attempt;
		step_put(&r->p);
		return;
	}
	/* Somebody else's: the management VM's, or an operator's. */
	r = reset_new(device, 0, &otherwise);
	r->has_attempt = true;
	r->attempt = *attempt;
	procedure_start(&r->p, device_lane(device));
}

bool reset_awaits_attempt(const struct device *device, unsigned number)
{
	return device->reset && device->reset->awaits_attempt &&
	       device->reset->attempt_number == number;
}

void reset_attempt_ended(struct device *device, unsigned number, int err)
{
	struct reset *r = device->reset;

	/* That of a reset before is answered when the next one runs. */
	if (!reset_awaits_attempt(device, number))
		return;
	r->awaits_attempt = false;
	step_fail(&r->p, err ? err : -EPROTO,
		  err ? "%s: its driver's attempt failed: %s"
		      : "%s: its driver's reset was not stopped",
		  r->p.function, strerror(-err));
	step_put(&r->p);
}

void reset_method(void *arg, struct control_call *call, json_t *params)
{
	const char *text = control_string(params, "function", "");
	struct hvmon *hv = arg;
	struct reset_choice choice = default_choice(hv);
	struct function_name name;
	struct device *device;
	struct complaint c;
	struct reset *r;

	if (function_name_parse(text, &name, &c) ||
	    reset_choice_parse(&choice, control_string(params, "suspend", NULL),
			       control_string(params, "confirm", NULL), &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	choice.grant = control_boolean(params, "grant", false);
	device = device_find_name(hv, name.device);
	if (!device || device->state == DEVICE_AWAY ||
	    name.vf > device->num_vfs) {
		control_fail(call, RPC_MISSING, "no %s", text);
		return;
	}
	if (device->single) {
		whole_reset(device, call);
		return;
	}
	r = reset_new(device, name.vf, &choice);
	r->p.call = call;
	procedure_start(&r->p,
			name.vf ? device_vf_lane(device) : device_lane(device));
}
