/* vfu.c - a scriptable vfio-user client, hostile peer and hostile guest.
 *
 *	vfu SOCKET STEP...			be a client
 *	vfu -l SOCKET STEP...			serve there, as a device would
 *
 * Each STEP is one argument: a word and what it needs; "-" stands for those that
 * standard input has, one a line.  What came of it is
 * printed as "STEP: ok", data, an error's name, "hung up" or "no answer".
 * Numbers are decimal or 0x..., data are hex digits.  `vfu` alone lists
 * the steps.
 */
#include <config.h>

#include "t/tool/steps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX  8u
#define STATUS_BAD 64

static struct tool self;

static const struct step *const tables[] = { peer_steps, eventfd_steps,
					     guest_steps };
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

void bad(const char *what, const char *which)
{
	fprintf(stderr, "vfu: %s '%s'\n", what, which);
	exit(STATUS_BAD);
}

uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		bad("no number", text);
	return n;
}

uint32_t unhex(char *text)
{
	size_t size = strlen(text) / 2, i;
	unsigned byte;

	if (strlen(text) % 2)
		bad("no hex digits", text);
	for (i = 0; i < size; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			bad("no hex digits", text);
		text[i] = (char)byte;
	}
	return (uint32_t)size;
}

static const struct step *find_step(const char *name)
{
	const struct step *step;
	unsigned i;

	for (i = 0; i < N_TABLES; i++)
		for (step = tables[i]; step->name; step++)
			if (!strcmp(step->name, name))
				return step;
	return NULL;
}

static void usage(void)
{
	const struct step *step;
	unsigned i;

	fprintf(stderr, "usage: vfu [-l] SOCKET STEP...\n");
	for (i = 0; i < N_TABLES; i++)
		for (step = tables[i]; step->name; step++)
			fprintf(stderr, "  %s %s\n", step->name, step->what);
}

static int run_step(struct tool *t, const char *text)
{
	char *copy = strdup(text), *rest = copy, *word[WORDS_MAX + 1];
	const struct step *step;
	unsigned n = 0;
	int err;

	if (!copy)
		return -ENOMEM;
	while (n < WORDS_MAX && (word[n] = strsep(&rest, " ")))
		n++;
	step = find_step(word[0]);
	if (!step || n < step->min || n > step->max)
		bad("no step", text);
	strcpy(t->text, "ok");
	err = step->fn(t, word, n);
	printf("%s: %s\n", text, err ? peer_error(err) : t->text);
	fflush(stdout);
	free(copy);
	return err;
}

static void run_lines(struct tool *t)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		(void)run_step(t, line);
	}
	free(line);
}

int main(int argc, char **argv)
{
	bool serve = argc > 1 && !strcmp(argv[1], "-l");
	unsigned i, first = serve ? 2 : 1;
	int err;

	if ((unsigned)argc < first + 2) {
		usage();
		return STATUS_BAD;
	}
	err = serve ? peer_serve(&self.peer, argv[first])
		    : peer_open(&self.peer, argv[first]);
	if (err)
		bad(peer_error(err), argv[first]);
	for (i = first + 1; i < (unsigned)argc; i++)
		if (!strcmp(argv[i], "-"))
			run_lines(&self);
		else
			(void)run_step(&self, argv[i]);
	return 0;
}
