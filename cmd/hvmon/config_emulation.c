/* config_emulation.c - the guests' config spaces: slot s of a VM is bus 0,
 * device s of its ECAM, where no protection row leads, so that each access is
 * an exception.
 *
 * What the overlay (config_overlay.h) does not emulate is read from and
 * written to the VF's own config space, so MSI-X, the capabilities and Bus
 * Master Enable are the VF's.  An empty slot, and one whose VF is away, reads
 * as all ones.  Accesses of one VM to one VF keep their order, because those
 * made here to the VF do.
 *
 * The switch lets frames wait for a VF whose Bus Master Enable is clear, since
 * that is how a hypervisor fences it.  A guest that clears its own shall not
 * hold its neighbours up: nothing waits for it until it sets it again.
 *
 * When a guest resets a single function, accesses may be on their way, past us
 * or by us.  That is a reset like an operator's (whole.h), and what comes for its
 * config space meanwhile waits.  It does not wait for the device's lane, as who
 * has that may wait for the guest, but for its turn (turn.h).  Many tell of each,
 * so there are no more of them a second than of other things that a guest makes
 * happen (libcore/limiter.h).
 */
#include <config.h>

#include "cmd/hvmon/config_emulation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/turn.h"
#include "cmd/hvmon/vf_quiet.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/whole.h"
#include "libcore/limiter.h"
#include "libcore/platform.h"

#define FLR_PERIOD_NS (LIMITER_PERIOD_NS / LIMITER_BURST)

struct emulation {
	struct procedure p;
	struct sup_exception exception;
	struct function_name vf;
	struct device *resets; /* a single function; or NULL */
	uint8_t data[SUP_DATA_MAX];
};

/* The row and VF that the emulation is about, if they are still there. */
static struct vf_allocation *find_row(struct emulation *e, struct vf **vf)
{
	struct hvmon *hv = e->p.hv;
	struct vf_allocation *row;

	row = vf_allocations_find(&hv->allocations, &e->vf);
	*vf = row && row->vm == e->exception.vm ? vf_find(hv, &e->vf) : NULL;
	return vf_is_there(*vf) ? row : NULL;
}

static uint32_t config_offset(const struct emulation *e)
{
	return (uint32_t)(e->exception.gpa - PLATFORM_ECAM) % PCI_CONFIG_SIZE;
}

/* The device, if it resets a single function. */
static struct device *resets_single(const struct emulation *e,
				    const struct vf_allocation *row,
				    const struct vf *vf)
{
	const struct sup_exception *ex = &e->exception;

	if (!vf || vf->number || !(ex->flags & SUP_EX_WRITE) ||
	    !config_overlay_resets(&row->overlay, config_offset(e), ex->data,
				   ex->size))
		return NULL;
	return vf->device;
}

/* Whether the guest writes its command register; Bus Master Enable as it will
 * be. */
static bool writes_command(const struct emulation *e, bool *master)
{
	uint32_t offset = config_offset(e);

	if (offset > PCI_COMMAND || offset + e->exception.size <= PCI_COMMAND)
		return false;
	*master = e->exception.data[PCI_COMMAND - offset] & PCI_COMMAND_MASTER;
	return true;
}

/* What waits for it, and what stands behind it. */
static void step_bus_master(struct procedure *p, const struct vf *vf, bool on)
{
	step_vf_wait(p, vf, on);
	step_behind_bus_master(p, vf, on);
}

static void tell_flr(const struct vf_allocation *row, const struct vf *vf)
{
	struct hvmon *hv = vf->device->hv;
	char name[FUNCTION_NAME_MAX], vm[VM_NAME_MAX];
	uint64_t suppressed;

	if (vm_tells(hv, row->vm, &suppressed))
		event(hv->program->log, "vf.flr", "s:s, s:s, s:I", "function",
		      vf_format(name, vf), "vm", vm_format(vm, row->vm),
		      "suppressed", (json_int_t)suppressed);
}

static void start_write(struct emulation *e, struct vf_allocation *row,
			struct vf *vf)
{
	struct config_run runs[CONFIG_RUNS_MAX];
	uint32_t offset = config_offset(e);
	bool flr, master;
	unsigned i, n;

	memcpy(e->data, e->exception.data, e->exception.size);
	n = config_overlay_write(&row->overlay, offset, e->data,
				 e->exception.size, runs, &flr);
	for (i = 0; i < n; i++)
		step_config_write(&e->p, vf->bdf, runs[i].offset,
				  &e->data[runs[i].offset - offset],
				  runs[i].size);
	if (writes_command(e, &master))
		step_bus_master(&e->p, vf, master);
	if (flr)
		tell_flr(row, vf);
}

/* Whatever else it writes is forgotten by that. */
static void start_reset(struct emulation *e, const struct vf_allocation *row,
			const struct vf *vf)
{
	e->resets->guest_flr_ns = clock_now_ns();
	tell_flr(row, vf);
	step_whole_reset(&e->p, e->resets);
}

static int emulate_pace(struct procedure *p)
{
	const struct device *device = ((struct emulation *)p)->resets;
	uint64_t now_ns = clock_now_ns();

	if (device && now_ns < device->guest_flr_ns + FLR_PERIOD_NS)
		step_sleep(p, device->guest_flr_ns + FLR_PERIOD_NS - now_ns);
	return STEP_NEXT;
}

