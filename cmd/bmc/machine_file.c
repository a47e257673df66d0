/* machine_file.c - machine files: grammar, errors, where they are found. */
#include <config.h>

#include "cmd/bmc/machine_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/bmc/machine_range.h"
#include "libcore/function_name.h"

/* The programs that a machine is made of, by plain name. */
static const char *const ours[] = { "rootbridge", "iovdev", "hvmon", "guestd" };

#define OURS "rootbridge, iovdev, hvmon, guestd, or a path"

static const char *const restart_names[] = { "no", "on-failure", "always" };
_Static_assert(sizeof(restart_names) / sizeof(restart_names[0]) == RESTART_N,
	       "every restart rule has a name");

/* A place in the text that is being read. */
struct cursor {
	const char *p, *end;
	unsigned line;  /* of p */
	unsigned start; /* line on which the current program began */
	const char *label;
	struct complaint *c;
	char *word; /* buffer for one word, as large as the text */
};

const char *restart_name(enum restart restart)
{
	return restart_names[restart];
}

#define WRONG(in, ...)                                                        \
	complain_at((in)->c, complain((in)->c, EINVAL, __VA_ARGS__), "%s:%u", \
		    (in)->label, (in)->start)

/* The next byte, or -1 at the end of the text. */
static int peek(const struct cursor *in)
{
	return in->p < in->end ? (unsigned char)*in->p : -1;
}

/* Go over blanks and continued lines; false at the end of the line. */
static bool skip_blanks(struct cursor *in)
{
	for (;;) {
		int ch = peek(in);

		if (ch == ' ' || ch == '\t') {
			in->p++;
		} else if (ch == '\\' && in->p + 1 < in->end &&
			   in->p[1] == '\n') {
			in->p += 2;
			in->line++;
		} else {
			break;
		}
	}
	if (peek(in) == '#')
		while (peek(in) != -1 && peek(in) != '\n')
			in->p++;
	return peek(in) != -1 && peek(in) != '\n';
}

/* Copy what stands in single quotes; p is behind the opening one. */
static int copy_single(struct cursor *in, char **out)
{
	for (; peek(in) != '\''; in->p++) {
		if (peek(in) == -1 || peek(in) == '\n')
			return WRONG(in, "unterminated quote");
		*(*out)++ = *in->p;
	}
	in->p++;
	return 0;
}

/* Copy what stands in double quotes, in which a backslash quotes only what
 * would be special there. */
static int copy_double(struct cursor *in, char **out)
{
	for (; peek(in) != '"'; in->p++) {
		if (peek(in) == -1 || peek(in) == '\n')
			return WRONG(in, "unterminated quote");
		if (*in->p == '\\' && in->p + 1 < in->end) {
			if (in->p[1] == '\n') {
				in->p++;
				in->line++;
				continue;
			}
			if (strchr("\\\"$`", in->p[1]))
				in->p++;
		}
		*(*out)++ = *in->p;
	}
	in->p++;
	return 0;
}

/* Read one word into in->word; skip_blanks() said that there is one. */
static int read_word(struct cursor *in)
{
	char *out = in->word;
	int ch, err;

	while ((ch = peek(in)) != -1 && !strchr(" \t\n", ch)) {
		in->p++;
		err = 0;
		if (ch == '\'') {
			err = copy_single(in, &out);
		} else if (ch == '"') {
			err = copy_double(in, &out);
		} else if (ch == '\\') {
			if (peek(in) == -1)
				return WRONG(in, "nothing after the backslash");
			if (*in->p == '\n')
				in->line++;
			else
				*out++ = *in->p;
			in->p++;
		} else if (ch < ' ' || ch == 0x7f) {
			return WRONG(in, "control character 0x%02x", ch);
		} else {
			*out++ = (char)ch;
		}
		if (err)
			return err;
	}
	*out = '\0';
	return 0;
}

static int add_word(struct cursor *in, struct machine_line *line)
{
	char **argv;

	if (line->argc == MACHINE_FILE_WORDS)
		return WRONG(in, "more than %u words", MACHINE_FILE_WORDS);
	argv = reallocarray(line->argv, line->argc + 2, sizeof(*argv));
	if (!argv)
		return complain(in->c, ENOMEM, "out of memory");
	line->argv = argv;
	argv[line->argc] = strdup(in->word);
	if (!argv[line->argc])
		return complain(in->c, ENOMEM, "out of memory");
	argv[++line->argc] = NULL;
	return 0;
}

/* Name a program; `name` may be longer than is allowed. */
static int set_name(struct cursor *in, struct machine_line *line,
		    const char *name)
{
	if (strlen(name) >= sizeof(line->name) || !name_is_valid(name))
		return WRONG(in,
			     "bad name '%.40s': a small letter, then up to 15 "
			     "of a-z 0-9 _ -",
			     name);
	if (!strcmp(name, "bmc"))
		return WRONG(in, "the name 'bmc' is the board controller's");
	strcpy(line->name, name);
	return 0;
}

