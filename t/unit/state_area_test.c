/* state_area_test.c - the state area: shared, fresh, hostile files. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcore/state_area.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"

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

static void test_shared(void)
{
	struct state_area *a = NULL, *b = NULL;
	struct complaint c;
	struct scratch s;
	struct machine m;

	make_machine(&s, &m);
	CHECK_INT(state_area_map(&m, 0, &a, &c), 0);
	CHECK_INT(state_area_map(&m, 0, &b, &c), 0);
	CHECK_INT(a->magic, STATE_AREA_MAGIC);
	atomic_fetch_add(&a->heartbeat, 5);
	CHECK_INT(atomic_load(&b->heartbeat), 5);
	state_area_unmap(a);
	state_area_unmap(b);
	state_area_unmap(NULL);
	unmake_machine(&s, &m);
}

/* Who still maps the old one does not disturb the new one. */
static void test_fresh(void)
{
	struct state_area *old = NULL, *new = NULL, *third = NULL;
	struct complaint c;
	struct scratch s;
	struct machine m;

	make_machine(&s, &m);
	CHECK_INT(state_area_map(&m, 1, &old, &c), 0);
	atomic_store(&old->heartbeat, 7);
	CHECK_INT(state_area_map(&m, 1, &new, &c), 0);
	CHECK_INT(atomic_load(&new->heartbeat), 0);
	atomic_store(&old->heartbeat, 8);
	CHECK_INT(atomic_load(&new->heartbeat), 0);
	CHECK_INT(state_area_map(&m, 0, &third, &c), 0);
	atomic_store(&new->heartbeat, 9);
	CHECK_INT(atomic_load(&third->heartbeat), 9);
	state_area_unmap(old);
	state_area_unmap(new);
	state_area_unmap(third);
	unmake_machine(&s, &m);
}

/* Programs that start together share one area. */
static void test_race(void)
{
	enum {
		N = 8
	};
	struct state_area *a = NULL;
	struct scratch s;
	struct machine m;
	pid_t pids[N];
	int i, status;

	make_machine(&s, &m);
	for (i = 0; i < N; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		if (state_area_map(&m, 0, &a, NULL))
			_exit(1);
		atomic_fetch_add(&a->event_sequence, 1);
		_exit(0);
	}
	for (i = 0; i < N; i++) {
		CHECK_INT(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_INT(status, 0);
	}
	CHECK_INT(state_area_map(&m, 0, &a, NULL), 0);
	CHECK_INT(atomic_load(&a->event_sequence), N);
	state_area_unmap(a);
	unmake_machine(&s, &m);
}

static void test_cause(void)
{
	struct state_area *a = NULL;
	char text[400];
	struct scratch s;
	struct machine m;

	make_machine(&s, &m);
	CHECK_INT(state_area_map(&m, 1, &a, NULL), 0);
	CHECK(!state_area_cause(a));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	state_area_set_cause(a, text);
	state_area_set_cause(a, "later");
	CHECK(state_area_cause(a));
	CHECK_INT(strlen(state_area_cause(a)), sizeof(a->cause) - 1);
	CHECK_HAS(state_area_cause(a), "xxx");
	state_area_unmap(a);
	CHECK(!state_area_cause(NULL));
	state_area_set_cause(NULL, "nobody");
	unmake_machine(&s, &m);
}

static void test_bad_files(void)
{
	struct state_area *a = NULL;
	uint32_t wrong = 99;
	struct complaint c;
	struct scratch s;
	struct machine m;
	int fd;

	make_machine(&s, &m);
	CHECK_INT(state_area_map(&m, 1, &a, NULL), 0);
	state_area_unmap(a);
	a = NULL;
	fd = openat(m.dirfd, "state", O_RDWR | O_CLOEXEC);
	CHECK_INT(pwrite(fd, &wrong, 4, 4), 4);
	CHECK_INT(state_area_map(&m, 0, &a, &c), -EBADMSG);
	CHECK_HAS(c.text, "version 1");
	wrong = STATE_AREA_VERSION;
	CHECK_INT(pwrite(fd, &wrong, 4, 4), 4);
	CHECK_INT(ftruncate(fd, 100), 0);
	CHECK_INT(state_area_map(&m, 0, &a, &c), -EBADMSG);
	CHECK_INT(ftruncate(fd, 0), 0);
	CHECK_INT(state_area_map(&m, 0, &a, &c), -EBADMSG);
	close(fd);
	CHECK_INT(unlinkat(m.dirfd, "state", 0), 0);
	CHECK_INT(symlinkat("/etc/passwd", m.dirfd, "state"), 0);
	CHECK_INT(state_area_map(&m, 0, &a, &c), -ELOOP);
	CHECK(!a);
	CHECK_INT(state_area_map(&m, 1, &a, &c), 0);
	state_area_unmap(a);
	unmake_machine(&s, &m);
}

static const struct unit_case cases[] = {
	{ "shared", test_shared },       { "fresh", test_fresh },
	{ "race", test_race },           { "cause", test_cause },
	{ "bad_files", test_bad_files }, { NULL, NULL },
};

const struct unit_suite state_area_suite = { "state_area", cases };
