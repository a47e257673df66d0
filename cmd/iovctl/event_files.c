/* event_files.c - reading the events of all programs.
 *
 * Theory of operation.  One inotify watch on events/ tells of every line, as
 * writing to a file of a watched folder counts.  After each wake-up the folder
 * is scanned and every file read from where it was left.  A file that was
 * replaced (another inode) or cut off is read from its beginning.
 */
#include <config.h>

#include "cmd/iovctl/event_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcore/loop.h"

#define READ_SIZE  (256u << 10)
#define TAIL_SIZE  16384
#define WATCH_MASK (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE)

struct event_file {
	char name[NAME_MAX + 1];
	int fd;
	ino_t inode;
	off_t offset;
	uint64_t since;
	char *rest; /* a line without its end yet */
	size_t n_rest;
	bool seen; /* in this scan */
	LIST_ENTRY(event_file) entry;
};

struct event_files {
	int dirfd, notify;
	uint64_t since; /* of files that are found now */
	LIST_HEAD(, event_file) files;
};

struct lines {
	struct event_line *line;
	size_t n, size;
};

static void scan(struct event_files *files);

int event_files_open(struct event_files **files, const struct machine *m,
		     uint64_t since, struct complaint *c)
{
	struct event_files *new;
	char path[PATH_MAX];
	int err;

	new = calloc(1, sizeof(*new));
	if (!new)
		return complain(c, ENOMEM, "no memory");
	LIST_INIT(&new->files);
	new->since = since;
	machine_path(m, path, "events");
	new->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	new->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (new->notify < 0 || new->dirfd < 0 ||
	    inotify_add_watch(new->notify, path, WATCH_MASK) < 0) {
		err = complain(c, errno, "%s: %s", path, strerror(errno));
		event_files_close(new);
		return err;
	}
	scan(new);
	new->since = 0;
	*files = new;
	return 0;
}

static void file_free(struct event_file *file)
{
	LIST_REMOVE(file, entry);
	if (file->fd >= 0)
		close(file->fd);
	free(file->rest);
	free(file);
}

void event_files_close(struct event_files *files)
{
	struct event_file *file;

	if (!files)
		return;
	while ((file = LIST_FIRST(&files->files)))
		file_free(file);
	if (files->dirfd >= 0)
		close(files->dirfd);
	if (files->notify >= 0)
		close(files->notify);
	free(files);
}

int event_files_fd(const struct event_files *files)
{
	return files->notify;
}

bool event_files_wait(struct event_files *files, uint64_t deadline_ns)
{
	struct pollfd pfd = { .fd = files->notify, .events = POLLIN };
	uint64_t now = clock_now_ns(), ns;
	struct timespec ts;

	if (now >= deadline_ns)
		return false;
	ns = deadline_ns - now;
	ts.tv_sec = (time_t)(ns / NS_PER_S);
	ts.tv_nsec = (long)(ns % NS_PER_S);
	return ppoll(&pfd, 1, deadline_ns == UINT64_MAX ? NULL : &ts, NULL) > 0;
}

static void keep_line(struct lines *lines, uint64_t since, const char *text,
		      size_t size)
{
	struct event_line *more;
	json_t *json, *n;

	json = json_loadb(text, size, 0, NULL);
	n = json_object_get(json, "n");
	if (!json_is_integer(n) ||
	    !json_is_string(json_object_get(json, "ev")) ||
	    (uint64_t)json_integer_value(n) <= since) {
		json_decref(json);
		return;
	}
	if (lines->n == lines->size) {
		lines->size = lines->size ? 2 * lines->size : 64;
		more = reallocarray(lines->line, lines->size, sizeof(*more));
		if (!more)
			abort();
		lines->line = more;
	}
	lines->line[lines->n++] = (struct event_line){
		.n = (uint64_t)json_integer_value(n),
		.json = json,
		.text = strndup(text, size),
	};
}

/* Split what was read into lines; the last one may lack its end. */
static void take_text(struct event_file *file, struct lines *lines,
		      const char *text, size_t size)
{
	const char *newline;
	size_t n;
	char *rest;

	while ((newline = memchr(text, '\n', size))) {
		n = (size_t)(newline - text);
		keep_line(lines, file->since, text, n);
		text += n + 1;
		size -= n + 1;
	}
	rest = malloc(size + 1);
	if (!rest)
		abort();
	memcpy(rest, text, size);
	free(file->rest);
	file->rest = rest;
	file->n_rest = size;
}