/* "nic0:" or "guest[1-8]:" at the start of a line; of the latter the line gets
 * the name of the last program.  *stem is what stands before the range. */
static int read_name(struct cursor *in, struct machine_line *line,
		     struct machine_range *range, char stem[64])
{
	const char *from = in->p;
	char name[80];
	size_t size;
	int err;

	while (peek(in) != -1 && !strchr(": \t\n", peek(in)))
		in->p++;
	size = (size_t)(in->p - from);
	if (peek(in) != ':')
		return WRONG(in, "no colon after the name '%.*s'",
			     (int)(size > 40 ? 40 : size), from);
	in->p++;
	line->many = machine_range_is_in(from, size);
	if (line->many) {
		err = machine_range_parse(range, from, &size, in->c);
		if (err)
			return complain_at(in->c, err, "%s:%u", in->label,
					   in->start);
	}
	if (memchr(from, '\0', size))
		size = 0;
	/* What is cut off here is too long anyway. */
	snprintf(stem, 64, "%.*s", (int)(size > 40 ? 40 : size), from);
	if (line->many)
		snprintf(name, sizeof(name), "%s%u", stem, range->last);
	else
		strlcpy(name, stem, sizeof(name));
	return set_name(in, line, name);
}

/* Whether the word is an option, NAME=..., in capital letters. */
static bool is_option(const char *word)
{
	size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return n && word[n] == '=';
}

static int read_option(struct cursor *in, struct machine_line *line,
		       bool *given)
{
	unsigned i;

	if (strncmp(in->word, "RESTART=", 8))
		return WRONG(in, "unknown option '%.60s' (only RESTART=)",
			     in->word);
	if (*given)
		return WRONG(in, "RESTART= is given twice");
	*given = true;
	for (i = 0; i < RESTART_N; i++)
		if (!strcmp(in->word + 8, restart_names[i])) {
			line->restart = i;
			return 0;
		}
	return WRONG(in, "RESTART is no, on-failure or always, not '%.60s'",
		     in->word + 8);
}

static int check_program(struct cursor *in, struct machine_line *line)
{
	unsigned i;

	line->foreign = strchr(in->word, '/');
	if (line->foreign)
		return 0;
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!strcmp(in->word, ours[i]))
			return 0;
	return WRONG(in, "unknown program '%.60s' (" OURS ")", in->word);
}

/* The words behind "name:". */
static int read_words(struct cursor *in, struct machine_line *line)
{
	bool restart_given = false;
	int err;

	while (skip_blanks(in)) {
		err = read_word(in);
		if (!err && !line->argc && is_option(in->word)) {
			err = read_option(in, line, &restart_given);
			if (err)
				return err;
			continue;
		}
		if (!err && !line->argc)
			err = check_program(in, line);
		if (!err)
			err = add_word(in, line);
		if (err)
			return err;
	}
	if (!line->argc)
		return WRONG(in, "no program after '%s:'", line->name);
	return 0;
}

static void free_words(struct machine_line *line)
{
	unsigned i;

	for (i = 0; i < line->argc; i++)
		free(line->argv[i]);
	free(line->argv);
}

/* Takes the words of the line. */
static int add_program(struct cursor *in, struct machine_file *f,
		       struct machine_line *line)
{
	struct machine_line *grown;
	unsigned i;

	grown = reallocarray(f->line, f->n + 1, sizeof(*grown));
	if (!grown) {
		free_words(line);
		return complain(in->c, ENOMEM, "out of memory");
	}
	f->line = grown;
	grown[f->n++] = *line;
	if (f->n > MACHINE_FILE_PROGRAMS)
		return WRONG(in, "more than %u programs",
			     MACHINE_FILE_PROGRAMS);
	for (i = 0; i + 1 < f->n; i++)
		if (!strcmp(grown[i].name, line->name))
			return WRONG(in, "second program named '%s' (line %u)",
				     line->name, grown[i].number);
	return 0;
}

/* The program of that number, of a line with a range. */
static int add_numbered(struct cursor *in, struct machine_file *f,
			const struct machine_line *line,
			const struct machine_range *range, const char *stem,
			unsigned number)
{
	struct machine_line one = *line;
	char name[80];
	unsigned i;
	int err = 0;

	snprintf(name, sizeof(name), "%s%u", stem, number);
	strlcpy(one.name, name, sizeof(one.name));
	one.argc = 0;
	one.argv = calloc(line->argc + 1, sizeof(*one.argv));
	if (!one.argv)
		return complain(in->c, ENOMEM, "out of memory");
	for (i = 0; !err && i < line->argc; i++) {
		err = machine_range_expand(range, number, line->argv[i],
					   &one.argv[i], in->c);
		one.argc += !err;
	}
	if (err == -EINVAL)
		complain_at(in->c, err, "%s:%u", in->label, in->start);
	if (!err)
		return add_program(in, f, &one);
	free_words(&one);
	return err;
}

