/* control_signal.c - control signals of guests that share devices (spec 03).
 *
 * A VM asks for itself only: it connects itself, and deactivates or activates
 * VMs with which it shares a device.
 */
#include <config.h>

#include "cmd/hvmon/control_signal.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/allocate.h"
#include "cmd/hvmon/connect.h"
#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/deactivate.h"
#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "libcore/control_signal.h"

_Static_assert(CONTROL_PORT_VMS == CONNECTION_VMS, "members");
_Static_assert(sizeof(struct control_view) <= SUP_DATA_MAX, "one access");

void control_signal_answer(struct hvmon *hv, uint64_t serial, int err)
{
	const struct sup_exception exception = { .serial = serial };

	if (serial && err)
		exception_fail(hv, &exception, -err);
	else if (serial)
		exception_done(hv, &exception, NULL);
}

void control_signal_tell(struct hvmon *hv, uint32_t vm)
{
	const struct connection *c;
	unsigned i;

	TAILQ_FOREACH (c, &hv->connections, entry)
		for (i = 0; c->vm == vm && i < c->n; i++)
			if (c->member[i].vm != vm)
				inject_start(hv, c->member[i].vm, NULL);
}

static void view_add(struct hvmon *hv, const struct connection *c,
		     struct control_view *view)
{
	struct control_port *port = &view->port[view->n++];
	const struct vm *vm = vm_find(&hv->vms, c->vm);
	unsigned i;

	strlcpy(port->device, c->device, sizeof(port->device));
	port->vm = c->vm;
	port->epoch = c->epoch;
	if (vm && vm->state != SUP_VM_RUNNING)
		port->flags |=
			vm->last_pid ? CONTROL_PORT_EXIT : CONTROL_PORT_ABSENT;
	if (vm && vm->panicked)
		port->flags |= CONTROL_PORT_PANIC;
	if (c->phase != CONNECTION_SETTLED)
		port->flags |= CONTROL_PORT_SWITCHING;
	port->n = c->n;
	for (i = 0; i < c->n; i++)
		port->member[i] = c->member[i].vm;
}

static void answer_view(struct hvmon *hv, const struct sup_exception *exception)
{
	struct control_view view = {
		.magic = CONTROL_SIGNAL_MAGIC,
		.version = CONTROL_SIGNAL_VERSION,
	};
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (view.n < CONTROL_PORTS &&
		    connection_order(c, exception->vm))
			view_add(hv, c, &view);
	exception_done(hv, exception, &view);
}

/* 0: it will be answered; or -errno. */
static int take_connect(struct hvmon *hv, const struct sup_exception *exception,
			const struct control_signal *signal)
{
	const struct connection *c = connection_find(hv, signal->device);
	struct complaint why;
	int err;

	if (!c || !connection_order(c, exception->vm))
		return -EPERM;
	err = connect_check(hv, signal->device, exception->vm, &why);
	if (!err)
		connect_signalled(device_find_name(hv, signal->device),
				  exception->vm, exception->serial);
	return err;
}

static bool share(struct hvmon *hv, uint32_t one, uint32_t other)
{
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (connection_order(c, one) && connection_order(c, other))
			return true;
	return false;
}

static int take_panic(struct hvmon *hv, const struct sup_exception *exception)
{
	struct vm *vm = vm_find(&hv->vms, exception->vm);
	char name[VM_NAME_MAX];

	vm->panicked = true;
	event(hv->program->log, "vm.panic", "s:s", "vm",
	      vm_format(name, vm->number));
	control_signal_tell(hv, vm->number);
	exception_done(hv, exception, NULL);
	return 0;
}

static int take_signal(struct hvmon *hv, const struct sup_exception *exception)
{
	struct control_signal signal;

	if (exception->size != sizeof(signal))
		return -EINVAL;
	memcpy(&signal, exception->data, sizeof(signal));
	if (signal.magic != CONTROL_SIGNAL_MAGIC || signal.rsvd0 ||
	    !memchr(signal.device, '\0', sizeof(signal.device)))
		return -EINVAL;
	switch (signal.action) {
	case CONTROL_CONNECT:
		return take_connect(hv, exception, &signal);
	case CONTROL_DEACTIVATE:
		if (!share(hv, exception->vm, signal.vm))
			return -EPERM;
		return deactivate_signalled(hv, signal.vm, exception->serial);
	case CONTROL_ACTIVATE:
		if (!share(hv, exception->vm, signal.vm))
			return -EPERM;
		return activate_signalled(hv, signal.vm, exception->serial);
	case CONTROL_PANIC:
		return take_panic(hv, exception);
	}
	return -EINVAL;
}

bool control_signal_takes(struct hvmon *hv,
			  const struct sup_exception *exception)
{
	const struct vm *vm = vm_find(&hv->vms, exception->vm);
	int err = -EINVAL;

	if (exception->gpa != CONTROL_SIGNAL_PAGE || !vm)
		return false;
	if (exception->flags & SUP_EX_WRITE) {
		err = vm->deactivated ? -EPERM : take_signal(hv, exception);
	} else if (exception->size == sizeof(struct control_view)) {
		answer_view(hv, exception);
		err = 0;
	}
	if (err)
		exception_fail(hv, exception, -err);
	return true;
}
