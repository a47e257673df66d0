/* vf_allocation_test.c - unit tests of the VF allocation table and of the
 * rows and routes that follow from it. */
#include <config.h>

#include <errno.h>
#include <stdio.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/vf_allocation.h"
#include "libcore/platform.h"
#include "t/unit/unit.h"

static int add(struct vf_allocations *t, const char *text, struct complaint *c)
{
	return vf_allocations_add_text(t, text, c);
}

static struct vf_allocation *find(struct vf_allocations *t, const char *text)
{
	struct function_name name;

	return function_name_parse(text, &name, NULL)
		       ? NULL
		       : vf_allocations_find(t, &name);
}

static void test_text(void)
{
	struct vf_allocations t;
	struct complaint c;

	vf_allocations_init(&t);
	CHECK_INT(add(&t, "nic0/vf1=vm1", &c), 0);
	CHECK_INT(add(&t, "nic0/vf2=vm1:20us", &c), 0);
	CHECK_INT(add(&t, "nic1/vf1=vm2:1ms", &c), 0);
	CHECK_INT(find(&t, "nic0/vf1")->wait_ns, VF_WAIT_DEFAULT_NS);
	CHECK_INT(find(&t, "nic0/vf1")->slot, 0);
	CHECK_INT(find(&t, "nic0/vf2")->wait_ns, 20000);
	CHECK_INT(find(&t, "nic0/vf2")->slot, 1);
	CHECK_INT(find(&t, "nic1/vf1")->slot, 0);
	CHECK_INT(find(&t, "nic1/vf1")->vm, 2);
	CHECK(vf_allocations_at(&t, 1, 1) == find(&t, "nic0/vf2"));
	CHECK(!vf_allocations_at(&t, 2, 1));
	vf_allocations_fini(&t);
}

static void test_refused(void)
{
	struct vf_allocations t;
	struct complaint c;

	vf_allocations_init(&t);
	CHECK_INT(add(&t, "nic0/vf1=vm1", &c), 0);
	CHECK_INT(add(&t, "nic0/vf1=vm2", &c), -EEXIST);
	CHECK_HAS(c.text, "nic0/vf1 is allocated to vm1 already");
	CHECK_INT(add(&t, "nic0/pf0=vm1", &c), -EINVAL);
	CHECK_HAS(c.text, "PF");
	CHECK_INT(add(&t, "nic0/vf2", &c), -EINVAL);
	CHECK_INT(add(&t, "nic0/vf2=", &c), -EINVAL);
	CHECK_INT(add(&t, "nic0/vf2=vm0", &c), -ERANGE);
	CHECK_INT(add(&t, "nic0/vf2=vm4096", &c), -ERANGE);
	CHECK_INT(add(&t, "nic0/vf2=vm1x", &c), -ERANGE);
	CHECK_INT(add(&t, "nic0/vf2=vm1:10", &c), -EINVAL);
	CHECK_INT(add(&t, "nic0/vf2=vm1:1s", &c), -ERANGE);
	CHECK_HAS(c.text, "waiting time");
	CHECK_INT(add(&t, "nic0/vf2=vm1:999ns", &c), -ERANGE);
	CHECK_INT(add(&t, "nic0/vf65=vm1", &c), -EINVAL);
	vf_allocations_fini(&t);
}

static void test_slots(void)
{
	struct vf_allocations t;
	struct complaint c;
	char text[32];
	unsigned i;

	vf_allocations_init(&t);
	for (i = 1; i <= PLATFORM_SLOTS; i++) {
		snprintf(text, sizeof(text), "nic0/vf%u=vm1", i);
		CHECK_INT(add(&t, text, &c), 0);
	}
	CHECK_INT(add(&t, "nic0/vf33=vm1", &c), -ENOSPC);
	CHECK_HAS(c.text, "vm1");
	vf_allocations_remove(&t, find(&t, "nic0/vf4"));
	CHECK_INT(add(&t, "nic0/vf33=vm1", &c), 0);
	CHECK_INT(find(&t, "nic0/vf33")->slot, 3);
	vf_allocations_fini(&t);
}

