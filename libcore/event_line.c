/* event_line.c - an event as a line of JSON; see event_line.h
 *
 * Procedures write an event at each of their steps, so a line should cost
 * little more than the system call that writes it.  What is rare is left to
 * those who build a JSON value first.
 */
#include <config.h>

#include "libcore/event_line.h"

#include <string.h>

static void add(struct event_line *l, const char *text, size_t size)
{
	if (l->unfit || (size_t)(l->end - l->at) < size) {
		l->unfit = true;
		return;
	}
	memcpy(l->at, text, size);
	l->at += size;
}

static void add_string(struct event_line *l, const char *text)
{
	size_t size = 0;

	for (; text[size]; size++)
		if (text[size] < ' ' || text[size] > '~' || text[size] == '"' ||
		    text[size] == '\\') {
			l->unfit = true;
			return;
		}
	add(l, "\"", 1);
	add(l, text, size);
	add(l, "\"", 1);
}

static void add_integer(struct event_line *l, int64_t value)
{
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char digits[20];
	size_t n = 0;

	do {
		digits[sizeof(digits) - ++n] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		add(l, "-", 1);
	add(l, digits + sizeof(digits) - n, n);
}

static void add_key(struct event_line *l, const char *key)
{
	add(l, l->is_first ? "{" : ",", 1);
	l->is_first = false;
	add_string(l, key);
	add(l, ":", 1);
}

void event_line_begin(struct event_line *l, char *room, size_t size)
{
	l->at = room;
	l->end = room + size - 2; /* for brace and newline */
	l->is_first = true;
	l->unfit = false;
}

void event_line_integer(struct event_line *l, const char *key, int64_t value)
{
	add_key(l, key);
	add_integer(l, value);
}

void event_line_string(struct event_line *l, const char *key, const char *value)
{
	add_key(l, key);
	add_string(l, value);
}

static bool is_common(const char *key)
{
	static const char *const common[] = { "v",   "n",  "t",      "src",
					      "inc", "ev", "dropped" };
	size_t i;

	for (i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (!strcmp(key, common[i]))
			return true;
	return false;
}

void event_line_members(struct event_line *l, const char *fmt, va_list ap)
{
	const char *key, *text;

	while (*fmt && !l->unfit) {
		if (strncmp(fmt, "s:", 2) != 0) {
			l->unfit = true;
			return;
		}
		key = va_arg(ap, const char *);
		l->unfit |= is_common(key);
		switch (fmt[2]) {
		case 's':
			text = va_arg(ap, const char *);
			if (text)
				event_line_string(l, key, text);
			else if (fmt[3] != '*')
				l->unfit = true;
			break;
		case 'i':
			event_line_integer(l, key, va_arg(ap, int));
			break;
		case 'I':
			event_line_integer(l, key, va_arg(ap, long long));
			break;
		case 'b':
			add_key(l, key);
			text = va_arg(ap, int) ? "true" : "false";
			add(l, text, strlen(text));
			break;
		default:
			l->unfit = true;
			return;
		}
		fmt += fmt[3] == '*' ? 4 : 3;
		fmt += strspn(fmt, ", ");
	}
}

size_t event_line_end(struct event_line *l, const char *room)
{
	if (l->unfit)
		return 0;
	memcpy(l->at, "}\n", 2);
	return (size_t)(l->at - room) + 2;
}
