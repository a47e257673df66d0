/* guest.c - wires bus, config space and VFs together. */
#include <config.h>

#include "cmd/guestd/guestd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/card.h"
#include "cmd/guestd/role.h"
#include "cmd/guestd/successor.h"
#include "cmd/guestd/vf_driver.h"

static bool is_nic_vf(const struct pci_slot *slot)
{
	return slot->present && slot->vendor == NIC_VENDOR_ID &&
	       slot->device == NIC_VF_DEVICE;
}

/* A slot that shows a card, or did. */
static bool look_at_card(struct guest *g, const struct pci_slot *seen)
{
	const struct card_ops *ops = card_ops_for(seen);
	struct card **card = &g->card[seen->slot];
	struct pci_slot slot = *seen;
	int err;

	if (!*card && !ops)
		return false;
	if (!*card) {
		err = card_new(card, g, ops, seen->slot);
		if (err) {
			program_stop(&g->program, STATUS_INTERNAL,
				     "slot %u: %s", seen->slot, strerror(-err));
			return true;
		}
	}
	slot.present = ops == (*card)->ops;
	card_look(*card, &slot);
	return slot.present || !seen->present;
}

static void on_slot(void *arg, const struct pci_slot *seen)
{
	struct guest *g = arg;
	struct pci_slot slot = *seen;
	struct vf **vf = &g->vf[slot.slot];
	int err;

	if (g->options.management &&
	    (pf_driver_takes(seen) ||
	     (g->pf.pci.present && seen->slot == g->pf.pci.slot))) {
		pf_driver_look(&g->pf, seen);
		return;
	}
	if (look_at_card(g, seen))
		return;
	slot.present = is_nic_vf(seen);
	if (!*vf && !slot.present)
		return;
	if (!*vf) {
		err = vf_new(vf, g, slot.slot);
		if (err < 0) {
			program_stop(&g->program, STATUS_INTERNAL,
				     "slot %u: %s", slot.slot, strerror(-err));
			return;
		}
	}
	vf_look(*vf, &slot);
}

static void on_probe_failed(void *arg, unsigned slot, int err)
{
	struct guest *g = arg;

	program_stop(&g->program, STATUS_DATA,
		     "config space of slot %u cannot be read: %s", slot,
		     strerror(-err));
}

static void on_probe_done(void *arg)
{
	struct guest *g = arg;

	g->probed = true;
	emergency_link_look(&g->emergency);
	guest_vf_settled(g);
}

static const struct pci_probe_ops probe_ops = {
	.slot = on_slot,
	.done = on_probe_done,
	.failed = on_probe_failed,
};

/* The first look is over: no VF is still being set up. */
static bool all_settled(const struct guest *g)
{
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if ((g->vf[i] && g->vf[i]->state == VF_NEW) ||
		    (g->card[i] && g->card[i]->state == CARD_NEW))
			return false;
	return g->probed;
}

static bool any_up(const struct guest *g)
{
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if ((g->vf[i] && g->vf[i]->state == VF_UP) ||
		    (g->card[i] && g->card[i]->state == CARD_UP))
			return true;
	return false;
}

/* It has no VF, and can take over nevertheless. */
static bool is_mere_successor(const struct guest *g)
{
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i])
			return false;
	return successor_is_ready(g->successor);
}

void guest_vf_settled(struct guest *g)
{
	if (!all_settled(g) ||
	    (!any_up(g) && !g->pf.pci.present && !is_mere_successor(g) &&
	     !role_is_ready(g->role)))
		return;
	if (!g->program.is_ready)
		program_ready(&g->program);
	workloads_bind(g);
}

bool guest_vf_matches(const struct vf *vf, const struct vf_select *select)
{
	switch (select->by) {
	case VF_SELECT_ANY:
		return true;
	case VF_SELECT_SLOT:
		return vf->pci.slot == select->slot;
	case VF_SELECT_MAC:
		return !memcmp(vf->mac, select->mac, MAC_SIZE);
	}
	return false;
}

struct vf *guest_find_vf(struct guest *g, const struct vf_select *select)
{
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i] && g->vf[i]->state == VF_UP &&
		    guest_vf_matches(g->vf[i], select))
			return g->vf[i];
	return NULL;
}

static void on_bus_up(void *arg)
{
	struct guest *g = arg;

	memory_pool_init(&g->memory, &g->bus.memory, g->bus.memory_size);
	event(g->program.log, "bus.attached", "s:i, s:I", "vm", g->options.vm,
	      "memory", (json_int_t)g->bus.memory_size);
	if (g->successor)
		successor_bus_up(g->successor);
	role_bus_up(g->role);
	emergency_link_look(&g->emergency);
	pci_probe_start(&g->probe);
}

