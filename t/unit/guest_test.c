/* guest_test.c - guestd's parts that need no VF: pace, specs, addresses,
 * durations, memory. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/guestd/histogram.h"
#include "cmd/guestd/memory_pool.h"
#include "cmd/guestd/pacer.h"
#include "cmd/guestd/workload.h"
#include "libcore/loop.h"
#include "t/unit/unit.h"

#define START (5 * NS_PER_S)

static void test_pace_slow(void)
{
	struct pacer p;

	pacer_init(&p, 100, START);
	CHECK_INT(pacer_due(&p, START), 1);
	pacer_take(&p, 1);
	CHECK_INT(pacer_due(&p, START), 0);
	CHECK_INT(pacer_due(&p, START + 9 * NS_PER_MS), 0);
	CHECK_INT(pacer_due(&p, START + 10 * NS_PER_MS), 1);
	/* One wake-up each, when it is due. */
	CHECK_INT(pacer_next_ns(&p, START), START + 10 * NS_PER_MS + 1);
}

static void test_pace_fast(void)
{
	struct pacer p;
	uint64_t now, sent = 0, n, wakes = 0;

	pacer_init(&p, 1000000, START);
	for (now = START; now < START + NS_PER_S; wakes++) {
		n = pacer_due(&p, now);
		pacer_take(&p, n);
		sent += n;
		now = pacer_next_ns(&p, now);
	}
	CHECK(sent > 999000 && sent <= 1000001);
	CHECK(wakes <= NS_PER_S / PACER_REST_NS + 1);
}

/* What is asked for at the time it says must be due then. */
static void test_pace_wakes_in_time(void)
{
	static const uint64_t rates[] = { 1, 3, 7, 999, 1999, 2001, 33333 };
	struct pacer p;
	uint64_t now;
	unsigned i, k;

	for (i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		pacer_init(&p, rates[i], START);
		now = START;
		for (k = 0; k < 1000; k++) {
			if (!CHECK(pacer_due(&p, now) > 0))
				return;
			pacer_take(&p, pacer_due(&p, now));
			now = pacer_next_ns(&p, now);
		}
	}
}

static void test_pace_forgives(void)
{
	struct pacer p;

	pacer_init(&p, 1000, START);
	/* After 10 s behind, only the debt's share comes at once. */
	CHECK(pacer_due(&p, START + 10 * NS_PER_S) <= 101);
	pacer_init(&p, 0, START);
	CHECK(pacer_due(&p, START) == UINT64_MAX);
}

static void test_histogram(void)
{
	struct histogram h = { 0 };
	uint64_t i;

	CHECK_INT(histogram_quantile(&h, 500), 0);
	for (i = 1; i <= 100000; i++)
		histogram_add(&h, i * 10);
	CHECK_INT(h.min, 10);
	CHECK_INT(h.max, 1000000);
	CHECK(histogram_quantile(&h, 500) >= 500000);
	CHECK(histogram_quantile(&h, 500) <= 500000 * 104 / 100);
	CHECK(histogram_quantile(&h, 990) >= 990000);
	CHECK(histogram_quantile(&h, 990) <= 1000000);
	histogram_add(&h, UINT64_MAX / 2);
	CHECK_INT(histogram_quantile(&h, 1000), h.max);
	histogram_reset(&h);
	histogram_add(&h, 7);
	CHECK_INT(histogram_quantile(&h, 500), 7);
	histogram_fini(&h);
}

static void test_mac(void)
{
	struct complaint c = { "" };
	uint8_t mac[MAC_SIZE];
	char text[FUNCTION_NAME_MAX];

	CHECK_INT(mac_parse("nic1/vf2", mac, &c), 0);
	CHECK_STR(mac_format(text, mac), "02:69:6f:01:00:02");
	CHECK(mac_to_function(mac, text, sizeof(text)));
	CHECK_STR(text, "nic1/vf2");
	CHECK_INT(mac_parse("lan12/pf0", mac, &c), 0);
	CHECK_STR(mac_format(text, mac), "02:69:6f:0c:00:00");
	CHECK_INT(mac_parse("FF:00:aa:01:02:03", mac, &c), 0);
	CHECK_STR(mac_format(text, mac), "ff:00:aa:01:02:03");
	CHECK(!mac_to_function(mac, text, sizeof(text)));
	CHECK_INT(mac_parse("02:69:6f:01:00", mac, &c), -EINVAL);
	CHECK_HAS(c.text, "02:69:6f:01:00");
	CHECK_INT(mac_parse("02:69:6f:01:00:02:03", mac, &c), -EINVAL);
	CHECK_INT(mac_parse("", mac, &c), -EINVAL);
}

