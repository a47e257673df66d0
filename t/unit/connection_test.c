/* connection_test.c - records of connections, as hvmon leaves them for the next
 * one. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/connection_record.h"
#include "libcore/platform.h"

#include "t/unit/unit.h"

static struct connection_record new_record(uint32_t vm)
{
	return (struct connection_record){
		.head = { .magic = CONNECTION_MAGIC,
			  .version = CONNECTION_VERSION },
		.device = "ether0",
		.bdf = 0x100,
		.phase = CONNECTION_SETTLED,
		.epoch = 1,
		.vm = vm,
		.to = PLATFORM_VM_NONE,
		.n = 1,
		.member = { { vm, 0 } },
	};
}

/* The VM of the record that counts; -ENOENT. */
static int vm_of(const struct connection_record pair[2])
{
	struct connection_record found = new_record(0);
	int err = record_pair_get(pair, sizeof(found), &found);

	return err ? err : (int)found.vm;
}

/* Whatever becomes of the one that is written, the one before counts. */
static void pairs(void)
{
	struct connection_record pair[2], record, whole[2];
	uint8_t *bytes = (uint8_t *)pair;
	uint32_t vm;
	size_t i;

	memset(pair, 0, sizeof(pair));
	CHECK_INT(vm_of(pair), -ENOENT);
	for (vm = 1; vm < 6; vm++) {
		record = new_record(vm);
		memcpy(whole, pair, sizeof(pair));
		record_pair_put(pair, sizeof(record), &record);
		CHECK_INT(vm_of(pair), (int)vm);
		for (i = 0; i < sizeof(pair); i++) {
			if (bytes[i] == ((uint8_t *)whole)[i])
				continue;
			bytes[i] ^= 0x10;
			CHECK_INT(vm_of(pair), vm > 1 ? (int)vm - 1 : -ENOENT);
			bytes[i] ^= 0x10;
		}
	}
}

static void sound(void)
{
	struct connection_record r = new_record(1);

	CHECK(connection_record_is_sound(&r, 0x100));
	CHECK(!connection_record_is_sound(&r, 0x200));
	r.n = CONNECTION_VMS + 1;
	CHECK(!connection_record_is_sound(&r, 0x100));
	r = new_record(1);
	r.phase = 0;
	CHECK(!connection_record_is_sound(&r, 0x100));
	r.phase = CONNECTION_WRITTEN + 1;
	CHECK(!connection_record_is_sound(&r, 0x100));
	r = new_record(1);
	memset(r.device, 'x', sizeof(r.device));
	CHECK(!connection_record_is_sound(&r, 0x100));
}

static const struct unit_case cases[] = {
	{ "pairs", pairs },
	{ "sound", sound },
	{ NULL, NULL },
};
const struct unit_suite connection_suite = { "connection", cases };
