/* deactivate.c - the procedures "deactivate", "activate" and "reboot" (spec 03,
 * 2 and 3).
 *
 * Theory of operation.  A deactivated VM is inexecutable, its process is stopped
 * and it has no device; what its process does when somebody continues it reaches
 * no device, since that is the root bridge's doing.  Nobody waits for the stop
 * before the devices are taken.
 *
 * One that failed is started again by the bmc, which knows the process by its
 * pid: the new one is stopped from the start on where it has a low CPU share, so
 * that it does not run before that holds.  Where that fails, and the process is
 * gone, whoever comes next as that VM is a new one; if the process is there, the
 * VM stays deactivated.  The VMs that are deactivated lie in vm0's memory, for
 * the bmc continues them when hvmon dies.
 */
#include <config.h>

#include "cmd/hvmon/deactivate.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/connect.h"
#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/control_signal.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/schedule.h"
#include "cmd/hvmon/vm_share.h"

#define REBOOT_LIMIT_NS (10 * NS_PER_S)

struct deactivate {
	struct procedure p;
	uint64_t signal; /* serial, to be answered; 0: none */
	bool reboot;
};

static struct deactivate *of(struct procedure *p)
{
	return (struct deactivate *)p;
}

static struct vm *vm_of(struct procedure *p)
{
	return vm_find(&p->hv->vms, p->vm);
}

static void answer_signal(struct procedure *p)
{
	control_signal_answer(p->hv, of(p)->signal, p->err);
	of(p)->signal = 0;
}

/* The record. */

static void *room_of(struct hvmon *hv)
{
	return hv->rooms_size >= 2 * sizeof(struct vm_record) ? hv->rooms
							      : NULL;
}

static void write_record(struct hvmon *hv)
{
	struct vm_record record = {
		.head = { .magic = VM_RECORD_MAGIC,
			  .version = VM_RECORD_VERSION },
	};
	void *room = room_of(hv);
	const struct vm *vm;
	unsigned i;

	if (!room)
		return;
	for (i = 0; i < hv->vms.n && record.n < VM_RECORD_MAX; i++) {
		vm = &hv->vms.vm[i];
		if (vm->deactivated)
			record.entry[record.n++] = (struct vm_record_entry){
				.vm = vm->number,
				.pid = vm->last_pid,
				.reboot = vm->reboots,
			};
	}
	record_pair_put(room, sizeof(record), &record);
}

/* The procedure "reboot". */

struct reboot {
	struct procedure p;
	uint32_t pid; /* of the process that failed */
	bool stopped; /* the new one is, from the start on */
};

static void forget_failure(struct hvmon *hv, struct vm *vm)
{
	vm->deactivated = vm->panicked = false;
	schedule_activate_vm(hv, vm->number);
}

static void on_rebooted(void *arg, const struct rpc_answer *answer)
{
	struct reboot *r = arg;
	struct hvmon *hv = r->p.hv;
	struct vm *vm = vm_of(&r->p);

	if (answer->err) {
		step_fail(&r->p, answer->err == -EPIPE ? -ENODEV : -EIO, "%s",
			  answer->message);
	} else {
		vm->born_pid = (uint32_t)json_integer_value(
			json_object_get(answer->result, "pid"));
		vm->born_ns = clock_now_ns();
		forget_failure(hv, vm);
		if (r->stopped)
			vm_stop_started(&hv->schedule.stops, vm->number,
					vm->born_pid, VM_STOP_SCHEDULE);
		schedule_vms_changed(hv);
	}
	step_put(&r->p);
}

/* Its share is set before it is asked for. */
static int reboot_ask(struct procedure *p)
{
	struct vm_stops *stops = &p->hv->schedule.stops;
	struct reboot *r = (struct reboot *)p;
	struct vm *vm = vm_of(p);
	int err;

	vm_shares_update(p->hv);
	r->pid = vm->last_pid;
	r->stopped = vm_share_is_low(p->hv, vm->number);
	err = vm_stops_connect(stops);
	if (!err)
		err = rpc_client_call(stops->bmc, "reboot",
				      json_pack("{s:I, s:s*}", "pid",
						(json_int_t)r->pid, "reason",
						r->stopped ? "schedule" : NULL),
				      REBOOT_LIMIT_NS, on_rebooted, r, NULL);
	if (err)
		return step_fail(p, -ENODEV, "no bmc");
	step_get(p);
	return STEP_NEXT;
}

