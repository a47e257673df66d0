/* methods.c - a guest's control methods: the same as its options. */
#include <config.h>

#include "cmd/guestd/methods.h"

#include <errno.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/report.h"
#include "libcore/nic_regs.h"
#include "libcore/units.h"
#include "libcore/vfu_client.h"

/* Add it; the answer says what to wait for. */
static void add(struct guest *g, struct control_call *call,
		const struct workload_spec *spec)
{
	struct complaint c = { "" };
	uint64_t since = event_last(g->program.log);
	struct workload *w;
	int err;

	workloads_prune(g);
	err = workloads_add(g, spec, &w, &c);
	if (err < 0)
		control_fail(call, RPC_FAILED, "%s", c.text);
	else
		control_reply(call,
			      json_pack("{s:s, s:s, s:I}", "workload", w->name,
					"state", workload_state_name(w->state),
					"since", (json_int_t)since));
}

/* What both kinds take. */
static int take_common(struct workload_spec *spec, const json_t *params,
		       struct complaint *c)
{
	const char *rate = control_string(params, "rate", NULL);
	const char *vf = control_string(params, "vf", NULL);
	long long count = control_integer(params, "count", 0);
	long long depth = control_integer(params, "depth", spec->depth);
	int err = 0;

	if (count < 0)
		return complain(c, EINVAL, "count %lld is negative", count);
	spec->count = (uint64_t)count;
	if (depth != spec->depth &&
	    (depth < 1 || depth > (long long)VFU_CLIENT_MAX))
		return complain(c, EINVAL, "depth %lld is not 1 to %u", depth,
				VFU_CLIENT_MAX);
	spec->depth = (uint32_t)depth;
	if (rate)
		err = units_rate(rate, &spec->rate, c);
	if (err < 0)
		return complain_at(c, err, "rate");
	if (vf)
		err = vf_select_parse(vf, &spec->vf, c);
	return err < 0 ? complain_at(c, err, "vf") : 0;
}

static int take_size(struct workload_spec *spec, const json_t *params,
		     struct complaint *c)
{
	const char *size = control_string(params, "size", NULL);
	int err = size ? workload_parse_size(size, spec, c) : 0;

	return err < 0 ? complain_at(c, err, "size") : 0;
}

static void method_send(void *arg, struct control_call *call, json_t *params)
{
	struct workload_spec spec = workload_spec_init(WORKLOAD_SEND);
	const char *payload = control_string(params, "payload", NULL);
	struct complaint c = { "" };
	int err;

	err = mac_parse(control_string(params, "to", ""), spec.to, &c);
	if (err == 0 && payload)
		err = workload_parse_payload(payload, &spec, &c);
	if (err == 0)
		err = take_common(&spec, params, &c);
	if (err == 0)
		err = take_size(&spec, params, &c);
	spec.seed = (uint64_t)control_integer(params, "seed", 0);
	if (err < 0)
		control_fail(call, RPC_PARAMS, "%s", c.text);
	else
		add(arg, call, &spec);
}

static void method_roundtrip(void *arg, struct control_call *call,
			     json_t *params)
{
	struct workload_spec spec = workload_spec_init(WORKLOAD_ROUNDTRIP);
	struct complaint c = { "" };
	int err;

	err = mac_parse(control_string(params, "to", ""), spec.to, &c);
	if (err == 0)
		err = take_common(&spec, params, &c);
	if (err == 0)
		err = take_size(&spec, params, &c);
	if (err < 0)
		control_fail(call, RPC_PARAMS, "%s", c.text);
	else
		add(arg, call, &spec);
}

static void method_requests(void *arg, struct control_call *call,
			    json_t *params)
{
	struct workload_spec spec = workload_spec_init(WORKLOAD_REQUESTS);
	long long reg = control_integer(params, "register", spec.reg);
	struct complaint c = { "" };
	int err;

	err = take_common(&spec, params, &c);
	if (err < 0) {
		control_fail(call, RPC_PARAMS, "%s", c.text);
	} else if (reg < 0 || reg > NIC_VF_BAR_SIZE - 4 || (reg & 3)) {
		control_fail(call, RPC_PARAMS,
			     "register %lld is not a multiple of 4 below %d",
			     reg, NIC_VF_BAR_SIZE);
	} else {
		spec.reg = (uint32_t)reg;
		add(arg, call, &spec);
	}
}

static void add_plain(struct guest *g, struct control_call *call,
		      json_t *params, enum workload_kind kind)
{
	struct workload_spec spec = workload_spec_init(kind);
	struct complaint c = { "" };

	if (take_common(&spec, params, &c) < 0)
		control_fail(call, RPC_PARAMS, "%s", c.text);
	else
		add(g, call, &spec);
}

