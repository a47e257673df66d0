/* schedule_table.c - the VM schedule table, and whose turn is next. */
#include <config.h>

#include "cmd/hvmon/schedule_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/vf_allocation.h"
#include "libcore/units.h"

void schedule_table_init(struct schedule_table *table)
{
	memset(table, 0, sizeof(*table));
}

void schedule_table_fini(struct schedule_table *table)
{
	free(table->row);
	schedule_table_init(table);
}

struct schedule_row *schedule_find(struct schedule_table *table, uint32_t vm)
{
	uint32_t likely = vm - 1; /* without a schedule they come in order */
	unsigned i;

	if (likely < table->n && table->row[likely].vm == vm)
		return &table->row[likely];
	for (i = 0; i < table->n; i++)
		if (table->row[i].vm == vm)
			return &table->row[i];
	return NULL;
}

struct schedule_row *schedule_get(struct schedule_table *table, uint32_t vm)
{
	struct schedule_row *row = schedule_find(table, vm);

	if (row)
		return row;
	row = reallocarray(table->row, table->n + 1, sizeof(*row));
	if (!row)
		abort();
	table->row = row;
	row = &table->row[table->n++];
	*row = (struct schedule_row){ .vm = vm, .executable = true };
	/* The first turn is the first row's. */
	if (!table->row[table->at].slices)
		table->at = table->n - 1;
	return row;
}

struct schedule_row *schedule_executing(struct schedule_table *table)
{
	unsigned i;

	for (i = 0; i < table->n; i++)
		if (table->row[i].executing)
			return &table->row[i];
	return NULL;
}

bool schedule_is_on(const struct schedule_table *table)
{
	unsigned i;

	for (i = 0; i < table->n; i++)
		if (table->row[i].time_ns)
			return true;
	return false;
}

bool schedule_may_run(const struct schedule_row *row)
{
	return row->time_ns && row->executable && !row->resets &&
	       row->present && !row->urgent;
}

struct schedule_row *schedule_next(struct schedule_table *table)
{
	struct schedule_row *row;
	unsigned i;

	for (i = 1; i <= table->n; i++) {
		row = &table->row[(table->at + i) % table->n];
		if (schedule_may_run(row))
			return row;
	}
	return NULL;
}

void schedule_turn(struct schedule_table *table, struct schedule_row *row)
{
	row->executing = true;
	row->slices++;
	table->at = (unsigned)(row - table->row);
}

int schedule_time_parse(const char *text, uint64_t *ns, struct complaint *c)
{
	uint64_t time;
	int err = units_duration(text, &time, c);

	if (err)
		return complain_at(c, err, "running time");
	if (time &&
	    (time < SCHEDULE_TIME_MIN_NS || time > SCHEDULE_TIME_MAX_NS))
		return complain(c, ERANGE,
				"running time '%s' is not from 100us to 10s",
				text);
	*ns = time;
	return 0;
}

/* One "vm1=10ms". */
static int parse_one(char *text, uint32_t *vm, uint64_t *ns,
		     struct complaint *c)
{
	char *equals = strchr(text, '=');
	int err;

	if (!equals)
		return complain(c, EINVAL, "'%s' is not VM=TIME", text);
	*equals = '\0';
	err = vm_parse(text, vm, c);
	return err ? err : schedule_time_parse(equals + 1, ns, c);
}

int schedule_parse(struct schedule_table *table, const char *text,
		   struct complaint *c)
{
	char *copy = strdup(text), *rest = copy, *word;
	struct schedule_table more;
	struct schedule_row *row;
	uint32_t vm = 0;
	uint64_t ns = 0;
	unsigned i;
	int err = 0;

	if (!copy)
		return complain(c, ENOMEM, "out of memory");
	schedule_table_init(&more);
	while (!err && (word = strsep(&rest, ","))) {
		err = parse_one(word, &vm, &ns, c);
		if (!err &&
		    (schedule_find(&more, vm) || schedule_find(table, vm)))
			err = complain(c, EINVAL, "vm%u is named twice", vm);
		if (!err)
			schedule_get(&more, vm)->time_ns = ns;
	}
	for (i = 0; !err && i < more.n; i++) {
		row = schedule_get(table, more.row[i].vm);
		row->time_ns = more.row[i].time_ns;
	}
	schedule_table_fini(&more);
	free(copy);
	return err;
}
