/* machine_range.c - one line of a machine file that means many programs. */
#include <config.h>

#include "cmd/bmc/machine_range.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_CHARS 5 /* of MACHINE_RANGE_MAX */

bool machine_range_is_in(const char *name, size_t size)
{
	return memchr(name, '[', size);
}

/* A number without leading zeros; *at is behind it then. */
static bool read_number(const char **at, const char *end, unsigned *number)
{
	const char *from = *at;
	unsigned n = 0;

	while (*at < end && isdigit((unsigned char)**at) &&
	       *at - from <= NUMBER_CHARS)
		n = n * 10 + (unsigned)(*(*at)++ - '0');
	*number = n;
	return *at > from && (*at == from + 1 || *from != '0') &&
	       n <= MACHINE_RANGE_MAX;
}

static bool read_char(const char **at, const char *end, char ch)
{
	return *at < end && *(*at)++ == ch;
}

int machine_range_parse(struct machine_range *range, const char *name,
			size_t *size, struct complaint *c)
{
	const char *end = name + *size, *at = memchr(name, '[', *size);
	const char *bracket = at;
	struct machine_range r;

	if (!at || !read_char(&at, end, '[') ||
	    !read_number(&at, end, &r.first) || !read_char(&at, end, '-') ||
	    !read_number(&at, end, &r.last) || !read_char(&at, end, ']') ||
	    at != end)
		return complain(c, EINVAL,
				"bad range in '%.*s': NAME[FIRST-LAST], "
				"numbers from 0 to %u",
				*size > 40 ? 40 : (int)*size, name,
				MACHINE_RANGE_MAX);
	if (r.last < r.first)
		return complain(c, EINVAL,
				"range [%u-%u] ends before it begins", r.first,
				r.last);
	*range = r;
	*size = (size_t)(bracket - name);
	return 0;
}

/* What "%i" and its like mean; NULL: nothing. */
static const char *meaning(const struct machine_range *range, unsigned number,
			   char letter, char text[16])
{
	switch (letter) {
	case 'i':
		snprintf(text, 16, "%u", number);
		return text;
	case 'n':
		snprintf(text, 16, "%u", number - range->first + 1);
		return text;
	case '%':
		return "%";
	}
	return NULL;
}

int machine_range_expand(const struct machine_range *range, unsigned number,
			 const char *word, char **result, struct complaint *c)
{
	/* Two characters become NUMBER_CHARS at most. */
	char *expanded = malloc(strlen(word) * NUMBER_CHARS + 1), *to;
	const char *what, *percent;
	char text[16];

	if (!expanded)
		return complain(c, ENOMEM, "out of memory");
	to = expanded;
	for (; (percent = strchr(word, '%')); word = percent + 2) {
		to = mempcpy(to, word, (size_t)(percent - word));
		what = meaning(range, number, percent[1], text);
		if (!what) {
			free(expanded);
			return complain(c, EINVAL,
					"'%.2s' in a line with a range: %%i "
					"(number), %%n (how manieth), or %%%%",
					percent);
		}
		to = stpcpy(to, what);
	}
	strcpy(to, word);
	*result = expanded;
	return 0;
}
