/* reset_test.c - unit tests of a reset's pure parts: choices, the record for a
 * successor, rows of suspended VFs, waiting times. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "cmd/hvmon/reset_choice.h"
#include "cmd/hvmon/reset_record.h"
#include "cmd/hvmon/suspend_rows.h"
#include "cmd/hvmon/wait_time.h"
#include "libcore/platform.h"
#include "t/unit/unit.h"

static void choices(void)
{
	struct reset_choice choice = { 0 };
	struct complaint c;
	int s, k;

	CHECK_INT(reset_choice_parse(&choice, NULL, NULL, &c), 0);
	CHECK_INT(choice.suspend, SUSPEND_TABLE);
	CHECK_INT(choice.confirm, CONFIRM_BARRIER);
	for (s = 0; s < SUSPEND_N; s++)
		for (k = 0; k < CONFIRM_N; k++) {
			CHECK_INT(reset_choice_parse(&choice,
						     reset_suspend_name(s),
						     reset_confirm_name(k), &c),
				  0);
			CHECK_INT(choice.suspend, s);
			CHECK_INT(choice.confirm, k);
		}
	choice = (struct reset_choice){ SUSPEND_VCPU, CONFIRM_WAIT, false };
	CHECK_INT(reset_choice_parse(&choice, "tables", NULL, &c), -EINVAL);
	CHECK_HAS(c.text, "suspend: 'tables' is not table");
	CHECK_INT(reset_choice_parse(&choice, "table", "", &c), -EINVAL);
	CHECK_INT(choice.suspend, SUSPEND_VCPU);
	CHECK_INT(choice.confirm, CONFIRM_WAIT);
}

static struct reset_record *new_record(unsigned n_vfs)
{
	struct reset_record *record = calloc(1, sizeof(*record));
	unsigned i;

	if (!record)
		abort();
	record->bdf = 0x100;
	record->phase = RESET_PHASE_SAVED;
	record->n_vfs = record->n_states = (uint16_t)n_vfs;
	for (i = 0; i < n_vfs; i++) {
		record->vfs[i].number = (uint16_t)(i + 1);
		memset(record->state[i], (int)i, sizeof(record->state[i]));
	}
	return record;
}

/* One bit of any byte that counts makes it worthless. */
static void records(void)
{
	struct reset_record *record = new_record(2);
	uint8_t *bytes = (uint8_t *)record;
	uint32_t size = reset_record_seal(record), i;

	CHECK_INT(size,
		  offsetof(struct reset_record, state) + 2 * NIC_PF_STATE_SIZE);
	CHECK(reset_record_is_valid(record, 0x100));
	CHECK(!reset_record_is_valid(record, 0x200));
	for (i = 0; i < size; i++) {
		bytes[i] ^= 0x10;
		CHECK(!reset_record_is_valid(record, 0x100));
		bytes[i] ^= 0x10;
	}
	CHECK(reset_record_is_valid(record, 0x100));
	bytes[size] ^= 1; /* past it */
	CHECK(reset_record_is_valid(record, 0x100));
	memset(record, 0, sizeof(*record));
	CHECK(!reset_record_is_valid(record, 0));
	free(record);
}

/* Of a room the later phase counts, if it is whole. */
static void rooms_of_records(void)
{
	struct reset_room *room = calloc(1, sizeof(*room));
	struct reset_record *record = new_record(1), found;
	uint8_t *last;

	if (!room)
		abort();
	CHECK(!reset_room_get(room, 0x100, &found));
	record->phase = RESET_PHASE_SUSPENDING;
	reset_room_put(room, record, reset_record_seal(record));
	CHECK(reset_room_get(room, 0x100, &found));
	CHECK_INT(found.phase, RESET_PHASE_SUSPENDING);
	record->phase = RESET_PHASE_SAVED;
	last = (uint8_t *)&room->saved + reset_record_seal(record) - 1;
	reset_room_put(room, record, record->size);
	CHECK(reset_room_get(room, 0x100, &found));
	CHECK_INT(found.phase, RESET_PHASE_SAVED);
	*last ^= 1; /* its writer died before */
	CHECK(reset_room_get(room, 0x100, &found));
	CHECK_INT(found.phase, RESET_PHASE_SUSPENDING);
	reset_room_clear(room);
	CHECK(!reset_room_get(room, 0x100, &found));
	free(record);
	free(room);
}

/* Whole, but not to be believed. */
static void wild_records(void)
{
	struct reset_record *record = new_record(1);

	record->vfs[0].number = FUNCTION_VF_MAX + 1;
	(void)reset_record_seal(record);
	CHECK(!reset_record_is_valid(record, 0x100));
	record->vfs[0].number = 1;
	record->vfs[0].msix = PCI_CFG_SPACE_SIZE - 2;
	(void)reset_record_seal(record);
	CHECK(!reset_record_is_valid(record, 0x100));
	record->vfs[0].msix = 0x70;
	record->phase = 3;
	(void)reset_record_seal(record);
	CHECK(!reset_record_is_valid(record, 0x100));
	record->phase = RESET_PHASE_SUSPENDING;
	CHECK_INT(reset_record_seal(record),
		  offsetof(struct reset_record, pf_config));
	CHECK(reset_record_is_valid(record, 0x100));
	record->pf_config[0] ^= 1; /* not there yet */
	CHECK(reset_record_is_valid(record, 0x100));
	free(record);
}

