/* call.c - the commands call and methods: any method of any program. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovctl/client.h"
#include "cmd/iovctl/table.h"
#include "libcore/control.h"

static int do_call(struct iovctl *ctl)
{
	json_t *params = NULL, *result;
	json_error_t error;
	int status;

	if (ctl->n_args > 2) {
		params = json_loads(ctl->args[2],
				    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
				    &error);
		if (!params)
			return fail(ctl, STATUS_USAGE, "'%.80s': no JSON: %s",
				    ctl->args[2], error.text);
	}
	status = call(ctl, ctl->args[0], ctl->args[1], params, &result);
	if (status)
		return status;
	if (ctl->json || !json_is_object(result)) {
		print_json(result);
	} else {
		json_dumpf(result, stdout,
			   JSON_INDENT(2) | JSON_REAL_PRECISION(JSON_DIGITS));
		putchar('\n');
	}
	json_decref(result);
	return STATUS_OK;
}

/* "a b [c]" */
static json_t *params_to_text(const json_t *params)
{
	json_t *param, *string;
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return json_null();
	json_array_foreach (params, i, param)
		fprintf(out,
			json_is_true(json_object_get(param, "optional"))
				? "%s[%s]"
				: "%s%s",
			i ? " " : "",
			json_string_value(json_object_get(param, "name")));
	fclose(out);
	string = json_string(text);
	free(text);
	return string;
}

static void print_methods(json_t *methods)
{
	json_t *columns = json_array(), *method;
	size_t i;

	json_array_foreach (methods, i, method)
		json_object_set_new(
			method, "params",
			params_to_text(json_object_get(method, "params")));
	table_column(columns, "name", "METHOD");
	table_column(columns, "params", "PARAMETERS");
	table_column(columns, "what", "WHAT");
	table_print(columns, methods);
	json_decref(columns);
}

static int do_methods(struct iovctl *ctl)
{
	json_t *result;
	int status;

	status = call(ctl, ctl->args[0], "methods", NULL, &result);
	if (status)
		return status;
	if (ctl->json)
		print_json(result);
	else
		print_methods(result);
	json_decref(result);
	return STATUS_OK;
}

const struct command call_commands[] = {
	{ .name = "call",
	  .usage = "NAME METHOD [JSON]",
	  .what = "call a method of a program's control socket",
	  .help = "JSON is an object (parameters by name) or an array (by "
		  "position).",
	  .min_args = 2,
	  .max_args = 3,
	  .fn = do_call },
	{ .name = "methods",
	  .usage = "NAME",
	  .what = "the methods of a program",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_methods },
	{ NULL },
};
