/* methods.c - what may be asked of bmc on its control socket. */
#include <config.h>

#include "cmd/bmc/bmc.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/pid_state.h"

struct process *bmc_find_pid(struct bmc *b, pid_t pid)
{
	unsigned i;

	for (i = 0; pid && i < b->n; i++)
		if (b->process[i].pid == pid)
			return &b->process[i];
	return NULL;
}

struct process *bmc_find(struct bmc *b, const char *name)
{
	unsigned i;

	if (isdigit((unsigned char)*name))
		return bmc_find_pid(b, (pid_t)strtol(name, NULL, 10));
	for (i = 0; i < b->n; i++)
		if (!strcmp(b->process[i].line->name, name))
			return &b->process[i];
	return NULL;
}

/* The process that "name" (or "pid") means; NULL: the call is answered. */
static struct process *target(struct bmc *b, struct control_call *call,
			      const json_t *params)
{
	long long pid = control_integer(params, "pid", -1);
	const char *name = control_string(params, "name", NULL);
	struct process *p;

	if (b->power.state > POWER_UP) {
		control_fail(call, RPC_DENIED, "the machine is powered off");
		return NULL;
	}
	if (!name == (pid < 0)) {
		control_fail(call, RPC_PARAMS, "either name or pid, please");
		return NULL;
	}
	p = name ? bmc_find(b, name) : bmc_find_pid(b, (pid_t)pid);
	if (!p && !name)
		control_fail(call, RPC_MISSING, "no program with pid %lld",
			     pid);
	else if (!p)
		control_fail(call, RPC_MISSING, "no program '%.32s'", name);
	return p;
}

static json_int_t since(const struct bmc *b)
{
	return (json_int_t)atomic_load_explicit(
		&b->program.state->event_sequence, memory_order_relaxed);
}

json_t *bmc_processes(void *arg)
{
	struct bmc *b = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < b->n; i++)
		json_array_append_new(rows, process_to_json(&b->process[i]));
	return rows;
}

static void answer_ps(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;

	(void)params;
	control_reply(call,
		      json_pack("{s:s, s:s, s:s, s:o, s:o}", "machine",
				b->program.machine.name, "file", b->label,
				"power", power_state_name(b), "command",
				b->captive.pid ? json_integer(b->captive.pid)
					       : json_null(),
				"processes", bmc_processes(b)));
}

/* Once it has ended. */
static void start_again(struct process *p, struct control_call *call)
{
	process_wait(p, WAIT_RESTART, call);
	p->again = true;
	process_end(p);
}

static void answer_start(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p = target(b, call, params);
	int err;

	if (!p)
		return;
	/* Who killed it knows that before we do. */
	if (pid_is_exiting(p->pid) && !p->ending && !p->doomed) {
		start_again(p, call);
		return;
	}
	if (process_runs(p) || process_restarts(p) || p->state == PROCESS_OFF) {
		control_fail(call, RPC_DENIED, "%s is %s", p->line->name,
			     process_runs(p) ? "running" : "about to start");
		return;
	}
	process_wait(p, WAIT_READY, call);
	err = process_start(p);
	if (err)
		process_refuse(p, WAIT_READY, strerror(-err));
}

static void power_off_asked(struct bmc *b, struct control_call *call)
{
	control_reply(call, json_pack("{s:I}", "since", since(b)));
	power_off(b, -1, NULL);
}

static void answer_stop(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p;

	if (!control_string(params, "name", NULL)) {
		power_off_asked(b, call);
		return;
	}
	p = target(b, call, params);
	if (!p)
		return;
	if (!process_runs(p)) {
		control_fail(call, RPC_DENIED, "%s does not run",
			     p->line->name);
		return;
	}
	process_wait(p, WAIT_ENDED, call);
	process_end(p);
}

static void answer_restart(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p = target(b, call, params);

	if (!p)
		return;
	if (!process_runs(p)) {
		answer_start(arg, call, params);
		return;
	}
	start_again(p, call);
}

/* "KILL", "SIGKILL" or "9"; 0 when it is none of these. */
static int signal_number(const char *text)
{
	const char *name;
	char *end;
	long n;
	int i;

	n = strtol(text, &end, 10);
	if (end != text)
		return *end || n < 1 || n >= _NSIG ? 0 : (int)n;
	if (!strncmp(text, "SIG", 3))
		text += 3;
	for (i = 1; i < _NSIG; i++) {
		name = sigabbrev_np(i);
		if (name && !strcmp(name, text))
			return i;
	}
	return 0;
}

static void answer_kill(void *arg, struct control_call *call, json_t *params)
{
	const char *text = control_string(params, "signal", "KILL");
	struct bmc *b = arg;
	struct process *p = target(b, call, params);
	int signo = signal_number(text);
	json_int_t from = since(b);
	int err;

	if (!p)
		return;
	if (!signo) {
		control_fail(call, RPC_PARAMS, "no signal '%.32s'", text);
		return;
	}
	err = process_signal(p, signo);
	if (err) {
		control_fail(call, RPC_MISSING, "%s does not run",
			     p->line->name);
		return;
	}
	if (signo == SIGSTOP)
		process_saw(p, STOP_ASKED);
	event(b->program.log, "program.signal", "s:s, s:i, s:s*", "name",
	      p->line->name, "pid", (int)p->pid, "signal", sigabbrev_np(signo));
	if (signo == SIGKILL)
		process_wait(p, WAIT_ENDED, call);
	else if (signo == SIGSTOP && !stop_is_settled(&p->stop))
		process_wait(p, WAIT_SETTLED, call);
	else
		control_reply(call, json_pack("{s:s, s:i, s:I}", "name",
					      p->line->name, "pid", (int)p->pid,
					      "since", from));
}

