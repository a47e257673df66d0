/* fault.c - the fault grammar, its draws, and latencies.
 *
 * Theory of operation.  The verdict of an operation depends on nothing but the
 * text (with its seed) and on how many operations were drawn before, so that
 * a run can be repeated.  hold goes before fail, fail before the random kinds;
 * what is lost is not also corrupted, duplicated, reordered or delayed.
 */
#include <config.h>

#include "libcore/fault.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libcore/units.h"

#define FAULT_TEXT_MAX 256
#define FAULT_RANDOM \
	(FAULT_LOSS | FAULT_CORRUPT | FAULT_DUPLICATE | FAULT_REORDER)

static const char *const kind_names[] = {
	"delay", "loss", "corrupt", "duplicate", "reorder", "fail", "hold",
};
_Static_assert(sizeof(kind_names) / sizeof(*kind_names) == FAULT_N,
	       "one name a kind");

const char *fault_kind_name(unsigned kind)
{
	unsigned i;

	for (i = 0; i < FAULT_N; i++)
		if (kind == 1u << i)
			return kind_names[i];
	return "none";
}

uint64_t rng_next(uint64_t *rng)
{
	uint64_t z = (*rng += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

struct words {
	char text[FAULT_TEXT_MAX];
	char *save;
	char *next; /* not taken yet, NULL: the end */
	unsigned allowed;
	bool none, count, seed; /* given */
};

static char *take_word(struct words *w)
{
	char *word = w->next;

	w->next = strtok_r(NULL, " \t\n", &w->save);
	return word;
}

/* The argument of `word`; NULL with *c: it is not there. */
static char *take_argument(struct words *w, const char *word, const char *what,
			   struct complaint *c)
{
	if (w->next)
		return take_word(w);
	complain(c, EINVAL, "'%s' needs %s", word, what);
	return NULL;
}

static int parse_delay(struct words *w, struct fault *f, struct complaint *c)
{
	char *argument;
	int err;

	argument = take_argument(w, "delay", "a time", c);
	if (!argument)
		return -EINVAL;
	err = units_duration(argument, &f->delay_ns, c);
	if (err < 0)
		return complain_at(c, err, "delay");
	if (!w->next || !isdigit((unsigned char)w->next[0]))
		return 0;
	argument = take_word(w);
	err = units_duration(argument, &f->jitter_ns, c);
	if (err < 0)
		return complain_at(c, err, "jitter of delay");
	if (f->jitter_ns > f->delay_ns)
		return complain(c, ERANGE,
				"jitter '%s' is larger than the delay",
				argument);
	return 0;
}

static int parse_percent(struct words *w, const char *word, uint32_t *p32,
			 struct complaint *c)
{
	char *argument;
	int err;

	argument = take_argument(w, word, "a percentage", c);
	if (!argument)
		return -EINVAL;
	err = units_percent(argument, p32, c);
	return err < 0 ? complain_at(c, err, "%s", word) : 0;
}

static int parse_number(struct words *w, const char *word, uint64_t min,
			uint64_t max, uint64_t *n, struct complaint *c)
{
	char *argument;
	int err;

	argument = take_argument(w, word, "a number", c);
	if (!argument)
		return -EINVAL;
	err = units_number(argument, min, max, n, c);
	return err < 0 ? complain_at(c, err, "%s", word) : 0;
}

static int parse_kind(struct words *w, unsigned kind, struct fault *f,
		      struct complaint *c)
{
	const char *name = fault_kind_name(kind);

	if (!(w->allowed & kind))
		return complain(c, EINVAL, "'%s' is not possible here", name);
	if (f->kinds & kind)
		return complain(c, EINVAL, "'%s' is given twice", name);
	f->kinds |= kind;
	switch (kind) {
	case FAULT_DELAY:
		return parse_delay(w, f, c);
	case FAULT_LOSS:
		return parse_percent(w, name, &f->loss_p32, c);
	case FAULT_CORRUPT:
		return parse_percent(w, name, &f->corrupt_p32, c);
	case FAULT_DUPLICATE:
		return parse_percent(w, name, &f->duplicate_p32, c);
	case FAULT_REORDER:
		return parse_percent(w, name, &f->reorder_p32, c);
	case FAULT_FAIL:
		return parse_number(w, name, 1, INT64_MAX, &f->fail_left, c);
	}
	return 0; /* hold takes nothing */
}

static int parse_word(struct words *w, struct fault *f, struct complaint *c)
{
	const char *word = take_word(w);
	unsigned i;

	for (i = 0; i < FAULT_N; i++)
		if (!strcmp(word, kind_names[i]))
			return parse_kind(w, 1u << i, f, c);
	if (!strcmp(word, "none")) {
		w->none = true;
		return 0;
	}
	if (!strcmp(word, "count") && !w->count) {
		w->count = true;
		return parse_number(w, word, 1, INT64_MAX, &f->count_left, c);
	}
	if (!strcmp(word, "seed") && !w->seed) {
		w->seed = true;
		return parse_number(w, word, 0, INT64_MAX, &f->seed, c);
	}
	if (!strcmp(word, "count") || !strcmp(word, "seed"))
		return complain(c, EINVAL, "'%s' is given twice", word);
	return complain(c, EINVAL,
			"no fault '%s' (delay, loss, corrupt, duplicate, "
			"reorder, fail, hold, count, seed or none)",
			word);
}

/* Seeds that are drawn are short: people type them again. */
static uint64_t draw_seed(void)
{
	uint32_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 1;
	return seed;
}

static int check_together(const struct words *w, const struct fault *f,
			  struct complaint *c)
{
	if (w->none && (f->kinds || w->count || w->seed))
		return complain(c, EINVAL, "'none' stands alone");
	if (w->none)
		return 0;
	if (!f->kinds)
		return complain(c, EINVAL,
				"no fault is named (delay, loss, corrupt, "
				"duplicate, reorder, fail, hold or none)");
	if (w->count && !(f->kinds & FAULT_RANDOM))
		return complain(c, EINVAL,
				"'count' needs loss, corrupt, duplicate or "
				"reorder");
	return 0;
}

int fault_parse(const char *text, unsigned allowed, struct fault *f,
		struct complaint *c)
{
	struct words w = { .allowed = allowed };
	struct fault new = { .count_left = UINT64_MAX };
	int err;

	if (strlen(text) >= sizeof(w.text))
		return complain(c, EINVAL, "'%.20s...' is too long", text);
	memcpy(w.text, text, strlen(text));
	w.next = strtok_r(w.text, " \t\n", &w.save);
	while (w.next) {
		err = parse_word(&w, &new, c);
		if (err < 0)
			return err;
	}
	err = check_together(&w, &new, c);
	if (err < 0)
		return err;
	if (!w.seed)
		new.seed = draw_seed();
	new.rng = new.seed;
	*f = new;
	return 0;
}

static bool chance(uint64_t *rng, uint32_t p32)
{
	uint32_t number = (uint32_t)(rng_next(rng) >> 32);

	return p32 == UINT32_MAX || number < p32;
}

/* One random kind; counts its firing. */
static unsigned draw_kind(struct fault *f, unsigned kind, uint32_t p32)
{
	if (!(f->kinds & kind) || !chance(&f->rng, p32) || !f->count_left)
		return 0;
	if (f->count_left != UINT64_MAX)
		f->count_left--;
	return kind;
}

static uint64_t draw_delay(struct fault *f)
{
	if (!f->jitter_ns)
		return f->delay_ns;
	return f->delay_ns - f->jitter_ns +
	       rng_next(&f->rng) % (2 * f->jitter_ns + 1);
}

static struct fault_verdict draw_random(struct fault *f)
{
	struct fault_verdict v = { 0 };

	v.kinds |= draw_kind(f, FAULT_LOSS, f->loss_p32);
	if (!v.kinds)
		v.kinds |= draw_kind(f, FAULT_CORRUPT, f->corrupt_p32);
	if (v.kinds & FAULT_CORRUPT)
		v.bit = rng_next(&f->rng);
	if (!(v.kinds & FAULT_LOSS)) {
		v.kinds |= draw_kind(f, FAULT_DUPLICATE, f->duplicate_p32);
		v.kinds |= draw_kind(f, FAULT_REORDER, f->reorder_p32);
	}
	if ((f->kinds & FAULT_DELAY) && !(v.kinds & FAULT_LOSS)) {
		v.kinds |= FAULT_DELAY;
		v.delay_ns = draw_delay(f);
	}
	if (!f->count_left)
		f->kinds &= ~(unsigned)FAULT_RANDOM;
	return v;
}

struct fault_verdict fault_draw(struct fault *f)
{
	struct fault_verdict v = { 0 };

	if (!f->kinds)
		return v;
	if (f->kinds & FAULT_HOLD) {
		v.kinds = FAULT_HOLD;
		return v;
	}
	if (f->kinds & FAULT_FAIL) {
		v.kinds = FAULT_FAIL;
		if (!--f->fail_left)
			f->kinds &= ~(unsigned)FAULT_FAIL;
		return v;
	}
	return draw_random(f);
}

/* In the largest unit that is exact, so that it parses to the same. */
static void print_duration(FILE *out, uint64_t ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "s", 1000000000 },
		{ "ms", 1000000 },
		{ "us", 1000 },
		{ "ns", 1 },
	};
	unsigned i = 0;

	while (ns % units[i].ns)
		i++;
	fprintf(out, " %" PRIu64 "%s", ns / units[i].ns, units[i].name);
}