/* What the bridge says counts; wishes in the way move. */
static void test_import(void)
{
	struct function_name vf1 = { "nic0", 1 }, vf3 = { "nic0", 3 };
	struct vf_allocations t;
	struct complaint c;

	vf_allocations_init(&t);
	CHECK_INT(add(&t, "nic0/vf1=vm1:5ms", &c), 0);
	CHECK_INT(add(&t, "nic0/vf2=vm1", &c), 0);
	vf_allocations_import(&t, &vf3, 1, 0);
	CHECK_INT(find(&t, "nic0/vf3")->slot, 0);
	CHECK_INT(find(&t, "nic0/vf1")->slot, 2);
	CHECK_INT(find(&t, "nic0/vf2")->slot, 1);
	vf_allocations_import(&t, &vf1, 2, 7);
	CHECK_INT(find(&t, "nic0/vf1")->vm, 2);
	CHECK_INT(find(&t, "nic0/vf1")->slot, 7);
	CHECK_INT(find(&t, "nic0/vf1")->wait_ns, 5000000);
	/* No slot known: the one of the same VM stays. */
	vf_allocations_import(&t, &vf1, 2, VF_SLOT_NONE);
	CHECK_INT(find(&t, "nic0/vf1")->slot, 7);
	vf_allocations_fini(&t);
}

static void test_layout(void)
{
	const uint64_t one[6] = { 0x4000 };
	const uint64_t three[6] = { 0x1000, 0, 0x8000, 0x800 };
	const uint64_t large[6] = { 0x80000, 0, 0x80001 };
	uint64_t gpa[6];

	CHECK_INT(vf_slot_layout(0, one, gpa), 0);
	CHECK_INT(gpa[0], 0x50000000);
	CHECK_INT(vf_slot_layout(31, one, gpa), 0);
	CHECK_INT(gpa[0], 0x51f00000);
	CHECK_INT(vf_slot_layout(1, three, gpa), 0);
	CHECK_INT(gpa[0], 0x50100000);
	CHECK_INT(gpa[1], 0);
	CHECK_INT(gpa[2], 0x50108000);
	CHECK_INT(gpa[3], 0x50110000);
	CHECK_INT(vf_slot_layout(0, large, gpa), -ENOSPC);
}

static void test_rows(void)
{
	static struct device device = {
		.name = "nic0",
		.vf_bar = { 0x50010000 },
		.vf_bar_size = { 0x4000 },
		.vf_bar_is_64 = { true },
		.sriov = { .vf_device = 0x10f1 },
	};
	struct vf vf = {
		.device = &device, .number = 3, .bdf = 0x0103, .vectors = 3
	};
	struct vf_allocation row = { .vm = 5, .slot = 2 };
	struct sup_route routes[PLATFORM_IRQS_PER_SLOT];
	struct sup_row rows[6];

	CHECK_INT(vf_overlay_init(&row, &vf), 0);
	CHECK_INT(row.overlay.device, 0x10f1);
	CHECK_INT(vf_protection_rows(&row, &vf, SUP_ROW_SET, rows), 1);
	CHECK_INT(rows[0].vm, 5);
	CHECK_INT(rows[0].flag, SUP_ROW_ALLOWED);
	CHECK_INT(rows[0].first, 0x50200000);
	CHECK_INT(rows[0].last, 0x50203fff);
	CHECK_INT(rows[0].first + rows[0].offset, 0x50018000);
	CHECK_INT(vf_routes(&vf, 5, 2, routes), 3);
	CHECK_INT(routes[2].vector, 2);
	CHECK_INT(routes[2].irq, platform_irq(2, 2));
	CHECK_INT(routes[2].bdf, 0x0103);
}

static const struct unit_case cases[] = {
	{ "text", test_text },
	{ "refused", test_refused },
	{ "slots", test_slots },
	{ "import", test_import },
	{ "layout", test_layout },
	{ "rows", test_rows },
	{ NULL },
};

const struct unit_suite vf_allocation_suite = { "vf_allocation", cases };
