/* show.c - the commands show and ps: tables joined over all programs. */
#include <config.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovctl/client.h"
#include "cmd/iovctl/event_files.h"
#include "cmd/iovctl/show.h"
#include "cmd/iovctl/table.h"
#include "libcore/loop.h"
#include "libcore/pid_state.h"

static const json_t *result_of(const struct client *client)
{
	return json_object_get(client->reply, "result");
}

/* Somebody has the table, and who does not answer is stopped, and not for its
 * turn: its rows, if it has any, cannot come. */
static bool suffices(const struct client *clients, unsigned n)
{
	bool some = false;
	unsigned i;

	for (i = 0; i < n; i++) {
		some |= result_of(&clients[i]) != NULL;
		if (client_is_waiting(&clients[i]) &&
		    (clients[i].takes_turns || !pid_is_stopped(clients[i].pid)))
			return false;
	}
	return some;
}

/* The row whose `key` is that; NULL: none. */
static json_t *find_row(const json_t *rows, const char *key, const char *name)
{
	const char *text;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		text = json_string_value(json_object_get(row, key));
		if (text && !strcmp(text, name))
			return row;
	}
	return NULL;
}

/* Nothing else than the VM schedule stops it, or nothing at the moment. */
static bool takes_turns(const json_t *process)
{
	const json_t *reasons = json_object_get(process, "reasons");
	const char *text;
	json_t *reason;
	size_t i;

	json_array_foreach (reasons, i, reason) {
		text = json_string_value(reason);
		if (!text || strcmp(text, "schedule"))
			return false;
	}
	return process;
}

/* Mark those who have not answered as they wait for their turn. */
static void mark_turns(struct iovctl *ctl, struct clients *all)
{
	json_t *table, *rows;
	struct client *c;

	if (call(ctl, "bmc", "show", json_pack("{s:s}", "table", "processes"),
		 &table)) {
		ctl->cause.text[0] = '\0';
		return;
	}
	rows = json_object_get(table, "rows");
	for (c = all->client; c < all->client + all->n; c++)
		c->takes_turns = client_is_waiting(c) &&
				 takes_turns(find_row(rows, "name", c->name));
	json_decref(table);
}

/* Whether the bmc has answered and another one has not. */
static bool bmc_knows_why(const struct clients *all)
{
	bool bmc = false, others = false;
	unsigned i;

	for (i = 0; i < all->n; i++)
		if (client_is_waiting(&all->client[i]))
			others = true;
		else if (!strcmp(all->client[i].name, "bmc"))
			bmc = true;
	return bmc && others;
}

static void ask_all(struct iovctl *ctl, struct clients *all)
{
	uint64_t deadline_ns = clock_now_ns() + iovctl_answer_timeout(ctl);

	clients_run(ctl, all->client, all->n, deadline_ns, suffices);
	if (!bmc_knows_why(all))
		return;
	mark_turns(ctl, all);
	clients_run(ctl, all->client, all->n, deadline_ns, suffices);
}

static bool has_rows(const json_t *result)
{
	return json_array_size(json_object_get(result, "rows"));
}

static bool has_column(const json_t *columns, const json_t *column)
{
	const json_t *name = json_object_get(column, "name");
	json_t *other;
	size_t i;

	json_array_foreach (columns, i, other)
		if (json_equal(json_object_get(other, "name"), name))
			return true;
	return false;
}

/* Add one program's columns and rows; src tells them apart. */
static void join_one(const json_t *result, const char *src, json_t *columns,
		     json_t *rows)
{
	json_t *column, *row;
	size_t i;

	json_array_foreach (json_object_get(result, "columns"), i, column)
		if (!has_column(columns, column))
			json_array_append(columns, column);
	json_array_foreach (json_object_get(result, "rows"), i, row) {
		json_object_set_new(row, "src", json_string(src));
		json_array_append(rows, row);
	}
}

static unsigned count_owners(const struct clients *all, bool with_rows)
{
	const json_t *result;
	unsigned i, n = 0;

	for (i = 0; i < all->n; i++) {
		result = result_of(&all->client[i]);
		n += result && (!with_rows || has_rows(result));
	}
	return n;
}

/* Columns and rows of all that have the table, and rows in it if anybody has; a
 * column "src" when several have the table. */
static json_t *join(const struct clients *all, const char *table)
{
	json_t *columns = json_array(), *rows = json_array();
	bool with_rows = count_owners(all, true);
	const json_t *result;
	unsigned i;

	if (count_owners(all, false) > 1)
		table_column(columns, "src", "SRC");
	for (i = 0; i < all->n; i++) {
		result = result_of(&all->client[i]);
		if (result && (!with_rows || has_rows(result)))
			join_one(result, all->client[i].name, columns, rows);
	}
	return json_pack("{s:s, s:o, s:o}", "table", table, "columns", columns,
			 "rows", rows);
}

