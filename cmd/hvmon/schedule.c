/* schedule.c - the scheduler (spec 01, fig. 16) and a510, a525 (fig. 7).
 *
 * Theory of operation.  A virtual CPU is a guest's process, and putting it
 * into operation is having the bmc continue it.  schedule_advance() runs when
 * anything changed (time is up, the bmc answered, a VM came or went, a row was
 * changed) and does what is due: it ends a turn that is over, waits until all
 * others stand, gives the next one its turn, waits until it runs, and then
 * counts its time.  So at no time more than one of the scheduled VMs runs; a
 * VM that the bmc cannot stop (it did not start it) is told of, and passed
 * over.  VMs without a running time run freely.
 */
#include <config.h>

#include "cmd/hvmon/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/vm_share.h"
#include "libcore/units.h"

/* A step that waits until its VMs are as wanted. */
struct schedule_waiter {
	TAILQ_ENTRY(schedule_waiter) entry;
	struct procedure *p;
	enum vm_stop_reason reason;
	struct vm_list vms;
};

static void kick(void *hv);

static void on_bmc_lost(void *arg)
{
	struct hvmon *hv = arg;

	if (schedule_is_on(&hv->schedule.table))
		hvmon_stop(hv, STATUS_MISSING, "no bmc");
	kick(hv);
}

void schedule_init(struct hvmon *hv)
{
	struct schedule *s = &hv->schedule;

	memset(s, 0, sizeof(*s));
	schedule_table_init(&s->table);
	vm_stops_init(&s->stops, hv, kick, on_bmc_lost);
	TAILQ_INIT(&s->waiters);
}

int schedule_start(struct hvmon *hv, struct complaint *c)
{
	int err = 0;

	if (schedule_is_on(&hv->schedule.table))
		err = vm_stops_connect(&hv->schedule.stops);
	return err ? complain(c, ENOENT, "no bmc") : 0;
}

void schedule_fini(struct hvmon *hv)
{
	struct schedule *s = &hv->schedule;
	struct schedule_waiter *w;

	while ((w = TAILQ_FIRST(&s->waiters))) {
		TAILQ_REMOVE(&s->waiters, w, entry);
		free(w);
	}
	loop_timer_cancel(&s->slice);
	loop_defer_cancel(&s->advance);
	vm_stops_fini(&s->stops);
	schedule_table_fini(&s->table);
}

static void pass(struct hvmon *hv, enum hvmon_point at,
		 const struct schedule_row *row)
{
	char vm[VM_NAME_MAX];

	if (point_armed(hv->program->points, at))
		(void)!point(hv->program->points, at, NULL, NULL, NULL, "s:s*",
			     "vm", row ? vm_format(vm, row->vm) : NULL);
}

/* a2025: its turn is over. */
static void end_turn(struct hvmon *hv, struct schedule_row *row)
{
	row->executing = false;
	hv->schedule.started = false;
	loop_timer_cancel(&hv->schedule.slice);
	pass(hv, POINT_SCHEDULE_A2025, row);
}

/* a2020: the time is up.  One that is alone goes on. */
static void on_slice(void *arg)
{
	struct hvmon *hv = arg;
	struct schedule *s = &hv->schedule;
	struct schedule_row *row = schedule_executing(&s->table);

	pass(hv, POINT_SCHEDULE_A2020, row);
	if (row)
		end_turn(hv, row);
	if (row && schedule_next(&s->table) == row) {
		pass(hv, POINT_SCHEDULE_A2040, row);
		schedule_turn(&s->table, row);
	}
	kick(hv);
}

/* Its process may run, or stands. */
static void account(struct schedule_row *row, bool runs)
{
	uint64_t now_ns = clock_now_ns();

	/* One that is not scheduled is not counted. */
	if (!row->time_ns)
		row->runs_since_ns = 0;
	else if (runs && !row->runs_since_ns)
		row->runs_since_ns = now_ns;
	if (runs || !row->runs_since_ns)
		return;
	row->ran_ns += now_ns - row->runs_since_ns;
	row->runs_since_ns = 0;
}

/* Every scheduled VM but the one whose turn it is shall stand.  Whether all
 * of that has happened. */
static bool others_stand(struct hvmon *hv)
{
	struct schedule *s = &hv->schedule;
	bool stand = true, stands, settled;
	struct schedule_row *row;
	struct state_peer *peer;
	unsigned i;

	for (i = 0; i < s->table.n; i++) {
		row = &s->table.row[i];
		stands = row->time_ns && !row->executing && !row->urgent;
		vm_stop_want(&s->stops, row->vm, VM_STOP_SCHEDULE, stands);
		settled = vm_stop_is_settled(&s->stops, row->vm,
					     VM_STOP_SCHEDULE);
		if (!row->executing && !settled)
			stand = false;
		account(row, !stands || !settled);
		/* Those who watch its heartbeat know why it stands. */
		peer = state_area_peer(hv->program->state, row->vm, false);
		if (peer &&
		    !atomic_exchange(&peer->suspended, stands || !settled) &&
		    (stands || !settled))
			atomic_fetch_add(&peer->turns, 1);
	}
	return stand;
}

