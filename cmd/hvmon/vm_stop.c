/* vm_stop.c - stopping and continuing the processes of VMs. */
#include <config.h>

#include "cmd/hvmon/vm_stop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "libcore/control.h"

#define BMC_NAME      "bmc"
#define ASK_LIMIT_NS  (5 * NS_PER_S)
#define FAILURE_BYTES 120

struct wish {
	struct vm_stop *stop;
	enum vm_stop_reason reason;
	bool want, have;
	bool pending, asked; /* what the bmc is asked for */
	uint32_t call;
	char failure[FAILURE_BYTES]; /* empty: none */
};

struct vm_stop {
	struct vm_stops *stops;
	uint32_t vm, pid;
	struct wish wish[VM_STOP_REASON_N];
};

static const char *const reason_names[] = {
	[VM_STOP_SCHEDULE] = "schedule",
	[VM_STOP_A105] = "a105",
	[VM_STOP_DEACTIVATED] = "deactivated",
};
_Static_assert(sizeof(reason_names) / sizeof(*reason_names) == VM_STOP_REASON_N,
	       "one name a reason");

void vm_stops_init(struct vm_stops *stops, struct hvmon *hv, loop_fn *changed,
		   loop_fn *lost)
{
	memset(stops, 0, sizeof(*stops));
	stops->hv = hv;
	stops->changed = changed;
	stops->lost = lost;
}

void vm_stops_fini(struct vm_stops *stops)
{
	uint32_t vm;

	rpc_client_close(stops->bmc);
	stops->bmc = NULL;
	for (vm = 0; vm < stops->n; vm++)
		free(stops->of_vm[vm]);
	free(stops->of_vm);
	stops->of_vm = NULL;
	stops->n = 0;
}

static void on_gone(void *arg)
{
	struct vm_stops *stops = arg;

	rpc_client_close(stops->bmc);
	stops->bmc = NULL;
	stops->lost(stops->hv);
}

int vm_stops_connect(struct vm_stops *stops)
{
	struct program *program = stops->hv->program;
	char path[PATH_MAX];

	if (stops->bmc)
		return 0;
	return rpc_client_open(
		&stops->bmc, program->loop,
		machine_path(&program->machine, path, "ctl/%s.sock", BMC_NAME),
		on_gone, stops);
}

static void grow(struct vm_stops *stops, uint32_t n)
{
	stops->of_vm = reallocarray(stops->of_vm, n, sizeof(*stops->of_vm));
	if (!stops->of_vm)
		abort();
	for (; stops->n < n; stops->n++)
		stops->of_vm[stops->n] = NULL;
}

static struct vm_stop *get(struct vm_stops *stops, uint32_t vm)
{
	struct vm_stop *s;
	unsigned i;

	if (vm >= stops->n)
		grow(stops, vm + 1);
	s = stops->of_vm[vm];
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->stops = stops;
	s->vm = vm;
	for (i = 0; i < VM_STOP_REASON_N; i++)
		s->wish[i] = (struct wish){ .stop = s, .reason = i };
	stops->of_vm[vm] = s;
	return s;
}

static void fail(struct wish *w, const char *why)
{
	struct vm_stop *s = w->stop;
	char vm[VM_NAME_MAX];

	strlcpy(w->failure, why, sizeof(w->failure));
	event(s->stops->hv->program->log, "vm.stop.failed",
	      "s:s, s:s, s:b, s:s", "vm", vm_format(vm, s->vm), "reason",
	      reason_names[w->reason], "stop", w->asked, "why", w->failure);
}

static void settle(struct wish *w);

static void on_answer(void *arg, const struct rpc_answer *answer)
{
	struct wish *w = arg;
	struct vm_stops *stops = w->stop->stops;

	w->pending = false;
	/* A process that ends is as good as stopped, and as continued. */
	if (!answer->err || answer->code == RPC_MISSING)
		w->have = w->asked;
	else
		fail(w, answer->err == -EPIPE ? "no bmc" : answer->message);
	settle(w);
	if (!w->pending)
		stops->changed(stops->hv);
}

static int ask(struct wish *w)
{
	struct vm_stops *stops = w->stop->stops;
	int err = vm_stops_connect(stops);

	if (err)
		return err;
	return rpc_client_call(stops->bmc, w->want ? "freeze" : "thaw",
			       json_pack("{s:I, s:s}", "pid",
					 (json_int_t)w->stop->pid, "reason",
					 reason_names[w->reason]),
			       ASK_LIMIT_NS, on_answer, w, &w->call);
}

/* Ask, if there is something to ask and nothing is asked. */
static void settle(struct wish *w)
{
	if (w->pending || w->failure[0])
		return;
	if (!w->stop->pid)
		w->have = w->want;
	if (w->have == w->want)
		return;
	w->asked = w->want;
	w->pending = !ask(w);
	if (!w->pending)
		fail(w, "no bmc");
}

void vm_stop_process(struct vm_stops *stops, uint32_t vm, uint32_t pid)
{
	struct vm_stop *s = get(stops, vm);
	struct wish *w;
	unsigned i;

	if (s->pid == pid)
		return;
	s->pid = pid;
	for (i = 0; i < VM_STOP_REASON_N; i++) {
		w = &s->wish[i];
		if (w->pending && stops->bmc)
			rpc_client_forget(stops->bmc, w->call);
		w->pending = w->have = false;
		w->failure[0] = '\0';
		settle(w);
	}
}

void vm_stop_started(struct vm_stops *stops, uint32_t vm, uint32_t pid,
		     enum vm_stop_reason reason)
{
	struct wish *w = &get(stops, vm)->wish[reason];

	vm_stop_process(stops, vm, pid);
	if (!w->pending)
		w->have = true;
	settle(w);
}

void vm_stop_want(struct vm_stops *stops, uint32_t vm,
		  enum vm_stop_reason reason, bool stop)
{
	struct wish *w = &get(stops, vm)->wish[reason];

	if (w->want == stop)
		return;
	w->want = stop;
	w->failure[0] = '\0';
	settle(w);
}

bool vm_stop_is_settled(struct vm_stops *stops, uint32_t vm,
			enum vm_stop_reason reason)
{
	return !get(stops, vm)->wish[reason].pending;
}

const char *vm_stop_failure(struct vm_stops *stops, uint32_t vm,
			    enum vm_stop_reason reason)
{
	const struct wish *w = &get(stops, vm)->wish[reason];

	return w->failure[0] ? w->failure : NULL;
}
