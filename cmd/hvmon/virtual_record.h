/* virtual_record.h - what a hypervisor leaves for its successor of a device
 * that is virtualised: boundary of hvmon with the next hvmon.  Pure.
 *
 * It lies at VIRTUAL_ROOM_OFFSET of the device's room in vm0's main memory
 * (reset_record.h).  Two records take turns: hvmon may die in the middle of
 * one, and the one before is whole.  The later one counts.  Whether the device
 * is virtualised at all is not said here but by the root bridge's rows.
 */
#ifndef IOVKIT_HVMON_VIRTUAL_RECORD_H
#define IOVKIT_HVMON_VIRTUAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
#define VIRTUAL_LOG_MAX        256u
#define VIRTUAL_RECORD_MAGIC   0x74726956u /* "Virt" */
#define VIRTUAL_RECORD_VERSION 1u

struct virtual_record {
	uint32_t magic, version;
	uint64_t sum; /* of all that follows, size bytes in all */
	uint32_t size;
	uint16_t bdf;
	uint16_t phase;    /* enum virtual_phase */
	uint64_t sequence; /* the larger one counts */
	uint32_t vm;
	uint32_t emulator; /* its number */
	uint16_t machine;  /* state of the machine */
	uint16_t own_mode; /* --mode own */
	uint16_t aborts;   /* illegal accesses end in a target abort */
	uint16_t behind;   /* bdf of the device that does the work */
	uint32_t n_log;
	uint32_t rsvd0;
	uint8_t state[VIRTUAL_STATE_MAX]; /* the emulator's own */
	struct virtual_logged log[VIRTUAL_LOG_MAX];
};
_Static_assert(offsetof(struct virtual_record, state) == 56, "record");
_Static_assert(offsetof(struct virtual_record, log) == 56 + VIRTUAL_STATE_MAX,
	       "record");

struct virtual_room {
	struct virtual_record record[2];
};
#define VIRTUAL_ROOM_OFFSET 0x8000u
_Static_assert(sizeof(struct reset_room) <= VIRTUAL_ROOM_OFFSET &&
		       VIRTUAL_ROOM_OFFSET + sizeof(struct virtual_room) <=
			       RESET_ROOM_SIZE,
	       "both fit in the room");

/* Complete the record (sequence, size, sum) and put it in place of the older
 * one. */
void virtual_room_put(struct virtual_room *room, struct virtual_record *record);
/* The record that counts, copied; false: there is none of this device. */
bool virtual_room_get(const struct virtual_room *room, uint16_t bdf,
		      struct virtual_record *record);
/* The device is not virtualised. */
void virtual_room_clear(struct virtual_room *room);

#endif
