/* units_test.c - quantities as people write them, and as they must not. */
#include <config.h>

#include <errno.h>

#include "libcore/loop.h"
#include "libcore/units.h"
#include "t/unit/unit.h"

#define UNTOUCHED 12345u

static uint64_t duration(const char *text)
{
	struct complaint c = { "" };
	uint64_t ns = UNTOUCHED;

	CHECK_INT(units_duration(text, &ns, &c), 0);
	CHECK_STR(c.text, "");
	return ns;
}

static void test_duration(void)
{
	CHECK_INT(duration("0"), 0);
	CHECK_INT(duration("0s"), 0);
	CHECK_INT(duration("1ns"), 1);
	CHECK_INT(duration("20us"), 20 * NS_PER_US);
	CHECK_INT(duration("10ms"), 10 * NS_PER_MS);
	CHECK_INT(duration("1.5s"), 1500 * NS_PER_MS);
	CHECK_INT(duration("0.1s"), 100 * NS_PER_MS);
	CHECK_INT(duration("0.000000001s"), 1);
	CHECK_INT(duration("2min"), 120 * NS_PER_S);
	/* More digits than a double has. */
	CHECK_INT(duration("9007199254740993ns"), 9007199254740993);
	CHECK_INT(duration("1.000000000000000000000000001s"), NS_PER_S);
}

static void test_duration_bad(void)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "", -EINVAL },
		{ "10", -EINVAL },
		{ "ms", -EINVAL },
		{ " 1ms", -EINVAL },
		{ "1 ms", -EINVAL },
		{ "1ms ", -EINVAL },
		{ "1msx", -EINVAL },
		{ "1.ms", -EINVAL },
		{ ".5s", -EINVAL },
		{ "1e3s", -EINVAL },
		{ "+1s", -EINVAL },
		{ "0x10s", -EINVAL },
		{ "inf", -EINVAL },
		{ "nan", -EINVAL },
		{ "0.5ns", -EINVAL },
		{ "1h", -EINVAL },
		{ "1MS", -EINVAL },
		{ "-1ms", -ERANGE },
		{ "18446744073709551616ns", -ERANGE },
		{ "18446744073710s", -ERANGE },
		{ "99999999999999999999999999999999999999999s", -ERANGE },
	};
	struct complaint c;
	uint64_t ns = UNTOUCHED;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.text[0] = 0;
		CHECK_INT(units_duration(bad[i].text, &ns, &c), bad[i].err);
		CHECK_HAS(c.text, bad[i].text);
		CHECK_HAS(c.text, "10ms");
	}
	CHECK_INT(ns, UNTOUCHED);
	CHECK_INT(units_duration("x", &ns, NULL), -EINVAL);
}

static void test_size(void)
{
	struct complaint c;
	uint64_t n;

	CHECK_INT(units_size("1514", &n, &c), 0);
	CHECK_INT(n, 1514);
	CHECK_INT(units_size("64k", &n, &c), 0);
	CHECK_INT(n, 64000);
	CHECK_INT(units_size("4KiB", &n, &c), 0);
	CHECK_INT(n, 4096);
	CHECK_INT(units_size("64MiB", &n, &c), 0);
	CHECK_INT(n, 64 << 20);
	CHECK_INT(units_size("1.5KiB", &n, &c), 0);
	CHECK_INT(n, 1536);
	CHECK_INT(units_size("18446744073709551615", &n, &c), 0);
	CHECK(n == UINT64_MAX);
	CHECK_INT(units_size("1.5", &n, &c), -EINVAL);
	CHECK_INT(units_size("64kib", &n, &c), -EINVAL);
	CHECK_INT(units_size("-1", &n, &c), -ERANGE);
	CHECK_INT(units_size("16777216TiB", &n, &c), -ERANGE);
}

static void test_rates(void)
{
	struct complaint c;
	uint64_t n;

	CHECK_INT(units_bitrate("10Gbit", &n, &c), 0);
	CHECK_INT(n, 10000000000);
	CHECK_INT(units_bitrate("2.5Gbit", &n, &c), 0);
	CHECK_INT(n, 2500000000);
	CHECK_INT(units_bitrate("1kbit", &n, &c), 0);
	CHECK_INT(n, 1000);
	CHECK_INT(units_bitrate("9600", &n, &c), 0);
	CHECK_INT(n, 9600);
	CHECK_INT(units_bitrate("unlimited", &n, &c), 0);
	CHECK_INT(n, 0);
	CHECK_INT(units_bitrate("0", &n, &c), -ERANGE);
	CHECK_INT(units_bitrate("10G", &n, &c), -EINVAL);

	CHECK_INT(units_rate("1000", &n, &c), 0);
	CHECK_INT(n, 1000);
	CHECK_INT(units_rate("10k/s", &n, &c), 0);
	CHECK_INT(n, 10000);
	CHECK_INT(units_rate("1M", &n, &c), 0);
	CHECK_INT(n, 1000000);
	CHECK_INT(units_rate("max", &n, &c), 0);
	CHECK_INT(n, 0);
	CHECK_INT(units_rate("0", &n, &c), -ERANGE);
	CHECK_HAS(c.text, "max");
	CHECK_INT(units_rate("10/m", &n, &c), -EINVAL);
}

