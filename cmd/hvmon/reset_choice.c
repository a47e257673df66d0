/* reset_choice.c - names of the ways to suspend and to confirm. */
#include <config.h>

#include "cmd/hvmon/reset_choice.h"

#include <errno.h>
#include <string.h>

static const char *const suspend_names[SUSPEND_N] = {
	[SUSPEND_TABLE] = "table",
	[SUSPEND_INVALID] = "invalid-address",
	[SUSPEND_VCPU] = "vcpu",
	[SUSPEND_NONE] = "none",
};

static const char *const confirm_names[CONFIRM_N] = {
	[CONFIRM_BARRIER] = "barrier",
	[CONFIRM_INTERRUPT] = "interrupt",
	[CONFIRM_WAIT] = "wait",
	[CONFIRM_NONE] = "none",
};

const char *reset_suspend_name(enum reset_suspend suspend)
{
	return suspend_names[suspend];
}

const char *reset_confirm_name(enum reset_confirm confirm)
{
	return confirm_names[confirm];
}

static int find(const char *const *names, unsigned n, const char *name)
{
	unsigned i;

	for (i = 0; i < n && strcmp(names[i], name); i++)
		;
	return i < n ? (int)i : -1;
}

int reset_choice_parse(struct reset_choice *choice, const char *suspend,
		       const char *confirm, struct complaint *c)
{
	int how = choice->suspend, then = choice->confirm;

	if (suspend)
		how = find(suspend_names, SUSPEND_N, suspend);
	if (how < 0)
		return complain(c, EINVAL,
				"suspend: '%s' is not table, invalid-address, "
				"vcpu or none",
				suspend);
	if (confirm)
		then = find(confirm_names, CONFIRM_N, confirm);
	if (then < 0)
		return complain(c, EINVAL,
				"confirm: '%s' is not barrier, interrupt, wait "
				"or none",
				confirm);
	choice->suspend = (enum reset_suspend)how;
	choice->confirm = (enum reset_confirm)then;
	return 0;
}
