/* scratch.h - a directory of its own for one test case. */
#ifndef IOVKIT_SCRATCH_H
#define IOVKIT_SCRATCH_H

#include <limits.h>

struct scratch {
	char dir[PATH_MAX]; /* absolute, mode 0700 */
};

/* Aborts when there is no room for one. */
void scratch_make(struct scratch *s);
/* Removes it with all it holds. */
void scratch_remove(struct scratch *s);
/* Path inside; returns buf (PATH_MAX). */
char *scratch_path(const struct scratch *s, char *buf, const char *name);

#endif