static int add_range(struct cursor *in, struct machine_file *f,
		     const struct machine_line *line,
		     const struct machine_range *range, const char *stem)
{
	unsigned i;
	int err = 0;

	for (i = range->first; !err && i <= range->last; i++)
		err = add_numbered(in, f, line, range, stem, i);
	return err;
}

static int read_line(struct cursor *in, struct machine_file *f)
{
	struct machine_line line = { .number = in->start };
	struct machine_range range = { 0 };
	char stem[64];
	int err;

	err = read_name(in, &line, &range, stem);
	if (!err)
		err = read_words(in, &line);
	if (!err && !line.many)
		return add_program(in, f, &line);
	if (!err)
		err = add_range(in, f, &line, &range, stem);
	free_words(&line);
	return err;
}

int machine_file_parse(struct machine_file *f, const char *label,
		       const char *text, size_t size, struct complaint *c)
{
	struct cursor in = {
		.p = text, .end = text + size, .label = label, .line = 1, .c = c
	};
	int err = 0;

	memset(f, 0, sizeof(*f));
	in.word = malloc(size + 1);
	if (!in.word)
		return complain(c, ENOMEM, "out of memory");
	while (!err && in.p < in.end) {
		in.start = in.line;
		if (skip_blanks(&in)) {
			in.start = in.line;
			err = read_line(&in, f);
		}
		if (!err && peek(&in) == '\n') {
			in.p++;
			in.line++;
		}
	}
	if (!err && !f->n)
		err = complain(c, EINVAL, "%s: no programs", label);
	free(in.word);
	if (err)
		machine_file_fini(f);
	return err;
}

void machine_file_fini(struct machine_file *f)
{
	unsigned i;

	for (i = 0; i < f->n; i++)
		free_words(&f->line[i]);
	free(f->line);
	memset(f, 0, sizeof(*f));
}

/* Open DIR/machines/NAME; -1 with errno. */
static int open_in(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (!dir || !*dir) {
		errno = ENOENT;
		return -1;
	}
	if ((size_t)snprintf(path, sizeof(path), "%s/machines/%s", dir, name) >=
	    sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_same(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* A path has a slash; a name is looked up, and found in the source when bmc
 * itself was started where it was built, or else where it was installed. */
static int open_file(const char *file, const char *bindir)
{
	char installed[PATH_MAX];
	const char *dirs[] = { getenv("IOVKIT_DATA"), installed, PKGDATADIR };
	unsigned i;
	int fd;

	if (strchr(file, '/'))
		return open(file, O_RDONLY | O_CLOEXEC);
	snprintf(installed, sizeof(installed), "%.*s/../share/iovkit",
		 PATH_MAX - 32, bindir);
	if (is_same(bindir, BUILDBINDIR))
		dirs[1] = SRCDATADIR;
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		fd = open_in(dirs[i], file);
		if (fd >= 0 || errno != ENOENT)
			return fd;
	}
	return open(file, O_RDONLY | O_CLOEXEC);
}

int machine_file_read(struct machine_file *f, const char *file,
		      const char *bindir, struct complaint *c)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	int fd, err;

	memset(f, 0, sizeof(*f));
	fd = open_file(file, bindir);
	if (fd < 0)
		return complain(c, errno, "%s: %s", file, strerror(errno));
	text = malloc(MACHINE_FILE_MAX + 1);
	if (!text) {
		err = complain(c, ENOMEM, "out of memory");
		goto out;
	}
	/* It may come through a pipe, so its size is known at its end. */
	do {
		n = read(fd, text + size, MACHINE_FILE_MAX + 1 - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		err = complain(c, errno, "%s: %s", file, strerror(errno));
	else if (size > MACHINE_FILE_MAX)
		err = complain(c, EFBIG, "%s: larger than %u bytes", file,
			       MACHINE_FILE_MAX);
	else
		err = machine_file_parse(f, file, text, size, c);
out:
	free(text);
	close(fd);
	return err;
}

int machine_file_check(const struct machine_file *f, const char *label,
		       const char *bindir, struct complaint *c)
{
	const struct machine_line *line;
	char path[PATH_MAX];
	unsigned i;

	for (i = 0; i < f->n; i++) {
		line = &f->line[i];
		snprintf(path, sizeof(path), "%s%s%s",
			 line->foreign ? "" : bindir, line->foreign ? "" : "/",
			 line->argv[0]);
		if (access(path, X_OK))
			return complain(c, errno, "%s:%u: cannot run %s: %s",
					label, line->number, path,
					strerror(errno));
	}
	return 0;
}
