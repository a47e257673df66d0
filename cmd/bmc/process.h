/* process.h - one supervised program: start, readiness, signals, end. */
#ifndef BMC_PROCESS_H
#define BMC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "cmd/bmc/machine_file.h"
#include "cmd/bmc/restart_limit.h"
#include "cmd/bmc/stderr_relay.h"
#include "cmd/bmc/stop_reasons.h"
#include "libcore/control.h"
#include "libcore/points.h"

/* Between SIGTERM and SIGKILL. */
#define PROCESS_GRACE_NS (2 * NS_PER_S)

struct bmc;

enum process_state {
	PROCESS_OFF,      /* never started since power on */
	PROCESS_STARTING, /* not ready yet */
	PROCESS_READY,
	PROCESS_ENDED,
	PROCESS_STATE_N
};

/* For what an unanswered request waits. */
enum process_wait {
	WAIT_READY,
	WAIT_RESTART, /* until it ended, then as WAIT_READY */
	WAIT_ENDED,
	WAIT_STARTED, /* until it was started, ready or not */
	WAIT_SETTLED, /* frozen or thawed, whichever was asked for last */
};

struct process_waiter {
	enum process_wait what;
	struct control_call *call;
	json_int_t since; /* event number at the request */
	TAILQ_ENTRY(process_waiter) entry;
};

struct process {
	struct bmc *bmc;
	const struct machine_line *line;
	enum process_state state;
	pid_t pid;      /* 0: none */
	pid_t last_pid; /* of the process before; 0: none */
	int pidfd;
	int status_fd; /* read end of readiness, -1 when closed */
	struct loop_watch status_watch;
	struct stderr_relay relay;
	struct loop_timer timer; /* not ready in time; SIGKILL after SIGTERM */
	uint64_t started_ns;
	struct stop_reasons stop;
	struct restart_limit limit;
	unsigned restarts;
	bool awaited; /* by the power on, until it said that it is ready */
	bool arrived; /* it was ready since then */
	bool ending;  /* it was asked to end */
	bool again;   /* and is started again then */
	/* Why it is stopped from its next start on, and by whom; empty: it is
	 * not. */
	char born_reason[STOP_REASON_MAX];
	pid_t born_holder;
	bool doomed;            /* killed by a soft reset, not yet gone */
	bool resetting;         /* a soft reset is to start it */
	bool fenced;            /* what it asks for others is refused */
	bool slicing;           /* last frozen or thawed for its time slice */
	bool late;              /* killed because it was not ready in time */
	int exec_errno;         /* why it could not be executed */
	bool has_ended;         /* the two below are those of the last end */
	bool was_ready;         /* it was ready when it ended */
	int end_code;           /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int end_status;         /* exit status or signal */
	struct point_hold hold; /* of its restart */
	TAILQ_HEAD(process_waiters, process_waiter) waiters;
};

void process_init(struct process *p, struct bmc *b,
		  const struct machine_line *line);
void process_fini(struct process *p);

/* Fork and exec; power_ready() and power_gone() follow in their time. */
int process_start(struct process *p) __attribute__((warn_unused_result));
/* SIGTERM (and SIGCONT, if it is frozen and would not notice), then SIGKILL
 * after PROCESS_GRACE_NS. Nothing when it does not run. */
void process_end(struct process *p);
/* -ESRCH: it does not run. */
int process_signal(struct process *p, int signo);
/* It has ended: learn how, and tell. */
void process_reap(struct process *p);
/* The same, if it has. */
void process_poll(struct process *p);

/* freeze.c: the call is answered when it has happened. */
void process_freeze(struct process *p, const char *reason, pid_t holder,
		    struct control_call *call);
void process_thaw(struct process *p, const char *reason, bool by_operator,
		  struct control_call *call);
/* Drop what an ended process had stopped. */
void process_drop_holder(struct process *p, pid_t holder);

/* Kill it, if it runs, and start it again, stopped for `reason` before it runs
 * at all (NULL: not); the call is answered when the new process is there. */
void process_reboot(struct process *p, const char *reason, pid_t holder,
		    struct control_call *call);

/* Answer the call when `what` happens. */
void process_wait(struct process *p, enum process_wait what,
		  struct control_call *call);

static inline bool process_runs(const struct process *p)
{
	return p->pid != 0;
}

/* Answer all who wait for `what`: it happened, or it will not. */
void process_answer(struct process *p, enum process_wait what);
void process_refuse(struct process *p, enum process_wait what, const char *why);
/* waitid() told of a stop or a continuation, or a SIGSTOP was sent on request.
 */
void process_saw(struct process *p, enum stop_event ev);

/* Whether it does not run but is about to start again. */
static inline bool process_restarts(const struct process *p)
{
	return !p->pid && (p->hold.points || p->timer.loop || p->resetting);
}

/* Whether that is its program's name, wherever the program lies. */
bool process_runs_program(const struct process *p, const char *name);
/* "running", "frozen", ... */
const char *process_state_name(const struct process *p);
/* How it ended last: "0", "71", "SIGKILL", or NULL. */
const char *process_end_text(const struct process *p, char *buf, size_t size);
/* Its row of the table "processes"; new. */
json_t *process_to_json(const struct process *p);
/* The same for who asked something of it: of a process that runs, the status of
 * the one before is left out; new. */
json_t *process_to_answer(const struct process *p);

#endif