static bool any_urgent(const struct schedule_table *table)
{
	unsigned i;

	for (i = 0; i < table->n; i++)
		if (table->row[i].urgent)
			return true;
	return false;
}

/* a2030-a2040; NULL: the scheduler idles. */
static struct schedule_row *begin_turn(struct hvmon *hv)
{
	struct schedule *s = &hv->schedule;
	struct schedule_row *row;

	pass(hv, POINT_SCHEDULE_A2030, NULL);
	row = schedule_next(&s->table);
	if (!row && !s->idle && !any_urgent(&s->table))
		event(hv->program->log, "schedule.idle", NULL);
	s->idle = !row;
	if (!row)
		return NULL;
	pass(hv, POINT_SCHEDULE_A2035, row);
	pass(hv, s->begun ? POINT_SCHEDULE_A2040 : POINT_SCHEDULE_A2005, row);
	s->begun = true;
	schedule_turn(&s->table, row);
	pass(hv, POINT_SCHEDULE_A2015, row);
	vm_stop_want(&s->stops, row->vm, VM_STOP_SCHEDULE, false);
	return row;
}

static void take_turns(struct hvmon *hv)
{
	struct schedule *s = &hv->schedule;
	struct schedule_row *row = schedule_executing(&s->table);
	bool stand;

	if (!schedule_is_on(&s->table)) {
		if (row)
			end_turn(hv, row);
		(void)others_stand(hv);
		return;
	}
	if (row && !schedule_may_run(row)) {
		end_turn(hv, row);
		row = NULL;
	}
	stand = others_stand(hv);
	if (!s->begun)
		pass(hv, POINT_SCHEDULE_A2000, NULL);
	if (!row && stand)
		row = begin_turn(hv);
	if (!row || s->slice.loop ||
	    !vm_stop_is_settled(&s->stops, row->vm, VM_STOP_SCHEDULE))
		return;
	pass(hv, POINT_SCHEDULE_A2010, row);
	s->started = true;
	loop_timer_in(hv->program->loop, &s->slice, row->time_ns, on_slice, hv);
}

/* Whether all of them are as wanted; *why: what failed. */
static bool is_over(struct hvmon *hv, const struct schedule_waiter *w,
		    const char **why)
{
	struct vm_stops *stops = &hv->schedule.stops;
	const char *failure;
	unsigned i;

	for (i = 0; i < w->vms.n; i++) {
		if (!vm_stop_is_settled(stops, w->vms.vm[i], w->reason))
			return false;
		failure = vm_stop_failure(stops, w->vms.vm[i], w->reason);
		if (failure)
			*why = failure;
	}
	return true;
}

static void tell_waiters(struct hvmon *hv)
{
	struct schedule_waiter *w, *next;
	const char *why;

	for (w = TAILQ_FIRST(&hv->schedule.waiters); w; w = next) {
		struct procedure *p = w->p;

		next = TAILQ_NEXT(w, entry);
		why = NULL;
		if (!is_over(hv, w, &why))
			continue;
		TAILQ_REMOVE(&hv->schedule.waiters, w, entry);
		free(w);
		if (why)
			step_fail(p, strcmp(why, "no bmc") ? -EIO : -ENODEV,
				  "%s", why);
		step_put(p);
		/* What it went on with may have changed the list. */
		next = TAILQ_FIRST(&hv->schedule.waiters);
	}
}

static void advance(void *arg)
{
	struct hvmon *hv = arg;

	if (hv->stopping)
		return;
	take_turns(hv);
	tell_waiters(hv);
}

static void kick(void *arg)
{
	struct hvmon *hv = arg;

	loop_defer(hv->program->loop, &hv->schedule.advance, advance, hv);
}

void schedule_vms_changed(void *arg)
{
	struct hvmon *hv = arg;
	struct schedule *s = &hv->schedule;
	const struct vm *vm;
	uint32_t pid;
	unsigned i;

	for (i = 0; i < hv->vms.n; i++) {
		vm = &hv->vms.vm[i];
		if (vm->number == PLATFORM_HYPERVISOR)
			continue;
		/* The bridge may not have seen yet that the last one ended. */
		pid = vm->born_pid ? vm->born_pid : vm->pid;
		schedule_get(&s->table, vm->number)->present = pid;
		vm_stop_process(&s->stops, vm->number, pid);
	}
	vm_shares_update(hv);
	kick(hv);
}

/* a510 and a525 */

static void begin_wait(struct procedure *p, const struct vm_list *vms,
		       enum vm_stop_reason reason)
{
	struct schedule_waiter *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->p = p;
	w->vms = *vms;
	w->reason = reason;
	TAILQ_INSERT_TAIL(&p->hv->schedule.waiters, w, entry);
	step_get(p);
	kick(p->hv);
}

