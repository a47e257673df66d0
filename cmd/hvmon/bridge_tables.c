/* bridge_tables.c - reading the root bridge's tables. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"

/* Rows that may have come between reading the counts and reading the rows. */
#define TABLE_SLACK 8u

struct table_reader {
	struct procedure p;
	struct bridge_tables read;
	struct bridge_tables *into;
};

static int read_counts(struct procedure *p)
{
	struct table_reader *reader = (struct table_reader *)p;

	step_sup_read(p, SUP_INFO, &reader->read.info,
		      sizeof(reader->read.info));
	return STEP_NEXT;
}

/* Room for n rows and the slack, and the request that fills it. */
static void *read_array(struct procedure *p, enum sup_kind kind, uint32_t *n,
			size_t size)
{
	void *array;

	if (*n > VFU_MAX_DATA / size - TABLE_SLACK)
		*n = VFU_MAX_DATA / size - TABLE_SLACK;
	*n += TABLE_SLACK;
	array = calloc(*n, size);
	if (!array)
		abort();
	step_sup_read(p, kind, array, *n * size);
	return array;
}

static int read_arrays(struct procedure *p)
{
	struct bridge_tables *t = &((struct table_reader *)p)->read;

	if (t->info.magic != SUP_MAGIC || t->info.version != SUP_VERSION) {
		hvmon_stop(p->hv, STATUS_DATA,
			   "the root bridge's supervisor interface is not "
			   "version %u",
			   SUP_VERSION);
		return STEP_DONE;
	}
	t->n_functions = t->info.n_functions;
	t->n_vms = t->info.n_vms;
	t->n_rows = t->info.n_rows;
	t->n_routes = t->info.n_routes;
	t->functions = read_array(p, SUP_FUNCTIONS, &t->n_functions,
				  sizeof(*t->functions));
	t->vms = read_array(p, SUP_VMS, &t->n_vms, sizeof(*t->vms));
	t->rows = read_array(p, SUP_ROWS, &t->n_rows, sizeof(*t->rows));
	t->routes = read_array(p, SUP_ROUTES, &t->n_routes, sizeof(*t->routes));
	t->n_windows = t->info.n_functions;
	t->windows =
		read_array(p, SUP_WINDOWS, &t->n_windows, sizeof(*t->windows));
	return STEP_NEXT;
}

/* Arrays end at the first zero row. */
static int count_rows(struct procedure *p)
{
	struct table_reader *reader = (struct table_reader *)p;
	struct bridge_tables *t = &reader->read;
	unsigned n;

	for (n = 0; n < t->n_functions && t->functions[n].name[0]; n++)
		t->functions[n].name[sizeof(t->functions[n].name) - 1] = '\0';
	t->n_functions = n;
	for (n = 0; n < t->n_vms && t->vms[n].state; n++)
		;
	t->n_vms = n;
	for (n = 0; n < t->n_rows && t->rows[n].flag; n++)
		;
	t->n_rows = n;
	for (n = 0; n < t->n_routes && t->routes[n].in_use; n++)
		;
	t->n_routes = n;
	for (n = 0; n < t->n_windows && t->windows[n].rights; n++)
		;
	t->n_windows = n;
	bridge_tables_fini(reader->into);
	*reader->into = *t;
	memset(t, 0, sizeof(*t));
	return STEP_NEXT;
}

static void reader_fini(struct procedure *p)
{
	bridge_tables_fini(&((struct table_reader *)p)->read);
}

static const struct step reader_steps[] = {
	{ POINT_NONE, read_counts },
	{ POINT_NONE, read_arrays },
	{ POINT_NONE, count_rows },
	{ 0, NULL },
};

static const struct procedure_desc reader_desc = {
	.name = "tables",
	.steps = reader_steps,
	.fini = reader_fini,
};

void step_read_tables(struct procedure *p, struct bridge_tables *tables)
{
	struct table_reader *reader;

	reader = procedure_new(p->hv, &reader_desc, sizeof(*reader));
	reader->into = tables;
	procedure_call(p, &reader->p);
}

void bridge_tables_fini(struct bridge_tables *tables)
{
	free(tables->functions);
	free(tables->vms);
	free(tables->rows);
	free(tables->routes);
	free(tables->windows);
	memset(tables, 0, sizeof(*tables));
}

const struct sup_function *
bridge_tables_function(const struct bridge_tables *tables, uint16_t bdf)
{
	unsigned i;

	for (i = 0; i < tables->n_functions; i++)
		if (tables->functions[i].bdf == bdf)
			return &tables->functions[i];
	return NULL;
}

bool bridge_tables_has_route(const struct bridge_tables *t,
			     const struct sup_route *route)
{
	unsigned i;

	for (i = 0; i < t->n_routes; i++)
		if (t->routes[i].bdf == route->bdf &&
		    t->routes[i].vector == route->vector &&
		    t->routes[i].vm == route->vm &&
		    t->routes[i].irq == route->irq)
			return true;
	return false;
}
