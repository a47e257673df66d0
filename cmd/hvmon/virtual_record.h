/* virtual_record.h - what a hypervisor leaves for the next one of a device that
 * is virtualised: boundary of hvmon with the next hvmon.  Pure.
 *
 * A record pair (record_pair.h) at VIRTUAL_ROOM_AT of the device's room in
 * vm0's main memory (reset_record.h).  Whether the device is virtualised at all
 * is not said here but by the root bridge's rows.
 */
#ifndef IOVKIT_HVMON_VIRTUAL_RECORD_H
#define IOVKIT_HVMON_VIRTUAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/hvmon/record_pair.h"
#include "cmd/hvmon/reset_record.h"

enum virtual_phase {
	VIRTUAL_SEARCH = 1, /* 410-420: accesses are let through */
	VIRTUAL_LOADING,    /* the device's registers are being read */
	VIRTUAL_EMULATING,
	VIRTUAL_PHASE_N
};

/* A write that was logged (--hold log). */
struct virtual_logged {
	uint64_t value;
	uint32_t offset; /* in BAR 0 */
	uint32_t size;
};
_Static_assert(sizeof(struct virtual_logged) == 16, "virtual_logged");

#define VIRTUAL_STATE_MAX      1024u
#define VIRTUAL_LOG_MAX        128u
#define VIRTUAL_RECORD_MAGIC   0x74726956u /* "Virt" */
#define VIRTUAL_RECORD_VERSION 3u

struct virtual_record {
	struct record_head head;
	uint16_t bdf;
	uint16_t phase; /* enum virtual_phase */
	uint32_t vm;
	uint32_t emulator; /* its number */
	uint16_t machine;  /* state of the machine */
	uint8_t own_mode;  /* --mode own */
	uint8_t aborts;    /* illegal accesses end in a target abort */
	uint16_t behind;   /* bdf of the device that does the work */
	uint16_t other;    /* one that is about to, or did; 0: none */
	uint16_t n_log;
	uint16_t n_replayed; /* of these, done at the device or about to be */
	uint8_t state[VIRTUAL_STATE_MAX]; /* the emulator's own */
	struct virtual_logged log[VIRTUAL_LOG_MAX];
};
_Static_assert(offsetof(struct virtual_record, state) == 48, "record");
_Static_assert(offsetof(struct virtual_record, log) == 48 + VIRTUAL_STATE_MAX,
	       "record");

#define VIRTUAL_ROOM_AT 0x8000u
_Static_assert(sizeof(struct reset_room) <= VIRTUAL_ROOM_AT, "room");
_Static_assert(VIRTUAL_ROOM_AT + 2 * sizeof(struct virtual_record) <= 0xf000,
	       "that of connections comes next");

/* Whether a record that was read is about the device at bdf, and makes sense.
 */
bool virtual_record_is_sound(const struct virtual_record *record, uint16_t bdf);

#endif