/* With as few digits as parse to the same. */
static void print_percent(FILE *out, const char *word, uint32_t p32)
{
	double percent = p32 == UINT32_MAX ? 100 : p32 / 4294967296.0 * 100;
	char text[64];
	uint32_t back;
	int places;

	for (places = 0; places < 12; places++) {
		snprintf(text, sizeof(text), "%.*f%%", places, percent);
		if (!units_percent(text, &back, NULL) && back == p32)
			break;
	}
	fprintf(out, "%s %s ", word, text);
}

static void print_fault(FILE *out, const struct fault *f)
{
	if (f->kinds & FAULT_DELAY) {
		fputs("delay", out);
		print_duration(out, f->delay_ns);
		if (f->jitter_ns)
			print_duration(out, f->jitter_ns);
		fputc(' ', out);
	}
	if (f->kinds & FAULT_LOSS)
		print_percent(out, "loss", f->loss_p32);
	if (f->kinds & FAULT_CORRUPT)
		print_percent(out, "corrupt", f->corrupt_p32);
	if (f->kinds & FAULT_DUPLICATE)
		print_percent(out, "duplicate", f->duplicate_p32);
	if (f->kinds & FAULT_REORDER)
		print_percent(out, "reorder", f->reorder_p32);
	if (f->kinds & FAULT_FAIL)
		fprintf(out, "fail %" PRIu64 " ", f->fail_left);
	if (f->kinds & FAULT_HOLD)
		fputs("hold ", out);
	if ((f->kinds & FAULT_RANDOM) && f->count_left != UINT64_MAX)
		fprintf(out, "count %" PRIu64 " ", f->count_left);
	if ((f->kinds & FAULT_RANDOM) || f->jitter_ns)
		fprintf(out, "seed %" PRIu64 " ", f->seed);
	if (!f->kinds)
		fputs("none ", out);
}

