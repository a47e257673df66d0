/* translation_policy.c - what the operator wants to become of translations
 * that guests propose, by device. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/turn.h"
#include "libcore/window.h"

static const char *const names[TRANSLATION_POLICY_N] = {
	[TRANSLATION_ACCEPT] = "accept",
	[TRANSLATION_READ_ONLY] = "read-only",
	[TRANSLATION_PAGE] = "page:",
	[TRANSLATION_REJECT] = "reject",
};

static int parse_policy(struct translation_rule *rule, const char *text,
			struct complaint *c)
{
	const char *page = text + strlen(names[TRANSLATION_PAGE]);
	unsigned i;

	for (i = 0; i < TRANSLATION_POLICY_N; i++) {
		rule->policy = i;
		if (i != TRANSLATION_PAGE && !strcmp(text, names[i]))
			return 0;
		if (i != TRANSLATION_PAGE ||
		    strncmp(text, names[i], strlen(names[i])) != 0)
			continue;
		if (*page && strlcpy(rule->page, page, sizeof(rule->page)) <
				     sizeof(rule->page))
			return 0;
	}
	return complain(c, EINVAL,
			"'%.48s' is no policy: accept, read-only, reject, or "
			"page:DEVICE",
			text);
}

const struct translation_rule *
translation_rule_find(const struct translations *t, const char *device)
{
	const struct translation_rule *rule;

	SLIST_FOREACH (rule, &t->rules, entry)
		if (!strcmp(rule->device, device))
			return rule;
	return NULL;
}

static int set_rule(struct translations *t, const char *device,
		    const char *policy, struct complaint *c)
{
	struct translation_rule *rule, parsed = { .device = "" };
	int err = parse_policy(&parsed, policy, c);

	if (err)
		return err;
	if (!*device || strlcpy(parsed.device, device, sizeof(parsed.device)) >=
				sizeof(parsed.device))
		return complain(c, EINVAL, "'%.48s' is no device", device);
	rule = (struct translation_rule *)translation_rule_find(t, device);
	if (!rule) {
		rule = calloc(1, sizeof(*rule));
		if (!rule)
			return complain(c, ENOMEM, "out of memory");
		SLIST_INSERT_HEAD(&t->rules, rule, entry);
	}
	parsed.entry = rule->entry;
	*rule = parsed;
	return 0;
}

int translation_rule_parse(struct translations *t, const char *text,
			   struct complaint *c)
{
	const char *equals = strchr(text, '=');
	char device[64];

	if (!equals || (size_t)(equals - text) >= sizeof(device))
		return complain(c, EINVAL, "'%.48s' is not DEVICE=POLICY",
				text);
	snprintf(device, sizeof(device), "%.*s", (int)(equals - text), text);
	return set_rule(t, device, equals + 1, c);
}

/* translate {device, policy}: the windows that there are end, and the guest
 * proposes anew. */

static int translate_revoke(struct procedure *p)
{
	/* Two at a time would end the same windows. */
	if (!turn_take(p, p->device))
		return STEP_AGAIN;
	if (translation_window(p->hv, p->device))
		step_revoke(p, p->device);
	else
		translation_ask_anew(p->device);
	return STEP_NEXT;
}

static void translate_end(struct procedure *p)
{
	procedure_answer(p, json_pack("{s:s}", "device", p->device->name));
}

static const struct step translate_steps[] = {
	{ POINT_NONE, translate_revoke },
	{ 0, NULL },
};

static const struct procedure_desc translate_desc = {
	.name = "translate",
	.steps = translate_steps,
	.end = translate_end,
};

void translate_method(void *arg, struct control_call *call, json_t *params)
{
	const char *name = control_string(params, "device", "");
	struct hvmon *hv = arg;
	struct device *device = device_find_name(hv, name);
	struct complaint c = { "" };
	struct procedure *p;

	if (!device || !device->single) {
		control_fail(call, RPC_MISSING,
			     "%s is no device with a single function", name);
		return;
	}
	if (set_rule(&hv->translations, name,
		     control_string(params, "policy", ""), &c)) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
		return;
	}
	p = procedure_new(hv, &translate_desc, sizeof(*p));
	p->call = call;
	procedure_about(p, device);
	procedure_start(p, device_lane(device));
}

/* The table "translations". */

json_t *translation_rows(void *arg)
{
	const struct translation_rule *rule;
	struct hvmon *hv = arg;
	json_t *rows = json_array(), *row;
	const struct sup_window *w;
	const struct device *d, *to;
	char vm[VM_NAME_MAX];

	TAILQ_FOREACH (d, &hv->devices, entry) {
		if (!d->single)
			continue;
		rule = translation_rule_find(&hv->translations, d->name);
		w = translation_window(hv, d);
		to = w ? device_find(hv, w->bdf) : NULL;
		row = json_pack(
			"{s:s, s:s+, s:b, s:s?, s:s?, s:s?}", "device", d->name,
			"policy", names[rule ? rule->policy : 0],
			rule ? rule->page : "", "trapped", (int)d->trapped,
			"vm", w ? vm_format(vm, w->vm) : NULL, "page",
			to ? to->name : NULL, "rights",
			!w                         ? NULL
			: w->rights & WINDOW_WRITE ? "rw"
						   : "r");
		json_array_append_new(rows, row);
	}
	return rows;
}
