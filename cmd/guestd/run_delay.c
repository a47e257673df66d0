/* run_delay.c - how long another process was ready to run and got no CPU.
 *
 * Theory of operation.  /proc/PID/schedstat has its CPU time and its run delay.
 * The kernel brings the first up to date at its ticks, the second when a wait
 * ends.  So of a process in state R (/proc/PID/stat) one whose CPU time has
 * stood for longer than a tick waits, and any other runs.
 */
#include <config.h>

#include "cmd/guestd/run_delay.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcore/loop.h"

/* More than one tick of the slowest clock, 100 Hz. */
#define TICK_NS (12 * NS_PER_MS)

void run_delay_init(struct run_delay *d)
{
	memset(d, 0, sizeof(*d));
	d->schedstat = d->stat = -1;
}

void run_delay_close(struct run_delay *d)
{
	if (d->schedstat >= 0)
		close(d->schedstat);
	if (d->stat >= 0)
		close(d->stat);
	run_delay_init(d);
}

static int open_of(pid_t pid, const char *name)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void run_delay_open(struct run_delay *d, pid_t pid)
{
	run_delay_close(d);
	if (!pid)
		return;
	d->schedstat = open_of(pid, "schedstat");
	d->stat = open_of(pid, "stat");
}

/* The beginning of the file as it is now; false: there is none. */
static bool read_text(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

static bool read_times(const struct run_delay *d, uint64_t *ran_ns,
		       uint64_t *delay_ns)
{
	char text[80];

	return read_text(d->schedstat, text, sizeof(text)) &&
	       sscanf(text, "%" SCNu64 " %" SCNu64, ran_ns, delay_ns) == 2;
}

uint64_t run_delay_read(const struct run_delay *d)
{
	uint64_t ran_ns, delay_ns;

	return read_times(d, &ran_ns, &delay_ns) ? delay_ns : 0;
}

void run_delay_look(struct run_delay *d, uint64_t now_ns)
{
	uint64_t ran_ns, delay_ns;

	if (!read_times(d, &ran_ns, &delay_ns))
		return;
	d->delayed_ns = delay_ns > d->begun_ns ? delay_ns - d->begun_ns : 0;
	if (ran_ns == d->ran_ns)
		return;
	d->ran_ns = ran_ns;
	d->ran_seen_ns = now_ns;
}

void run_delay_since(struct run_delay *d, uint64_t begun_ns, uint64_t now_ns)
{
	d->begun_ns = begun_ns;
	d->delayed_ns = 0;
	d->ran_ns = 0;
	run_delay_look(d, now_ns);
}

void run_delay_restart(struct run_delay *d, uint64_t now_ns)
{
	run_delay_since(d, run_delay_read(d), now_ns);
}

bool run_delay_waits(const struct run_delay *d, uint64_t now_ns)
{
	const char *name_end;
	char text[128];

	if (now_ns - d->ran_seen_ns <= TICK_NS ||
	    !read_text(d->stat, text, sizeof(text)))
		return false;
	/* PID (NAME) STATE, and a name may hold anything. */
	name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' && name_end[2] == 'R';
}
