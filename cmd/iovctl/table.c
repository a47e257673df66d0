/* table.c - rows of JSON objects as aligned columns. */
#include <config.h>

#include "cmd/iovctl/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/control.h"
#include "libcore/units.h"

struct column {
	const char *name, *title;
	size_t width;
	bool right;
};

void table_column(json_t *columns, const char *name, const char *title)
{
	json_array_append_new(
		columns, json_pack("{s:s, s:s}", "name", name, "title", title));
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

static char *array_to_text(const json_t *array)
{
	char *text = NULL, *part;
	size_t size, i;
	json_t *value;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	json_array_foreach (array, i, value) {
		part = value_to_text(value);
		fprintf(out, "%s%s", i ? "," : "", part ? part : "?");
		free(part);
	}
	if (!json_array_size(array))
		fputs("-", out);
	fclose(out);
	return text;
}

char *value_to_text(const json_t *value)
{
	char buf[32];

	if (!value || json_is_null(value))
		return strdup("-");
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_integer(value)) {
		snprintf(buf, sizeof(buf), "%lld",
			 (long long)json_integer_value(value));
		return strdup(buf);
	}
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	if (json_is_array(value))
		return array_to_text(value);
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY |
					 JSON_REAL_PRECISION(6));
}

/* Durations and sizes as people read them, unless the heading names the unit
 * already. */
static char *cell_to_text(const struct column *c, const json_t *row)
{
	const json_t *value = json_object_get(row, c->name);
	json_int_t number = json_integer_value(value);
	char buf[64];

	if (!json_is_integer(value) || number < 0)
		return value_to_text(value);
	if (ends_with(c->name, "_ns") && !ends_with(c->title, "ns") &&
	    !ends_with(c->title, "NS"))
		return strdup(units_format_duration(buf, sizeof(buf),
						    (uint64_t)number));
	if (ends_with(c->name, "_bytes"))
		return strdup(
			units_format_size(buf, sizeof(buf), (uint64_t)number));
	return value_to_text(value);
}

static struct column *make_columns(const json_t *columns, const json_t *rows,
				   size_t *n)
{
	struct column *c;
	size_t i, j, width;
	json_t *row, *value;
	char *text;

	*n = json_array_size(columns);
	c = calloc(*n + 1, sizeof(*c));
	for (i = 0; c && i < *n; i++) {
		value = json_array_get(columns, i);
		c[i].name = json_string_value(json_object_get(value, "name"));
		c[i].title = json_string_value(json_object_get(value, "title"));
		if (!c[i].name)
			c[i].name = "?";
		if (!c[i].title)
			c[i].title = c[i].name;
		c[i].width = strlen(c[i].title);
		json_array_foreach (rows, j, row) {
			text = cell_to_text(&c[i], row);
			width = text ? strlen(text) : 0;
			free(text);
			if (width > c[i].width)
				c[i].width = width;
			c[i].right |=
				json_is_number(json_object_get(row, c[i].name));
		}
	}
	return c;
}

static void print_cell(const struct column *c, const char *text, bool last)
{
	if (c->right)
		printf("%*s", (int)c->width, text);
	else if (last)
		fputs(text, stdout);
	else
		printf("%-*s", (int)c->width, text);
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(const json_t *columns, const json_t *rows)
{
	struct column *c;
	size_t i, j, n;
	json_t *row;
	char *text;

	c = make_columns(columns, rows, &n);
	for (i = 0; c && i < n; i++)
		print_cell(&c[i], c[i].title, i + 1 == n);
	json_array_foreach (rows, j, row) {
		for (i = 0; c && i < n; i++) {
			text = cell_to_text(&c[i], row);
			print_cell(&c[i], text ? text : "?", i + 1 == n);
			free(text);
		}
	}
	free(c);
}

/* "5" is 5 and "5"; "true" is true and "true". */
static bool value_is(const json_t *value, const char *text)
{
	char buf[32];
	char *dump;
	bool same;
	size_t i;
	json_t *element;

	if (json_is_string(value))
		return !strcmp(json_string_value(value), text);
	if (json_is_integer(value)) {
		snprintf(buf, sizeof(buf), "%lld",
			 (long long)json_integer_value(value));
		return !strcmp(buf, text);
	}
	if (json_is_array(value)) {
		json_array_foreach (value, i, element)
			if (value_is(element, text))
				return true;
	}
	dump = json_dumps(value, CONTROL_JSON | JSON_ENCODE_ANY);
	same = dump && !strcmp(dump, text);
	free(dump);
	return same;
}

bool value_matches(const json_t *object, const char *condition)
{
	size_t size = strcspn(condition, "=");
	const json_t *value;
	char key[128];

	if (size >= sizeof(key))
		return false;
	memcpy(key, condition, size);
	key[size] = '\0';
	value = json_object_get(object, key);
	if (!condition[size])
		return value != NULL;
	return value && value_is(value, condition + size + 1);
}
