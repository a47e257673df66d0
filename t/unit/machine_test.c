/* machine_test.c - the machine directory: who may have it, lock, sweep. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/machine.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"

static bool exists(const struct machine *m, const char *name)
{
	return !faccessat(m->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void touch(const struct machine *m, const char *name)
{
	int fd = openat(m->dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	close(fd);
}

/* A scratch directory with machine "m0" open in it. */
static void make_machine(struct scratch *s, struct machine *m)
{
	char path[PATH_MAX];

	scratch_make(s);
	scratch_path(s, path, "m0");
	CHECK_INT(machine_open(m, path, MACHINE_CREATE, NULL), 0);
}

static void unmake_machine(struct scratch *s, struct machine *m)
{
	machine_close(m);
	scratch_remove(s);
}

static void test_create(void)
{
	char path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	struct machine m;
	struct stat st;

	scratch_make(&s);
	CHECK_INT(machine_open(&m, scratch_path(&s, path, "m1"), 0, &c),
		  -ENOENT);
	CHECK_HAS(c.text, "no such machine");
	CHECK_INT(m.dirfd, -1);
	machine_close(&m);

	scratch_path(&s, path, "m1//");
	CHECK_INT(machine_open(&m, path, MACHINE_CREATE, &c), 0);
	CHECK_STR(m.name, "m1");
	CHECK_STR(m.dir, scratch_path(&s, path, "m1"));
	CHECK_INT(fstat(m.dirfd, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK(exists(&m, "bus") && exists(&m, "dev") && exists(&m, "ctl") &&
	      exists(&m, "events"));
	CHECK_STR(machine_path(&m, path, "bus/vm%u.sock", 3) + strlen(m.dir),
		  "/bus/vm3.sock");
	CHECK(fcntl(m.dirfd, F_GETFD) & FD_CLOEXEC);
	machine_close(&m);
	CHECK_INT(m.dirfd, -1);
	CHECK_INT(machine_open(&m, scratch_path(&s, path, "m1"), 0, &c), 0);
	unmake_machine(&s, &m);
}

static void test_by_name(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char *was = xdg ? strdup(xdg) : NULL;
	char path[PATH_MAX];
	struct complaint c;
	struct scratch s;
	struct machine m;

	scratch_make(&s);
	setenv("XDG_RUNTIME_DIR", s.dir, 1);
	unsetenv("IOVKIT_MACHINE");
	CHECK_STR(machine_runtime_dir(path), s.dir);
	CHECK_INT(machine_open(&m, NULL, MACHINE_CREATE, &c), 0);
	CHECK_STR(m.dir, scratch_path(&s, path, "m0"));
	machine_close(&m);
	setenv("IOVKIT_MACHINE", "lab", 1);
	CHECK_INT(machine_open(&m, NULL, MACHINE_CREATE, &c), 0);
	CHECK_STR(m.name, "lab");
	machine_close(&m);
	CHECK_INT(machine_open(&m, "..", 0, &c), -EINVAL);
	CHECK_INT(machine_open(&m, "", 0, &c), -EINVAL);
	setenv("IOVKIT_MACHINE", "", 1);
	CHECK_INT(machine_open(&m, NULL, 0, &c), 0);
	CHECK_STR(m.name, "m0");
	machine_close(&m);
	unsetenv("IOVKIT_MACHINE");

	/* The standard: a relative path does not count. */
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	CHECK_HAS(machine_runtime_dir(path), "/tmp/iovkit-");
	if (was)
		setenv("XDG_RUNTIME_DIR", was, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(was);
	scratch_remove(&s);
}

static void test_refused(void)
{
	char path[PATH_MAX], other[PATH_MAX];
	struct complaint c;
	struct scratch s;
	struct machine m;

	scratch_make(&s);
	mkdir(scratch_path(&s, path, "open"), 0700);
	chmod(path, 0777);
	CHECK_INT(machine_open(&m, path, MACHINE_CREATE, &c), -EPERM);
	CHECK_HAS(c.text, "mode 777");
	chmod(path, 0720);
	CHECK_INT(machine_open(&m, path, MACHINE_CREATE, &c), -EPERM);
	chmod(path, 0755);
	CHECK_INT(machine_open(&m, path, MACHINE_CREATE, &c), 0);
	machine_close(&m);

	CHECK_INT(symlink(path, scratch_path(&s, other, "link")), 0);
	CHECK_INT(machine_open(&m, other, MACHINE_CREATE, &c), -ENOTDIR);
	CHECK_INT(mkfifo(scratch_path(&s, other, "fifo"), 0600), 0);
	CHECK_INT(machine_open(&m, other, MACHINE_CREATE, &c), -ENOTDIR);
	CHECK_INT(machine_open(&m, "/nowhere/m0", MACHINE_CREATE, &c), -ENOENT);
	scratch_remove(&s);
}

/* A link in place of a folder leads nowhere. */
static void test_folder_is_link(void)
{
	struct complaint c;
	struct scratch s;
	struct machine m;
	char path[PATH_MAX];

	make_machine(&s, &m);
	CHECK_INT(unlinkat(m.dirfd, "bus", AT_REMOVEDIR), 0);
	CHECK_INT(symlinkat("/tmp", m.dirfd, "bus"), 0);
	machine_close(&m);
	CHECK_INT(machine_open(&m, scratch_path(&s, path, "m0"), MACHINE_CREATE,
			       &c),
		  -ENOTDIR);
	unmake_machine(&s, &m);
}

static void test_other_owner(void)
{
	char path[PATH_MAX] = "/usr";
	struct complaint c;
	struct scratch s;
	struct machine m;

	scratch_make(&s);
	if (!geteuid()) {
		mkdir(scratch_path(&s, path, "theirs"), 0700);
		CHECK_INT(chown(path, 65534, 65534), 0);
	}
	CHECK_INT(machine_open(&m, path, 0, &c), -EPERM);
	CHECK_HAS(c.text, "belongs to user");
	scratch_remove(&s);
}

/* Take the lock in a child; it dies when `hold` is closed. */
static pid_t lock_in_child(const struct machine *m, int *hold)
{
	int ready[2], stay[2], fd;
	char byte;
	pid_t pid;

	CHECK(!pipe(ready) && !pipe(stay));
	pid = fork();
	if (!pid) {
		close(stay[1]);
		if (machine_lock(m, &fd, NULL))
			_exit(1);
		if (write(ready[1], "", 1) != 1 || read(stay[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(ready[1]);
	close(stay[0]);
	CHECK_INT(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*hold = stay[1];
	return pid;
}

static void test_lock(void)
{
	struct complaint c;
	struct scratch s;
	struct machine m;
	int fd, hold, pid = -1, status;
	char text[16];
	pid_t child;

	make_machine(&s, &m);
	CHECK(!machine_is_locked(&m, &pid));
	CHECK_INT(pid, 0);
	child = lock_in_child(&m, &hold);
	CHECK(machine_is_locked(&m, &pid));
	CHECK_INT(pid, child);
	CHECK(machine_is_locked(&m, NULL));
	CHECK_INT(machine_lock(&m, &fd, &c), -EEXIST);
	snprintf(text, sizeof(text), "pid %d", (int)child);
	CHECK_HAS(c.text, text);

	/* Killed at any instruction: the lock is free at once. */
	kill(child, SIGKILL);
	CHECK_INT(waitpid(child, &status, 0), child);
	close(hold);
	CHECK(!machine_is_locked(&m, &pid));
	CHECK_INT(machine_lock(&m, &fd, &c), 0);
	CHECK(machine_is_locked(&m, &pid));
	CHECK_INT(pid, getpid());
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	CHECK(!machine_is_locked(&m, &pid));
	unmake_machine(&s, &m);
}

static void test_sweep(void)
{
	struct complaint c;
	struct scratch s;
	struct machine m;
	char name[64];
	unsigned i;
	int fd;

	make_machine(&s, &m);
	CHECK_INT(machine_lock(&m, &fd, &c), 0);
	touch(&m, "state");
	touch(&m, "mine.txt");
	touch(&m, "events/hvmon.jsonl");
	mkdirat(m.dirfd, "dev/nic0", 0700);
	CHECK_INT(mkfifoat(m.dirfd, "dev/nic0/pf0.sock", 0600), 0);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "ctl/a-rather-long-name-%u.sock",
			 i);
		touch(&m, name);
	}
	/* What a link points to stays. */
	mkdirat(m.dirfd, "kept", 0700);
	touch(&m, "kept/file");
	CHECK_INT(symlinkat("../kept", m.dirfd, "bus/link"), 0);

	CHECK_INT(machine_sweep(&m, &c), 0);
	CHECK(!exists(&m, "state"));
	CHECK(!exists(&m, "events/hvmon.jsonl"));
	CHECK(!exists(&m, "dev/nic0"));
	CHECK(!exists(&m, "bus/link"));
	CHECK_INT(unlinkat(m.dirfd, "ctl", AT_REMOVEDIR), 0);
	CHECK(exists(&m, "kept/file"));
	CHECK(exists(&m, "mine.txt"));
	CHECK(exists(&m, "lock"));
	CHECK(machine_is_locked(&m, NULL));

	/* Nothing left, a folder missing: fine as well. */
	CHECK_INT(machine_sweep(&m, &c), 0);
	close(fd);
	unmake_machine(&s, &m);
}

/* Whoever names a directory of his own by mistake loses nothing. */
static void test_sweep_nothing_of_others(void)
{
	struct complaint c;
	struct scratch s;
	struct machine m;

	make_machine(&s, &m);
	touch(&m, "state");
	touch(&m, "events/hvmon.jsonl");
	mkdirat(m.dirfd, "dev/nic0", 0700);
	touch(&m, "dev/nic0/driver.c");
	CHECK_INT(machine_sweep(&m, &c), -EINVAL);
	CHECK_HAS(c.text, "/m0/dev/nic0/driver.c: no machine made this");
	CHECK(exists(&m, "dev/nic0/driver.c"));
	CHECK(exists(&m, "events/hvmon.jsonl"));
	CHECK(exists(&m, "state"));
	unmake_machine(&s, &m);
}

static const struct unit_case cases[] = {
	{ "create", test_create },
	{ "by_name", test_by_name },
	{ "refused", test_refused },
	{ "folder_is_link", test_folder_is_link },
	{ "other_owner", test_other_owner },
	{ "lock", test_lock },
	{ "sweep", test_sweep },
	{ "sweep_nothing_of_others", test_sweep_nothing_of_others },
	{ NULL, NULL },
};

const struct unit_suite machine_suite = { "machine", cases };
