/* routing_test.c - machine-physical addresses to config spaces and BARs. */
#include <config.h>

#include <errno.h>
#include <stddef.h>

#include "cmd/rootbridge/routing.h"
#include "libcore/platform.h"
#include "t/unit/unit.h"

static int device;

static int add(struct routing *r, uint64_t first, uint64_t slice, unsigned n,
	       unsigned bar, unsigned vf)
{
	struct routing_range range = { .first = first,
				       .last = first + slice * n - 1,
				       .slice = slice,
				       .device = &device,
				       .bar = (uint8_t)bar,
				       .first_vf = (uint8_t)vf };

	return routing_add(r, &range);
}

static void config_space(void)
{
	struct routing r = { 0 };
	struct routing_target t;

	routing_lookup(&r, platform_config(0x0100), 4, &t);
	CHECK_INT(t.kind, ROUTING_CONFIG);
	CHECK_INT(t.bdf, 0x0100);
	CHECK_INT(t.offset, 0);
	routing_lookup(&r, platform_config(0x0203) + 0xffc, 4, &t);
	CHECK_INT(t.kind, ROUTING_CONFIG);
	CHECK_INT(t.bdf, 0x0203);
	CHECK_INT(t.offset, 0xffc);
	routing_lookup(&r, platform_config(0x0100), 4096, &t);
	CHECK_INT(t.kind, ROUTING_CONFIG);
	routing_lookup(&r, platform_config(0x0100), 4097, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_lookup(&r, platform_config(0x0100) + 0xffe, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_lookup(&r, PLATFORM_ECAM - 2, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
}

static void bars(void)
{
	struct routing r = { 0 };
	struct routing_target t;

	CHECK_INT(add(&r, PLATFORM_MMIO + 0x10000, 0x10000, 1, 0, 0), 0);
	CHECK_INT(add(&r, PLATFORM_MMIO, 0x4000, 4, 0, 1), 0);
	routing_lookup(&r, PLATFORM_MMIO + 0x10010, 4, &t);
	CHECK_INT(t.kind, ROUTING_BAR);
	CHECK_INT(t.vf, 0);
	CHECK_INT(t.offset, 0x10);
	CHECK(t.device == &device);
	routing_lookup(&r, PLATFORM_MMIO + 0x8004, 4, &t);
	CHECK_INT(t.vf, 3);
	CHECK_INT(t.offset, 4);
	routing_lookup(&r, PLATFORM_MMIO + 0x3ffc, 4, &t);
	CHECK_INT(t.kind, ROUTING_BAR);
	CHECK_INT(t.vf, 1);
	/* Across two VFs is nobody's. */
	routing_lookup(&r, PLATFORM_MMIO + 0x3ffe, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_lookup(&r, PLATFORM_MMIO + 0x20000, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_lookup(&r, PLATFORM_NOWHERE, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_lookup(&r, PLATFORM_MMIO, 0, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	routing_fini(&r);
}

static void refusals(void)
{
	struct routing r = { 0 };
	struct routing_target t;
	struct routing_range odd = { .first = PLATFORM_MMIO,
				     .last = PLATFORM_MMIO + 0x4fff,
				     .slice = 0x4000,
				     .device = &device };

	CHECK_INT(add(&r, PLATFORM_MMIO, 0x4000, 4, 0, 1), 0);
	CHECK_INT(add(&r, PLATFORM_MMIO + 0xc000, 0x8000, 1, 0, 0), -EEXIST);
	CHECK_INT(add(&r, PLATFORM_MMIO, 0x1000, 1, 0, 0), -EEXIST);
	CHECK_INT(add(&r, 0xfffff000, 0x1000, 1, 0, 0), -ERANGE);
	CHECK_INT(add(&r, 0, 0x1000, 1, 0, 0), -ERANGE);
	CHECK_INT(add(&r, PLATFORM_NOWHERE - 0x1000, 0x2000, 1, 0, 0), -ERANGE);
	CHECK_INT(routing_add(&r, &odd), -EINVAL);
	routing_clear(&r);
	routing_lookup(&r, PLATFORM_MMIO, 4, &t);
	CHECK_INT(t.kind, ROUTING_NOWHERE);
	CHECK_INT(add(&r, PLATFORM_MMIO, 0x1000, 1, 0, 0), 0);
	routing_fini(&r);
}

/* Ranges added in any order are found. */
static void many(void)
{
	struct routing r = { 0 };
	struct routing_target t;
	unsigned i, at;

	for (i = 0; i < 64; i++) {
		at = i * 37 % 64;
		CHECK_INT(add(&r, PLATFORM_MMIO + at * 0x2000, 0x1000, 1,
			      at % 6, 0),
			  0);
	}
	for (i = 0; i < 64; i++) {
		routing_lookup(&r, PLATFORM_MMIO + i * 0x2000 + 8, 8, &t);
		CHECK_INT(t.kind, ROUTING_BAR);
		CHECK_INT(t.bar, i % 6);
		routing_lookup(&r, PLATFORM_MMIO + i * 0x2000 + 0x1000, 8, &t);
		CHECK_INT(t.kind, ROUTING_NOWHERE);
	}
	routing_fini(&r);
}

static const struct unit_case cases[] = {
	{ "config_space", config_space },
	{ "bars", bars },
	{ "refusals", refusals },
	{ "many", many },
	{ NULL, NULL },
};
const struct unit_suite routing_suite = { "routing", cases };
