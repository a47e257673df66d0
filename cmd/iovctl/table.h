/* table.h - rows of JSON objects as aligned columns. */
#ifndef IOVCTL_TABLE_H
#define IOVCTL_TABLE_H

#include <stdbool.h>

#include <jansson.h>

/* columns: [{"name","title"}], rows: [{name: value}].  Numbers are aligned to
 * the right; members *_ns are shown as durations (unless the title ends with
 * NS), *_bytes as sizes. */
void table_print(const json_t *columns, const json_t *rows);
/* Add {"name":name,"title":title} to columns, at the front or the end. */
void table_column(json_t *columns, const char *name, const char *title);
/* A value as text, to be freed. */
char *value_to_text(const json_t *value);
/* Whether KEY=VALUE holds for an object; text without '=': the key exists. */
bool value_matches(const json_t *object, const char *condition);

#endif
