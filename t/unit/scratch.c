/* scratch.c - a directory of its own for one test case. */
#include <config.h>

#include "t/unit/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void scratch_make(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/iovkit-unit-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || !realpath(dir, s->dir)) {
		perror(dir);
		abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_remove(struct scratch *s)
{
	nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *scratch_path(const struct scratch *s, char *buf, const char *name)
{
	if (snprintf(buf, PATH_MAX, "%s/%s", s->dir, name) >= PATH_MAX)
		abort();
	return buf;
}
