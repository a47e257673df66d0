/* successor_report.c - a successor's tables: what it does, and 130A. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/successor.h"
#include "libcore/units.h"

static const char *const state_names[] = {
	[SUCCESSOR_UNLISTED] = "unlisted", [SUCCESSOR_WATCHING] = "watching",
	[SUCCESSOR_TAKEOVER] = "takeover", [SUCCESSOR_OWNER] = "owner",
	[SUCCESSOR_RETURN] = "return",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == SUCCESSOR_STATE_N,
	       "one name a state");

static const char *const detect_names[] = {
	[DETECT_EXIT] = "exit",
	[DETECT_HEARTBEAT] = "heartbeat",
	[DETECT_BOTH] = "both",
};

static json_t *successor_rows(void *arg)
{
	const struct guest *g = arg;
	const struct successor *s = g->successor;
	json_t *rows = json_array();
	char limit[32];

	if (!s)
		return rows;
	json_array_append_new(
		rows,
		json_pack("{s:i, s:i, s:s, s:s, s:s, s:i, s:I, s:i}", "order",
			  (int)g->options.successor, "vm", (int)g->options.vm,
			  "state", state_names[s->state], "detect",
			  detect_names[g->options.detect], "limit",
			  units_format_duration(limit, sizeof(limit),
						g->options.heartbeat_limit_ns),
			  "hypervisor", (int)s->monitor.hypervisor.pid,
			  "silent_ns",
			  (json_int_t)s->monitor.hypervisor.beat.stale_ns,
			  "takeovers", (int)s->takeovers));
	return rows;
}

static json_t *rate(const struct link_values *values, uint64_t bps)
{
	char text[32];

	if (!values->up && !bps)
		return json_string("-");
	if (!bps)
		return json_string("unlimited");
	return json_string(units_format_bitrate(text, sizeof(text), bps));
}

static json_t *link_row(const struct sub_pf *pf, unsigned n)
{
	struct function_name name = { .vf = n };
	const struct link_state *link = &pf->vf[n].link;
	char text[FUNCTION_NAME_MAX], vm[16] = "";

	strlcpy(name.device, pf->name, sizeof(name.device));
	if (link->vm != PLATFORM_VM_NONE)
		snprintf(vm, sizeof(vm), "vm%u", link->vm);
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "function",
		function_name_format(text, sizeof(text), &name), "vm", vm,
		"physical", link->physical.up ? "up" : "down", "physical_max",
		rate(&link->physical, link->physical.max), "physical_allocated",
		rate(&link->physical, link->physical.allocated), "notified",
		link->notified.up ? "up" : "down", "notified_max",
		rate(&link->notified, link->notified.max), "notified_allocated",
		rate(&link->notified, link->notified.allocated));
}

static json_t *successor_link_rows(void *arg)
{
	const struct guest *g = arg;
	const struct successor *s = g->successor;
	json_t *rows = json_array();
	const struct sub_pf *pf;
	unsigned n;

	for (pf = s ? s->pf : NULL; s && pf < s->pf + s->n_pfs; pf++)
		for (n = 1; pf->owned && n <= pf->num_vfs; n++)
			if (pf->vf[n].bdf)
				json_array_append_new(rows, link_row(pf, n));
	return rows;
}

static const struct control_column successor_columns[] = {
	{ "order", "ORDER" },
	{ "vm", "VM" },
	{ "state", "STATE" },
	{ "detect", "DETECT" },
	{ "limit", "LIMIT" },
	{ "hypervisor", "HYPERVISOR" },
	{ "silent_ns", "SILENT" },
	{ "takeovers", "TAKEOVERS" },
	{ NULL, NULL },
};

static const struct control_column successor_link_columns[] = {
	{ "function", "FUNCTION" },
	{ "vm", "VM" },
	{ "physical", "PHYSICAL" },
	{ "physical_max", "MAX" },
	{ "physical_allocated", "ALLOCATED" },
	{ "notified", "NOTIFIED" },
	{ "notified_max", "MAX" },
	{ "notified_allocated", "ALLOCATED" },
	{ NULL, NULL },
};

const struct control_table successor_tables[] = {
	{ "successor", "a guest that takes the hypervisor's place",
	  successor_columns, successor_rows },
	{ "successor-link", "link states of PFs that a successor took (130A)",
	  successor_link_columns, successor_link_rows },
	{ NULL, NULL, NULL, NULL },
};
