/* address_layout_test.c - unit tests of hvmon's address layout. */
#include <config.h>

#include <errno.h>
#include <stddef.h>

#include "cmd/hvmon/address_layout.h"
#include "t/unit/unit.h"

static const char a, b;

static void test_first_fit(void)
{
	struct address_layout layout;
	uint64_t at = 0;

	address_layout_init(&layout, 0x50000000, 0x100000);
	CHECK_INT(address_layout_assign(&layout, 0x4000, 0x4000, &a, 0, &at),
		  0);
	CHECK_INT(at, 0x50000000);
	/* Eight of 16 KiB, each aligned to its own size. */
	CHECK_INT(address_layout_assign(&layout, 0x20000, 0x4000, &a, 6, &at),
		  0);
	CHECK_INT(at, 0x50004000);
	CHECK_INT(address_layout_assign(&layout, 0x10000, 0x10000, &b, 0, &at),
		  0);
	CHECK_INT(at, 0x50030000);
	CHECK_INT(address_layout_assign(&layout, 0x1000, 0x1000, &b, 1, &at),
		  0);
	CHECK_INT(at, 0x50024000);
	address_layout_fini(&layout);
}

static void test_same_again(void)
{
	struct address_layout layout;
	uint64_t at = 0;

	address_layout_init(&layout, 0x50000000, 0x100000);
	CHECK_INT(address_layout_assign(&layout, 0x1000, 0x1000, &a, 0, &at),
		  0);
	CHECK_INT(address_layout_assign(&layout, 0x1000, 0x1000, &b, 0, &at),
		  0);
	CHECK_INT(at, 0x50001000);
	CHECK_INT(address_layout_assign(&layout, 0x1000, 0x1000, &b, 0, &at),
		  0);
	CHECK_INT(at, 0x50001000);
	/* Another size: the old place is given back. */
	CHECK_INT(address_layout_assign(&layout, 0x2000, 0x2000, &b, 0, &at),
		  0);
	CHECK_INT(at, 0x50002000);
	CHECK_INT(address_layout_assign(&layout, 0x1000, 0x1000, &a, 1, &at),
		  0);
	CHECK_INT(at, 0x50001000);
	address_layout_fini(&layout);
}

static void test_reserve(void)
{
	struct address_layout layout;
	uint64_t at = 0;

	address_layout_init(&layout, 0x50000000, 0x10000);
	CHECK_INT(address_layout_reserve(&layout, 0x50004000, 0x4000, &a, 0),
		  0);
	CHECK_INT(address_layout_reserve(&layout, 0x50004000, 0x4000, &a, 0),
		  0);
	CHECK_INT(address_layout_reserve(&layout, 0x50007000, 0x2000, &b, 0),
		  -EEXIST);
	CHECK_INT(address_layout_reserve(&layout, 0x5000f000, 0x2000, &b, 0),
		  -ERANGE);
	CHECK_INT(address_layout_reserve(&layout, 0x4ffff000, 0x1000, &b, 0),
		  -ERANGE);
	CHECK_INT(address_layout_reserve(&layout, 0x50000000, 0, &b, 0),
		  -ERANGE);
	CHECK_INT(address_layout_assign(&layout, 0x8000, 0x8000, &b, 0, &at),
		  0);
	CHECK_INT(at, 0x50008000);
	CHECK_INT(address_layout_assign(&layout, 0x8000, 0x8000, &b, 1, &at),
		  -ENOSPC);
	CHECK_INT(address_layout_assign(&layout, 0x4000, 0x4000, &b, 1, &at),
		  0);
	CHECK_INT(at, 0x50000000);
	address_layout_fini(&layout);
}

static const struct unit_case cases[] = {
	{ "first_fit", test_first_fit },
	{ "same_again", test_same_again },
	{ "reserve", test_reserve },
	{ NULL },
};

const struct unit_suite address_layout_suite = { "address_layout", cases };
