/* change.c - a command that several devices must follow before it is
 * answered. */
#include <config.h>

#include <stdlib.h>
#include <unistd.h>

#include "cmd/rootbridge/bridge.h"

struct change *change_new(struct vm *vm, struct vfu_request *req)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change)
		return NULL;
	change->vm = vm;
	change->req = req;
	change->left = 1;
	return change;
}

void change_get(struct change *change)
{
	if (change)
		change->left++;
}

void change_put(struct change *change, int err)
{
	if (!change)
		return;
	if (err < 0 && !change->err)
		change->err = err;
	if (--change->left)
		return;
	if (change->done)
		change->done(change);
	if (change->req && change->err)
		vfu_request_fail(change->req, -change->err);
	else if (change->req)
		vfu_request_ok(change->req);
	free(change->replaced);
	free(change);
}
