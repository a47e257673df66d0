/* frames.c - numbered, checksummed test frames: building and checking one. */
#include <config.h>

#include "cmd/guestd/frames.h"

#include <endian.h>
#include <string.h>

enum {
	AT_ETHERTYPE = 12,
	AT_MAGIC = 14,
	AT_STREAM = 18,
	AT_SEQUENCE = 22,
	AT_TOTAL = 30,
	AT_TIME = 38,
	AT_LENGTH = 46,
	AT_CHECKSUM = 50,
	AT_PAYLOAD = 58,
};
_Static_assert(AT_PAYLOAD <= FRAMES_MIN, "the header fits the least frame");

#define PRIME_1 0x9e3779b185ebca87ull
#define PRIME_2 0xc2b2ae3d27d4eb4full
#define PRIME_3 0x165667b19e3779f9ull

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t mix(uint64_t lane, uint64_t word)
{
	return rotl(lane + word * PRIME_2, 31) * PRIME_1;
}

/* In the manner of xxHash: four lanes, so that a frame costs little next to
 * its copy; each step is a bijection of its lane, so one wrong word is always
 * seen before the last fold. */
static uint64_t hash(const uint8_t *p, uint32_t size, uint64_t seed)
{
	uint64_t lane[4] = { seed + PRIME_1, seed + PRIME_2, seed,
			     seed - PRIME_1 };
	uint64_t h = size * PRIME_3, tail = 0;
	unsigned i;

	for (; size >= 32; size -= 32, p += 32)
		for (i = 0; i < 4; i++)
			lane[i] = mix(lane[i], get64(p + 8 * i));
	for (; size >= 8; size -= 8, p += 8)
		lane[0] = mix(lane[0], get64(p));
	for (i = 0; i < size; i++)
		tail |= (uint64_t)p[i] << (8 * i);
	lane[1] = mix(lane[1], tail);
	for (i = 0; i < 4; i++)
		h = (h ^ mix(0, lane[i])) * PRIME_1 + PRIME_3;
	h ^= h >> 33;
	h *= PRIME_2;
	return h ^ h >> 29;
}

static uint64_t address(const uint8_t *mac)
{
	return (uint64_t)mac[0] << 40 | (uint64_t)mac[1] << 32 |
	       (uint64_t)mac[2] << 24 | (uint64_t)mac[3] << 16 |
	       (uint64_t)mac[4] << 8 | mac[5];
}

static uint64_t checksum(const uint8_t *frame, uint32_t size)
{
	uint64_t h = address(frame) + address(frame + MAC_SIZE);

	h = hash(frame + AT_ETHERTYPE, AT_CHECKSUM - AT_ETHERTYPE, h);
	return hash(frame + AT_PAYLOAD, size - AT_PAYLOAD, h);
}

static void fill(uint8_t *p, uint32_t size, uint64_t word)
{
	for (; size >= 8; size -= 8, p += 8) {
		word += PRIME_1;
		put64(p, word);
	}
	word += PRIME_1;
	while (size--)
		*p++ = (uint8_t)(word >> (8 * (size & 7)));
}

void frames_build(uint8_t *frame, uint32_t size, const uint8_t dst[MAC_SIZE],
		  const uint8_t src[MAC_SIZE], const struct frames_info *info)
{
	memcpy(frame, dst, MAC_SIZE);
	memcpy(frame + MAC_SIZE, src, MAC_SIZE);
	frame[AT_ETHERTYPE] = FRAMES_ETHERTYPE >> 8;
	frame[AT_ETHERTYPE + 1] = FRAMES_ETHERTYPE & 0xff;
	put32(frame + AT_MAGIC, FRAMES_MAGIC);
	put32(frame + AT_STREAM, info->stream);
	put64(frame + AT_SEQUENCE, info->sequence);
	put64(frame + AT_TOTAL, info->total);
	put64(frame + AT_TIME, info->time_ns);
	put32(frame + AT_LENGTH, size);
	fill(frame + AT_PAYLOAD, size - AT_PAYLOAD,
	     info->sequence * PRIME_2 + info->stream);
	put64(frame + AT_CHECKSUM, checksum(frame, size));
}

enum frames_kind frames_parse(const uint8_t *frame, uint32_t size,
			      struct frames_info *info)
{
	bool type, magic;

	if (size < AT_MAGIC + 4)
		return FRAMES_FOREIGN;
	/* Either mark is enough: a flipped bit in the other is corruption. */
	type = frame[AT_ETHERTYPE] == FRAMES_ETHERTYPE >> 8 &&
	       frame[AT_ETHERTYPE + 1] == (FRAMES_ETHERTYPE & 0xff);
	magic = get32(frame + AT_MAGIC) == FRAMES_MAGIC;
	if (!type && !magic)
		return FRAMES_FOREIGN;
	if (!type || !magic || size < FRAMES_MIN ||
	    get32(frame + AT_LENGTH) != size ||
	    get64(frame + AT_CHECKSUM) != checksum(frame, size))
		return FRAMES_CORRUPT;
	info->stream = get32(frame + AT_STREAM);
	info->sequence = get64(frame + AT_SEQUENCE);
	info->total = get64(frame + AT_TOTAL);
	info->time_ns = get64(frame + AT_TIME);
	return FRAMES_GOOD;
}