static void on_bus_down(void *arg, int status, const char *why)
{
	struct guest *g = arg;
	const char *cause = NULL;

	if (status == STATUS_SHUTDOWN && g->program.state)
		cause = state_area_cause(g->program.state);
	program_stop(&g->program, status, "%s", cause ? cause : why);
}

static void on_platform(void *arg)
{
	struct guest *g = arg;

	pci_probe_start(&g->probe);
	role_look(g->role);
}

static void on_bus_waits(void *arg)
{
	struct guest *g = arg;

	event(g->program.log, "bus.waiting", "s:i", "vm", g->options.vm);
	if (g->notice)
		g->notice(g,
			  "waiting: another process is this VM, or it is being "
			  "reset");
}

static const struct bus_link_ops bus_ops = {
	.waits = on_bus_waits,
	.up = on_bus_up,
	.down = on_bus_down,
	.platform = on_platform,
};

/* A file that cannot be had is no peer that is missing. */
static int status_of_workload(const struct workload_spec *spec, int err)
{
	int status = program_status_of(err);

	if ((spec->kind == WORKLOAD_REPLAY || spec->kind == WORKLOAD_CAPTURE) &&
	    (status == STATUS_MISSING || status == STATUS_INTERNAL) &&
	    err != -ENOMEM)
		return STATUS_DATA;
	return status;
}

/* Nobody serves the VM's socket; is it the VM or the bridge that is not
 * there? */
static void no_bus(struct guest *g, int err, const struct complaint *c)
{
	char path[PATH_MAX];

	machine_path(&g->program.machine, path, "bus/vm%u.sock",
		     PLATFORM_HYPERVISOR);
	if (err == -ENOENT && access(path, F_OK) == 0)
		program_stop(&g->program, STATUS_MISSING,
			     "%s: the root bridge has no vm%u (--vms)", c->text,
			     g->options.vm);
	else
		program_stop(&g->program, STATUS_MISSING,
			     "%s: is rootbridge running?", c->text);
}

int guest_start(struct guest *g)
{
	struct complaint c = { "" };
	char path[PATH_MAX];
	unsigned i;
	int err;

	err = guest_memory_guard();
	if (err < 0) {
		program_stop(&g->program, STATUS_INTERNAL, "SIGBUS: %s",
			     strerror(-err));
		return g->program.status;
	}
	pf_driver_init(&g->pf, g);
	tlb_init(&g->tlb, g);
	emergency_link_init(&g->emergency, g);
	checker_init(&g->checker);
	workloads_init(g);
	pci_probe_init(&g->probe, &g->bus, &probe_ops, g);
	for (i = 0; i < g->options.n_specs; i++) {
		err = workloads_add(g, &g->options.specs[i], NULL, &c);
		if (err < 0) {
			program_stop(
				&g->program,
				status_of_workload(&g->options.specs[i], err),
				"%s", c.text);
			return g->program.status;
		}
	}
	err = g->options.rate_log
		      ? rate_log_start(&g->rates, g, g->options.rate_log, &c)
		      : 0;
	if (err < 0) {
		program_stop(&g->program, STATUS_DATA, "%s", c.text);
		return g->program.status;
	}
	err = g->options.successor ? successor_start(g) : 0;
	if (err < 0) {
		program_stop(&g->program, program_status_of(err),
			     "successor: %s", strerror(-err));
		return g->program.status;
	}
	err = g->options.role ? role_start(g) : 0;
	if (err < 0) {
		program_stop(&g->program, program_status_of(err), "role: %s",
			     strerror(-err));
		return g->program.status;
	}
	machine_path(&g->program.machine, path, "bus/vm%u.sock", g->options.vm);
	err = bus_link_init(&g->bus, g->program.loop, path, &bus_ops, g, &c);
	if (err == 0)
		return 0;
	if (err == -ENOENT || err == -ECONNREFUSED)
		no_bus(g, err, &c);
	else
		program_stop(&g->program, program_status_of(err), "%s", c.text);
	return g->program.status;
}

void guest_fini(struct guest *g)
{
	unsigned i;

	if (!g->program.loop)
		return;
	rate_log_fini(&g->rates);
	workloads_fini(g);
	pf_driver_fini(&g->pf);
	for (i = 0; i < PLATFORM_SLOTS; i++)
		vf_free(g->vf[i]);
	bus_link_fini(&g->bus);
	tlb_fini(&g->tlb);
	for (i = 0; i < PLATFORM_SLOTS; i++)
		card_free(g->card[i]);
	successor_free(g->successor);
	g->successor = NULL;
	role_free(g->role);
	g->role = NULL;
	loop_defer_cancel(&g->panic);
	emergency_link_fini(&g->emergency);
	checker_fini(&g->checker);
}
