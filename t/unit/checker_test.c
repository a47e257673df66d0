/* checker_test.c - test frames: built, checked, counted. */
#include <config.h>

#include <string.h>

#include "cmd/guestd/checker.h"
#include "t/unit/unit.h"

#define SIZE   200u
#define STREAM 0x00100042u

static const uint8_t dst[MAC_SIZE] = { 2, 0x69, 0x6f, 1, 0, 2 };
static const uint8_t src[MAC_SIZE] = { 2, 0x69, 0x6f, 1, 0, 1 };

static void build(uint8_t *frame, uint32_t size, uint64_t seq, uint64_t total)
{
	const struct frames_info info = { .stream = STREAM,
					  .sequence = seq,
					  .total = total,
					  .time_ns = 1000 };

	frames_build(frame, size, dst, src, &info);
}

static void come(struct checker *ck, uint64_t seq, uint64_t now_ns)
{
	uint8_t frame[SIZE];

	build(frame, SIZE, seq, 0);
	checker_frame(ck, frame, SIZE, now_ns);
}

static void come_range(struct checker *ck, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		come(ck, from, 2000 + from);
}

static struct checker_counts counts(const struct checker *ck)
{
	return checker_totals(ck);
}

static void test_frame_round_trip(void)
{
	uint8_t frame[9018];
	struct frames_info info;
	uint32_t size;

	for (size = FRAMES_MIN; size <= sizeof(frame); size += 7) {
		build(frame, size, 77, 99);
		if (!CHECK_INT(frames_parse(frame, size, &info), FRAMES_GOOD))
			return;
	}
	CHECK_INT(info.stream, STREAM);
	CHECK_INT(info.sequence, 77);
	CHECK_INT(info.total, 99);
	CHECK_INT(info.time_ns, 1000);
	CHECK_INT(frame[12], 0x88);
	CHECK_INT(frame[13], 0xb5);
}

