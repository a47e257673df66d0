/* function_name.c - FUNCTION: "nic0/pf0", "nic0/vf1". */
#include <config.h>

#include "libcore/function_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_lower(char ch)
{
	return ch >= 'a' && ch <= 'z';
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* How many bytes of text form a name; 0 when it does not start with one. */
static size_t name_length(const char *text)
{
	size_t n = 0;

	if (!is_lower(text[0]))
		return 0;
	while (is_lower(text[n]) || is_digit(text[n]) || text[n] == '_' ||
	       text[n] == '-')
		n++;
	return n <= DEVICE_NAME_MAX ? n : 0;
}

bool name_is_valid(const char *text)
{
	size_t n = name_length(text);

	return n && !text[n];
}

/* "pf0" is 0, "vf1" is 1...; -1 when it is neither. */
static int parse_function(const char *text)
{
	int vf = 0;

	if (!strcmp(text, "pf0"))
		return 0;
	if (strncmp(text, "vf", 2) || text[2] == '0')
		return -1;
	for (text += 2; is_digit(*text); text++) {
		vf = 10 * vf + (*text - '0');
		if (vf > FUNCTION_VF_MAX)
			return -1;
	}
	return vf && !*text ? vf : -1;
}

int function_name_parse(const char *text, struct function_name *fn,
			struct complaint *c)
{
	size_t n = name_length(text);
	int vf = n && text[n] == '/' ? parse_function(text + n + 1) : -1;

	if (vf < 0)
		return complain(c, EINVAL,
				"'%s' is no function: nic0/pf0, or nic0/vf1 to "
				"nic0/vf%d",
				text, FUNCTION_VF_MAX);
	memcpy(fn->device, text, n);
	fn->device[n] = 0;
	fn->vf = (unsigned)vf;
	return 0;
}

char *function_name_format(char *buf, size_t size,
			   const struct function_name *fn)
{
	if (fn->vf)
		snprintf(buf, size, "%s/vf%u", fn->device, fn->vf);
	else
		snprintf(buf, size, "%s/pf0", fn->device);
	return buf;
}

bool function_name_equal(const struct function_name *a,
			 const struct function_name *b)
{
	return a->vf == b->vf && !strcmp(a->device, b->device);
}
