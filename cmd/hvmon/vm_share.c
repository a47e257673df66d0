/* vm_share.c - the CPU shares of VMs that share devices (spec 03, 4).
 *
 * Theory of operation.  A share is a running time in the VM schedule table: VMs
 * that are connected with a device get ACTIVE_NS each, those that only stand by
 * so much that each has its share of a whole round.  They follow the connection
 * table.
 *
 * One that stands by must be able to look after the other at any time.  So when
 * the heartbeat of a VM with a device is late, or the VM is known to have failed,
 * it and those who stand by for its devices run freely until that is over.
 */
#include <config.h>

#include "cmd/hvmon/vm_share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/hvmon/connection_table.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/schedule.h"
#include "libcore/units.h"

#define ACTIVE_NS       (10 * NS_PER_MS)
#define STANDBY_DEFAULT (UINT32_MAX / 20u)
/* All who stand by have no more than that together. */
#define STANDBYS_MAX 0.9
#define WHOLE        4294967296.0

#define LOOK_NS      (5 * NS_PER_MS)
/* A heartbeat is late after so many of its periods, and this. */
#define LATE_PERIODS  2u
#define LATE_NS       (10 * NS_PER_MS)
#define PERIOD_MAX_NS NS_PER_S

void vm_shares_init(struct hvmon *hv)
{
	memset(&hv->shares, 0, sizeof(hv->shares));
	hv->shares.standby = STANDBY_DEFAULT;
}

void vm_shares_fini(struct hvmon *hv)
{
	loop_timer_cancel(&hv->shares.look);
}

int vm_share_parse(struct vm_shares *shares, const char *text,
		   struct complaint *c)
{
	uint32_t share = 0;
	int err = strcmp(text, "0") ? units_percent(text, &share, c) : 0;

	if (!err && share > UINT32_MAX / 2)
		err = complain(c, ERANGE, "%s is more than half of the CPU",
			       text);
	if (!err)
		shares->standby = share;
	return err;
}

static bool is_shared(struct hvmon *hv, const struct vm *vm)
{
	return vm->number != PLATFORM_HYPERVISOR &&
	       connections_share(hv, vm->number) &&
	       !successors_has(&hv->successors, vm->number);
}

static bool is_standby(struct hvmon *hv, const struct vm *vm)
{
	return is_shared(hv, vm) && !connections_have(hv, vm->number);
}

/* They are in force where there is a bmc. */
static bool is_on(struct hvmon *hv)
{
	return hv->shares.standby && !vm_stops_connect(&hv->schedule.stops);
}

bool vm_share_is_low(struct hvmon *hv, uint32_t number)
{
	const struct vm *vm = vm_find(&hv->vms, number);

	return vm && is_on(hv) && is_standby(hv, vm);
}

/* low / (active + standbys * low) = share */
static uint64_t standby_ns(struct hvmon *hv)
{
	double share = hv->shares.standby / WHOLE;
	unsigned i, active = 0, standbys = 0;
	double ns;

	for (i = 0; i < hv->vms.n; i++) {
		standbys += is_standby(hv, &hv->vms.vm[i]);
		active += is_shared(hv, &hv->vms.vm[i]) &&
			  !is_standby(hv, &hv->vms.vm[i]);
	}
	if (standbys * share > STANDBYS_MAX)
		share = STANDBYS_MAX / standbys;
	ns = (active ? active : 1) * ACTIVE_NS * share / (1 - standbys * share);
	if (ns < SCHEDULE_TIME_MIN_NS)
		return SCHEDULE_TIME_MIN_NS;
	return ns > SCHEDULE_TIME_MAX_NS ? SCHEDULE_TIME_MAX_NS : (uint64_t)ns;
}

static uint64_t beat_age_ns(struct hvmon *hv, uint32_t vm, uint64_t *period_ns)
{
	struct state_peer *peer =
		state_area_peer(hv->program->state, vm, false);
	uint64_t beat_ns = peer ? atomic_load(&peer->beat_ns) : 0;
	uint64_t now_ns = clock_now_ns();

	*period_ns = peer ? atomic_load(&peer->period_us) * NS_PER_US : 0;
	if (*period_ns > PERIOD_MAX_NS)
		*period_ns = PERIOD_MAX_NS;
	return beat_ns && now_ns > beat_ns ? now_ns - beat_ns : 0;
}

