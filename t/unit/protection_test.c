/* protection_test.c - the address protection table against the reference rows
 * and lookups of spec 01. */
#include <config.h>

#include <errno.h>

#include "cmd/rootbridge/protection.h"
#include "t/unit/unit.h"

#define SET(vm_, first_, last_, offset_, flag_)                          \
	{                                                                \
		.vm = (vm_), .flag = SUP_ROW_##flag_, .op = SUP_ROW_SET, \
		.first = (first_), .last = (last_), .offset = (offset_)  \
	}
#define N(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct sup_row reference[] = {
	SET(1, 0x010000, 0x03ffff, +0x100000, ALLOWED),
	SET(1, 0x402000, 0x407fff, -0x100000, ALLOWED),
	SET(1, 0x600000, 0x6fffff, +0x200000, DENIED),
	SET(2, 0x010000, 0x04ffff, +0x200000, ALLOWED),
	SET(2, 0x110000, 0x14ffff, +0x100000, ALLOWED),
};

static bool make_reference(struct protection *p)
{
	return CHECK_INT(protection_init(p, 4), 0) &&
	       CHECK_INT(protection_apply(p, reference, N(reference)), 0);
}

static enum protection_result look(const struct protection *p, uint32_t vm,
				   uint64_t gpa, uint64_t count, uint64_t *mpa)
{
	*mpa = 0;
	return protection_lookup(p, vm, gpa, count, mpa);
}

