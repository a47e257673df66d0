/* level2_tables.c - what `iovctl show` prints of level 2, and its methods. */
#include <config.h>

#include <stdio.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "libcore/control.h"

static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

static json_t *vm_name(const struct level2 *l, uint32_t guest)
{
	return guest < l->n_guests ? json_sprintf("vm%u", l->guest[guest].vm)
				   : json_null();
}

static json_t *eq_json(const struct level2 *l, uint64_t geqcb)
{
	return geqcb ? hex(level2_eq_number_of(l, geqcb)) : json_null();
}

static json_t *rows_geqa(void *arg)
{
	const struct level2 *l = ((struct hvmon *)arg)->level2;
	json_t *rows = json_array();
	const struct level2_cq *cq;
	struct demux_geqa *geqa;
	uint32_t i;

	for (i = 0; l && l->up && i < l->tables.geqa_n; i++) {
		cq = &l->rows.cq[i];
		geqa = &l->tables.geqa[i];
		if (cq->use != LEVEL2_READY)
			continue;
		json_array_append_new(
			rows,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "vm",
				  vm_name(l, cq->guest), "geqa",
				  hex(demux_handle(i, geqa->generation)), "cq",
				  hex(cq->handle), "token", hex(geqa->token),
				  "eq", eq_json(l, geqa->geqcb), "last",
				  (json_int_t)geqa->last));
	}
	return rows;
}

static const char *error_name(enum demux_error error)
{
	static const char *const names[DEMUX_ERROR_N] = {
		[DEMUX_NO_ERROR] = "",
		[DEMUX_OVERFLOW] = "overflow",
		[DEMUX_BAD_ADDRESS] = "bad address",
		[DEMUX_BAD_GISA] = "bad GISA",
		[DEMUX_BAD_ENTRY] = "bad entry",
	};

	return error < DEMUX_ERROR_N ? names[error] : "?";
}

static const char *state_name(enum hca_state state)
{
	static const char *const names[HCA_STATE_N] = {
		[HCA_STOPPED] = "stopped",
		[HCA_RUNNING] = "running",
		[HCA_ERROR] = "error",
	};

	return state < HCA_STATE_N ? names[state] : "?";
}

static json_t *rows_geqcb(void *arg)
{
	const struct level2 *l = ((struct hvmon *)arg)->level2;
	json_t *rows = json_array();
	const struct level2_eq *eq;
	struct demux_geqcb *geqcb;
	uint32_t i;

	for (i = 0; l && l->up && i < l->tables.geqcb_n; i++) {
		eq = &l->rows.eq[i];
		geqcb = &l->tables.geqcb[i];
		if (eq->use != LEVEL2_READY)
			continue;
		json_array_append_new(
			rows,
			json_pack(
				"{s:o, s:o, s:s, s:s, s:o, s:i, s:o, s:i, "
				"s:I, s:i}",
				"vm", vm_name(l, eq->guest), "eq",
				hex(level2_eq_number(l, i)), "state",
				state_name(demux_state(geqcb->state)), "error",
				error_name(demux_error(geqcb->state)), "base",
				hex(eq->base), "entries", (int)eq->entries,
				"asb", hex(eq->asb), "isc", (int)eq->isc,
				"taken",
				(json_int_t)(geqcb->next >> DEMUX_NUMBER_SHIFT),
				"refs", (int)eq->refs));
	}
	return rows;
}

static json_t *rows_gisa(void *arg)
{
	const struct level2 *l = ((struct hvmon *)arg)->level2;
	json_t *rows = json_array();
	const struct level2_guest *guest;
	struct demux_gisa *gisa;
	unsigned i;

	for (i = 0; l && l->up && i < l->n_guests; i++) {
		guest = &l->guest[i];
		gisa = &l->tables.gisa[i];
		json_array_append_new(
			rows,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}",
				  "vm", vm_name(l, i), "gisa",
				  hex(guest->row->gisa), "enabled",
				  hex(gisa->enabled), "pending",
				  hex(gisa->pending), "alert", hex(gisa->alert),
				  "iova", hex(guest->iova), "verbs",
				  (json_int_t)guest->verbs, "bad_doorbells",
				  (json_int_t)guest->bad_bells));
	}
	return rows;
}

static json_t *rows_summary(void *arg)
{
	const struct level2 *l = ((struct hvmon *)arg)->level2;
	json_t *rows = json_array();

	if (!l || !l->up)
		return rows;
	json_array_append_new(
		rows,
		json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "partition",
			  (int)l->partition, "guests", (int)l->n_guests,
			  "intercepted", (json_int_t)l->intercepted, "events",
			  (json_int_t)l->events, "forwarded",
			  (json_int_t)l->forwarded, "dropped",
			  (json_int_t)l->dropped, "alerts",
			  (json_int_t)l->alerts));
	return rows;
}

static const struct control_column geqa_columns[] = {
	{ "vm", "VM" }, { "geqa", "GEQA" },
	{ "cq", "CQ" }, { "token", "TOKEN" },
	{ "eq", "EQ" }, { "last", "LAST" },
	{ NULL },
};

static const struct control_column geqcb_columns[] = {
	{ "vm", "VM" },       { "eq", "EQ" },     { "state", "STATE" },
	{ "error", "ERROR" }, { "base", "BASE" }, { "entries", "ENTRIES" },
	{ "asb", "ASB" },     { "isc", "ISC" },   { "taken", "TAKEN" },
	{ "refs", "REFS" },   { NULL },
};

static const struct control_column gisa_columns[] = {
	{ "vm", "VM" },
	{ "gisa", "GISA" },
	{ "enabled", "ENABLED" },
	{ "pending", "PENDING" },
	{ "alert", "ALERT" },
	{ "iova", "IOVA" },
	{ "verbs", "VERBS" },
	{ "bad_doorbells", "BAD BELLS" },
	{ NULL },
};

static const struct control_column summary_columns[] = {
	{ "partition", "PARTITION" },     { "guests", "GUESTS" },
	{ "intercepted", "INTERCEPTED" }, { "events", "EVENTS" },
	{ "forwarded", "FORWARDED" },     { "dropped", "DROPPED" },
	{ "alerts", "ALERTS" },           { NULL },
};

static const struct control_table tables[] = {
	{ "geqa", "one for each CQ of a guest (spec 04)", geqa_columns,
	  rows_geqa },
	{ "geqcb", "one for each EQ of a guest", geqcb_columns, rows_geqcb },
	{ "gisa", "interrupts of each guest", gisa_columns, rows_gisa },
	{ "summary", "what the partition's hypervisor did", summary_columns,
	  rows_summary },
	{ NULL },
};

/* "sleep": as if the guest did not run; the next event wakes it (1716). */
static void sleep_method(void *arg, struct control_call *call, json_t *params)
{
	struct hvmon *hv = arg;
	struct level2_guest *guest = NULL;
	struct complaint c;
	uint32_t vm;

	if (vm_from_json(json_object_get(params, "vm"), &vm, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	if (hv->level2 && hv->level2->up)
		guest = level2_guest_of(hv->level2, vm);
	if (!guest) {
		control_fail(call, RPC_MISSING, "vm%u is no guest", vm);
		return;
	}
	level2_guest_sleep(guest);
	control_reply(call, NULL);
}

static const struct control_param vm_params[] = {
	{ "vm", 'o', false, "VM, such as vm2" },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "sleep", "leave a guest alone until it is alerted for", sleep_method,
	  vm_params },
	{ NULL },
};

void level2_tables_add(struct hvmon *hv)
{
	control_add_methods(hv->program->control, methods, hv);
	control_add_tables(hv->program->control, tables, hv);
}