static bool is_late(struct hvmon *hv, uint32_t number)
{
	const struct vm *vm = vm_find(&hv->vms, number);
	uint64_t period_ns, age_ns = beat_age_ns(hv, number, &period_ns);

	return (vm && (vm->state != SUP_VM_RUNNING || vm->panicked)) ||
	       age_ns > LATE_PERIODS * period_ns + LATE_NS;
}

/* One of the VM's devices is connected with one that is late. */
static bool is_urgent(struct hvmon *hv, uint32_t vm)
{
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry)
		if (c->n > 1 && c->vm != PLATFORM_VM_NONE &&
		    connection_order(c, vm) && is_late(hv, c->vm))
			return true;
	return false;
}

static void on_look(void *arg)
{
	vm_shares_update(arg);
}

void vm_shares_update(struct hvmon *hv)
{
	bool on = !hv->stopping && is_on(hv), any = false;
	uint64_t low_ns = on ? standby_ns(hv) : 0;
	const struct vm *vm;
	unsigned i;

	for (i = 0; on && i < hv->vms.n; i++) {
		vm = &hv->vms.vm[i];
		if (!is_shared(hv, vm))
			continue;
		any = true;
		schedule_share(hv, vm->number,
			       is_standby(hv, vm) ? low_ns : ACTIVE_NS,
			       is_urgent(hv, vm->number));
	}
	if (any)
		loop_timer_in(hv->program->loop, &hv->shares.look, LOOK_NS,
			      on_look, hv);
}

/* The table. */

static const char *role_of(struct hvmon *hv, const struct vm *vm)
{
	if (vm->deactivated || vm->state != SUP_VM_RUNNING)
		return "stopped";
	return connections_have(hv, vm->number) ? "active" : "standby";
}

static const char *state_of(const struct vm *vm)
{
	if (vm->deactivated)
		return vm->reboots ? "rebooting" : "deactivated";
	if (vm->born_pid)
		return "rebooting";
	return vm->state == SUP_VM_RUNNING && !vm->panicked ? "running"
							    : "failed";
}

/* Of all that the schedule gives; null: it runs freely. */
static json_t *share_of(struct hvmon *hv, uint32_t vm)
{
	const struct schedule_table *table = &hv->schedule.table;
	double own = 0, all = 0;
	unsigned i;

	for (i = 0; i < table->n; i++) {
		all += (double)table->row[i].time_ns;
		if (table->row[i].vm == vm)
			own = (double)table->row[i].time_ns;
	}
	return own > 0 ? json_real(own / all) : json_null();
}

static json_t *devices_of(struct hvmon *hv, uint32_t vm)
{
	char text[DEVICE_MAX * (DEVICE_NAME_MAX + 1)] = "";
	const struct connection *c;

	TAILQ_FOREACH (c, &hv->connections, entry) {
		if (c->vm != vm)
			continue;
		if (text[0])
			strlcat(text, " ", sizeof(text));
		strlcat(text, c->device, sizeof(text));
	}
	return json_string(text);
}

static json_t *row_of(struct hvmon *hv, const struct vm *vm)
{
	uint64_t period_ns, age_ns = beat_age_ns(hv, vm->number, &period_ns);
	char name[VM_NAME_MAX];

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o}", "vm",
		vm_format(name, vm->number), "role", role_of(hv, vm), "state",
		state_of(vm), "share", share_of(hv, vm->number), "age",
		period_ns ? json_integer((json_int_t)age_ns) : json_null(),
		"devices", devices_of(hv, vm->number));
}

json_t *vm_share_rows(void *arg)
{
	struct hvmon *hv = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < hv->vms.n; i++)
		if (connections_share(hv, hv->vms.vm[i].number) ||
		    connections_have(hv, hv->vms.vm[i].number) ||
		    hv->vms.vm[i].deactivated)
			json_array_append_new(rows, row_of(hv, &hv->vms.vm[i]));
	return rows;
}
