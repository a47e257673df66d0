/* methods.c - hvmon's control methods and tables. */
#include <config.h>

#include "cmd/hvmon/methods.h"

#include "cmd/hvmon/allocate.h"
#include "cmd/hvmon/connect.h"
#include "cmd/hvmon/deactivate.h"
#include "cmd/hvmon/devirtualize.h"
#include "cmd/hvmon/heartbeat.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level1.h"
#include "cmd/hvmon/pf_link.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/schedule.h"
#include "cmd/hvmon/virtualize.h"
#include "cmd/hvmon/vm_share.h"
#include "cmd/hvmon/wait_time.h"

static const struct control_param function_params[] = {
	{ "function", 's', false, "FUNCTION, such as nic0/vf1" },
	{ NULL },
};

static const struct control_param reset_params[] = {
	{ "function", 's', false, "FUNCTION, such as nic0/pf0" },
	{ "suspend", 's', true, "table, invalid-address, vcpu or none" },
	{ "confirm", 's', true, "barrier, interrupt, wait or none" },
	{ "grant", 'b', true, "let the PF driver do it" },
	{ NULL },
};

static const struct control_param wait_time_params[] = {
	{ "times", 'o', true, "{\"nic0/vf1\": \"10ms\", ...}" },
	{ NULL },
};

static const struct control_param allocate_params[] = {
	{ "function", 's', false, "VF, such as nic0/vf1" },
	{ "vm", 'o', false, "VM, such as vm1" },
	{ "wait", 's', true, "waiting time (10ms)" },
	{ NULL },
};

static const struct control_param connect_params[] = {
	{ "device", 's', false, "device with a single port, such as ether0" },
	{ "vm", 'o', false, "VM, such as vm1, or none" },
	{ NULL },
};

static const struct control_param vm_params[] = {
	{ "vm", 'o', false, "VM, such as vm1" },
	{ NULL },
};

static const struct control_param translate_params[] = {
	{ "device", 's', false, "device with a single function" },
	{ "policy", 's', false, "accept, read-only, reject or page:DEVICE" },
	{ NULL },
};

static const struct control_param schedule_params[] = {
	{ "vm", 'o', false, "VM, such as vm1" },
	{ "time", 's', true, "running time, 0: it runs freely" },
	{ "executable", 'b', true, "whether it gets turns" },
	{ NULL },
};

static const struct control_param virtualize_params[] = {
	{ "device", 's', false, "device, such as ether0" },
	{ "hold", 's', true, "pause, lock or busy" },
	{ "limit", 's', true, "how long the guest may take to rest" },
	{ "mode", 's', true, "own or adopt" },
	{ "illegal", 's', true, "drop or abort" },
	{ "watch", 'i', true, "whole sequences before emulation (1)" },
	{ "behind", 's', true, "device that does the work" },
	{ NULL },
};

static const struct control_param devirtualize_params[] = {
	{ "device", 's', false, "device, such as ether0" },
	{ "hold", 's', true, "pause, lock, busy, block or log" },
	{ "limit", 's', true, "how long to wait, 0: for ever" },
	{ "irq", 's', true, "redirect or forward" },
	{ NULL },
};

static const struct control_param hang_params[] = {
	{ "spin", 'b', true, "busily" },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "reset", "reset a function and set it up as before", reset_method,
	  reset_params },
	{ "wait-time", "set waiting times (all or none), and tell all",
	  wait_time_method, wait_time_params },
	{ "allocate", "give a VF to a VM", allocate_method, allocate_params },
	{ "free", "take a VF back from its VM", free_method, function_params },
	{ "connect", "switch a device with a single port to a VM",
	  connect_method, connect_params },
	{ "deactivate", "stop a VM and take its devices", deactivate_method,
	  vm_params },
	{ "activate", "let a deactivated VM go on, without devices",
	  activate_method, vm_params },
	{ "schedule", "change a VM's row of the schedule", schedule_method,
	  schedule_params },
	{ "virtualize", "slide in between a guest and its device",
	  virtualize_method, virtualize_params },
	{ "devirtualize", "let a guest have its device again",
	  devirtualize_method, devirtualize_params },
	{ "translate", "what becomes of translations for a device",
	  translate_method, translate_params },
	{ "inject", "raise a VM's platform interrupt", inject_method,
	  vm_params },
	{ "hang", "let the main loop hang until SIGKILL", hang_method,
	  hang_params },
	{ "abort", "end by SIGABRT", abort_method, NULL },
	{ "stop-heartbeat", "go on, but count no more", stop_heartbeat_method,
	  NULL },
	{ NULL },
};

