/* main.c - hvmon: the hypervisor and monitor of a machine. */
#include <config.h>

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/hvmon_points.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/reset_procedure.h"
#include "libcore/fd_limit.h"
#include "libcore/program.h"
#include "libcore/units.h"

enum {
	OPTION_VF = 1000,
	OPTION_DEVICE,
	OPTION_MAX_VFS,
	OPTION_DRAIN_LIMIT,
	OPTION_SCHEDULE,
	OPTION_NO_SCHEDULE,
	OPTION_MANAGEMENT,
	OPTION_HEARTBEAT,
	OPTION_SUCCESSOR,
	OPTION_STANDBY_SHARE,
	OPTION_LINK_SYNC,
	OPTION_TRANSLATION,
	OPTION_REVOKE_LIMIT,
	OPTION_LEVEL,
	OPTION_GUESTS,
	OPTION_PARTITION,
	OPTION_VM,
};

static struct {
	struct program program;
	struct program_options options;
	struct hvmon hv;
} self;

static const struct program_desc desc = {
	.role = "hvmon",
	.points = hvmon_points,
	.n_points = POINT_N,
	.parts = hvmon_parts,
	.n_parts = PART_N,
};

static const struct argp_option argp_options[] = {
	{ "vf", OPTION_VF, "FUNCTION=VM[:TIME]", 0,
	  "Give this VF to this VM, such as nic0/vf1=vm1:10ms; TIME is how "
	  "long one of its requests takes at most (10ms). May be repeated",
	  0 },
	{ "device", OPTION_DEVICE, "DEVICE=VM[,VM...]", 0,
	  "Give this device, which has a single function, to this VM as a "
	  "whole, such as ether0=vm1; the others stand by for it, in this "
	  "order. With ,virtual it starts as a virtual one; with ,as=uart they "
	  "see a UART, carried out on an Ethernet card. May be repeated",
	  0 },
	{ "max-vfs", OPTION_MAX_VFS, "N", 0,
	  "Enable at most N VFs per device (all)", 0 },
	{ "drain-limit", OPTION_DRAIN_LIMIT, "TIME", 0,
	  "Contain a VF alone that takes longer than this to finish what it has "
	  "before a reset (0: none)",
	  0 },
	{ "schedule", OPTION_SCHEDULE, "VM=TIME,...", 0,
	  "Let only one of these VMs run at a time, each for its time, in "
	  "this order, such as vm1=10ms,vm2=5ms",
	  0 },
	{ "standby-share", OPTION_STANDBY_SHARE, "PERCENT", 0,
	  "The CPU share of a VM that stands by for devices (5%; 0: all that "
	  "share devices run freely)",
	  0 },
	{ "management", OPTION_MANAGEMENT, "VM=DEVICE", 0,
	  "Give the PF of this device to this VM, in its last slot, such as "
	  "vm3=nic0. May be repeated",
	  0 },
	{ "heartbeat", OPTION_HEARTBEAT, "TIME", 0,
	  "Count up a sign of life this often (10ms; 0: never)", 0 },
	{ "successor", OPTION_SUCCESSOR, "VM,...", 0,
	  "Let these VMs, in this order, take over when this program fails, "
	  "such as vm1,vm2",
	  0 },
	{ "link-sync", OPTION_LINK_SYNC, "HOW", 0,
	  "How a successor comes by the link states: rebuild (it reads the "
	  "device; default), or mirror (it is passed each change)",
	  0 },
	{ "translation", OPTION_TRANSLATION, "DEVICE=POLICY", 0,
	  "What becomes of a guest's wish to reach this device directly: "
	  "accept (default), read-only, reject, or page:DEVICE (it reaches "
	  "that one instead). May be repeated",
	  0 },
	{ "revoke-limit", OPTION_REVOKE_LIMIT, "TIME", 0,
	  "Wait so long for a guest to stop direct accesses by itself (10ms)",
	  0 },
	{ "level", OPTION_LEVEL, "1|2", 0,
	  "Of a host channel adapter: 1, the hypervisor of the machine, or 2, "
	  "that of a partition",
	  0 },
	{ "guests", OPTION_GUESTS, "VM=VM[-VM],...", 0,
	  "The first VM has a partition, in which level 2 runs these guests, "
	  "such as vm1=vm2-vm65. May be repeated",
	  0 },
	{ "partition", OPTION_PARTITION, "N", 0,
	  "With --level 2: the partition, 1 to 30", 0 },
	{ "vm", OPTION_VM, "VM", 0,
	  "With --level 2: the VM that has the partition, such as vm1", 0 },
	{ "no-schedule", OPTION_NO_SCHEDULE, NULL, 0,
	  "Let all VMs run freely (default)", 0 },
	{ 0 },
};

