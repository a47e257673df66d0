/* fault_test.c - the fault grammar, draws that can be repeated, latencies. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "libcore/fault.h"
#include "t/unit/unit.h"

#define ALL ((1u << FAULT_N) - 1)

static struct fault parse(const char *text)
{
	struct complaint c = { "" };
	struct fault f = { 0 };

	CHECK_INT(fault_parse(text, ALL, &f, &c), 0);
	CHECK_STR(c.text, "");
	return f;
}

static void refused(const char *text, int err, const char *part)
{
	struct complaint c = { "" };
	struct fault f = { .kinds = 77 };

	CHECK_INT(fault_parse(text, ALL, &f, &c), err);
	CHECK_HAS(c.text, part);
	CHECK_INT(f.kinds, 77);
}

static void test_words(void)
{
	struct fault f;

	f = parse("delay 2ms 1ms loss 1% seed 7");
	CHECK_INT(f.kinds, FAULT_DELAY | FAULT_LOSS);
	CHECK_INT(f.delay_ns, 2000000);
	CHECK_INT(f.jitter_ns, 1000000);
	CHECK_INT(f.loss_p32, (1ull << 32) / 100);
	CHECK_INT(f.seed, 7);
	CHECK(f.count_left == UINT64_MAX);
	f = parse("delay 10us loss 100%");
	CHECK_INT(f.jitter_ns, 0);
	CHECK_INT(f.loss_p32, UINT32_MAX);
	f = parse("corrupt 0.1% duplicate 5% reorder 25% count 3");
	CHECK_INT(f.kinds, FAULT_CORRUPT | FAULT_DUPLICATE | FAULT_REORDER);
	CHECK_INT(f.count_left, 3);
	f = parse("  fail 2\n");
	CHECK_INT(f.kinds, FAULT_FAIL);
	CHECK_INT(f.fail_left, 2);
	CHECK_INT(parse("hold").kinds, FAULT_HOLD);
	CHECK_INT(parse("none").kinds, 0);
}

static void test_refused(void)
{
	struct complaint c = { "" };
	struct fault f = { 0 };
	char big[400];

	refused("explode", -EINVAL, "'explode'");
	refused("delay", -EINVAL, "'delay' needs a time");
	refused("delay 5", -EINVAL, "'5'");
	refused("delay 1ms 2ms", -ERANGE, "'2ms'");
	refused("delay 1ms 1ms 1ms", -EINVAL, "'1ms'");
	refused("loss", -EINVAL, "'loss' needs a percentage");
	refused("loss 101%", -ERANGE, "'101%'");
	refused("loss one", -EINVAL, "'one'");
	refused("loss 1% loss 2%", -EINVAL, "'loss' is given twice");
	refused("fail 0", -ERANGE, "'0'");
	refused("fail 1.5", -EINVAL, "'1.5'");
	refused("seed 1 seed 1 loss 1%", -EINVAL, "'seed' is given twice");
	refused("none hold", -EINVAL, "'none' stands alone");
	refused("", -EINVAL, "no fault");
	refused("seed 4", -EINVAL, "no fault");
	refused("hold count 1", -EINVAL, "'count' needs");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	refused(big, -EINVAL, "too long");
	CHECK_INT(fault_parse("reorder 1%", FAULT_DELAY, &f, &c), -EINVAL);
	CHECK_HAS(c.text, "'reorder' is not possible here");
}

/* The first 1000 verdicts as one number. */
static uint64_t fingerprint(struct fault *f)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		struct fault_verdict v = fault_draw(f);

		sum = sum * 31 + v.kinds * 7 + v.delay_ns + v.bit;
	}
	return sum;
}

static void test_seeds(void)
{
	static const char text[] = "delay 2ms 1ms loss 3% corrupt 5% "
				   "duplicate 2% seed ";
	char with[128];
	struct fault a, b, other;

	strcpy(with, text);
	strcat(with, "42");
	a = parse(with);
	b = parse(with);
	strcpy(with, text);
	strcat(with, "43");
	other = parse(with);
	CHECK_INT(fingerprint(&a), fingerprint(&b));
	CHECK(fingerprint(&a) == fingerprint(&b));
	CHECK(fingerprint(&other) != fingerprint(&a));
	/* A drawn seed can be used again. */
	a = parse("loss 50%");
	fault_format(with, sizeof(with), &a);
	b = parse(with);
	CHECK_INT(fingerprint(&a), fingerprint(&b));
}

