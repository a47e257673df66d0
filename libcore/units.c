/* units.c - durations, sizes, rates and probabilities as people write them.
 *
 * Numbers are read and scaled as integers: "0.1s" is 100,000,000 ns exactly.
 */
#include <config.h>

#include "libcore/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Fraction digits that count; what lies behind them is below any unit. */
#define FRACTION_MAX 18

struct unit {
	const char *name;
	uint64_t scale;
};

static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "min", 60000000000ull },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "k", 1000 },
	{ "kB", 1000 },
	{ "M", 1000000 },
	{ "MB", 1000000 },
	{ "G", 1000000000 },
	{ "GB", 1000000000 },
	{ "KiB", 1ull << 10 },
	{ "MiB", 1ull << 20 },
	{ "GiB", 1ull << 30 },
	{ "TiB", 1ull << 40 },
	{ NULL, 0 },
};

static const struct unit bitrate_units[] = {
	{ "", 1 },
	{ "bit", 1 },
	{ "kbit", 1000 },
	{ "Mbit", 1000000 },
	{ "Gbit", 1000000000 },
	{ "Tbit", 1000000000000ull },
	{ NULL, 0 },
};

static const struct unit rate_units[] = {
	{ "", 1 },           { "/s", 1 },           { "k", 1000 },
	{ "k/s", 1000 },     { "M", 1000000 },      { "M/s", 1000000 },
	{ "G", 1000000000 }, { "G/s", 1000000000 }, { NULL, 0 },
};

/* A decimal number: digits / divisor, divisor a power of ten. */
struct decimal {
	unsigned __int128 digits;
	uint64_t divisor;
};

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* Read a number; *rest is what follows.  -EINVAL: none, -ERANGE: too large. */
static int read_decimal(const char *text, struct decimal *d, const char **rest)
{
	unsigned fraction = 0;

	*d = (struct decimal){ .divisor = 1 };
	if (*text == '-' && is_digit(text[1]))
		return -ERANGE;
	if (!is_digit(*text))
		return -EINVAL;
	for (; is_digit(*text); text++) {
		d->digits = 10 * d->digits + (unsigned)(*text - '0');
		if (d->digits > UINT64_MAX)
			return -ERANGE;
	}
	if (*text == '.' && is_digit(text[1])) {
		for (text++; is_digit(*text); text++) {
			if (fraction++ >= FRACTION_MAX)
				continue;
			d->digits = 10 * d->digits + (unsigned)(*text - '0');
			d->divisor *= 10;
		}
	}
	*rest = text;
	return 0;
}

/* digits * scale / divisor, to the nearest.  -EINVAL: a fraction of the
 * smallest unit. */
static int scale_decimal(const struct decimal *d, uint64_t scale, uint64_t *n)
{
	unsigned __int128 whole = d->digits / d->divisor;
	unsigned __int128 part = d->digits % d->divisor;

	if (scale == 1 && part)
		return -EINVAL;
	whole = whole * scale + (part * scale + d->divisor / 2) / d->divisor;
	if (whole > UINT64_MAX)
		return -ERANGE;
	*n = (uint64_t)whole;
	return 0;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (!strcmp(units->name, name))
			return units;
	return NULL;
}

static int parse(const char *text, const struct unit *units,
		 const char *expected, uint64_t *n, struct complaint *c)
{
	const struct unit *unit;
	const char *rest = text;
	struct decimal d;
	int err;

	err = read_decimal(text, &d, &rest);
	if (!err) {
		unit = find_unit(units, rest);
		err = unit ? scale_decimal(&d, unit->scale, n) : -EINVAL;
		/* Nothing is nothing in any unit. */
		if (!unit && !*rest && !d.digits) {
			*n = 0;
			err = 0;
		}
	}
	if (err == -EINVAL)
		return complain(c, EINVAL, "'%s': expected %s", text, expected);
	if (err)
		return complain(c, ERANGE, "'%s' is out of range: expected %s",
				text, expected);
	return 0;
}

int units_duration(const char *text, uint64_t *ns, struct complaint *c)
{
	return parse(text, duration_units,
		     "a duration with its unit (ns, us, ms, s, min), as 10ms",
		     ns, c);
}

int units_size(const char *text, uint64_t *bytes, struct complaint *c)
{
	return parse(text, size_units,
		     "a size in bytes or with k, M, G, KiB, MiB, GiB, TiB, as "
		     "64MiB",
		     bytes, c);
}

/* A rate where a word stands for "no limit" and nothing else does. */
static int parse_rate(const char *text, const struct unit *units,
		      const char *no_limit, const char *expected, uint64_t *n,
		      struct complaint *c)
{
	uint64_t rate;
	int err;

	if (!strcmp(text, no_limit)) {
		*n = 0;
		return 0;
	}
	err = parse(text, units, expected, &rate, c);
	if (err)
		return err;
	if (!rate)
		return complain(c, ERANGE, "'%s' is out of range: expected %s",
				text, expected);
	*n = rate;
	return 0;
}

int units_bitrate(const char *text, uint64_t *bps, struct complaint *c)
{
	return parse_rate(text, bitrate_units, "unlimited",
			  "bits a second, as 100Mbit or 10Gbit, or unlimited",
			  bps, c);
}