/* A successor must be able to look after the hypervisor at any time. */
static void check_options(const struct hvmon *hv, struct argp_state *state)
{
	const struct schedule_table *table = &hv->schedule.table;
	unsigned i;

	if (hv->level == 2 ? !hv->partition || !hv->vm
			   : hv->partition || hv->vm)
		argp_error(state, "--partition and --vm go with --level 2, "
				  "which needs both");
	for (i = 0; i < table->n; i++)
		if (successors_has(&hv->successors, table->row[i].vm))
			argp_error(state,
				   "--schedule: vm%u is a successor, which "
				   "always runs",
				   table->row[i].vm);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct hvmon *hv = &self.hv;
	struct complaint c;
	uint64_t n;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &self.options;
		return 0;
	case OPTION_VF:
		if (vf_allocations_add_text(&hv->allocations, arg, &c))
			argp_error(state, "--vf %s", c.text);
		return 0;
	case OPTION_DEVICE:
		if (connections_add_text(hv, arg, &c))
			argp_error(state, "--device %s", c.text);
		return 0;
	case OPTION_MAX_VFS:
		if (units_number(arg, 0, FUNCTION_VF_MAX, &n, &c))
			argp_error(state, "--max-vfs: %s", c.text);
		hv->max_vfs = (unsigned)n;
		return 0;
	case OPTION_SCHEDULE:
		if (schedule_parse(&hv->schedule.table, arg, &c))
			argp_error(state, "--schedule: %s", c.text);
		return 0;
	case OPTION_STANDBY_SHARE:
		if (vm_share_parse(&hv->shares, arg, &c))
			argp_error(state, "--standby-share: %s", c.text);
		return 0;
	case OPTION_MANAGEMENT:
		if (management_add_text(&hv->managements, arg, &c))
			argp_error(state, "--management: %s", c.text);
		return 0;
	case OPTION_HEARTBEAT:
		if (heartbeat_parse(&hv->heartbeat, arg, &c))
			argp_error(state, "--heartbeat: %s", c.text);
		return 0;
	case OPTION_SUCCESSOR:
		if (successors_parse(&hv->successors, arg, &c))
			argp_error(state, "--successor: %s", c.text);
		return 0;
	case OPTION_LINK_SYNC:
		hv->successors.mirror = !strcmp(arg, "mirror");
		if (!hv->successors.mirror && strcmp(arg, "rebuild"))
			argp_error(state,
				   "--link-sync: rebuild or mirror, not '%s'",
				   arg);
		return 0;
	case OPTION_TRANSLATION:
		if (translation_rule_parse(&hv->translations, arg, &c))
			argp_error(state, "--translation: %s", c.text);
		return 0;
	case OPTION_REVOKE_LIMIT:
		if (units_duration(arg, &hv->translations.limit_ns, &c))
			argp_error(state, "--revoke-limit: %s", c.text);
		return 0;
	case OPTION_LEVEL:
		if (units_number(arg, 1, 2, &n, &c))
			argp_error(state, "--level: %s", c.text);
		hv->level = (unsigned)n;
		return 0;
	case OPTION_GUESTS:
		if (guests_parse(&hv->guests, arg, &c))
			argp_error(state, "--guests: %s", c.text);
		return 0;
	case OPTION_PARTITION:
		if (level2_parse(hv, arg, &c))
			argp_error(state, "--partition: %s", c.text);
		return 0;
	case OPTION_VM:
		if (vm_parse(arg, &hv->vm, &c))
			argp_error(state, "--vm: %s", c.text);
		return 0;
	case ARGP_KEY_END:
		check_options(hv, state);
		return 0;
	case OPTION_NO_SCHEDULE:
		schedule_table_fini(&hv->schedule.table);
		return 0;
	case OPTION_DRAIN_LIMIT:
		if (units_duration(arg, &hv->drain_limit_ns, &c))
			argp_error(state, "--drain-limit: %s", c.text);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "there is nothing to do with '%s'", arg);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ &program_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.doc = "The hypervisor of a machine: enumerates the bus, enables VFs, "
	       "gives them to VMs and emulates their config spaces.",
	.children = children,
};

int main(int argc, char **argv)
{
	struct complaint c = { "" };
	struct program *program = &self.program;
	int status, err;

	self.options = (struct program_options)PROGRAM_OPTIONS_INIT;
	hvmon_init(&self.hv, program);
	program_argp_desc = &desc;
	argp_program_version_hook = program_version_hook;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);

	fd_limit_raise(NULL);
	status = program_start(program, &desc, &self.options);
	if (!status) {
		err = hvmon_start(&self.hv, &c);
		if (err)
			hvmon_stop(&self.hv, program_status_of(err), "%s",
				   c.text);
		status = program_run(program);
		if (!status && !program->is_ready)
			hvmon_tell_missing(&self.hv, stderr);
	}
	hvmon_fini(&self.hv);
	status = program_fini(program);
	program_print_cause(program, false);
	return status;
}
