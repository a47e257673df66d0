/* report.h - what a guest tells about itself: tables, results, events. */
#ifndef IOVKIT_GUESTD_REPORT_H
#define IOVKIT_GUESTD_REPORT_H

#include <jansson.h>

#include "libcore/control.h"

struct guest;
struct workload;

extern const struct control_table report_tables[];

/* {"vm","vfs":[..],"frames":{..},"workloads":[..]} */
json_t *report_to_json(struct guest *g);
void report_reset(struct guest *g);
/* Event "report": the sums. */
void report_event(struct guest *g);
/* The same as a line for people; returns buf. */
char *report_line(struct guest *g, char *buf, size_t size);
/* An event about one workload, with its results. */
void report_workload(const struct workload *w, const char *ev);

#endif
