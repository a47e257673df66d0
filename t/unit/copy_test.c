/* copy_test.c - frames of every size, copied whole and not a byte more. */
#include <config.h>

#include "libcore/copy.h"

#include <stddef.h>
#include <string.h>

#include "t/unit/unit.h"

#define MOST  300u
#define GUARD 0xee

static void test_sizes(void)
{
	uint8_t from[MOST + 16], to[MOST + 32];
	uint32_t size, at, i, bad = 0;

	for (i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (size = 0; size <= MOST; size++)
		for (at = 0; at < 16; at++) {
			memset(to, GUARD, sizeof(to));
			copy_frame(to + 16, from + at, size);
			bad += memcmp(to + 16, from + at, size) != 0;
			bad += to[15] != GUARD || to[16 + size] != GUARD;
		}
	CHECK_INT(bad, 0);
}

/* Whatever the frame begins with meanwhile, the head is what was read. */
static void test_headed(void)
{
	uint8_t from[MOST + 16], head[16], want[MOST], to[MOST + 32];
	uint32_t size, at, i, bad = 0;

	for (i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (i = 0; i < sizeof(head); i++)
		head[i] = (uint8_t)(0xf0 - i);
	for (size = sizeof(head); size <= MOST; size++)
		for (at = 0; at < 16; at++) {
			memset(to, GUARD, sizeof(to));
			memcpy(want, from + at, size);
			memcpy(want, head, sizeof(head));
			copy_headed(to + 16, head, from + at, size);
			bad += memcmp(to + 16, want, size) != 0;
			bad += to[15] != GUARD || to[16 + size] != GUARD;
		}
	CHECK_INT(bad, 0);
}

static const struct unit_case cases[] = {
	{ "sizes", test_sizes },
	{ "headed", test_headed },
	{ NULL, NULL },
};

const struct unit_suite copy_suite = { "copy", cases };
