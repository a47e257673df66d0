/* dump.c - the commands dump and cleanup: what is left of a machine. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/iovctl/client.h"
#include "cmd/iovctl/show.h"
#include "libcore/function_name.h"
#include "libcore/loop.h"
#include "libcore/pid_state.h"
#include "libcore/program.h"
#include "libcore/state_area.h"

struct dump {
	struct iovctl *ctl;
	char dir[64];   /* temporary */
	char root[160]; /* dir/MACHINE */
};

static void dump_path(const struct dump *d, char path[PATH_MAX],
		      const char *folder, const char *name, const char *end)
{
	snprintf(path, PATH_MAX, "%s/%s%s%s", d->root, folder, name, end);
}

/* Takes value. */
static void put_json(const struct dump *d, const char *folder, const char *name,
		     json_t *value)
{
	char path[PATH_MAX];

	dump_path(d, path, folder, name, ".json");
	if (json_dump_file(value, path, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0)
		warn(d->ctl, "%s: %s", path, strerror(errno));
	json_decref(value);
}

static void put_version(const struct dump *d)
{
	struct state_area *area = NULL;
	const char *cause = NULL;
	struct utsname u;
	int locked, pid = 0;

	uname(&u);
	if (!faccessat(d->ctl->machine.dirfd, "state", R_OK, 0) &&
	    !state_area_map(&d->ctl->machine, 0, &area, NULL))
		cause = state_area_cause(area);
	locked = machine_is_locked(&d->ctl->machine, &pid);
	put_json(d, "", "version",
		 json_pack("{s:s, s:s, s:s, s:s, s:b, s:i, s:s?, s:I}",
			   "iovkit", PACKAGE_VERSION, "kernel", u.release,
			   "arch", u.machine, "machine", d->ctl->machine.dir,
			   "powered", locked, "bmc_pid", pid, "shutdown", cause,
			   "events", (json_int_t)iovctl_event_number(d->ctl)));
	state_area_unmap(area);
}

/* One method of every program, a file each. */
static void put_answers(const struct dump *d, const char *method,
			const char *folder)
{
	struct clients all;
	json_t *result;
	unsigned i;

	if (clients_init_all(d->ctl, &all, method, NULL))
		return;
	clients_run(d->ctl, all.client, all.n,
		    clock_now_ns() + iovctl_answer_timeout(d->ctl), NULL);
	for (i = 0; i < all.n; i++) {
		result = NULL;
		if (client_result(d->ctl, &all.client[i], &result))
			result = json_pack("{s:s, s:b}", "error",
					   d->ctl->cause.text, "stopped",
					   pid_is_stopped(all.client[i].pid));
		put_json(d, folder, all.client[i].name, result);
	}
	clients_fini(&all);
}

static void put_tables(const struct dump *d)
{
	json_t *tables, *row, *joined;
	const char *table;
	size_t i;

	if (fetch_table_list(d->ctl, &tables))
		return;
	json_array_foreach (tables, i, row) {
		table = json_string_value(json_object_get(row, "table"));
		if (table && !strchr(table, '/') &&
		    !fetch_table(d->ctl, table, true, &joined))
			put_json(d, "tables/", table, joined);
	}
	json_decref(tables);
}

static void copy_file(const struct dump *d, int dirfd, const char *name)
{
	char path[PATH_MAX], buf[65536];
	ssize_t n = 0;
	int in, out;

	dump_path(d, path, "events/", name, "");
	in = openat(dirfd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	if (in < 0 || out < 0 || n)
		warn(d->ctl, "events/%s: %s", name, strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

static void put_events(const struct dump *d)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	dir = opendir(machine_path(&d->ctl->machine, path, "events"));
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			copy_file(d, dirfd(dir), e->d_name);
	if (dir)
		closedir(dir);
}

/* Run a program of the system; its status. */
static int run(struct iovctl *ctl, char *const argv[])
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return fail(ctl, STATUS_INTERNAL, "fork: %s", strerror(errno));
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return STATUS_OK;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(ctl, STATUS_MISSING, "no program '%s'", argv[0]);
	return fail(ctl, STATUS_INTERNAL, "%s failed", argv[0]);
}

static int make_folders(struct dump *d)
{
	static const char *const folders[] = { "", "/status", "/points",
					       "/tables", "/events" };
	char path[PATH_MAX];
	unsigned i;

	strcpy(d->dir, "/tmp/iovctl-dump.XXXXXX");
	if (!mkdtemp(d->dir))
		return fail(d->ctl, STATUS_INTERNAL, "%s: %s", d->dir,
			    strerror(errno));
	snprintf(d->root, sizeof(d->root), "%s/%s", d->dir,
		 d->ctl->machine.name);
	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s%s", d->root, folders[i]);
		if (mkdir(path, 0700) < 0)
			return fail(d->ctl, STATUS_INTERNAL, "%s: %s", path,
				    strerror(errno));
	}
	return STATUS_OK;
}

static int do_dump(struct iovctl *ctl)
{
	struct dump d = { .ctl = ctl };
	char *tar[] = {
		(char *)"tar", (char *)"--force-local", /* a colon is no host */
		(char *)"-cf", ctl->args[0],
		(char *)"-C",  d.dir,
		(char *)"--",  ctl->machine.name,
		NULL
	};
	char *rm[] = { (char *)"rm", (char *)"-rf", (char *)"--", d.dir, NULL };
	json_t *programs;
	int status;

	status = make_folders(&d);
	if (!status) {
		put_version(&d);
		put_answers(&d, "status", "status/");
		put_answers(&d, "points", "points/");
		put_tables(&d);
		if (!fetch_programs(ctl, &programs))
			put_json(&d, "", "ps", programs);
		put_events(&d);
		ctl->cause.text[0] = '\0';
		status = run(ctl, tar);
	}
	if (d.dir[0] && run(ctl, rm) && !status)
		status = STATUS_INTERNAL;
	return status;
}

/* Without bmc a machine runs when one of its programs does. */
static const char *somebody(struct iovctl *ctl, struct clients *all)
{
	unsigned i;

	for (i = 0; i < all->n; i++)
		if (is_listening(ctl, all->client[i].name))
			return all->client[i].name;
	return NULL;
}

static int do_cleanup(struct iovctl *ctl)
{
	struct clients all;
	const char *name;
	int fd, err, status;

	err = machine_lock(&ctl->machine, &fd, &ctl->cause);
	if (err)
		return program_status_of(err);
	status = clients_init_all(ctl, &all, "status", NULL);
	if (status)
		return status;
	name = somebody(ctl, &all);
	if (name)
		status = fail(ctl, STATUS_EXISTS, "it runs: %s is alive", name);
	else
		status = program_status_of(
			machine_sweep(&ctl->machine, &ctl->cause));
	clients_fini(&all);
	close(fd);
	return status;
}

const struct command machine_commands[] = {
	{ .name = "dump",
	  .usage = "FILE|-",
	  .what = "all tables, points, events and versions as a tar file",
	  .help = "For a bug report. Programs that do not answer are named in "
		  "it.",
	  .min_args = 1,
	  .max_args = 1,
	  .fn = do_dump },
	{ .name = "cleanup",
	  .usage = "",
	  .what = "remove what a dead machine left",
	  .help = "Status 73: it runs.",
	  .fn = do_cleanup },
	{ NULL },
};
