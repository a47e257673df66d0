/* complaint.c - what is wrong and where, in words for a person. */
#include <config.h>

#include "libcore/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line for a terminal: what a peer or a file wrote may hold anything. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

int complain(struct complaint *c, int err, const char *fmt, ...)
{
	va_list ap;

	if (c) {
		va_start(ap, fmt);
		vsnprintf(c->text, sizeof(c->text), fmt, ap);
		va_end(ap);
		make_printable(c->text);
	}
	return -err;
}

int complain_at(struct complaint *c, int err, const char *fmt, ...)
{
	struct complaint was;
	va_list ap;
	size_t len;

	if (!c)
		return err;
	was = *c;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	len = strlen(c->text);
	snprintf(c->text + len, sizeof(c->text) - len, ": %s", was.text);
	make_printable(c->text);
	return err;
}