static void method_echo(void *arg, struct control_call *call, json_t *params)
{
	add_plain(arg, call, params, WORKLOAD_ECHO);
}

static void method_sink(void *arg, struct control_call *call, json_t *params)
{
	add_plain(arg, call, params, WORKLOAD_SINK);
}

static void method_accesses(void *arg, struct control_call *call,
			    json_t *params)
{
	struct workload_spec spec = workload_spec_init(WORKLOAD_ACCESSES);
	struct complaint c = { "" };

	spec.writes = control_boolean(params, "write", false);
	if (take_common(&spec, params, &c) < 0)
		control_fail(call, RPC_PARAMS, "%s", c.text);
	else
		add(arg, call, &spec);
}

static void method_stop_workload(void *arg, struct control_call *call,
				 json_t *params)
{
	const char *name = control_string(params, "workload", NULL);
	unsigned n = workloads_stop(arg, name);

	if (name && !n)
		control_fail(call, RPC_FAILED, "no workload '%s' runs", name);
	else
		control_reply(call, json_pack("{s:i}", "stopped", n));
}

static void method_report(void *arg, struct control_call *call, json_t *params)
{
	(void)params;
	control_reply(call, report_to_json(arg));
}

static void method_reset_counters(void *arg, struct control_call *call,
				  json_t *params)
{
	(void)params;
	report_reset(arg);
	control_reply(call, NULL);
}

static const struct control_param send_params[] = {
	{ "to", 's', false, "MAC address or FUNCTION" },
	{ "depth", 'i', true, "unfinished at a time, default half the ring" },
	{ "rate", 's', true, "frames a second (10k), default max" },
	{ "size", 's', true, "bytes, S or A-B, default 1514" },
	{ "count", 'i', true, "frames, default no end" },
	{ "payload", 's', true, "numbered (default) or plain" },
	{ "vf", 's', true, "FUNCTION or slot to send from" },
	{ "seed", 'i', true, "of the random sizes" },
	{ NULL, 0, false, NULL },
};

static const struct control_param roundtrip_params[] = {
	{ "to", 's', false, "MAC address or FUNCTION, of an echo" },
	{ "count", 'i', true, "round trips, default no end" },
	{ "size", 's', true, "bytes, default 60" },
	{ "vf", 's', true, "FUNCTION or slot to send from" },
	{ NULL, 0, false, NULL },
};

static const struct control_param requests_params[] = {
	{ "depth", 'i', true, "outstanding at a time, 1 to 1024" },
	{ "rate", 's', true, "requests a second, default max" },
	{ "count", 'i', true, "requests, default no end" },
	{ "register", 'i', true, "offset in BAR 0, default the scratch" },
	{ "vf", 's', true, "FUNCTION or slot, default every VF" },
	{ NULL, 0, false, NULL },
};

static const struct control_param accesses_params[] = {
	{ "write", 'b', true, "writes, default reads" },
	{ "depth", 'i', true, "outstanding at a time, 1 to 1024" },
	{ "count", 'i', true, "accesses, default no end" },
	{ "vf", 's', true, "slot of the UART" },
	{ NULL, 0, false, NULL },
};

static const struct control_param vf_params[] = {
	{ "vf", 's', true, "FUNCTION or slot, default every VF" },
	{ NULL, 0, false, NULL },
};

static const struct control_param stop_params[] = {
	{ "workload", 's', true, "its name, default all" },
	{ NULL, 0, false, NULL },
};

static const struct control_param reset_params[] = {
	{ "how", 's', true, "flr (default) or register" },
	{ NULL, 0, false, NULL },
};

const struct control_method guest_methods[] = {
	{ "reset", "reset the PF of a management VM", pf_driver_reset,
	  reset_params },
	{ "roundtrip", "take the time of one frame to an echo and back",
	  method_roundtrip, roundtrip_params },
	{ "send", "send numbered frames", method_send, send_params },
	{ "requests", "keep register reads outstanding", method_requests,
	  requests_params },
	{ "accesses", "keep accesses to a UART's scratch register outstanding",
	  method_accesses, accesses_params },
	{ "echo", "send frames back", method_echo, vf_params },
	{ "sink", "count frames", method_sink, vf_params },
	{ "stop-workload", "end a workload, or all", method_stop_workload,
	  stop_params },
	{ "report", "all counters", method_report, NULL },
	{ "reset-counters", "all counters to zero", method_reset_counters,
	  NULL },
	{ NULL, NULL, NULL, NULL },
};
