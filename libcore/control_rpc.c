/* control_rpc.c - JSON-RPC 2.0 on the control socket: requests, batches,
 * parameter checks, answers, and the methods that describe the others. */
#include <config.h>

#include "libcore/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/control_impl.h"
#include "libcore/unixsock.h"

#define MESSAGE_MAX 512

/* Peers' words may be cut in the middle of a character. */
static json_t *text_to_json(char *text)
{
	json_t *string = json_string(text);
	char *p;

	if (string)
		return string;
	for (p = text; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(text);
}

/* id is borrowed; NULL: null. */
static json_t *error_reply(json_t *id, int code, char *message)
{
	return json_pack("{s:s, s:O, s:{s:i, s:o}}", "jsonrpc", "2.0", "id",
			 id ? id : json_null(), "error", "code", code,
			 "message", text_to_json(message));
}

void control_rpc_refuse(struct control_client *client, const char *why)
{
	char message[MESSAGE_MAX];

	snprintf(message, sizeof(message), "%s", why);
	control_client_send(client, error_reply(NULL, RPC_REQUEST, message));
}

/* To the caller, by way of the batch if there is one.  Steals reply. */
static void deliver(struct control_client *client, struct control_batch *batch,
		    json_t *reply)
{
	if (!client)
		json_decref(reply);
	else if (batch)
		json_array_append_new(batch->replies, reply);
	else
		control_client_send(client, reply);
}

/* One fewer to wait for. */
static void batch_put(struct control_batch *batch,
		      struct control_client *client)
{
	if (--batch->pending)
		return;
	if (client && json_array_size(batch->replies))
		control_client_send(client, batch->replies);
	else
		json_decref(batch->replies);
	free(batch);
}

static void call_free(struct control_call *call)
{
	LIST_REMOVE(call, entry);
	if (call->fd >= 0)
		close(call->fd);
	json_decref(call->id);
	free(call);
}

/* Steals reply. */
static void call_end(struct control_call *call, json_t *reply)
{
	struct control_client *client = call->client;

	if (call->id)
		deliver(client, call->batch, reply);
	else
		json_decref(reply);
	if (call->batch)
		batch_put(call->batch, client);
	call_free(call);
	if (client) {
		client->n_calls--;
		control_client_kick(client);
	}
}

void control_reply(struct control_call *call, json_t *result)
{
	call_end(call, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id",
				 call->id ? call->id : json_null(), "result",
				 result ? result : json_null()));
}

void control_fail(struct control_call *call, int code, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	call_end(call, error_reply(call->id, code, message));
}

void control_on_hangup(struct control_call *call, loop_fn *fn, void *arg)
{
	call->hangup = fn;
	call->hangup_arg = arg;
}

int control_take_fd(struct control_call *call)
{
	int fd = call->fd;

	call->fd = -1;
	return fd;
}

pid_t control_peer(const struct control_call *call)
{
	return call->client ? unixsock_peer(call->client->fd) : 0;
}

/* All are moved first: a callee may answer another of these in its fn. */
void control_rpc_orphan(struct control_client *client)
{
	struct control_call_list *orphans = &client->control->orphans;
	struct control_call *call;
	loop_fn *fn;

	while ((call = LIST_FIRST(&client->calls))) {
		LIST_REMOVE(call, entry);
		call->client = NULL;
		LIST_INSERT_HEAD(orphans, call, entry);
	}
	client->n_calls = 0;
	do {
		LIST_FOREACH (call, orphans, entry)
			if (call->hangup)
				break;
		if (!call)
			break;
		fn = call->hangup;
		call->hangup = NULL;
		fn(call->hangup_arg);
	} while (true);
}

void control_rpc_free(struct control_call_list *calls)
{
	struct control_call *call;

	while ((call = LIST_FIRST(calls))) {
		if (call->batch)
			batch_put(call->batch, NULL);
		call_free(call);
	}
}

static const struct control_method *find_method(const struct control *control,
						const char *name, void **arg)
{
	const struct control_method *m;
	unsigned i;

	for (i = control->n_groups; i-- > 0;) {
		m = control->groups[i].methods;
		for (; m && m->name; m++) {
			if (strcmp(m->name, name))
				continue;
			*arg = control->groups[i].arg;
			return m;
		}
	}
	return NULL;
}

