/* link.c - the commands link and bandwidth: a device's physical links. */
#include <config.h>

#include "cmd/iovctl/client.h"
#include "libcore/function_name.h"

/* The method has the command's name; it is the device that has the link. */
static int move(struct iovctl *ctl, json_t *params)
{
	uint64_t since = iovctl_event_number(ctl);
	struct function_name fn;
	char device[64];
	json_t *result;
	int status;

	if (function_name_parse(ctl->args[0], &fn, &ctl->cause) < 0)
		status = STATUS_USAGE;
	else
		status = find_device(ctl, fn.device, device);
	if (status) {
		json_decref(params);
		return status;
	}
	status = call(ctl, device, ctl->command->name, params, &result);
	if (!status)
		print_started(ctl, result, since);
	return status;
}

static int do_link(struct iovctl *ctl)
{
	return move(ctl, json_pack("{s:s, s:s}", "function", ctl->args[0],
				   "state", ctl->args[1]));
}

static int do_bandwidth(struct iovctl *ctl)
{
	return move(ctl, json_pack("{s:s, s:s, s:s*}", "function", ctl->args[0],
				   "rate", ctl->args[1], "max",
				   ctl->n_args > 2 ? ctl->args[2] : NULL));
}

const struct command link_commands[] = {
	{ .name = "link",
	  .usage = "FUNCTION up|down",
	  .what = "connect or disconnect the link of a function",
	  .help = "The device's own, physical link; what the guests know of it "
		  "is in table link.",
	  .min_args = 2,
	  .max_args = 2,
	  .fn = do_link },
	{ .name = "bandwidth",
	  .usage = "FUNCTION RATE [MAX]",
	  .what = "allocate bandwidth to a function",
	  .help = "RATE, such as 10Gbit, is what it may send; MAX is what can "
		  "be allocated to it; or unlimited.",
	  .min_args = 2,
	  .max_args = 3,
	  .fn = do_bandwidth },
	{ NULL },
};