char *fault_format(char *buf, size_t size, const struct fault *f)
{
	char text[FAULT_TEXT_MAX + 1] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t n;

	if (out) {
		print_fault(out, f);
		fclose(out);
	}
	n = strlen(text);
	if (n)
		text[n - 1] = '\0';
	snprintf(buf, size, "%s", text);
	return buf;
}

static int parse_range(const char *text, const char *dots, struct latency *l,
		       struct complaint *c)
{
	char first[32];
	int err;

	if ((size_t)(dots - text) >= sizeof(first))
		return complain(c, EINVAL, "'%s' is no duration", text);
	memcpy(first, text, (size_t)(dots - text));
	first[dots - text] = '\0';
	l->kind = LATENCY_UNIFORM;
	err = units_duration(first, &l->a_ns, c);
	if (!err)
		err = units_duration(dots + 2, &l->b_ns, c);
	if (!err && l->b_ns < l->a_ns)
		err = complain(c, ERANGE, "'%s' ends before it begins", text);
	return err;
}

int latency_parse(const char *text, struct latency *l, struct complaint *c)
{
	const char *dots = strstr(text, "..");
	struct latency new = { .kind = LATENCY_FIXED };
	int err;

	if (!strncmp(text, "exp:", 4)) {
		new.kind = LATENCY_EXPONENTIAL;
		err = units_duration(text + 4, &new.a_ns, c);
		if (!err && new.a_ns > UINT64_MAX / 16)
			err = complain(c, ERANGE, "'%s' is too long", text);
	} else if (dots) {
		err = parse_range(text, dots, &new, c);
	} else {
		err = units_duration(text, &new.a_ns, c);
	}
	if (err < 0)
		return complain_at(c, err, "latency");
	*l = new;
	return 0;
}

uint64_t latency_draw(const struct latency *l, uint64_t *rng)
{
	double uniform, times;

	switch (l->kind) {
	case LATENCY_FIXED:
		break;
	case LATENCY_UNIFORM:
		if (l->b_ns - l->a_ns == UINT64_MAX)
			return rng_next(rng);
		return l->a_ns + rng_next(rng) % (l->b_ns - l->a_ns + 1);
	case LATENCY_EXPONENTIAL:
		/* (0, 1]: its logarithm is finite. */
		uniform = (double)((rng_next(rng) >> 11) + 1) / 0x1p53;
		times = -log(uniform);
		return (uint64_t)((double)l->a_ns * (times < 10 ? times : 10));
	}
	return l->a_ns;
}
