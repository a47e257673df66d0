/* tables.c - the tables that bmc shows. */
#include <config.h>

#include "cmd/bmc/bmc.h"

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

static const struct control_table tables[] = {
	{ "processes", "the machine's programs", process_columns,
	  bmc_processes },
	{ NULL },
};

void bmc_add_tables(struct bmc *b)
{
	control_add_tables(b->program.control, tables, b);
}
