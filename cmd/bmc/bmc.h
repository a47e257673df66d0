/* bmc.h - what the board controller's files share. */
#ifndef BMC_BMC_H
#define BMC_BMC_H

#include <limits.h>
#include <sys/resource.h>

#include "cmd/bmc/captive.h"
#include "cmd/bmc/machine_file.h"
#include "cmd/bmc/power.h"
#include "cmd/bmc/process.h"
#include "cmd/bmc/soft_reset.h"
#include "libcore/program.h"

enum bmc_point {
	POINT_POWER_ON,
	POINT_POWER_START,
	POINT_POWER_READY,
	POINT_POWER_UP,
	POINT_POWER_OFF,
	POINT_POWER_STOP,
	POINT_POWER_LOST,
	POINT_POWER_DOWN,
	POINT_RESTART,
	POINT_FREEZE,
	POINT_THAW,
	POINT_SOFT_RESET_START,
	BMC_POINT_N
};

struct bmc {
	struct program program;
	struct machine_file file;
	const char *label;         /* of the file, for messages */
	char bindir[PATH_MAX];     /* where bmc and the other programs lie */
	uint64_t start_timeout_ns; /* 0: none */
	int lock_fd;
	struct rlimit fd_limit;  /* as it was: the programs', and COMMAND's */
	struct process *process; /* file.n of them, in line order */
	unsigned n;
	struct power power;
	struct soft_reset soft_reset;
	struct captive captive;
};

/* The process called NAME, or with that pid; NULL when there is none. */
struct process *bmc_find(struct bmc *b, const char *name);
/* The one with this pid, or NULL. */
struct process *bmc_find_pid(struct bmc *b, pid_t pid);

/* The rows of the table "processes"; arg is the struct bmc. */
json_t *bmc_processes(void *arg);
/* Methods and tables of the control socket. */
void bmc_add_methods(struct bmc *b);
void bmc_add_tables(struct bmc *b);

/* Wait until nobody of a dead bmc's machine is left, and sweep its directory;
 * *lock_fd keeps others out.  -EEXIST: the machine runs. */
int bmc_take_machine(const char *name, int *lock_fd, struct complaint *c)
	__attribute__((warn_unused_result));
/* Remove sockets that killed programs left. */
void bmc_remove_sockets(const struct machine *m);

#endif