/* Who did not answer: a reason to fail when nobody has the table. */
static int nobody_has(struct iovctl *ctl, const struct clients *all,
		      const char *table)
{
	unsigned i;

	for (i = 0; i < all->n; i++)
		if (client_is_waiting(&all->client[i]))
			return client_result(ctl, &all->client[i], NULL);
	if (!all->n)
		return fail(ctl, STATUS_MISSING, "no program runs");
	return fail(ctl, STATUS_USAGE, "no program has a table '%s'", table);
}

int fetch_table(struct iovctl *ctl, const char *table, bool quiet,
		json_t **joined)
{
	struct clients all;
	unsigned i, n_owners;
	int status;

	status = clients_init_all(ctl, &all, "show",
				  json_pack("{s:s}", "table", table));
	if (status)
		return status;
	ask_all(ctl, &all);
	n_owners = count_owners(&all, false);
	if (n_owners)
		*joined = join(&all, table);
	else
		status = nobody_has(ctl, &all, table);
	for (i = 0; i < all.n && n_owners && !quiet; i++)
		if (client_is_waiting(&all.client[i]))
			warn(ctl,
			     pid_is_stopped(all.client[i].pid)
				     ? "%s is stopped: rows of its are left out"
				     : "%s does not answer (frozen?)",
			     all.client[i].name);
	clients_fini(&all);
	return status;
}

/* The row of a table, added when it is new. */
static json_t *table_row(json_t *rows, const char *name, json_t *what)
{
	json_t *row = find_row(rows, "table", name);

	if (row)
		return row;
	row = json_pack("{s:s, s:[], s:O?}", "table", name, "programs", "what",
			what);
	json_array_append_new(rows, row);
	return row;
}

/* Add who has which table. */
static void add_tables(json_t *rows, const struct client *client)
{
	json_t *table, *row;
	const char *name;
	size_t i;

	json_array_foreach (result_of(client), i, table) {
		name = json_string_value(json_object_get(table, "name"));
		if (!name)
			continue;
		row = table_row(rows, name, json_object_get(table, "what"));
		json_array_append_new(json_object_get(row, "programs"),
				      json_string(client->name));
	}
}

int fetch_table_list(struct iovctl *ctl, json_t **rows)
{
	struct clients all;
	unsigned i;
	int status;

	status = clients_init_all(ctl, &all, "tables", NULL);
	if (status)
		return status;
	ask_all(ctl, &all);
	*rows = json_array();
	for (i = 0; i < all.n; i++)
		add_tables(*rows, &all.client[i]);
	clients_fini(&all);
	return STATUS_OK;
}

static int list_tables(struct iovctl *ctl)
{
	json_t *columns, *rows;
	int status;

	status = fetch_table_list(ctl, &rows);
	if (status)
		return status;
	if (ctl->json) {
		print_json(rows);
	} else {
		columns = json_array();
		table_column(columns, "table", "TABLE");
		table_column(columns, "programs", "PROGRAMS");
		table_column(columns, "what", "WHAT");
		table_print(columns, rows);
		json_decref(columns);
	}
	json_decref(rows);
	return STATUS_OK;
}

static int do_show(struct iovctl *ctl)
{
	json_t *joined;
	int status;

	if (!ctl->n_args)
		return list_tables(ctl);
	status = fetch_table(ctl, ctl->args[0], false, &joined);
	if (status)
		return status;
	if (ctl->json)
		print_json(joined);
	else
		table_print(json_object_get(joined, "columns"),
			    json_object_get(joined, "rows"));
	json_decref(joined);
	return STATUS_OK;
}

/* ps */

/* bmc's word for a stop that is not its own is a reason too: "other". */
static bool is_for_a_reason(const json_t *reasons)
{
	const char *text;
	json_t *reason;
	size_t i;

	json_array_foreach (reasons, i, reason) {
		text = json_string_value(reason);
		if (text && !strcmp(text, "other"))
			return false;
	}
	return json_array_size(reasons);
}

static const char *state_of(const struct client *client, const json_t *reasons)
{
	if (pid_is_stopped(client->pid))
		return is_for_a_reason(reasons) ? "stopped" : "frozen";
	return client_is_waiting(client) ? "silent" : "running";
}

/* One that does not answer is called after its program. */
static json_t *role_of(const struct client *client)
{
	json_t *role = json_object_get(result_of(client), "role");
	char path[64], text[64] = "";
	FILE *file;

	if (role)
		return json_incref(role);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)client->pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(text, sizeof(text), file))
			text[strcspn(text, "\n")] = '\0';
		fclose(file);
	}
	return text[0] ? json_string(text) : json_null();
}

