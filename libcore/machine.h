/* machine.h - the machine directory: where a machine's sockets, events and
 * state area are.
 *
 *	m0/lock, state, bus/vm0.sock, dev/nic0/pf0.sock, ctl/NAME.sock,
 *	events/NAME.jsonl
 */
#ifndef IOVKIT_MACHINE_H
#define IOVKIT_MACHINE_H

#include <limits.h>
#include <stdbool.h>

#include "libcore/complaint.h"

struct machine {
	char name[64];      /* last component, for messages */
	char dir[PATH_MAX]; /* absolute */
	int dirfd;          /* of dir, -1 when closed */
};

enum {
	MACHINE_CREATE = 1, /* make the directory when it is not there */
};

/* Find (and with MACHINE_CREATE make, mode 0700, with bus/ dev/ ctl/ events/)
 * the machine NAME or DIR; a name without a slash lies in
 * ${XDG_RUNTIME_DIR:-/tmp/iovkit-UID}; NULL means $IOVKIT_MACHINE, else "m0".
 * -EPERM: the directory belongs to another user or others may write to it.
 * -ENOENT: no such machine.  -ENOTDIR, or another errno with *c set. */
int machine_open(struct machine *m, const char *name, int flags,
		 struct complaint *c) __attribute__((warn_unused_result));
void machine_close(struct machine *m);

/* Path inside the machine, "bus/vm%u.sock"; returns buf (PATH_MAX). */
char *machine_path(const struct machine *m, char *buf, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Take the machine's lock (F_OFD_SETLK on "lock"; the kernel frees it when the
 * holder dies, and no child inherits it over exec).  *fd holds it.  -EEXIST:
 * the machine runs, *c names the holder's pid. */
int machine_lock(const struct machine *m, int *fd, struct complaint *c)
	__attribute__((warn_unused_result));
/* Whether somebody holds the lock; *pid is that bmc's pid or 0. */
bool machine_is_locked(const struct machine *m, int *pid);

/* Remove what a dead machine left: sockets, events, state.  The caller holds
 * the lock.  The directory itself stays.  -EINVAL: there is something in the
 * folders that no machine makes, and nothing was removed. */
int machine_sweep(const struct machine *m, struct complaint *c)
	__attribute__((warn_unused_result));

/* The directory that holds machines (no machine needed); returns buf. */
char *machine_runtime_dir(char buf[PATH_MAX]);

#endif
