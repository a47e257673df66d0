/* complaint_test.c - complaints are one printable line. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "libcore/complaint.h"
#include "t/unit/unit.h"

static void test_says(void)
{
	struct complaint c;

	CHECK_INT(complain(&c, EINVAL, "no %s", "way"), -EINVAL);
	CHECK_STR(c.text, "no way");
	CHECK_INT(complain_at(&c, -EINVAL, "file:%d", 3), -EINVAL);
	CHECK_STR(c.text, "file:3: no way");
}

static void test_nobody_listens(void)
{
	CHECK_INT(complain(NULL, ENOENT, "x"), -ENOENT);
	CHECK_INT(complain_at(NULL, -ENOENT, "x"), -ENOENT);
}

static void test_one_line(void)
{
	struct complaint c;

	complain(&c, EINVAL, "'%s'", "a\nb\033[2J");
	CHECK_STR(c.text, "'a?b?[2J'");
}

static void test_long(void)
{
	struct complaint c;
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	complain(&c, EINVAL, "%s", text);
	CHECK_INT(strlen(c.text), sizeof(c.text) - 1);
	complain_at(&c, -EINVAL, "%s", text);
	CHECK_INT(strlen(c.text), sizeof(c.text) - 1);
	complain_at(&c, -EINVAL, "here");
	CHECK_HAS(c.text, "here: xxx");
}

static const struct unit_case cases[] = {
	{ "says", test_says },
	{ "nobody_listens", test_nobody_listens },
	{ "one_line", test_one_line },
	{ "long", test_long },
	{ NULL, NULL },
};

const struct unit_suite complaint_suite = { "complaint", cases };
