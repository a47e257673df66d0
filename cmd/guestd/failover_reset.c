/* failover_reset.c - 1707: hypervisor and other guests are reset, by bmc. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/guestd/failover_steps.h"

/* bmc answers when all of them are gone. */
#define RESET_NS (20 * NS_PER_S)

static bool is_reset(const struct failover *f, const struct sup_vm *vm)
{
	const struct successor *s = f->successor;
	const struct sub_pf *pf;
	unsigned n;

	if (vm->vm == s->guest->options.vm)
		return false;
	if (vm->vm == PLATFORM_HYPERVISOR || vm->state != SUP_VM_EMPTY)
		return true;
	for (pf = s->pf; pf < s->pf + s->n_pfs; pf++)
		for (n = 1; n <= pf->num_vfs; n++)
			if (pf->vf[n].vm == vm->vm)
				return true;
	return false;
}

/* No device reaches the memory of who is to be reset. */
void failover_issue_unmap(void *arg)
{
	struct failover *f = arg;
	struct sup_vm_op ops[PLATFORM_VM_MAX];
	uint32_t i, n = 0;

	for (i = 0; i < f->n_vms && n < PLATFORM_VM_MAX && f->vms[i].state; i++)
		if (is_reset(f, &f->vms[i]))
			ops[n++] = (struct sup_vm_op){ f->vms[i].vm,
						       SUP_VM_UNMAP };
	if (n)
		steps_write(&f->steps, PLATFORM_REGION_SUPERVISOR,
			    SUP_OFFSET(SUP_VMS), ops,
			    n * (uint32_t)sizeof(*ops));
}

static void on_gone(void *arg)
{
	struct failover *f = arg;

	rpc_client_close(f->bmc);
	f->bmc = NULL;
}

/* 0 or -errno; -ENOENT, -ECONNREFUSED: there is no bmc. */
static int open_bmc(struct failover *f)
{
	struct program *p = &f->successor->guest->program;
	char path[PATH_MAX];

	if (f->bmc)
		return 0;
	machine_path(&p->machine, path, "ctl/bmc.sock");
	return rpc_client_open(&f->bmc, p->loop, path, on_gone, f);
}

static void on_fenced(void *arg, const struct rpc_answer *answer)
{
	struct failover *f = arg;

	/* One that is gone stops nobody. */
	if (answer->err && answer->code != RPC_MISSING)
		event(f->successor->guest->program.log, "takeover.unfenced",
		      "s:s", "why", answer->message);
}

void failover_fence_stops(struct failover *f, int pid)
{
	char text[16];

	if (pid <= 0 || open_bmc(f) < 0)
		return;
	snprintf(text, sizeof(text), "%d", pid);
	(void)!rpc_client_call(f->bmc, "fence",
			       json_pack("{s:s}", "name", text), RESET_NS,
			       on_fenced, f, NULL);
}

static void answered(struct failover *f, int err, const char *why)
{
	struct guest *g = f->successor->guest;

	f->reset_err = err;
	f->answered = true;
	if (!err)
		return;
	event(g->program.log, "takeover.no-reset", "s:s", "why", why);
	if (g->notice)
		g->notice(g, why);
}

static void on_reset(void *arg, const struct rpc_answer *answer)
{
	struct failover *f = arg;

	answered(f, answer->err, answer->message);
	bus_steps_go(&f->steps);
}

void failover_issue_1707(void *arg)
{
	struct failover *f = arg;
	int err;

	if (f->answered)
		return;
	if (!successor_may_reset(f->successor)) {
		answered(f, -EAGAIN,
			 "the hypervisor fails again and again: it is not "
			 "reset any more");
		return;
	}
	err = open_bmc(f);
	if (!err)
		err = rpc_client_call(f->bmc, "soft-reset", NULL, RESET_NS,
				      on_reset, f, NULL);
	if (err == -ENOENT || err == -ECONNREFUSED)
		answered(f, err,
			 "no bmc: hypervisor and guests are to be started "
			 "again by hand");
	else if (err)
		answered(f, err, strerror(-err));
}

/* What bmc refuses or cannot do is the operator's: the PF is served on. */
int failover_check_1707(void *arg)
{
	struct failover *f = arg;

	return f->answered ? STEPS_DONE : STEPS_WAIT;
}