/* Before it is its turn the device may become another VM's. */
static int emulate_turn(struct procedure *p)
{
	struct device *device = ((struct emulation *)p)->resets;

	return device && !turn_take(p, device) ? STEP_AGAIN : STEP_NEXT;
}

static int emulate_access(struct procedure *p)
{
	struct emulation *e = (struct emulation *)p;
	struct vf_allocation *row;
	struct vf *vf;

	row = find_row(e, &vf);
	if (!row)
		return step_fail(p, -ENODEV, "no function at the slot");
	if (e->resets)
		start_reset(e, row, vf);
	else if (e->exception.flags & SUP_EX_WRITE)
		start_write(e, row, vf);
	else
		step_config_read(p, vf->bdf, config_offset(e), e->data,
				 e->exception.size);
	return STEP_NEXT;
}

static void answer(struct emulation *e)
{
	struct procedure *p = &e->p;
	struct vf_allocation *row;
	struct vf *vf;

	row = p->err ? NULL : find_row(e, &vf);
	if (!row) {
		exception_unsupported(p->hv, &e->exception);
		return;
	}
	if (e->exception.flags & SUP_EX_WRITE) {
		exception_done(p->hv, &e->exception, NULL);
		return;
	}
	config_overlay_read(&row->overlay, config_offset(e), e->data,
			    e->exception.size);
	exception_done(p->hv, &e->exception, e->data);
}

static void emulate_end(struct procedure *p)
{
	struct emulation *e = (struct emulation *)p;

	answer(e);
	if (!e->resets)
		return;
	e->resets->guest_flr = false;
	config_emulation_go_on(e->resets);
}

static const struct step emulate_steps[] = {
	{ POINT_NONE, emulate_pace },
	{ POINT_NONE, emulate_turn },
	{ POINT_NONE, emulate_access },
	{ 0, NULL },
};

static const struct procedure_desc emulate_desc = {
	.name = "config access",
	.steps = emulate_steps,
	.end = emulate_end,
};

/* Accesses that were on their way when their VF was suspended (a105); those
 * that come later are stopped at the root bridge.  Those of a VM
 * for which a device is being set up or adopted: it is there, not absent.  And
 * those that come while a single function is reset, or is to be. */
struct kept_exception {
	STAILQ_ENTRY(kept_exception) entry;
	struct sup_exception exception;
};

void config_emulation_keep(struct device *device,
			   const struct sup_exception *exception)
{
	struct kept_exception *kept = calloc(1, sizeof(*kept));

	if (!kept)
		abort();
	kept->exception = *exception;
	STAILQ_INSERT_TAIL(&device->kept, kept, entry);
}

static struct kept_exception *take_kept(struct kept_exceptions *list)
{
	struct kept_exception *kept = STAILQ_FIRST(list);

	if (kept)
		STAILQ_REMOVE_HEAD(list, entry);
	return kept;
}

void config_emulation_go_on(struct device *device)
{
	struct kept_exceptions now = STAILQ_HEAD_INITIALIZER(now);
	struct kept_exception *kept;

	/* Some may have to be kept again. */
	STAILQ_CONCAT(&now, &device->kept);
	while ((kept = take_kept(&now))) {
		exception_take(device->hv, &kept->exception);
		free(kept);
	}
}

void config_emulation_forget(struct device *device)
{
	struct kept_exception *kept;

	while ((kept = take_kept(&device->kept)))
		free(kept);
}

/* One that is being set up or adopted and has something for the VM, in a slot
 * that may not be known yet; NULL: there is none. */
static struct device *starting_device(struct hvmon *hv, uint32_t vm)
{
	const struct vf_allocation *row;
	struct device *device;

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		if (row->vm != vm || row->ready)
			continue;
		device = device_find_name(hv, row->vf.device);
		/* A successor that owns it may take its time. */
		if (device && device->state == DEVICE_STARTING &&
		    !device->takeback)
			return device;
	}
	return NULL;
}

bool config_emulation_takes(struct hvmon *hv,
			    const struct sup_exception *exception)
{
	uint64_t at = exception->gpa - PLATFORM_ECAM;
	const struct vf_allocation *row = NULL;
	struct device *device;
	const struct vf *vf;
	struct emulation *e;

	if (exception->gpa < PLATFORM_ECAM || at >= PLATFORM_ECAM_SIZE ||
	    exception->size > PCI_CONFIG_SIZE - at % PCI_CONFIG_SIZE)
		return false;
	/* Functions 1 to 7 of a slot, and all buses but 0, are empty. */
	if (at < platform_guest_config(PLATFORM_SLOTS) - PLATFORM_ECAM &&
	    !(at >> 12 & 7))
		row = vf_allocations_at(&hv->allocations, exception->vm,
					(uint32_t)(at >> 15));
	if (!row || !row->ready) {
		device = starting_device(hv, exception->vm);
		if (device)
			config_emulation_keep(device, exception);
		else
			exception_unsupported(hv, exception);
		return true;
	}
	if (!exception->size) {
		exception_unsupported(hv, exception);
		return true;
	}
	vf = vf_find(hv, &row->vf);
	if (vf && (vf->suspended || vf->device->guest_flr)) {
		config_emulation_keep(vf->device, exception);
		return true;
	}
	e = procedure_new(hv, &emulate_desc, sizeof(*e));
	e->exception = *exception;
	e->vf = row->vf;
	e->resets = resets_single(e, row, vf);
	if (e->resets)
		e->resets->guest_flr = true;
	procedure_start(&e->p, 0);
	return true;
}
