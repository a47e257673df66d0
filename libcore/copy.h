/* copy.h - copying frames, most of which are short. */
#ifndef IOVKIT_COPY_H
#define IOVKIT_COPY_H

#include <stdint.h>
#include <string.h>

/* Both halves of what is at least as long as one; they may overlap.  All is
 * loaded before anything is stored. */
#define COPY_TWO(bytes)                                     \
	do {                                                \
		uint8_t copy_a[bytes], copy_b[bytes];       \
                                                            \
		memcpy(copy_a, from, bytes);                \
		memcpy(copy_b, from + size - bytes, bytes); \
		memcpy(to, copy_a, bytes);                  \
		memcpy(to + size - bytes, copy_b, bytes);   \
	} while (0)

/* As memcpy(); frames up to 128 bytes go in registers, without a call. */
static inline void copy_frame(uint8_t *to, const uint8_t *from, uint32_t size)
{
	if (size > 128 || size < 8)
		memcpy(to, from, size);
	else if (size > 64)
		COPY_TWO(64);
	else if (size > 32)
		COPY_TWO(32);
	else if (size > 16)
		COPY_TWO(16);
	else
		COPY_TWO(8);
}

#undef COPY_TWO

#endif
