/* function_name_test.c - FUNCTION, read and written. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "libcore/function_name.h"
#include "t/unit/unit.h"

static void test_good(void)
{
	static const struct {
		const char *text, *device;
		unsigned vf;
	} good[] = {
		{ "nic0/pf0", "nic0", 0 },
		{ "nic0/vf1", "nic0", 1 },
		{ "n/vf64", "n", 64 },
		{ "abcdefghijklm_-9/vf10", "abcdefghijklm_-9", 10 },
	};
	char buf[FUNCTION_NAME_MAX];
	struct function_name fn;
	unsigned i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_INT(function_name_parse(good[i].text, &fn, NULL), 0);
		CHECK_STR(fn.device, good[i].device);
		CHECK_INT(fn.vf, good[i].vf);
		CHECK_STR(function_name_format(buf, sizeof(buf), &fn),
			  good[i].text);
	}
}

static void test_bad(void)
{
	static const char *const bad[] = {
		"",
		"nic0",
		"nic0/",
		"nic0/vf",
		"nic0/vf0",
		"nic0/vf01",
		"nic0/vf65",
		"nic0/vf4294967297",
		"nic0/vf99999999999999999999999",
		"nic0/vf1x",
		"nic0/vf-1",
		"nic0/vf 1",
		"nic0/pf1",
		"nic0/pf",
		"nic0/pf00",
		"nic0/vf1/",
		"/vf1",
		"0nic/vf1",
		"Nic0/vf1",
		"../vf1",
		"nic.0/vf1",
		"abcdefghijklmnopq/vf1",
	};
	struct function_name fn = { .device = "kept", .vf = 7 };
	struct complaint c;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(function_name_parse(bad[i], &fn, &c), -EINVAL);
		CHECK_HAS(c.text, bad[i]);
		CHECK_HAS(c.text, "nic0/vf1");
	}
	CHECK_STR(fn.device, "kept");
	CHECK_INT(fn.vf, 7);
}

static void test_equal(void)
{
	struct function_name a = { .device = "nic0", .vf = 1 };
	struct function_name b = a;

	memcpy(b.device, "nic0\0junk", 9);
	CHECK(function_name_equal(&a, &b));
	b.vf = 2;
	CHECK(!function_name_equal(&a, &b));
	b = (struct function_name){ .device = "nic1", .vf = 1 };
	CHECK(!function_name_equal(&a, &b));
}

static void test_names(void)
{
	CHECK(name_is_valid("a"));
	CHECK(name_is_valid("root-bridge_1"));
	CHECK(name_is_valid("abcdefghijklmnop"));
	CHECK(!name_is_valid("abcdefghijklmnopq"));
	CHECK(!name_is_valid(""));
	CHECK(!name_is_valid("-a"));
	CHECK(!name_is_valid("a/b"));
	CHECK(!name_is_valid("a.b"));
	CHECK(!name_is_valid("a\n"));
}

static const struct unit_case cases[] = {
	{ "good", test_good },   { "bad", test_bad }, { "equal", test_equal },
	{ "names", test_names }, { NULL, NULL },
};

const struct unit_suite function_name_suite = { "function_name", cases };