int units_rate(const char *text, uint64_t *per_second, struct complaint *c)
{
	return parse_rate(text, rate_units, "max",
			  "a number a second, as 1000, 10k or 1M/s, or max",
			  per_second, c);
}

int units_percent(const char *text, uint32_t *p32, struct complaint *c)
{
	static const char expected[] = "a percentage, as 0.1% or 100%";
	unsigned __int128 scaled;
	const char *rest = text;
	struct decimal d;
	int err;

	err = read_decimal(text, &d, &rest);
	if (err != -ERANGE && (err || strcmp(rest, "%")))
		return complain(c, EINVAL, "'%s': expected %s", text, expected);
	if (err || d.digits > (unsigned __int128)100 * d.divisor)
		return complain(c, ERANGE, "'%s' is out of range: expected %s",
				text, expected);
	scaled = (d.digits << 32) / ((unsigned __int128)100 * d.divisor);
	/* The smallest chance is still one. */
	if (!scaled && d.digits)
		scaled = 1;
	*p32 = scaled > UINT32_MAX ? UINT32_MAX : (uint32_t)scaled;
	return 0;
}

/* The value of a digit in base 16, 16 when it is none. */
static unsigned digit_value(char ch)
{
	if (is_digit(ch))
		return (unsigned)(ch - '0');
	if (ch >= 'a' && ch <= 'f')
		return (unsigned)(ch - 'a') + 10;
	if (ch >= 'A' && ch <= 'F')
		return (unsigned)(ch - 'A') + 10;
	return 16;
}

static int read_number(const char *text, uint64_t *n)
{
	unsigned base = 10;
	uint64_t value = 0;
	bool fits = true;

	if (*text == '-' && is_digit(text[1]))
		return -ERANGE;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned digit = digit_value(*text);

		if (digit >= base)
			return -EINVAL;
		fits = fits && !__builtin_mul_overflow(value, base, &value) &&
		       !__builtin_add_overflow(value, digit, &value);
	}
	*n = value;
	return fits ? 0 : -ERANGE;
}

int units_number(const char *text, uint64_t min, uint64_t max, uint64_t *n,
		 struct complaint *c)
{
	uint64_t value = 0;
	int err = read_number(text, &value);

	if (err == -EINVAL)
		return complain(c, EINVAL, "'%s': expected a number", text);
	if (err || value < min || value > max)
		return complain(c, ERANGE,
				"'%s' is out of range: expected %llu to %llu",
				text, (unsigned long long)min,
				(unsigned long long)max);
	*n = value;
	return 0;
}

/* Three significant digits in the largest unit that leaves at least 1; units
 * grow from 1. */
static char *format(char *buf, size_t size, uint64_t n,
		    const struct unit *units)
{
	unsigned __int128 scaled;
	unsigned decimals, power;
	const struct unit *u;
	char number[32];
	char *end;

	for (u = units;; u++) {
		bool is_last = !u[1].name;

		if (!is_last && n >= u[1].scale)
			continue;
		decimals = n / u->scale >= 100 ? 0 : n / u->scale >= 10 ? 1 : 2;
		power = decimals == 2 ? 100 : decimals ? 10 : 1;
		scaled = ((unsigned __int128)n * power + u->scale / 2) /
			 u->scale;
		/* Rounding may reach the next unit: 999.9us is 1ms. */
		if (is_last ||
		    scaled * u->scale < (unsigned __int128)u[1].scale * power)
			break;
	}
	snprintf(number, sizeof(number), "%llu.%0*llu",
		 (unsigned long long)(scaled / power), (int)decimals,
		 (unsigned long long)(scaled % power));
	for (end = number + strlen(number); end[-1] == '0' && decimals; end--)
		decimals--;
	if (!decimals)
		end = strchr(number, '.');
	*end = 0;
	snprintf(buf, size, "%s%s", number, u->name);
	return buf;
}

char *units_format_duration(char *buf, size_t size, uint64_t ns)
{
	static const struct unit units[] = { { "ns", 1 },
					     { "us", 1000 },
					     { "ms", 1000000 },
					     { "s", 1000000000 },
					     { NULL, 0 } };

	if (!ns) {
		snprintf(buf, size, "0");
		return buf;
	}
	return format(buf, size, ns, units);
}

char *units_format_size(char *buf, size_t size, uint64_t bytes)
{
	static const struct unit units[] = { { "", 1 },
					     { "KiB", 1ull << 10 },
					     { "MiB", 1ull << 20 },
					     { "GiB", 1ull << 30 },
					     { "TiB", 1ull << 40 },
					     { NULL, 0 } };

	return format(buf, size, bytes, units);
}

char *units_format_bitrate(char *buf, size_t size, uint64_t bps)
{
	static const struct unit units[] = { { "bit", 1 },
					     { "kbit", 1000 },
					     { "Mbit", 1000000 },
					     { "Gbit", 1000000000 },
					     { "Tbit", 1000000000000ull },
					     { NULL, 0 } };

	if (!bps) {
		snprintf(buf, size, "unlimited");
		return buf;
	}
	return format(buf, size, bps, units);
}
