/* tables.c - the tables that bmc shows. */
#include <config.h>

#include <stdatomic.h>
#include <stdio.h>

#include "cmd/bmc/bmc.h"
#include "libcore/platform.h"
#include "libcore/state_area.h"

static const struct control_column process_columns[] = {
	{ "name", "NAME" },
	{ "program", "PROGRAM" },
	{ "pid", "PID" },
	{ "state", "STATE" },
	{ "restarts", "RESTARTS" },
	{ "reasons", "STOPPED FOR" },
	{ "ready", "READY" },
	{ "status", "LAST STATUS" },
	{ NULL },
};

static json_t *state_row(const char *of, uint32_t vm, uint64_t heartbeat,
			 uint32_t pid, uint32_t period_us)
{
	return json_pack("{s:s, s:I, s:o, s:o, s:o}", "of", of, "heartbeat",
			 (json_int_t)heartbeat, "pid",
			 pid ? json_integer(pid) : json_null(), "vm",
			 json_sprintf("vm%u", vm), "period_us",
			 period_us ? json_integer(period_us) : json_null());
}

static json_t *rows_state(void *arg)
{
	struct bmc *b = arg;
	struct state_area *area = b->program.state;
	struct state_successor *s;
	json_t *rows = json_array();
	char name[32];
	unsigned i;

	json_array_append_new(rows,
			      state_row("hypervisor", PLATFORM_HYPERVISOR,
					atomic_load(&area->heartbeat),
					atomic_load(&area->hypervisor),
					atomic_load(&area->heartbeat_us)));
	for (i = 0; i < STATE_SUCCESSORS; i++) {
		s = &area->successor[i];
		if (!atomic_load(&s->pid))
			continue;
		snprintf(name, sizeof(name), "successor %u", i + 1);
		json_array_append_new(rows,
				      state_row(name, atomic_load(&s->vm),
						atomic_load(&s->heartbeat),
						atomic_load(&s->pid), 0));
	}
	return rows;
}

static const struct control_column state_columns[] = {
	{ "of", "OF" },
	{ "vm", "VM" },
	{ "pid", "PID" },
	{ "heartbeat", "HEARTBEAT" },
	{ "period_us", "PERIOD us" },
	{ NULL },
};

static const struct control_table tables[] = {
	{ "processes", "the machine's programs", process_columns,
	  bmc_processes },
	{ "state", "hypervisor state area (fig. 6)", state_columns,
	  rows_state },
	{ NULL },
};

void bmc_add_tables(struct bmc *b)
{
	control_add_tables(b->program.control, tables, b);
}
