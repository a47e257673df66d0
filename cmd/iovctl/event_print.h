/* event_print.h - events as people and scripts read them. */
#ifndef IOVCTL_EVENT_PRINT_H
#define IOVCTL_EVENT_PRINT_H

#include <stdbool.h>

#include "cmd/iovctl/event_files.h"
#include "cmd/iovctl/iovctl.h"

/* The line as it is, or "N SECONDS SRC EV key=value...". */
void event_print(const struct event_line *line, bool raw);
/* --since, or otherwise when it was not given. An exit status. */
int parse_since(struct iovctl *ctl, uint64_t otherwise, uint64_t *since);

#endif
