/* machine_file.h - a machine file: which programs make a machine, in which
 * order they start.
 *
 *	name: [RESTART=no|on-failure|always] program [argument]...
 *
 * A name that ends in a range, guest[1-1000], makes a program of each number
 * (machine_range.h).
 *
 * Words are separated and quoted as sh does it, a backslash at the end of a
 * line continues it, # begins a comment; nothing is expanded.
 */
#ifndef BMC_MACHINE_FILE_H
#define BMC_MACHINE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "libcore/complaint.h"

#define MACHINE_FILE_MAX      (64u << 10) /* bytes */
#define MACHINE_FILE_PROGRAMS 4608u       /* 4095 guests, and what they need */
#define MACHINE_FILE_WORDS    2048u       /* of one program */
#define MACHINE_FILE_NAMELEN  17u

enum restart {
	RESTART_NO,
	RESTART_ON_FAILURE,
	RESTART_ALWAYS,
	RESTART_N
};

/* One program of the machine. */
struct machine_line {
	unsigned number; /* of the line in the file, from 1 */
	bool many;       /* others have this line, too: they start together */
	char name[MACHINE_FILE_NAMELEN];
	enum restart restart;
	bool foreign; /* has a slash: not one of ours */
	char **argv;  /* argv[0] as written; ended by NULL */
	unsigned argc;
};

struct machine_file {
	struct machine_line *line;
	unsigned n;
};

/* Parse `size` bytes.  `label` is put in front of what is wrong:
 * "two-nics:4: unterminated quote".  -EINVAL, or -ENOMEM. */
int machine_file_parse(struct machine_file *f, const char *label,
		       const char *text, size_t size, struct complaint *c)
	__attribute__((warn_unused_result));
/* Read the path `file`, or the machine of that name in $IOVKIT_DATA/machines
 * or in the data directory that belongs to `bindir`.  -EINVAL as above, or
 * why it cannot be read. */
int machine_file_read(struct machine_file *f, const char *file,
		      const char *bindir, struct complaint *c)
	__attribute__((warn_unused_result));
/* Whether each program can be run; ours lie in bindir. */
int machine_file_check(const struct machine_file *f, const char *label,
		       const char *bindir, struct complaint *c)
	__attribute__((warn_unused_result));
void machine_file_fini(struct machine_file *f);

/* "on-failure" */
const char *restart_name(enum restart restart);

#endif
