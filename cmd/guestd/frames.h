/* frames.h - numbered, checksummed test frames.
 *
 * After the Ethernet header (ethertype FRAMES_ETHERTYPE, one of those kept
 * for local experiments), little endian:
 *
 *	14 u32 magic      18 u32 stream    22 u64 sequence number, from 0
 *	30 u64 frames of the stream, 0: no end
 *	38 u64 send time, CLOCK_MONOTONIC ns
 *	46 u32 length of the whole frame    50 u64 checksum    58 payload
 *
 * The checksum covers everything but itself; both addresses enter by their
 * sum, so that an echo (addresses swapped) is still good.
 */
#ifndef IOVKIT_GUESTD_FRAMES_H
#define IOVKIT_GUESTD_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cmd/guestd/mac.h"

#define FRAMES_ETHERTYPE 0x88b5
#define FRAMES_MAGIC     0x66766f49u /* "Iovf" */
#define FRAMES_MIN       60u

struct frames_info {
	uint32_t stream;
	uint64_t sequence;
	uint64_t total; /* 0: no end */
	uint64_t time_ns;
};

enum frames_kind {
	FRAMES_FOREIGN, /* no test frame */
	FRAMES_GOOD,
	FRAMES_CORRUPT,
};

/* Write a frame of `size` bytes (>= FRAMES_MIN). */
void frames_build(uint8_t *frame, uint32_t size, const uint8_t dst[MAC_SIZE],
		  const uint8_t src[MAC_SIZE], const struct frames_info *info);
/* Neither mark of a test frame is there; frames_parse() would say the same. */
static inline bool frames_are_foreign(const uint8_t *frame, uint32_t size)
{
	static const uint8_t type[] = { FRAMES_ETHERTYPE >> 8,
					FRAMES_ETHERTYPE & 0xff };
	static const uint8_t magic[] = { FRAMES_MAGIC & 0xff,
					 FRAMES_MAGIC >> 8 & 0xff,
					 FRAMES_MAGIC >> 16 & 0xff,
					 FRAMES_MAGIC >> 24 };

	return size < 2 * MAC_SIZE + sizeof(type) + sizeof(magic) ||
	       (memcmp(frame + 2 * MAC_SIZE, type, sizeof(type)) != 0 &&
		memcmp(frame + 2 * MAC_SIZE + sizeof(type), magic,
		       sizeof(magic)) != 0);
}
/* *info is set for FRAMES_GOOD only. */
enum frames_kind frames_parse(const uint8_t *frame, uint32_t size,
			      struct frames_info *info);

#endif