static void test_send_spec(void)
{
	struct workload_spec s;
	struct complaint c = { "" };

	CHECK_INT(workload_parse(WORKLOAD_SEND,
				 "to=nic1/vf2,rate=10k,size=64-1514,count=99,"
				 "vf=nic1/vf1,seed=7",
				 &s, &c),
		  0);
	CHECK_INT(s.to[5], 2);
	CHECK_INT(s.rate, 10000);
	CHECK_INT(s.size_min, 64);
	CHECK_INT(s.size_max, 1514);
	CHECK_INT(s.count, 99);
	CHECK_INT(s.seed, 7);
	CHECK_INT(s.vf.by, VF_SELECT_MAC);
	CHECK(workload_is_finite(&s));
	CHECK_INT(workload_parse(WORKLOAD_SEND, "to=nic1/vf2,vf=3", &s, &c), 0);
	CHECK_INT(s.vf.slot, 3);
	CHECK(!workload_is_finite(&s));
}

static void refuse(enum workload_kind kind, const char *text, const char *word)
{
	struct workload_spec s;
	struct complaint c = { "" };

	CHECK(workload_parse(kind, text, &s, &c) < 0);
	CHECK_HAS(c.text, word);
}

static void test_bad_specs(void)
{
	refuse(WORKLOAD_SEND, "rate=1k", "whom");
	refuse(WORKLOAD_SEND, "to=nowhere", "nowhere");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,speed=1", "speed");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,size=59", "size");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,size=100-99", "size");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,size=9019", "size");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,count=-1", "-1");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,vf=32", "32");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,,", "");
	refuse(WORKLOAD_REQUESTS, "0", "0");
	refuse(WORKLOAD_REQUESTS, "1025", "1025");
	refuse(WORKLOAD_REQUESTS, "8,register=0xd", "aligned");
	refuse(WORKLOAD_REQUESTS, "8,depth=x", "depth: 'x'");
	refuse(WORKLOAD_REQUESTS, "x", "depth: 'x'");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,rate=x", "rate: 'x'");
	refuse(WORKLOAD_REQUESTS, "8,depth=9", "'depth' is given twice");
	refuse(WORKLOAD_SEND, "to=nic0/vf1,count=1,count=1",
	       "'count' is given twice");
	refuse(WORKLOAD_TTY, "poll,loop,poll", "'poll' is given twice");
}

static void test_requests_spec(void)
{
	struct workload_spec s;
	struct complaint c = { "" };

	CHECK_INT(workload_parse(WORKLOAD_REQUESTS,
				 "64,count=5,rate=100,register=0x8", &s, &c),
		  0);
	CHECK_INT(s.depth, 64);
	CHECK_INT(s.count, 5);
	CHECK_INT(s.rate, 100);
	CHECK_INT(s.reg, 8);
	CHECK_INT(s.vf.by, VF_SELECT_ANY);
}

static void test_extents(void)
{
	struct guest_memory none = { .n = 0 };
	struct memory_pool pool;
	uint64_t a, b, c, d;

	memory_pool_init(&pool, &none, 5 * 4096);
	CHECK_INT(memory_pool_take(&pool, 1, &a), 0);
	CHECK_INT(memory_pool_take(&pool, 4096, &b), 0);
	CHECK_INT(memory_pool_take(&pool, 4097, &c), 0);
	CHECK_INT(a, 4096);
	CHECK_INT(b, 2 * 4096);
	CHECK_INT(c, 3 * 4096);
	CHECK_INT(memory_pool_take(&pool, 1, &d), -ENOMEM);
	memory_pool_give(&pool, a, 1);
	memory_pool_give(&pool, c, 4097);
	CHECK_INT(pool.n_free, 2);
	memory_pool_give(&pool, b, 4096);
	CHECK_INT(pool.n_free, 1);
	CHECK_INT(memory_pool_take(&pool, 4 * 4096, &d), 0);
	CHECK_INT(d, 4096);
}

static void test_buffers(void)
{
	struct guest_memory none = { .n = 0 };
	struct memory_pool pool;
	struct buffer_pool b;
	uint32_t i;

	memory_pool_init(&pool, &none, 64 * 4096);
	CHECK_INT(buffer_pool_init(&b, &pool, 8, 2048), 0);
	for (i = 0; i < 8; i++)
		CHECK_INT(buffer_take(&b), i);
	CHECK_INT(buffer_take(&b), BUFFER_NONE);
	/* The one that came back first goes out first. */
	buffer_give(&b, 3);
	buffer_give(&b, 1);
	CHECK_INT(buffer_take(&b), 3);
	buffer_give(&b, 7);
	CHECK_INT(buffer_take(&b), 1);
	CHECK_INT(buffer_take(&b), 7);
	CHECK_INT(buffer_take(&b), BUFFER_NONE);
	buffer_pool_fini(&b, &pool);
	CHECK_INT(pool.n_free, 1);
}

static const struct unit_case cases[] = {
	{ "pace_slow", test_pace_slow },
	{ "pace_fast", test_pace_fast },
	{ "pace_wakes_in_time", test_pace_wakes_in_time },
	{ "pace_forgives", test_pace_forgives },
	{ "histogram", test_histogram },
	{ "mac", test_mac },
	{ "send_spec", test_send_spec },
	{ "buffers", test_buffers },
	{ "bad_specs", test_bad_specs },
	{ "requests_spec", test_requests_spec },
	{ "extents", test_extents },
	{ NULL, NULL },
};

const struct unit_suite guest_suite = { "guest", cases };