static json_t *program_row(const struct iovctl *ctl,
			   const struct client *client, const json_t *processes)
{
	const json_t *status = result_of(client);
	const json_t *process = find_row(processes, "name", client->name);
	const json_t *reasons = json_object_get(process, "reasons");
	json_t *row, *last;

	last = event_files_last(&ctl->machine, client->name);
	row = json_pack(
		"{s:s, s:o, s:i, s:s, s:O?, s:O?, s:O?, s:O?, s:O?}", "name",
		client->name, "role", role_of(client), "pid", (int)client->pid,
		"state", state_of(client, reasons), "reasons", reasons, "ready",
		json_object_get(status, "ready"), "incarnation",
		json_object_get(last, "inc"), "event",
		json_object_get(last, "n"), "ev", json_object_get(last, "ev"));
	if (json_object_get(status, "epoch"))
		json_object_set(row, "epoch", json_object_get(status, "epoch"));
	json_decref(last);
	return row;
}

/* Programs without a control socket, and those that ended. */
static void add_processes(json_t *rows, const json_t *processes)
{
	const char *name;
	json_t *process;
	size_t i;

	json_array_foreach (processes, i, process) {
		name = json_string_value(json_object_get(process, "name"));
		if (!name || find_row(rows, "name", name))
			continue;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:O?, s:O?, s:O?, s:O?, s:O?}", "name",
				  name, "role",
				  json_object_get(process, "program"), "pid",
				  json_object_get(process, "pid"), "state",
				  json_object_get(process, "state"), "reasons",
				  json_object_get(process, "reasons"), "ready",
				  json_object_get(process, "ready")));
	}
}

int fetch_programs(struct iovctl *ctl, json_t **rows)
{
	json_t *table = NULL, *processes = NULL;
	struct clients all;
	unsigned i;
	int status;

	status = clients_init_all(ctl, &all, "status", NULL);
	if (status)
		return status;
	clients_run(ctl, all.client, all.n,
		    clock_now_ns() + iovctl_answer_timeout(ctl),
		    clients_rest_is_stopped);
	for (i = 0; i < all.n; i++) {
		const char *role = json_string_value(
			json_object_get(result_of(&all.client[i]), "role"));

		if (role && !strcmp(role, "bmc") &&
		    !call(ctl, all.client[i].name, "show",
			  json_pack("{s:s}", "table", "processes"), &table))
			processes = json_object_get(table, "rows");
	}
	*rows = json_array();
	for (i = 0; i < all.n; i++)
		if (all.client[i].pid)
			json_array_append_new(
				*rows,
				program_row(ctl, &all.client[i], processes));
	add_processes(*rows, processes);
	json_decref(table);
	clients_fini(&all);
	return STATUS_OK;
}

static void print_programs(const json_t *rows)
{
	static const struct {
		const char *name, *title;
	} all[] = {
		{ "name", "NAME" },   { "role", "ROLE" },
		{ "pid", "PID" },     { "state", "STATE" },
		{ "reasons", "FOR" }, { "epoch", "EPOCH" },
		{ "event", "EVENT" }, { "ev", "LAST" },
	};
	json_t *columns = json_array(), *row;
	bool has_epoch = false;
	size_t i;

	json_array_foreach (rows, i, row)
		has_epoch |= json_object_get(row, "epoch") != NULL;
	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (has_epoch || strcmp(all[i].name, "epoch"))
			table_column(columns, all[i].name, all[i].title);
	table_print(columns, rows);
	json_decref(columns);
}

static int do_ps(struct iovctl *ctl)
{
	json_t *rows;
	int status;

	status = fetch_programs(ctl, &rows);
	if (status)
		return status;
	if (ctl->json)
		print_json(rows);
	else
		print_programs(rows);
	json_decref(rows);
	return STATUS_OK;
}

const struct command show_commands[] = {
	{ .name = "show",
	  .usage = "[TABLE]",
	  .what = "show a table, joined over all programs",
	  .help = "Without TABLE the tables are listed. A column SRC names the "
		  "program when several have the table.",
	  .max_args = 1,
	  .fn = do_show },
	{ .name = "ps",
	  .usage = "",
	  .what = "who runs: role, pid, state, stop reasons, last event",
	  .help = "STATE is running; stopped, for the reasons that bmc knows; "
		  "frozen, when somebody else stopped it; silent, when it "
		  "does not answer; or what bmc says of one that ended.",
	  .fn = do_ps },
	{ NULL },
};
