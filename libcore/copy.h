/* copy.h - copying frames, most of which are short. */
#ifndef IOVKIT_COPY_H
#define IOVKIT_COPY_H

#include <stdint.h>
#include <string.h>

/* Registers, wherever the bytes lie. */
typedef uint64_t copy_8 __attribute__((aligned(1), may_alias));
typedef uint64_t copy_16
	__attribute__((vector_size(16), aligned(1), may_alias));

/* The first and the last part, which may overlap.  All is loaded before
 * anything is stored. */
#define COPY_ENDS(type, parts)                                            \
	do {                                                              \
		const type *first = (const type *)from;                   \
		const type *last = (const type *)(from + size) - (parts); \
		type *to_first = (type *)to;                              \
		type *to_last = (type *)(to + size) - (parts);            \
		type a = first[0], b = first[(parts)-1], c = last[0],     \
		     d = last[(parts)-1];                                 \
                                                                          \
		to_first[0] = a;                                          \
		to_first[(parts)-1] = b;                                  \
		to_last[0] = c;                                           \
		to_last[(parts)-1] = d;                                   \
	} while (0)

/* As memcpy(); frames up to 64 bytes go in registers, without a call. */
static inline void copy_frame(uint8_t *to, const uint8_t *from, uint32_t size)
{
	if (size > 64 || size < 8)
		memcpy(to, from, size);
	else if (size > 32)
		COPY_ENDS(copy_16, 2);
	else if (size > 16)
		COPY_ENDS(copy_16, 1);
	else
		COPY_ENDS(copy_8, 1);
}

/* The same for 16 bytes or more of which the first 16 are those of `head`. */
static inline void copy_headed(uint8_t *to, const uint8_t *head,
			       const uint8_t *from, uint32_t size)
{
	const copy_16 first = *(const copy_16 *)head;

	if (size > 64) {
		memcpy(to + 16, from + 16, size - 16);
	} else if (size > 32) {
		copy_16 b = ((const copy_16 *)from)[1];
		copy_16 c = *(const copy_16 *)(from + size - 32);
		copy_16 d = *(const copy_16 *)(from + size - 16);

		*(copy_16 *)(to + size - 32) = c;
		*(copy_16 *)(to + size - 16) = d;
		((copy_16 *)to)[1] = b;
	} else {
		*(copy_16 *)(to + size - 16) =
			*(const copy_16 *)(from + size - 16);
	}
	*(copy_16 *)to = first; /* what the others overlap */
}

#undef COPY_ENDS

#endif