void schedule_stop_vms(struct procedure *p, const struct vm_list *vms)
{
	struct schedule *s = &p->hv->schedule;
	int err = vm_stops_connect(&s->stops);
	unsigned i;

	for (i = 0; i < vms->n; i++) {
		schedule_get(&s->table, vms->vm[i])->resets++;
		if (!err)
			vm_stop_want(&s->stops, vms->vm[i], VM_STOP_A105, true);
	}
	if (err)
		step_fail(p, -ENODEV, "no bmc");
	else
		begin_wait(p, vms, VM_STOP_A105);
}

void schedule_resume_vms(struct procedure *p, const struct vm_list *vms)
{
	struct schedule *s = &p->hv->schedule;
	struct schedule_row *row;
	unsigned i;

	for (i = 0; i < vms->n; i++) {
		row = schedule_get(&s->table, vms->vm[i]);
		if (!row->resets || --row->resets)
			continue;
		vm_stop_want(&s->stops, row->vm, VM_STOP_A105, false);
	}
	begin_wait(p, vms, VM_STOP_A105);
}

/* Deactivated VMs (spec 03), and shares. */

void schedule_deactivate_vm(struct hvmon *hv, uint32_t vm)
{
	schedule_get(&hv->schedule.table, vm)->executable = false;
	vm_stop_want(&hv->schedule.stops, vm, VM_STOP_DEACTIVATED, true);
	kick(hv);
}

void schedule_activate_vm(struct hvmon *hv, uint32_t vm)
{
	schedule_get(&hv->schedule.table, vm)->executable = true;
	vm_stop_want(&hv->schedule.stops, vm, VM_STOP_DEACTIVATED, false);
	kick(hv);
}

void schedule_wait_deactivated(struct procedure *p, uint32_t vm)
{
	const struct vm_list vms = { .n = 1, .vm = { vm } };

	begin_wait(p, &vms, VM_STOP_DEACTIVATED);
}

void schedule_share(struct hvmon *hv, uint32_t vm, uint64_t time_ns,
		    bool urgent)
{
	struct schedule_row *row = schedule_get(&hv->schedule.table, vm);

	if (row->time_ns == time_ns && row->urgent == urgent)
		return;
	row->time_ns = time_ns;
	row->urgent = urgent;
	kick(hv);
}

/* For the operator */

static uint64_t ran_ns(const struct schedule_row *row)
{
	uint64_t now_ns = row->runs_since_ns ? clock_now_ns() : 0;

	return row->ran_ns + now_ns - row->runs_since_ns;
}

static json_t *row_to_json(struct hvmon *hv, const struct schedule_row *row)
{
	const struct schedule *s = &hv->schedule;
	char vm[VM_NAME_MAX], time[32] = "-";
	bool executing;

	executing = row->present && !row->resets &&
		    (row->time_ns ? row->executing && s->started : true);
	if (row->time_ns)
		units_format_duration(time, sizeof(time), row->time_ns);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "vm",
			 vm_format(vm, row->vm), "time", time, "executable",
			 row->executable && !row->resets ? "executable"
							 : "inexecutable",
			 "state", executing ? "executing" : "suspended",
			 "slices", (json_int_t)row->slices, "ran",
			 row->time_ns ? json_integer((json_int_t)ran_ns(row))
				      : json_null());
}

json_t *schedule_rows(void *arg)
{
	struct hvmon *hv = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < hv->schedule.table.n; i++)
		json_array_append_new(
			rows, row_to_json(hv, &hv->schedule.table.row[i]));
	return rows;
}

/* Apply what was asked, all or nothing; -errno with *c. */
static int change(struct hvmon *hv, uint32_t vm, const json_t *params,
		  struct complaint *c)
{
	const char *text = control_string(params, "time", NULL);
	struct schedule_row *row;
	uint64_t ns = 0;
	int err = text ? schedule_time_parse(text, &ns, c) : 0;

	if (err)
		return err;
	if (successors_has(&hv->successors, vm))
		return complain(c, EINVAL,
				"vm%u is a successor, which always runs", vm);
	if (ns && vm_stops_connect(&hv->schedule.stops))
		return complain(c, ENODEV, "no bmc");
	row = schedule_get(&hv->schedule.table, vm);
	if (text)
		row->time_ns = ns;
	row->executable =
		control_boolean(params, "executable", row->executable);
	return 0;
}

void schedule_method(void *arg, struct control_call *call, json_t *params)
{
	const json_t *value = json_object_get(params, "vm");
	struct schedule_row *row;
	struct hvmon *hv = arg;
	char vm[VM_NAME_MAX];
	struct complaint c;
	uint32_t number;
	int err;

	err = vm_from_json(value, &number, &c);
	if (!err)
		err = change(hv, number, params, &c);
	if (err) {
		control_fail(call, err == -ENODEV ? RPC_MISSING : RPC_PARAMS,
			     "%s", c.text);
		return;
	}
	row = schedule_find(&hv->schedule.table, number);
	event(hv->program->log, "schedule.changed", "s:s, s:I, s:b", "vm",
	      vm_format(vm, number), "time_ns", (json_int_t)row->time_ns,
	      "executable", row->executable);
	control_reply(call, row_to_json(hv, row));
	kick(hv);
}
