/* wait_time.c - editing the waiting times of VFs (spec 01, fig. 10): several
 * are edited, then applied at once; one that is wrong keeps all as they were.
 */
#include <config.h>

#include "cmd/hvmon/wait_time.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "libcore/units.h"

/* A VF itself, or the PF that it is of. */
static bool is_meant(const struct vf_allocation *row,
		     const struct function_name *name)
{
	return !strcmp(row->vf.device, name->device) &&
	       (!name->vf || name->vf == row->vf.vf);
}

static int check_one(const struct vf_allocations *table, const char *key,
		     const json_t *value, uint64_t limit_ns,
		     struct function_name *name, uint64_t *ns,
		     struct complaint *c)
{
	const char *text = json_string_value(value);
	const struct vf_allocation *row;
	int err = function_name_parse(key, name, c);

	if (err)
		return err;
	if (!text)
		return complain(c, EINVAL,
				"%s: a time is text, such as \"10ms\"", key);
	err = vf_wait_parse(text, ns, c);
	if (err)
		return complain_at(c, err, "%s", key);
	if (limit_ns && *ns >= limit_ns)
		return complain(c, ERANGE,
				"%s: '%s' is not less than the completion "
				"timeout",
				key, text);
	TAILQ_FOREACH (row, &table->list, entry)
		if (is_meant(row, name))
			return 0;
	return complain(c, ENOENT, "%s is not allocated", key);
}

int wait_time_apply(struct vf_allocations *table, const json_t *times,
		    uint64_t limit_ns, struct complaint *c)
{
	/* Iterating changes nothing. */
	json_t *object = (json_t *)(uintptr_t)times;
	struct function_name name;
	struct vf_allocation *row;
	uint64_t ns = 0;
	const char *key;
	json_t *value;
	int err;

	json_object_foreach (object, key, value) {
		err = check_one(table, key, value, limit_ns, &name, &ns, c);
		if (err)
			return err;
	}
	json_object_foreach (object, key, value) {
		err = check_one(table, key, value, limit_ns, &name, &ns, c);
		if (err)
			return err;
		TAILQ_FOREACH (row, &table->list, entry)
			if (is_meant(row, &name))
				row->wait_ns = ns;
	}
	return 0;
}

static json_t *all_times(struct hvmon *hv)
{
	char vf[FUNCTION_NAME_MAX], pf[FUNCTION_NAME_MAX], wait[32];
	const struct vf_allocation *row;
	struct function_name name;
	json_t *rows = json_array();

	TAILQ_FOREACH (row, &hv->allocations.list, entry) {
		name = row->vf;
		name.vf = 0;
		json_array_append_new(
			rows,
			json_pack(
				"{s:s, s:s, s:s}", "pf",
				function_name_format(pf, sizeof(pf), &name),
				"vf",
				function_name_format(vf, sizeof(vf), &row->vf),
				"wait",
				units_format_duration(wait, sizeof(wait),
						      row->wait_ns)));
	}
	return rows;
}

void wait_time_method(void *arg, struct control_call *call, json_t *params)
{
	const json_t *times = json_object_get(params, "times");
	struct hvmon *hv = arg;
	struct complaint c;

	if (times && !json_is_object(times)) {
		control_fail(call, RPC_PARAMS, "times is an object");
		return;
	}
	if (times &&
	    wait_time_apply(&hv->allocations, times,
			    hv->tables.info.timeout_us * 1000ull, &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	if (times && json_object_size(times))
		event(hv->program->log, "wait.changed", "s:O", "times", times);
	control_reply(call, json_pack("{s:o}", "times", all_times(hv)));
}