/* a200: BARs and config space, and back. */
static void rows(void)
{
	struct device *device = calloc(1, sizeof(*device));
	struct sup_row r[SUSPEND_ROWS_MAX];
	struct vf_allocation row = { .vm = 1, .slot = 2 };
	struct vf *vf;

	if (!device)
		abort();
	vf = &device->vf[1];
	vf->device = device;
	vf->number = 2;
	vf->bdf = 0x102;
	device->vf_bar[0] = PLATFORM_MMIO + 0x100000;
	device->vf_bar_size[0] = row.overlay.bar_size[0] = 0x4000;
	row.overlay.bar_gpa[0] = PLATFORM_MMIO + 2 * VF_SLOT_SIZE;

	CHECK_INT(suspend_rows(&row, vf, SUSPEND_ROWS_FENCE, r), 2);
	CHECK_INT(r[0].flag, SUP_ROW_FENCED);
	CHECK_INT((long long)r[0].first + r[0].offset,
		  PLATFORM_MMIO + 0x104000);
	CHECK_INT(r[1].flag, SUP_ROW_FENCED);
	CHECK_INT(r[1].first, platform_guest_config(2));
	CHECK_INT((long long)r[1].first + r[1].offset, platform_config(0x102));

	CHECK_INT(suspend_rows(&row, vf, SUSPEND_ROWS_NOWHERE, r), 2);
	CHECK_INT(r[0].flag, SUP_ROW_ALLOWED);
	CHECK_INT((long long)r[0].first + r[0].offset, PLATFORM_NOWHERE);
	CHECK_INT((long long)r[1].first + r[1].offset, PLATFORM_NOWHERE);

	CHECK_INT(suspend_rows(&row, vf, SUSPEND_ROWS_BACK, r), 2);
	CHECK_INT(r[0].op, SUP_ROW_SET);
	CHECK_INT(r[0].flag, SUP_ROW_ALLOWED);
	CHECK_INT((long long)r[0].first + r[0].offset,
		  PLATFORM_MMIO + 0x104000);
	CHECK_INT(r[1].op, SUP_ROW_DELETE);
	free(device);
}

static int apply(struct vf_allocations *t, const char *text,
		 struct complaint *c)
{
	json_t *times = json_loads(text, 0, NULL);
	int err = wait_time_apply(t, times, 500000000, c);

	json_decref(times);
	return err;
}

static uint64_t wait_of(struct vf_allocations *t, const char *text)
{
	struct function_name name;

	if (function_name_parse(text, &name, NULL))
		return 0;
	return vf_allocations_find(t, &name)->wait_ns;
}

/* Fig. 10, with the reference allocation. */
static void times(void)
{
	static const struct {
		const char *text;
		int err;
	} wrong[] = {
		{ "{\"nic0/vf1\":\"1ms\",\"nic0/vf2\":\"999ns\"}", -ERANGE },
		{ "{\"nic0/vf1\":\"1ms\",\"nic0/vf2\":\"500ms\"}", -ERANGE },
		{ "{\"nic0/vf1\":\"1ms\",\"nic0/vf2\":\"2s\"}", -ERANGE },
		{ "{\"nic0/vf1\":\"1ms\",\"nic0/vf2\":5}", -EINVAL },
		{ "{\"nic0/vf1\":\"1ms\",\"nic0/vf9\":\"1ms\"}", -ENOENT },
		{ "{\"nic0/vf1\":\"1ms\",\"nic7/pf0\":\"1ms\"}", -ENOENT },
		{ "{\"nic0/vf1\":\"1ms\",\"vf2\":\"1ms\"}", -EINVAL },
	};
	struct vf_allocations t;
	struct complaint c;
	unsigned i;

	vf_allocations_init(&t);
	CHECK_INT(vf_allocations_add_text(&t, "nic0/vf1=vm1:10ms", &c), 0);
	CHECK_INT(vf_allocations_add_text(&t, "nic0/vf2=vm1:10ms", &c), 0);
	CHECK_INT(vf_allocations_add_text(&t, "nic1/vf1=vm1:1ms", &c), 0);
	CHECK_INT(vf_allocations_add_text(&t, "nic1/vf2=vm2:100ms", &c), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_INT(apply(&t, wrong[i].text, &c), wrong[i].err);
		CHECK_INT(wait_of(&t, "nic0/vf1"), 10000000);
	}
	CHECK_INT(
		apply(&t, "{\"nic0/vf1\":\"1us\",\"nic1/pf0\":\"499ms\"}", &c),
		0);
	CHECK_INT(wait_of(&t, "nic0/vf1"), 1000);
	CHECK_INT(wait_of(&t, "nic0/vf2"), 10000000);
	CHECK_INT(wait_of(&t, "nic1/vf1"), 499000000);
	CHECK_INT(wait_of(&t, "nic1/vf2"), 499000000);
	vf_allocations_fini(&t);
}

static const struct unit_case cases[] = {
	{ "choices", choices },
	{ "records", records },
	{ "rooms", rooms_of_records },
	{ "wild records", wild_records },
	{ "rows", rows },
	{ "times", times },
	{ NULL, NULL },
};
const struct unit_suite reset_suite = { "reset", cases };