static void test_percent(void)
{
	struct complaint c;
	uint32_t p;

	CHECK_INT(units_percent("0%", &p, &c), 0);
	CHECK_INT(p, 0);
	CHECK_INT(units_percent("50%", &p, &c), 0);
	CHECK_INT(p, 1u << 31);
	CHECK_INT(units_percent("0.1%", &p, &c), 0);
	CHECK_INT(p, 4294967);
	CHECK_INT(units_percent("100%", &p, &c), 0);
	CHECK_INT(p, UINT32_MAX);
	CHECK_INT(units_percent("0.000000000001%", &p, &c), 0);
	CHECK_INT(p, 1);
	CHECK_INT(units_percent("100.1%", &p, &c), -ERANGE);
	CHECK_INT(units_percent("-1%", &p, &c), -ERANGE);
	CHECK_INT(units_percent("1", &p, &c), -EINVAL);
	CHECK_INT(units_percent("1%%", &p, &c), -EINVAL);
	CHECK_INT(units_percent("%", &p, &c), -EINVAL);
	CHECK_HAS(c.text, "'%'");
}

static void test_number(void)
{
	struct complaint c;
	uint64_t n = UNTOUCHED;

	CHECK_INT(units_number("010", 0, 100, &n, &c), 0);
	CHECK_INT(n, 10);
	CHECK_INT(units_number("0x1F", 0, 100, &n, &c), 0);
	CHECK_INT(n, 31);
	CHECK_INT(units_number("0xffffffffffffffff", 0, UINT64_MAX, &n, &c), 0);
	CHECK(n == UINT64_MAX);
	n = UNTOUCHED;
	CHECK_INT(units_number("64", 1, 63, &n, &c), -ERANGE);
	CHECK_HAS(c.text, "1 to 63");
	CHECK_INT(units_number("0", 1, 63, &n, &c), -ERANGE);
	CHECK_INT(units_number("18446744073709551616", 0, UINT64_MAX, &n, &c),
		  -ERANGE);
	CHECK_INT(units_number("-1", 0, 63, &n, &c), -ERANGE);
	CHECK_INT(units_number("", 0, 63, &n, &c), -EINVAL);
	CHECK_INT(units_number("0x", 0, 63, &n, &c), -EINVAL);
	CHECK_INT(units_number("1f", 0, 63, &n, &c), -EINVAL);
	CHECK_INT(units_number(" 1", 0, 63, &n, &c), -EINVAL);
	CHECK_INT(units_number("18446744073709551616x", 0, 63, &n, &c),
		  -EINVAL);
	CHECK_INT(n, UNTOUCHED);
}

static void test_format(void)
{
	char buf[32], small[4];

	CHECK_STR(units_format_duration(buf, sizeof(buf), 0), "0");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 999), "999ns");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 1500000), "1.5ms");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 1234567), "1.23ms");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 99960), "100us");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 999999), "1ms");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 1000000), "1ms");
	CHECK_STR(units_format_duration(buf, sizeof(buf), 3600 * NS_PER_S),
		  "3600s");
	CHECK_STR(units_format_duration(buf, sizeof(buf), UINT64_MAX),
		  "18446744074s");
	CHECK_STR(units_format_size(buf, sizeof(buf), 0), "0");
	CHECK_STR(units_format_size(buf, sizeof(buf), 1023), "1023");
	CHECK_STR(units_format_size(buf, sizeof(buf), 64 << 20), "64MiB");
	CHECK_STR(units_format_size(buf, sizeof(buf), 1536), "1.5KiB");
	CHECK_STR(units_format_bitrate(buf, sizeof(buf), 0), "unlimited");
	CHECK_STR(units_format_bitrate(buf, sizeof(buf), 2500000000),
		  "2.5Gbit");
	CHECK_STR(units_format_duration(small, sizeof(small), 123456), "123");
}

static const struct unit_case cases[] = {
	{ "duration", test_duration }, { "duration_bad", test_duration_bad },
	{ "size", test_size },         { "rates", test_rates },
	{ "percent", test_percent },   { "number", test_number },
	{ "format", test_format },     { NULL, NULL },
};

const struct unit_suite units_suite = { "units", cases };
