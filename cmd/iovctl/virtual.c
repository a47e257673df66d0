/* virtual.c - the commands that slide the monitor in between a guest and a
 * device, and out again. */
#include <config.h>

#include "cmd/iovctl/client.h"

/* The method has the command's name. */
static int do_virtual(struct iovctl *ctl)
{
	uint64_t since = iovctl_event_number(ctl);
	json_t *params, *result;
	char name[64];
	int status;

	status = find_role(ctl, "hvmon", name);
	if (status)
		return status;
	params =
		json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*}", "device",
			  ctl->args[0], "hold", ctl->hold, "limit", ctl->limit,
			  "mode", ctl->mode, "illegal", ctl->illegal, "irq",
			  ctl->irq, "behind", ctl->behind);
	if (ctl->watch)
		json_object_set_new(params, "watch",
				    json_integer((json_int_t)ctl->watch));
	status = call_slow(ctl, name, ctl->command->name, params, &result);
	if (!status)
		print_started(ctl, result, since);
	return status;
}

const struct command virtual_commands[] = {
	{ .name = "virtualize",
	  .usage = "DEVICE",
	  .what = "slide the monitor in between a guest and its device",
	  .help = "The guest's accesses are emulated from the end of a sequence "
		  "on, which is looked for. Meanwhile the guest can be held off "
		  "by pause, lock or busy. Table devices shows the mode.",
	  .takes = TAKES_HOLD | TAKES_VIRTUAL,
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_virtual },
	{ .name = "devirtualize",
	  .usage = "DEVICE",
	  .what = "let a guest drive its device again",
	  .help = "New sequences are held off (block) until what was begun is "
		  "finished; past the limit the device is reset.",
	  .takes = TAKES_HOLD | TAKES_DIRECT,
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_virtual },
	{ 0 },
};
