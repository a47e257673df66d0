/* units.h - durations, sizes, rates and probabilities as people write them.
 *
 * A number, with or without a fraction, then a unit.  Every parser returns 0
 * or -EINVAL (no number, unknown unit, text left over) or -ERANGE (does not
 * fit, negative); *c then quotes the word and says what was expected.
 */
#ifndef IOVKIT_UNITS_H
#define IOVKIT_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"

/* "10ms", "1.5s", "20us", "0": ns|us|ms|s|min.  A bare number other than 0
 * is refused: a duration has a unit.  Result in nanoseconds. */
int units_duration(const char *text, uint64_t *ns, struct complaint *c)
	__attribute__((warn_unused_result));

/* "64MiB", "1514", "64k" (1000), "4KiB" (1024); a bare number is bytes. */
int units_size(const char *text, uint64_t *bytes, struct complaint *c)
	__attribute__((warn_unused_result));

/* "10Gbit", "100Mbit", "1kbit", tc style; a bare number is bit/s.
 * "unlimited" is 0. */
int units_bitrate(const char *text, uint64_t *bps, struct complaint *c)
	__attribute__((warn_unused_result));

/* "1000", "10k", "1M", optionally with "/s"; events a second; "max" is 0. */
int units_rate(const char *text, uint64_t *per_second, struct complaint *c)
	__attribute__((warn_unused_result));

/* "1%", "0.1%", "100%": result in parts per 2^32, saturating at UINT32_MAX. */
int units_percent(const char *text, uint32_t *p32, struct complaint *c)
	__attribute__((warn_unused_result));

/* A plain decimal or 0x number from min to max inclusive. */
int units_number(const char *text, uint64_t min, uint64_t max, uint64_t *n,
		 struct complaint *c) __attribute__((warn_unused_result));

/* Shortest form with three significant digits ("1.5ms"); returns buf. */
char *units_format_duration(char *buf, size_t size, uint64_t ns);
char *units_format_size(char *buf, size_t size, uint64_t bytes);
char *units_format_bitrate(char *buf, size_t size, uint64_t bps);

#endif