static unsigned count_fired(struct fault *f, unsigned kind, unsigned n)
{
	unsigned fired = 0;

	while (n--)
		fired += !!(fault_draw(f).kinds & kind);
	return fired;
}

static void test_draw(void)
{
	struct fault f = parse("none");
	unsigned n;

	CHECK_INT(count_fired(&f, ALL, 100), 0);
	f = parse("loss 100%");
	CHECK_INT(count_fired(&f, FAULT_LOSS, 100), 100);
	f = parse("loss 0%");
	CHECK_INT(count_fired(&f, FAULT_LOSS, 100), 0);
	f = parse("loss 10% seed 1");
	n = count_fired(&f, FAULT_LOSS, 10000);
	CHECK(n > 850 && n < 1150);
	f = parse("fail 2 delay 1ms");
	CHECK_INT(count_fired(&f, FAULT_FAIL, 10), 2);
	CHECK_INT(count_fired(&f, FAULT_DELAY, 10), 10);
	f = parse("hold fail 1");
	CHECK_INT(count_fired(&f, FAULT_HOLD, 10), 10);
	f = parse("loss 100% count 3 delay 1ms");
	CHECK_INT(count_fired(&f, FAULT_LOSS, 10), 3);
	CHECK_INT(count_fired(&f, FAULT_DELAY, 10), 10);
	f = parse("delay 2ms 1ms");
	for (n = 0; n < 1000; n++) {
		uint64_t ns = fault_draw(&f).delay_ns;

		CHECK(ns >= 1000000 && ns <= 3000000);
	}
}

static void formats(const char *text)
{
	struct fault f = parse(text);
	char buf[200];

	CHECK_STR(fault_format(buf, sizeof(buf), &f), text);
}

static void test_format(void)
{
	char buf[8];
	struct fault f = parse("delay 2ms 1ms seed 9");

	formats("none");
	formats("hold");
	formats("delay 2ms");
	formats("delay 1500us 1us seed 9");
	formats("loss 1% count 4 seed 3");
	formats("loss 0.1% corrupt 33.33% duplicate 100% reorder 0% seed 0");
	formats("fail 12");
	/* Too small a buffer is ended, not overrun. */
	CHECK_STR(fault_format(buf, sizeof(buf), &f), "delay 2");
	CHECK_STR(fault_kind_name(FAULT_HOLD), "hold");
	CHECK_STR(fault_kind_name(0), "none");
}

static void test_latency(void)
{
	struct complaint c = { "" };
	uint64_t rng = 5, sum = 0, ns;
	struct latency l;
	unsigned i;

	CHECK_INT(latency_parse("2ms", &l, &c), 0);
	CHECK_INT(latency_draw(&l, &rng), 2000000);
	CHECK_INT(latency_parse("1ms..3ms", &l, &c), 0);
	for (i = 0; i < 1000; i++) {
		ns = latency_draw(&l, &rng);
		CHECK(ns >= 1000000 && ns <= 3000000);
	}
	CHECK_INT(latency_parse("exp:2ms", &l, &c), 0);
	for (i = 0; i < 10000; i++) {
		ns = latency_draw(&l, &rng);
		CHECK(ns <= 20000000);
		sum += ns;
	}
	CHECK(sum / 10000 > 1900000 && sum / 10000 < 2100000);
	CHECK_INT(latency_parse("3ms..1ms", &l, &c), -ERANGE);
	CHECK_HAS(c.text, "3ms..1ms");
	CHECK_INT(latency_parse("exp:", &l, &c), -EINVAL);
	CHECK_INT(latency_parse("1ms..", &l, &c), -EINVAL);
	CHECK_INT(latency_parse("gauss:1ms", &l, &c), -EINVAL);
	CHECK_HAS(c.text, "gauss");
}

static const struct unit_case cases[] = {
	{ "words", test_words },
	{ "refused", test_refused },
	{ "seeds", test_seeds },
	{ "draw", test_draw },
	{ "format", test_format },
	{ "latency", test_latency },
	{ NULL },
};

const struct unit_suite fault_suite = { "fault", cases };