static void test_every_bit_is_seen(void)
{
	uint8_t frame[67];
	struct frames_info info;
	unsigned bit;

	build(frame, sizeof(frame), 5, 0);
	for (bit = 0; bit < 8 * sizeof(frame); bit++) {
		frame[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (!CHECK_INT(frames_parse(frame, sizeof(frame), &info),
			       FRAMES_CORRUPT))
			return;
		frame[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	CHECK_INT(frames_parse(frame, sizeof(frame), &info), FRAMES_GOOD);
}

static void test_cut_and_foreign(void)
{
	uint8_t frame[SIZE] = { 0 };
	struct frames_info info;
	uint32_t size;

	for (size = 0; size < SIZE; size++)
		if (!CHECK_INT(frames_parse(frame, size, &info),
			       FRAMES_FOREIGN))
			return;
	build(frame, SIZE, 0, 0);
	for (size = 18; size < SIZE; size++)
		if (!CHECK_INT(frames_parse(frame, size, &info),
			       FRAMES_CORRUPT))
			return;
}

static void test_echo_is_good(void)
{
	uint8_t frame[SIZE];
	struct frames_info info;

	build(frame, SIZE, 3, 0);
	memcpy(frame, src, MAC_SIZE);
	memcpy(frame + MAC_SIZE, dst, MAC_SIZE);
	CHECK_INT(frames_parse(frame, SIZE, &info), FRAMES_GOOD);
}

static void test_in_order(void)
{
	struct checker ck;

	checker_init(&ck);
	come_range(&ck, 0, 1000);
	CHECK_INT(counts(&ck).received, 1000);
	CHECK_INT(counts(&ck).bytes, 1000 * SIZE);
	CHECK_INT(counts(&ck).lost, 0);
	CHECK_INT(counts(&ck).missed, 0);
	CHECK(checker_clean(&ck, true));
	CHECK(!checker_complete(&ck));
	CHECK_INT(ck.latency.count, 1000);
	checker_fini(&ck);
}

static void test_lost_and_late(void)
{
	struct checker ck;

	checker_init(&ck);
	come_range(&ck, 0, 10);
	come_range(&ck, 13, 20);
	CHECK_INT(counts(&ck).lost, 3);
	CHECK(!checker_clean(&ck, false));
	come(&ck, 11, 5000);
	CHECK_INT(counts(&ck).lost, 2);
	CHECK_INT(counts(&ck).reordered, 1);
	come(&ck, 11, 5001);
	CHECK_INT(counts(&ck).repeated, 1);
	come(&ck, 19, 5002);
	CHECK_INT(counts(&ck).repeated, 2);
	CHECK_INT(counts(&ck).received, 18);
	checker_fini(&ck);
}

static void test_missed_before_the_first(void)
{
	struct checker ck;

	checker_init(&ck);
	come_range(&ck, 2, 5);
	CHECK_INT(counts(&ck).missed, 2);
	CHECK_INT(counts(&ck).lost, 0);
	CHECK(!checker_clean(&ck, false));
	come(&ck, 1, 3000);
	come(&ck, 0, 3000);
	CHECK_INT(counts(&ck).missed, 0);
	CHECK_INT(counts(&ck).reordered, 2);
	CHECK(checker_clean(&ck, false));
	checker_fini(&ck);
}

/* The window's bits are used again and again. */
static void test_window_wraps(void)
{
	const uint64_t far = 3ull * CHECKER_WINDOW + 17;
	struct checker ck;

	checker_init(&ck);
	come_range(&ck, 0, far);
	CHECK_INT(counts(&ck).repeated, 0);
	/* The oldest that the window still holds, and one older. */
	come(&ck, far - CHECKER_WINDOW, far);
	CHECK_INT(counts(&ck).repeated, 1);
	come(&ck, far - CHECKER_WINDOW - 1, far);
	CHECK_INT(counts(&ck).repeated, 2);
	/* A jump over the whole window leaves no old bit. */
	come(&ck, far + 2 * CHECKER_WINDOW, far);
	CHECK_INT(counts(&ck).lost, 2 * CHECKER_WINDOW);
	come_range(&ck, far + CHECKER_WINDOW + 1, far + 2 * CHECKER_WINDOW);
	CHECK_INT(counts(&ck).reordered, CHECKER_WINDOW - 1);
	CHECK_INT(counts(&ck).repeated, 2);
	CHECK_INT(counts(&ck).lost, CHECKER_WINDOW + 1);
	checker_fini(&ck);
}

/* A jump by just less than the window. */
static void test_window_edge(void)
{
	struct checker ck;

	checker_init(&ck);
	come(&ck, 0, 2000);
	come(&ck, CHECKER_WINDOW - 1, 2001);
	CHECK_INT(counts(&ck).lost, CHECKER_WINDOW - 2);
	come(&ck, 0, 2002);
	CHECK_INT(counts(&ck).repeated, 1);
	come(&ck, CHECKER_WINDOW, 2003);
	come(&ck, 1, 2004);
	CHECK_INT(counts(&ck).reordered, 1);
	checker_fini(&ck);
}

static void test_gap(void)
{
	struct checker ck;

	checker_init(&ck);
	come(&ck, 0, 10000);
	come(&ck, 1, 10500);
	come(&ck, 2, 90500);
	come(&ck, 3, 91000);
	CHECK_INT(checker_gap_ns(&ck), 80000);
	CHECK_INT(TAILQ_FIRST(&ck.streams)->gap_seq, 2);
	checker_fini(&ck);
}

static void test_corrupted_and_foreign(void)
{
	uint8_t frame[SIZE];
	struct checker ck;

	checker_init(&ck);
	build(frame, SIZE, 0, 0);
	frame[150] ^= 4;
	checker_frame(&ck, frame, SIZE, 2000);
	memset(frame, 0x55, sizeof(frame));
	checker_frame(&ck, frame, SIZE, 2000);
	CHECK_INT(ck.corrupted, 1);
	CHECK_INT(ck.foreign, 1);
	CHECK_INT(counts(&ck).received, 0);
	CHECK(!checker_clean(&ck, false));
	checker_fini(&ck);
}

static void test_total(void)
{
	uint8_t frame[SIZE];
	struct checker ck;
	uint64_t i;

	checker_init(&ck);
	for (i = 0; i < 9; i++) {
		build(frame, SIZE, i, 10);
		checker_frame(&ck, frame, SIZE, 2000 + i);
	}
	CHECK(!checker_complete(&ck));
	CHECK(checker_clean(&ck, false));
	CHECK(!checker_clean(&ck, true));
	build(frame, SIZE, 9, 10);
	checker_frame(&ck, frame, SIZE, 3000);
	CHECK(checker_complete(&ck));
	CHECK(checker_clean(&ck, true));
	checker_fini(&ck);
}

static void test_streams_make_room(void)
{
	struct frames_info info = { .time_ns = 1 };
	uint8_t frame[SIZE];
	struct checker ck;
	uint32_t i;

	checker_init(&ck);
	for (i = 0; i < 3 * CHECKER_STREAMS; i++) {
		info.stream = i;
		frames_build(frame, SIZE, dst, src, &info);
		checker_frame(&ck, frame, SIZE, 2000 + i);
	}
	CHECK_INT(ck.n_streams, CHECKER_STREAMS);
	CHECK_INT(counts(&ck).received, 3 * CHECKER_STREAMS);
	CHECK_INT(TAILQ_FIRST(&ck.streams)->id, 3 * CHECKER_STREAMS - 1);
	checker_reset(&ck);
	CHECK_INT(counts(&ck).received, 0);
	checker_fini(&ck);
}

static const struct unit_case cases[] = {
	{ "frame_round_trip", test_frame_round_trip },
	{ "every_bit_is_seen", test_every_bit_is_seen },
	{ "cut_and_foreign", test_cut_and_foreign },
	{ "echo_is_good", test_echo_is_good },
	{ "in_order", test_in_order },
	{ "lost_and_late", test_lost_and_late },
	{ "missed_before_the_first", test_missed_before_the_first },
	{ "window_wraps", test_window_wraps },
	{ "window_edge", test_window_edge },
	{ "gap", test_gap },
	{ "corrupted_and_foreign", test_corrupted_and_foreign },
	{ "total", test_total },
	{ "streams_make_room", test_streams_make_room },
	{ NULL, NULL },
};

const struct unit_suite checker_suite = { "checker", cases };