/* Reasons of a program of the machine end with it; others are an
 * operator's. */
static pid_t holder_of(struct bmc *b, const struct control_call *call)
{
	pid_t pid = control_peer(call);

	return bmc_find_pid(b, pid) ? pid : 0;
}

/* One that is fenced stops and continues nobody. */
static bool is_refused(struct bmc *b, struct control_call *call)
{
	const struct process *asker = bmc_find_pid(b, control_peer(call));

	if (!asker || !asker->fenced)
		return false;
	control_fail(call, RPC_DENIED, "%s is fenced", asker->line->name);
	return true;
}

static void answer_freeze(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p;

	if (is_refused(b, call))
		return;
	p = target(b, call, params);
	if (p)
		process_freeze(p, control_string(params, "reason", "operator"),
			       holder_of(b, call), call);
}

static void answer_thaw(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p;

	if (is_refused(b, call))
		return;
	p = target(b, call, params);
	if (p)
		process_thaw(p, control_string(params, "reason", "operator"),
			     !holder_of(b, call), call);
}

/* By the pid that it has, or had last. */
static void answer_reboot(void *arg, struct control_call *call, json_t *params)
{
	long long pid = control_integer(params, "pid", -1);
	struct process *p = NULL;
	struct bmc *b = arg;
	unsigned i;

	if (is_refused(b, call))
		return;
	if (b->power.state > POWER_UP) {
		control_fail(call, RPC_DENIED, "the machine is powered off");
		return;
	}
	for (i = 0; i < b->n && !p; i++)
		if (process_runs_program(&b->process[i], "guestd") &&
		    (b->process[i].pid == pid || b->process[i].last_pid == pid))
			p = &b->process[i];
	if (!p)
		control_fail(call, RPC_MISSING, "no guest had pid %lld", pid);
	else
		process_reboot(p, control_string(params, "reason", NULL),
			       holder_of(b, call), call);
}

static void answer_soft_reset(void *arg, struct control_call *call,
			      json_t *params)
{
	struct bmc *b = arg;

	(void)params;
	if (b->power.state > POWER_UP)
		control_fail(call, RPC_DENIED, "the machine is powered off");
	else
		soft_reset_ask(b, call);
}

/* Somebody else took its place: what it stopped goes on. */
static void answer_fence(void *arg, struct control_call *call, json_t *params)
{
	struct bmc *b = arg;
	struct process *p = target(b, call, params);
	unsigned i;

	if (!p)
		return;
	if (!process_runs(p)) {
		control_fail(call, RPC_MISSING, "%s does not run",
			     p->line->name);
		return;
	}
	p->fenced = true;
	for (i = 0; i < b->n; i++)
		process_drop_holder(&b->process[i], p->pid);
	event(b->program.log, "program.fenced", "s:s, s:i", "name",
	      p->line->name, "pid", (int)p->pid);
	control_reply(call, process_to_answer(p));
}

static void answer_power(void *arg, struct control_call *call, json_t *params)
{
	const char *state = control_string(params, "state", "");
	struct bmc *b = arg;

	if (strcmp(state, "off"))
		control_fail(call, RPC_PARAMS,
			     "'%.16s' is not off, the only state to set",
			     state);
	else
		power_off_asked(b, call);
}

static const struct control_param name_params[] = {
	{ "name", 's', false, "NAME of the machine file, or a pid" },
	{ NULL },
};

static const struct control_param stop_params[] = {
	{ "name", 's', true, "NAME or pid; without it the machine is" },
	{ NULL },
};

static const struct control_param kill_params[] = {
	{ "name", 's', false, "NAME of the machine file, or a pid" },
	{ "signal", 's', true, "KILL (default), TERM, CONT, 10, ..." },
	{ NULL },
};

static const struct control_param reason_params[] = {
	{ "name", 's', true, "NAME of the machine file, or a pid" },
	{ "reason", 's', true, "a word (default: operator)" },
	{ "pid", 'i', true, "instead of name" },
	{ NULL },
};

static const struct control_param fence_params[] = {
	{ "name", 's', true, "NAME of the machine file, or a pid" },
	{ "pid", 'i', true, "instead of name" },
	{ NULL },
};

static const struct control_param reboot_params[] = {
	{ "pid", 'i', false, "that a guest has, or had last" },
	{ "reason", 's', true, "a stop reason from its start on" },
	{ NULL },
};

static const struct control_param power_params[] = {
	{ "state", 's', false, "off" },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "ps", "the machine's programs and their states", answer_ps, NULL },
	{ "start", "start a program that ended; answered when it is ready",
	  answer_start, name_params },
	{ "stop", "end a program, or power off; answered when it is gone",
	  answer_stop, stop_params },
	{ "restart", "end and start a program; answered when it is ready",
	  answer_restart, name_params },
	{ "kill",
	  "send a signal; KILL is answered when it is gone, STOP when it stands",
	  answer_kill, kill_params },
	{ "freeze", "add a stop reason; answered when it is stopped",
	  answer_freeze, reason_params },
	{ "thaw",
	  "remove a stop reason; answered when it goes on, unless "
	  "there are others",
	  answer_thaw, reason_params },
	{ "reboot",
	  "kill a guest, if it runs, and start it again; answered when the new "
	  "process is there",
	  answer_reboot, reboot_params },
	{ "power", "power the machine off", answer_power, power_params },
	{ "soft-reset",
	  "kill and start again the hypervisor and all guests but the one that "
	  "asks; answered when they are gone",
	  answer_soft_reset, NULL },
	{ "fence",
	  "a program's stop reasons are dropped, and its later ones refused",
	  answer_fence, fence_params },
	{ NULL },
};

void bmc_add_methods(struct bmc *b)
{
	control_add_methods(b->program.control, methods, b);
}
