/* demux_test.c - the tables of a partition: who finds them, and handles. */
#include <config.h>

#include "libcore/demux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/unit.h"

#define MEMORY 0x10000u
#define GEQAS  64u
#define GEQCBS 16u
#define GISAS  16u

static uint8_t *new_memory(void)
{
	uint8_t *memory = aligned_alloc(4096, MEMORY);

	if (!memory)
		abort();
	memset(memory, 0x5a, MEMORY);
	return memory;
}

static void test_create(void)
{
	uint8_t *memory = new_memory();
	struct demux_tables t, found;
	uint32_t i, used = 0;

	CHECK_INT(demux_open(&found, memory, MEMORY), -ENOENT);
	CHECK_INT(demux_create(&t, memory, MEMORY, GEQAS, GEQCBS, GISAS), 0);
	CHECK_INT(demux_open(&found, memory, MEMORY), 0);
	CHECK(found.geqa == t.geqa && found.geqcb == t.geqcb &&
	      found.gisa == t.gisa && found.alerted == t.alerted);
	for (i = 0; i < GEQAS; i++)
		used += atomic_load(&t.geqa[i].generation);
	for (i = 0; i < GEQCBS; i++)
		used += atomic_load(&t.geqcb[i].generation);
	for (i = 0; i < GISAS; i++)
		used += atomic_load(&t.gisa[i].generation);
	CHECK_INT(used, 0);
	CHECK_INT(atomic_load(t.alerted), 0);
	free(memory);
}

static void test_bounds(void)
{
	uint8_t *memory = new_memory();
	uint64_t size = demux_size(GEQAS, GEQCBS, GISAS);
	struct demux_tables t;

	CHECK_INT(demux_create(&t, memory, MEMORY, 0, GEQCBS, GISAS), -EINVAL);
	CHECK_INT(demux_create(&t, memory, MEMORY, GEQAS, GEQCBS,
			       DEMUX_ENTRIES_MAX + 1),
		  -EINVAL);
	CHECK_INT(demux_create(&t, memory, size - 1, GEQAS, GEQCBS, GISAS),
		  -ENOSPC);
	CHECK_INT(demux_create(&t, memory, size, GEQAS, GEQCBS, GISAS), 0);
	CHECK_INT(memory[size], 0x5a);
	CHECK_INT(demux_open(&t, memory, size), 0);
	CHECK_INT(demux_open(&t, memory, size - 1), -EBADMSG);
	CHECK_INT(demux_open(&t, memory, 100), -ENOENT);
	free(memory);
}

/* A record by which somebody wants to lead the firmware elsewhere. */
static void test_forged_record(void)
{
	uint8_t *memory = new_memory();
	struct demux_tables t;
	struct demux_record *r;
	unsigned i;

	for (i = 0; i < 7; i++) {
		CHECK_INT(
			demux_create(&t, memory, MEMORY, GEQAS, GEQCBS, GISAS),
			0);
		r = t.record;
		switch (i) {
		case 0:
			r->version++;
			break;
		case 1:
			r->geqa = MEMORY - 64;
			break;
		case 2:
			r->geqcb = UINT64_MAX - 63;
			break;
		case 3:
			r->gisa_n = DEMUX_ENTRIES_MAX;
			break;
		case 4:
			r->geqa_n = UINT32_MAX;
			break;
		case 5:
			r->gisa += 4;
			break;
		case 6:
			r->alerted = 64; /* in the record itself */
			break;
		}
		CHECK_INT(demux_open(&t, memory, MEMORY), -EBADMSG);
	}
	free(memory);
}

static void test_handles(void)
{
	uint8_t *memory = new_memory();
	struct demux_tables t;
	uint64_t handle;

	CHECK_INT(demux_create(&t, memory, MEMORY, GEQAS, GEQCBS, GISAS), 0);
	handle = demux_handle(3, demux_turn(&t.geqa[3].generation));
	CHECK(demux_geqa(&t, handle) == &t.geqa[3]);
	CHECK(!demux_geqa(&t, 0));
	CHECK(!demux_geqa(&t, demux_handle(2, 1)));
	CHECK(!demux_geqa(&t, demux_handle(4, 0)));
	CHECK(!demux_geqa(&t, demux_handle(GEQAS, 1)));
	CHECK(!demux_geqa(&t, UINT64_MAX));
	CHECK(!demux_geqcb(&t, handle));
	CHECK(!demux_gisa(&t, handle));
	demux_turn(&t.geqa[3].generation); /* freed */
	CHECK(!demux_geqa(&t, handle));
	CHECK(!demux_geqa(&t, demux_handle(3, 2)));
	demux_turn(&t.geqa[3].generation); /* and used again */
	CHECK(!demux_geqa(&t, handle));
	CHECK(demux_geqa(&t, demux_handle(3, 3)) == &t.geqa[3]);
	free(memory);
}

static const struct unit_case cases[] = {
	{ "create", test_create },
	{ "bounds", test_bounds },
	{ "forged_record", test_forged_record },
	{ "handles", test_handles },
	{ NULL, NULL },
};

const struct unit_suite demux_suite = { "demux", cases };