static void lookups(void)
{
	struct protection p;
	uint64_t mpa;

	if (!make_reference(&p))
		return;
	CHECK_INT(look(&p, 1, 0x020000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x120000);
	CHECK_INT(look(&p, 1, 0x407000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x307000);
	CHECK_INT(look(&p, 2, 0x010000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x210000);
	CHECK_INT(look(&p, 2, 0x110000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x210000);
	CHECK_INT(look(&p, 1, 0x800000, 4, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, 0x600000, 4, &mpa), PROTECTION_DENIED);
	CHECK_INT(look(&p, 3, 0x020000, 4, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 3, 0, 1, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 99, 0x020000, 4, &mpa), PROTECTION_NO_ROW);
	protection_fini(&p);
}

static void whole_access(void)
{
	struct protection p;
	uint64_t mpa;

	if (!make_reference(&p))
		return;
	CHECK_INT(look(&p, 1, 0x03ffff, 1, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(look(&p, 1, 0x03fffe, 2, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(look(&p, 1, 0x03fffe, 4, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, 0x010000, 0x30000, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(look(&p, 1, 0x010000, 0x30001, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, 0x00fffc, 8, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, 0x020000, 0, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, 0x020000, UINT64_MAX, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(look(&p, 1, UINT64_MAX, 4, &mpa), PROTECTION_NO_ROW);
	protection_fini(&p);
}

static void refusals(void)
{
	const struct sup_row bad[] = {
		SET(1, 0x03ffff, 0x040000, 0, ALLOWED),
		SET(1, 0x000000, 0x010000, 0, ALLOWED),
		SET(1, 0x000000, 0xffffffff, 0, DENIED),
		SET(1, 0x020000, 0x020fff, 0, DENIED),
		SET(0, 0x010000, 0x03ffff, 16, ALLOWED),
		SET(1, 0x900000, 0x8fffff, 0, ALLOWED),
		SET(1, 0x900000, 0x9fffff, -0x900001, ALLOWED),
		SET(1, 0x900000, UINT64_MAX, 1, ALLOWED),
		SET(4, 0x900000, 0x9fffff, 0, ALLOWED),
		{ .vm = 1, .op = SUP_ROW_SET, .first = 1, .last = 2 },
		{ .vm = 1, .op = 7, .flag = SUP_ROW_DENIED },
		{ .vm = 1, .op = SUP_ROW_DELETE, .first = 1, .last = 2 },
	};
	const int why[] = { -EEXIST, -EEXIST, -EEXIST, -EEXIST,
			    -EINVAL, -EINVAL, -EINVAL, -EINVAL,
			    -ENOENT, -EINVAL, -EINVAL, -ENOENT };
	struct protection p;
	unsigned i;

	if (!make_reference(&p))
		return;
	for (i = 0; i < N(bad); i++)
		CHECK_INT(protection_apply(&p, &bad[i], 1), why[i]);
	CHECK_INT(protection_count(&p), 5);
	protection_fini(&p);
}

static void all_or_none(void)
{
	struct sup_row rows[] = {
		SET(1, 0x010000, 0x03ffff, +0x100000, DENIED),
		SET(2, 0x900000, 0x9fffff, 0, ALLOWED),
		SET(2, 0x110000, 0x110fff, 0, ALLOWED),
	};
	struct protection p;
	uint64_t mpa;

	if (!make_reference(&p))
		return;
	CHECK_INT(protection_apply(&p, rows, N(rows)), -EEXIST);
	CHECK_INT(protection_count(&p), 5);
	CHECK_INT(look(&p, 1, 0x010000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(protection_apply(&p, rows, 2), 0);
	CHECK_INT(protection_count(&p), 6);
	CHECK_INT(look(&p, 1, 0x010000, 4, &mpa), PROTECTION_DENIED);
	protection_fini(&p);
}

/* A row is changed and deleted by its range; what was full is free again. */
static void changes(void)
{
	struct sup_row row = SET(1, 0x010000, 0x03ffff, +0x300000, ALLOWED);
	struct sup_row two[] = {
		SET(1, 0x010000, 0x01ffff, 0, ALLOWED),
		SET(1, 0x020000, 0x03ffff, 0x10, ALLOWED),
	};
	struct protection p;
	uint64_t mpa;

	if (!make_reference(&p))
		return;
	CHECK_INT(protection_apply(&p, &row, 1), 0);
	CHECK_INT(look(&p, 1, 0x010000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x310000);
	row.op = SUP_ROW_DELETE;
	CHECK_INT(protection_apply(&p, &row, 1), 0);
	CHECK_INT(look(&p, 1, 0x010000, 4, &mpa), PROTECTION_NO_ROW);
	CHECK_INT(protection_apply(&p, two, 2), 0);
	CHECK_INT(look(&p, 1, 0x020000, 4, &mpa), PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x020010);
	CHECK_INT(look(&p, 1, 0x01fffe, 4, &mpa), PROTECTION_NO_ROW);
	protection_fini(&p);
}

/* A fence, and a row for one write. */
static void flags(void)
{
	struct sup_row rows[] = {
		SET(1, 0x010000, 0x03ffff, +0x100000, FENCED),
		SET(2, 0x010000, 0x04ffff, +0x200000, ONCE),
	};
	struct protection p;
	uint64_t mpa;

	if (!make_reference(&p))
		return;
	CHECK_INT(protection_apply(&p, rows, N(rows)), 0);
	CHECK_INT(look(&p, 1, 0x020000, 4, &mpa), PROTECTION_FENCED);
	CHECK_INT(protection_write(&p, 1, 0x020000, 4, &mpa),
		  PROTECTION_FENCED);
	CHECK_INT(look(&p, 2, 0x010000, 4, &mpa), PROTECTION_DENIED);
	CHECK_INT(protection_write(&p, 2, 0x010000, 4, &mpa),
		  PROTECTION_ALLOWED);
	CHECK_INT(mpa, 0x210000);
	CHECK_INT(protection_write(&p, 2, 0x010000, 4, &mpa),
		  PROTECTION_DENIED);
	protection_fini(&p);
}

/* Rows of the hypervisor stop a write of any byte in them. */
static void guards(void)
{
	struct sup_row rows[] = {
		SET(0, 0x1008, 0x1009, 0, DENIED),
		SET(0, 0x100a, 0x100b, 0, ALLOWED),
	};
	struct protection p;

	if (!make_reference(&p))
		return;
	CHECK_INT(protection_apply(&p, rows, N(rows)), 0);
	CHECK_INT(protection_guard(&p, 0x1000, 8), PROTECTION_ALLOWED);
	CHECK_INT(protection_guard(&p, 0x1000, 9), PROTECTION_DENIED);
	CHECK_INT(protection_guard(&p, 0x1009, 4), PROTECTION_DENIED);
	CHECK_INT(protection_guard(&p, 0x0, 0x10000), PROTECTION_DENIED);
	CHECK_INT(protection_guard(&p, 0x100a, 4), PROTECTION_ALLOWED);
	rows[0].flag = SUP_ROW_ONCE;
	CHECK_INT(protection_apply(&p, rows, 1), 0);
	CHECK_INT(protection_guard(&p, 0x1008, 2), PROTECTION_ALLOWED);
	CHECK_INT(protection_guard(&p, 0x1008, 2), PROTECTION_DENIED);
	rows[0].flag = SUP_ROW_FENCED;
	CHECK_INT(protection_apply(&p, rows, 1), -EINVAL);
	rows[0].flag = SUP_ROW_OWNER;
	CHECK_INT(protection_apply(&p, rows, 1), -EINVAL);
	protection_fini(&p);
}

static void order(void)
{
	struct protection_cursor cursor = { 0 };
	struct protection_row row;
	struct protection p;
	uint64_t last = 0;
	uint32_t vm, last_vm = 0;
	unsigned n = 0;

	if (!make_reference(&p))
		return;
	while (protection_next(&p, &cursor, &vm, &row)) {
		CHECK(vm > last_vm || row.first > last);
		last_vm = vm;
		last = row.last;
		n++;
	}
	CHECK_INT(n, 5);
	protection_fini(&p);
}

static const struct unit_case cases[] = {
	{ "lookups", lookups },   { "whole_access", whole_access },
	{ "refusals", refusals }, { "all_or_none", all_or_none },
	{ "changes", changes },   { "flags", flags },
	{ "guards", guards },     { "order", order },
	{ NULL, NULL },
};
const struct unit_suite protection_suite = { "protection", cases };