static void reboot_end(struct procedure *p)
{
	struct vm *vm = vm_of(p);
	char name[VM_NAME_MAX];

	vm_format(name, p->vm);
	vm->reboots = false;
	if (p->err && vm->pid != ((struct reboot *)p)->pid) {
		/* There is nothing to start again. */
		vm->last_pid = vm->pid;
		forget_failure(p->hv, vm);
	}
	write_record(p->hv);
	if (p->err)
		event(p->hv->program->log, "vm.reboot.failed", "s:s, s:s", "vm",
		      name, "why", p->why);
	else
		event(p->hv->program->log, "vm.rebooted", "s:s, s:i", "vm",
		      name, "pid", (int)vm->born_pid);
}

static const struct step reboot_steps[] = {
	{ POINT_REBOOT_ASK, reboot_ask },
	{ 0, NULL },
};

static const struct procedure_desc reboot_desc = {
	.name = "reboot",
	.steps = reboot_steps,
	.end = reboot_end,
};

static void reboot(struct hvmon *hv, uint32_t vm)
{
	struct reboot *r = procedure_new(hv, &reboot_desc, sizeof(*r));

	r->p.vm = vm;
	procedure_start(&r->p, 0);
}

/* The procedure "deactivate". */

static int deactivate_begin(struct procedure *p)
{
	struct vm *vm = vm_of(p);

	vm->deactivated = true;
	vm->reboots = of(p)->reboot;
	if (vm->pid)
		vm->last_pid = vm->pid;
	write_record(p->hv);
	return STEP_NEXT;
}

/* Inexecutable and stopped. */
static int deactivate_stop(struct procedure *p)
{
	schedule_deactivate_vm(p->hv, p->vm);
	return STEP_NEXT;
}

static void on_disconnected(void *arg, int err, const char *why)
{
	struct procedure *p = arg;

	if (err)
		step_fail(p, err, "%s", why);
	step_put(p);
}

static int deactivate_disconnect(struct procedure *p)
{
	struct device *device;
	struct connection *c;

	TAILQ_FOREACH (c, &p->hv->connections, entry) {
		device = device_find_name(p->hv, c->device);
		if (!device || !connection_order(c, p->vm))
			continue;
		step_get(p);
		connect_take_from(device, p->vm, on_disconnected, p);
	}
	return STEP_NEXT;
}

/* Whoever commanded it may go on; for an operator it is done when it stands. */
static int deactivate_wait(struct procedure *p)
{
	answer_signal(p);
	if (of(p)->reboot)
		return STEP_DONE;
	schedule_wait_deactivated(p, p->vm);
	return STEP_NEXT;
}

static void deactivate_end(struct procedure *p)
{
	char name[VM_NAME_MAX];

	answer_signal(p);
	event(p->hv->program->log, "vm.deactivated", "s:s, s:b, s:s*", "vm",
	      vm_format(name, p->vm), "reboot", of(p)->reboot, "why",
	      p->err ? p->why : NULL);
	if (of(p)->reboot)
		reboot(p->hv, p->vm);
	procedure_answer(
		p, json_pack("{s:s, s:s}", "vm", name, "state", "deactivated"));
}

static const struct step deactivate_steps[] = {
	{ POINT_DEACTIVATE_BEGIN, deactivate_begin },
	{ POINT_DEACTIVATE_STOP, deactivate_stop },
	{ POINT_DEACTIVATE_DISCONNECT, deactivate_disconnect },
	{ POINT_NONE, deactivate_wait },
	{ 0, NULL },
};

static const struct procedure_desc deactivate_desc = {
	.name = "deactivate",
	.steps = deactivate_steps,
	.cleanup = 3, /* deactivate_wait */
	.end = deactivate_end,
};

/* The procedure "activate". */

static int activate_run(struct procedure *p)
{
	vm_of(p)->deactivated = false;
	write_record(p->hv);
	schedule_activate_vm(p->hv, p->vm);
	schedule_wait_deactivated(p, p->vm);
	return STEP_NEXT;
}

static void activate_end(struct procedure *p)
{
	char name[VM_NAME_MAX];

	answer_signal(p);
	vm_format(name, p->vm);
	if (!p->err)
		event(p->hv->program->log, "vm.activated", "s:s", "vm", name);
	procedure_answer(
		p, json_pack("{s:s, s:s}", "vm", name, "state", "running"));
}

static const struct step activate_steps[] = {
	{ POINT_ACTIVATE_RUN, activate_run },
	{ 0, NULL },
};

static const struct procedure_desc activate_desc = {
	.name = "activate",
	.steps = activate_steps,
	.end = activate_end,
};