static void read_file(struct event_file *file, struct lines *lines)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (!fstat(file->fd, &st) && st.st_size < file->offset) {
		file->offset = 0;
		file->n_rest = 0;
		file->since = 0;
	}
	do {
		text = malloc(file->n_rest + READ_SIZE);
		if (!text)
			abort();
		if (file->n_rest)
			memcpy(text, file->rest, file->n_rest);
		n = pread(file->fd, text + file->n_rest, READ_SIZE,
			  file->offset);
		if (n > 0) {
			file->offset += n;
			take_text(file, lines, text, file->n_rest + (size_t)n);
		}
		free(text);
	} while (n > 0);
}

static struct event_file *find_file(struct event_files *files, const char *name,
				    ino_t inode)
{
	struct event_file *file;

	LIST_FOREACH (file, &files->files, entry)
		if (file->inode == inode && !strcmp(file->name, name))
			return file;
	return NULL;
}

static bool is_event_file(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && !strcmp(name + n - 6, ".jsonl");
}

static void scan_entry(struct event_files *files, const char *name)
{
	struct event_file *file;
	struct stat st;

	if (!is_event_file(name) ||
	    fstatat(files->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return;
	file = find_file(files, name, st.st_ino);
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			abort();
		strlcpy(file->name, name, sizeof(file->name));
		file->fd = openat(files->dirfd, name,
				  O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		file->inode = st.st_ino;
		file->since = files->since;
		LIST_INSERT_HEAD(&files->files, file, entry);
	}
	file->seen = true;
}

/* Look which files are there; those that went are read a last time. */
static void scan(struct event_files *files)
{
	struct event_file *file;
	struct dirent *e;
	DIR *dir;
	int fd;

	LIST_FOREACH (file, &files->files, entry)
		file->seen = false;
	fd = openat(files->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir && (e = readdir(dir)))
		scan_entry(files, e->d_name);
	if (dir)
		closedir(dir);
}

static int by_number(const void *a, const void *b)
{
	const struct event_line *x = a, *y = b;

	return x->n < y->n ? -1 : x->n > y->n;
}

int event_files_read(struct event_files *files, struct event_line **lines,
		     size_t *n)
{
	struct event_file *file, *next;
	struct lines all = { 0 };
	char drain[4096];

	while (read(files->notify, drain, sizeof(drain)) > 0)
		;
	scan(files);
	LIST_FOREACH_SAFE (file, &files->files, entry, next) {
		if (file->fd >= 0)
			read_file(file, &all);
		if (!file->seen)
			file_free(file);
	}
	if (all.n)
		qsort(all.line, all.n, sizeof(*all.line), by_number);
	*lines = all.line;
	*n = all.n;
	return 0;
}

int event_file_append(const char *path, struct event_line **lines, size_t *n,
		      struct complaint *c)
{
	struct event_file file = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct lines all = { .line = *lines, .n = *n, .size = *n };

	if (file.fd < 0)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	read_file(&file, &all);
	close(file.fd);
	free(file.rest);
	*lines = all.line;
	*n = all.n;
	return 0;
}

void event_lines_free(struct event_line *lines, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		json_decref(lines[i].json);
		free(lines[i].text);
	}
	free(lines);
}

json_t *event_files_last(const struct machine *m, const char *name)
{
	char path[PATH_MAX], text[TAIL_SIZE];
	json_t *json = NULL;
	const char *line;
	struct stat st;
	ssize_t n = 0;
	int fd;

	fd = open(machine_path(m, path, "events/%s.jsonl", name),
		  O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st))
		n = pread(fd, text, sizeof(text),
			  st.st_size > TAIL_SIZE ? st.st_size - TAIL_SIZE : 0);
	close(fd);
	while (n > 0 && !json) {
		line = memrchr(text, '\n', (size_t)n - 1);
		line = line ? line + 1 : text;
		json = json_loadb(line, (size_t)(text + n - line), 0, NULL);
		n = line - text;
	}
	return json;
}
