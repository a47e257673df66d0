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

/* "nic0:" at the start of a line. */
static int read_name(struct cursor *in, const struct machine_file *f,
		     struct machine_line *line)
{
	const char *from = in->p;
	size_t size;
	char name[64];
	unsigned i;

	while (peek(in) != -1 && !strchr(": \t\n", peek(in)))
		in->p++;
	size = (size_t)(in->p - from);
	snprintf(name, sizeof(name), "%.*s", (int)(size > 40 ? 40 : size),
		 from);
	if (peek(in) != ':')
		return WRONG(in, "no colon after the name '%s'", name);
	in->p++;
	if (memchr(from, '\0', size) || size >= sizeof(line->name) ||
	    !name_is_valid(name))
		return WRONG(in,
			     "bad name '%s': a small letter, then up to 15 "
			     "of a-z 0-9 _ -",
			     name);
	if (!strcmp(name, "bmc"))
		return WRONG(in, "the name 'bmc' is the board controller's");
	for (i = 0; i < f->n; i++)
		if (!strcmp(f->line[i].name, name))
			return WRONG(in, "second program named '%s' (line %u)",
				     name, f->line[i].number);
	memcpy(line->name, name, size + 1);
	return 0;
}

/* Whether the word is an option, NAME=..., in capital letters. */
static bool is_option(const char *word)
{
	size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return n && word[n] == '=';
}

static int read_option(struct cursor *in, struct machine_line *line)
{
	unsigned i;

	if (strncmp(in->word, "RESTART=", 8))
		return WRONG(in, "unknown option '%.60s' (only RESTART=)",
			     in->word);
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
	int err;

	while (skip_blanks(in)) {
		err = read_word(in);
		if (!err && !line->argc && is_option(in->word)) {
			err = read_option(in, line);
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

static int read_line(struct cursor *in, struct machine_file *f)
{
	struct machine_line *line;
	int err;

	if (f->n == MACHINE_FILE_LINES)
		return WRONG(in, "more than %u programs", MACHINE_FILE_LINES);
	line = reallocarray(f->line, f->n + 1, sizeof(*line));
	if (!line)
		return complain(in->c, ENOMEM, "out of memory");
	f->line = line;
	line += f->n;
	memset(line, 0, sizeof(*line));
	line->number = in->start;
	err = read_name(in, f, line);
	/* From here on machine_file_fini() frees the words. */
	f->n++;
	return err ? err : read_words(in, line);
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
	unsigned i, j;

	for (i = 0; i < f->n; i++) {
		for (j = 0; j < f->line[i].argc; j++)
			free(f->line[i].argv[j]);
		free(f->line[i].argv);
	}
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