/* Whoever asks. */

static int check(struct hvmon *hv, uint32_t number, bool deactivated,
		 struct complaint *why)
{
	const struct vm *vm = vm_find(&hv->vms, number);

	if (!vm)
		return complain(why, ENODEV, "the root bridge has no vm%u",
				number);
	if (vm->deactivated != deactivated)
		return complain(why, EACCES, "vm%u is %s", number,
				deactivated ? "not deactivated"
					    : "deactivated already");
	if (deactivated && vm->reboots)
		return complain(why, EACCES, "vm%u is being started again",
				number);
	return 0;
}

static struct deactivate *deactivate_new(struct hvmon *hv, uint32_t vm,
					 const struct procedure_desc *desc)
{
	struct deactivate *d = procedure_new(hv, desc, sizeof(*d));

	d->p.vm = vm;
	return d;
}

static bool is_starting(struct hvmon *hv, uint32_t number)
{
	const struct vm *vm = vm_find(&hv->vms, number);

	return vm->born_pid && clock_now_ns() - vm->born_ns < REBOOT_LIMIT_NS;
}

int deactivate_signalled(struct hvmon *hv, uint32_t vm, uint64_t signal)
{
	struct deactivate *d;
	struct complaint why;
	int err = check(hv, vm, false, &why);

	/* There is no process to start again, or that is under way. */
	if (!err && (!vm_find(&hv->vms, vm)->last_pid || is_starting(hv, vm)))
		err = -EACCES;
	if (err)
		return err;
	d = deactivate_new(hv, vm, &deactivate_desc);
	d->signal = signal;
	d->reboot = true;
	procedure_start(&d->p, 0);
	return 0;
}

int activate_signalled(struct hvmon *hv, uint32_t vm, uint64_t signal)
{
	struct deactivate *d;
	struct complaint why;
	int err = check(hv, vm, true, &why);

	if (err)
		return err;
	d = deactivate_new(hv, vm, &activate_desc);
	d->signal = signal;
	procedure_start(&d->p, 0);
	return 0;
}

static void asked(struct hvmon *hv, struct control_call *call, json_t *params,
		  const struct procedure_desc *desc)
{
	bool deactivated = desc == &activate_desc;
	struct deactivate *d;
	struct complaint why;
	uint32_t vm;
	int err;

	if (vm_from_json(json_object_get(params, "vm"), &vm, &why)) {
		control_fail(call, RPC_PARAMS, "%s", why.text);
		return;
	}
	err = check(hv, vm, deactivated, &why);
	if (err) {
		control_fail(call, connect_code(err), "%s", why.text);
		return;
	}
	d = deactivate_new(hv, vm, desc);
	d->p.call = call;
	procedure_start(&d->p, 0);
}

void deactivate_method(void *hv, struct control_call *call, json_t *params)
{
	asked(hv, call, params, &deactivate_desc);
}

void activate_method(void *hv, struct control_call *call, json_t *params)
{
	asked(hv, call, params, &activate_desc);
}

/* Of a process that ended while there was no hypervisor: as its VM said. */
static void take_pids(struct hvmon *hv)
{
	const struct state_peer *peer;
	struct vm *vm;
	unsigned i;

	for (i = 0; i < hv->vms.n; i++) {
		vm = &hv->vms.vm[i];
		peer = state_area_peer(hv->program->state, vm->number, false);
		if (peer && !vm->last_pid)
			vm->last_pid = atomic_load(&peer->pid);
	}
}

void deactivated_take(struct hvmon *hv)
{
	struct vm_record record = {
		.head = { .magic = VM_RECORD_MAGIC,
			  .version = VM_RECORD_VERSION },
	};
	const void *room = room_of(hv);
	struct deactivate *d;
	struct vm *vm;
	unsigned i;

	take_pids(hv);
	if (!room || record_pair_get(room, sizeof(record), &record))
		return;
	for (i = 0; i < record.n && i < VM_RECORD_MAX; i++) {
		vm = vm_find(&hv->vms, record.entry[i].vm);
		if (!vm || vm->number == PLATFORM_HYPERVISOR)
			continue;
		/* It was started again meanwhile. */
		if (record.entry[i].reboot && vm->pid &&
		    vm->pid != record.entry[i].pid)
			continue;
		vm->last_pid = record.entry[i].pid;
		d = deactivate_new(hv, vm->number, &deactivate_desc);
		d->reboot = record.entry[i].reboot;
		procedure_start(&d->p, 0);
	}
}