static const struct control_param *find_param(const struct control_method *m,
					      const char *name)
{
	const struct control_param *p;

	for (p = m->params; p && p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

static bool type_fits(char type, const json_t *value)
{
	switch (type) {
	case 's':
		return json_is_string(value);
	case 'i':
		return json_is_integer(value);
	case 'b':
		return json_is_boolean(value);
	}
	return true;
}

static const char *type_words(char type)
{
	switch (type) {
	case 's':
		return "a string";
	case 'i':
		return "an integer";
	case 'b':
		return "true or false";
	}
	return "any JSON";
}

/* Parameters by position get their names; NULL with message: too many. */
static json_t *name_params(const struct control_method *m, json_t *array,
			   char message[MESSAGE_MAX])
{
	const struct control_param *p = m->params;
	json_t *object = json_object();
	json_t *value;
	size_t i;

	json_array_foreach (array, i, value) {
		if (!p || !p->name) {
			snprintf(message, MESSAGE_MAX,
				 "%s: takes %zu parameters, not %zu", m->name,
				 i, json_array_size(array));
			json_decref(object);
			return NULL;
		}
		json_object_set(object, p->name, value);
		p++;
	}
	return object;
}

/* False with the message: the parameters do not fit the method. */
static bool check_params(const struct control_method *m, json_t *params,
			 char message[MESSAGE_MAX])
{
	const struct control_param *p;
	const char *key;
	json_t *value;

	json_object_foreach (params, key, value) {
		if (!find_param(m, key)) {
			snprintf(message, MESSAGE_MAX, "%s: no parameter '%s'",
				 m->name, key);
			return false;
		}
	}
	for (p = m->params; p && p->name; p++) {
		value = json_object_get(params, p->name);
		if (p->optional && (!value || json_is_null(value)))
			continue;
		if (!value) {
			snprintf(message, MESSAGE_MAX,
				 "%s: parameter '%s' is missing", m->name,
				 p->name);
			return false;
		}
		if (!type_fits(p->type, value)) {
			snprintf(message, MESSAGE_MAX,
				 "%s: parameter '%s' must be %s", m->name,
				 p->name, type_words(p->type));
			return false;
		}
	}
	return true;
}

/* The parameters as a new object, checked; NULL with the message. */
static json_t *take_params(const struct control_method *m, json_t *given,
			   char message[MESSAGE_MAX])
{
	json_t *params;

	if (json_is_array(given)) {
		params = name_params(m, given, message);
	} else if (!given || json_is_object(given)) {
		params = given ? json_incref(given) : json_object();
	} else {
		snprintf(message, MESSAGE_MAX,
			 "%s: params must be an object or an array", m->name);
		return NULL;
	}
	if (params && !check_params(m, params, message)) {
		json_decref(params);
		return NULL;
	}
	return params;
}

static struct control_call *call_new(struct control_client *client,
				     struct control_batch *batch, json_t *id,
				     int fd)
{
	struct control_call *call;

	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->control = client->control;
	call->client = client;
	call->batch = batch;
	call->id = json_incref(id);
	call->fd = fd;
	LIST_INSERT_HEAD(&client->calls, call, entry);
	client->n_calls++;
	if (batch)
		batch->pending++;
	return call;
}

static void dispatch(struct control_call *call, const char *name, json_t *given)
{
	const struct control_method *m;
	char message[MESSAGE_MAX];
	json_t *params;
	void *arg;

	m = find_method(call->control, name, &arg);
	if (!m) {
		control_fail(call, RPC_METHOD, "no method '%.64s'", name);
		return;
	}
	params = take_params(m, given, message);
	if (!params) {
		control_fail(call, RPC_PARAMS, "%s", message);
		return;
	}
	m->fn(arg, call, params);
	json_decref(params);
}

/* Why it is no request, or NULL. */
static const char *request_flaw(const json_t *request)
{
	const char *version;
	const json_t *id;

	if (!json_is_object(request))
		return "a request is an object";
	version = json_string_value(json_object_get(request, "jsonrpc"));
	if (!version || strcmp(version, "2.0"))
		return "member 'jsonrpc' must be \"2.0\"";
	id = json_object_get(request, "id");
	if (id && !json_is_string(id) && !json_is_number(id) &&
	    !json_is_null(id))
		return "member 'id' must be a string, a number or null";
	if (!json_is_string(json_object_get(request, "method")))
		return "member 'method' must be a string";
	return NULL;
}

static void take_request(struct control_client *client,
			 struct control_batch *batch, json_t *request, int fd)
{
	const char *flaw = request_flaw(request);
	struct control_call *call = NULL;
	char message[MESSAGE_MAX];

	if (!flaw && !client->closed)
		call = call_new(client, batch, json_object_get(request, "id"),
				fd);
	if (!call) {
		if (fd >= 0)
			close(fd);
		snprintf(message, sizeof(message), "%s",
			 flaw ? flaw : "no memory");
		deliver(client, batch,
			error_reply(NULL, flaw ? RPC_REQUEST : RPC_INTERNAL,
				    message));
		return;
	}
	dispatch(call, json_string_value(json_object_get(request, "method")),
		 json_object_get(request, "params"));
}

static void take_batch(struct control_client *client, json_t *array, int fd)
{
	struct control_batch *batch;
	json_t *request;
	size_t i;

	if (!json_array_size(array) ||
	    json_array_size(array) > CONTROL_BATCH_MAX) {
		control_rpc_refuse(client,
				   "a batch has from 1 to 256 requests");
		goto out;
	}
	batch = calloc(1, sizeof(*batch));
	if (!batch)
		goto out;
	batch->replies = json_array();
	batch->pending = 1; /* ours */
	json_array_foreach (array, i, request) {
		take_request(client, batch, request, fd);
		fd = -1; /* the first one has it */
	}
	batch_put(batch, client);
out:
	if (fd >= 0)
		close(fd);
}

static bool is_blank(const char *line, size_t size)
{
	while (size && strchr(" \t\r\n", line[size - 1]))
		size--;
	return !size;
}

void control_rpc_line(struct control_client *client, const char *line,
		      size_t size, int fd)
{
	char message[MESSAGE_MAX];
	json_error_t error;
	json_t *value;

	if (is_blank(line, size)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	value = json_loadb(line, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
			   &error);
	if (!value) {
		if (fd >= 0)
			close(fd);
		snprintf(message, sizeof(message), "no JSON: %s, at byte %d",
			 error.text, error.position);
		control_client_send(client,
				    error_reply(NULL, RPC_PARSE, message));
		return;
	}
	if (json_is_array(value))
		take_batch(client, value, fd);
	else
		take_request(client, NULL, value, fd);
	json_decref(value);
}

const char *control_string(const json_t *params, const char *name,
			   const char *otherwise)
{
	const char *value = json_string_value(json_object_get(params, name));

	return value ? value : otherwise;
}

long long control_integer(const json_t *params, const char *name,
			  long long otherwise)
{
	const json_t *value = json_object_get(params, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool control_boolean(const json_t *params, const char *name, bool otherwise)
{
	const json_t *value = json_object_get(params, name);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static const char *type_name(char type)
{
	return type == 's'   ? "string"
	       : type == 'i' ? "integer"
	       : type == 'b' ? "boolean"
			     : "any";
}

static json_t *params_to_json(const struct control_param *p)
{
	json_t *array = json_array();

	for (; p && p->name; p++)
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:b, s:s*}", "name",
						p->name, "type",
						type_name(p->type), "optional",
						p->optional, "what", p->what));
	return array;
}

static json_t *method_to_json(const struct control_method *m)
{
	return json_pack("{s:s, s:s*, s:o}", "name", m->name, "what", m->what,
			 "params", params_to_json(m->params));
}

/* Those that a later one of the same name hides are left out. */
static void answer_methods(void *arg, struct control_call *call, json_t *params)
{
	const struct control *control = arg;
	const struct control_method *m;
	json_t *array = json_array();
	unsigned i;
	void *ignored;

	(void)params;
	for (i = 0; i < control->n_groups; i++)
		for (m = control->groups[i].methods; m && m->name; m++)
			if (find_method(control, m->name, &ignored) == m)
				json_array_append_new(array, method_to_json(m));
	control_reply(call, array);
}

static json_t *columns_to_json(const struct control_column *column)
{
	json_t *array = json_array();

	for (; column && column->name; column++)
		json_array_append_new(array, json_pack("{s:s, s:s}", "name",
						       column->name, "title",
						       column->title));
	return array;
}

static void answer_tables(void *arg, struct control_call *call, json_t *params)
{
	const struct control *control = arg;
	const struct control_table *t;
	json_t *array = json_array();
	unsigned i;

	(void)params;
	for (i = 0; i < control->n_groups; i++)
		for (t = control->groups[i].tables; t && t->name; t++)
			json_array_append_new(
				array,
				json_pack("{s:s, s:s*, s:o}", "name", t->name,
					  "what", t->what, "columns",
					  columns_to_json(t->columns)));
	control_reply(call, array);
}

static void answer_show(void *arg, struct control_call *call, json_t *params)
{
	const char *name = control_string(params, "table", "");
	const struct control *control = arg;
	const struct control_table *t;
	unsigned i;

	for (i = control->n_groups; i-- > 0;) {
		for (t = control->groups[i].tables; t && t->name; t++) {
			if (strcmp(t->name, name))
				continue;
			control_reply(
				call,
				json_pack("{s:s, s:o, s:o, s:I}", "table", name,
					  "columns",
					  columns_to_json(t->columns), "rows",
					  t->rows(control->groups[i].arg), "t",
					  (json_int_t)clock_now_ns()));
			return;
		}
	}
	control_fail(call, RPC_PARAMS, "no table '%.64s'", name);
}

static const struct control_param show_params[] = {
	{ "table", 's', false, "a name that `tables` lists" },
	{ NULL },
};

const struct control_method control_rpc_methods[] = {
	{ "methods", "list the methods", answer_methods, NULL },
	{ "tables", "list the tables", answer_tables, NULL },
	{ "show", "the rows of a table", answer_show, show_params },
	{ NULL },
};