static const struct control_column vf_allocation_columns[] = {
	{ "pf", "PF" },       { "vf", "VF" },
	{ "vm", "VM" },       { "slot", "SLOT" },
	{ "range", "RANGE" }, { "wait", "WAIT" },
	{ "state", "STATE" }, { NULL },
};

static const struct control_column device_columns[] = {
	{ "device", "DEVICE" },   { "bdf", "BDF" },
	{ "state", "STATE" },     { "driver", "DRIVER" },
	{ "link", "LINK" },       { "num_vfs", "VFS" },
	{ "total_vfs", "TOTAL" }, { "bars", "BARS" },
	{ "vf_bars", "VF BARS" }, { "adopted", "ADOPTED" },
	{ "mode", "MODE" },       { "machine", "MACHINE" },
	{ "behind", "BEHIND" },   { "kind", "KIND" },
	{ "real", "REAL" },       { NULL },
};

static const struct control_column link_columns[] = {
	{ "function", "FUNCTION" },
	{ "vm", "VM" },
	{ "physical", "PHYSICAL" },
	{ "physical_max", "MAX" },
	{ "physical_allocated", "ALLOCATED" },
	{ "notified", "NOTIFIED" },
	{ "notified_max", "MAX" },
	{ "notified_allocated", "ALLOCATED" },
	{ NULL },
};

static const struct control_column vm_columns[] = {
	{ "vm", "VM" },       { "state", "STATE" },
	{ "pid", "PID" },     { "incarnation", "INCARNATION" },
	{ "slots", "SLOTS" }, { NULL },
};

static const struct control_column connection_columns[] = {
	{ "device", "DEVICE" },
	{ "vm", "VM" },
	{ "age_ns", "AGE" },
	{ "epoch", "EPOCH" },
	{ "state", "STATE" },
	{ "standbys", "STANDBYS" },
	{ NULL },
};

static const struct control_column translation_columns[] = {
	{ "device", "DEVICE" },
	{ "policy", "POLICY" },
	{ "trapped", "TRAPPED" },
	{ "vm", "VM" },
	{ "page", "PAGE OF" },
	{ "rights", "RIGHTS" },
	{ NULL },
};

static const struct control_column vm_share_columns[] = {
	{ "vm", "VM" },
	{ "role", "ROLE" },
	{ "state", "STATE" },
	{ "share", "SHARE" },
	{ "age", "AGE" },
	{ "devices", "DEVICES" },
	{ NULL },
};

static const struct control_column summary_columns[] = {
	{ "function", "FUNCTION" },   { "vm", "VM" },
	{ "guests", "GUESTS" },       { "interrupts", "INTERRUPTS" },
	{ "events", "EVENTS" },       { "forwarded", "FORWARDED" },
	{ "coalesced", "COALESCED" }, { "dropped", "DROPPED" },
	{ "failed", "FAILED" },       { "interrupted", "INTERRUPTED" },
	{ "alerts", "ALERTS" },       { NULL },
};

static const struct control_column schedule_columns[] = {
	{ "vm", "VM" },
	{ "time", "TIME" },
	{ "executable", "EXECUTABLE" },
	{ "state", "STATE" },
	{ "slices", "SLICES" },
	{ "ran", "RAN" },
	{ NULL },
};

static const struct control_table tables[] = {
	{ "vf-allocation", "which VM has which VF (fig. 6)",
	  vf_allocation_columns, vf_allocation_rows },
	{ "schedule", "which VM runs, for how long (fig. 17)", schedule_columns,
	  schedule_rows },
	{ "devices", "devices on the bus", device_columns, device_rows },
	{ "link", "links, and what their VMs were told (fig. 3)", link_columns,
	  pf_link_rows },
	{ "connections", "which VM has which device with a single port",
	  connection_columns, connection_rows },
	{ "translations", "direct access to devices that VMs have whole",
	  translation_columns, translation_rows },
	{ "vms", "VMs that share devices: roles, states, CPU shares",
	  vm_share_columns, vm_share_rows },
	{ "vm", "virtual machines and their slots", vm_columns, vm_rows },
	{ "summary", "partitions whose events are forwarded, in numbers",
	  summary_columns, summary_rows },
	{ NULL },
};

void methods_add(struct hvmon *hv)
{
	control_add_methods(hv->program->control, methods, hv);
	control_add_tables(hv->program->control, tables, hv);
}
