/* show.h - tables joined over all programs. */
#ifndef IOVCTL_SHOW_H
#define IOVCTL_SHOW_H

#include <stdbool.h>

#include "cmd/iovctl/iovctl.h"

/* {"table","columns","rows"}; quiet: not a word about programs that do not
 * answer.  An exit status. */
int fetch_table(struct iovctl *ctl, const char *table, bool quiet,
		json_t **joined);
/* [{"table","programs":[],"what"}] */
int fetch_table_list(struct iovctl *ctl, json_t **rows);
/* The rows of ps. */
int fetch_programs(struct iovctl *ctl, json_t **rows);

#endif
