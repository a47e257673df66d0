/* window_test.c - both sides of a window in one process, its end, and what
 * neither side may believe of the other. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "libcore/window.h"
#include "t/unit/unit.h"

#define RW  (uint32_t)(WINDOW_READ | WINDOW_WRITE)

#define GPA 0x50000000u

struct rig {
	int fd;
	struct window device, guest;
};

static void rig_open(struct rig *r)
{
	const struct window_request request = { .gpa = GPA, .rights = RW };
	uint32_t rights = 0;

	*r = (struct rig){ .fd = window_create() };
	CHECK_INT(guest_memory_guard(), 0);
	CHECK_INT(window_map(&r->device, r->fd), 0);
	CHECK_INT(window_map(&r->guest, r->fd), 0);
	CHECK_INT(window_attach(&r->guest, GPA, &rights), -EBADMSG);
	window_open(&r->device, &request);
	CHECK_INT(window_attach(&r->guest, GPA + WINDOW_PAGE, &rights), -ENXIO);
	CHECK_INT(window_attach(&r->guest, GPA, &rights), 0);
	CHECK_INT(rights, RW);
}

static void rig_close(struct rig *r)
{
	window_unmap(&r->device);
	window_unmap(&r->guest);
	window_unmap(&r->guest);
	close(r->fd);
}

static void push(struct rig *r, bool write, uint64_t value)
{
	const struct window_access access = {
		.offset = 8, .size = 8, .write = write, .value = value
	};

	CHECK(window_has_room(&r->guest));
	(void)window_push(&r->guest, &access);
}

/* Take one; each gives 2 more than the one before. */
static int serve(struct rig *r)
{
	struct window_access access;
	int n = window_take(&r->device, &access);

	if (n == 1)
		window_answer(&r->device, 0, 2ull * (r->device.own + 1));
	return n;
}

static void test_accesses(void)
{
	struct window_access access;
	struct rig r;
	uint64_t value = 0;

	rig_open(&r);
	CHECK_INT(window_take(&r.device, &access), 0);
	push(&r, true, 7);
	push(&r, false, 0);
	CHECK_INT(window_take(&r.device, &access), 1);
	CHECK(access.write);
	CHECK_INT(access.value, 7);
	CHECK_INT(access.offset, 8);
	CHECK_INT(access.size, 8);
	window_answer(&r.device, 0, 0);
	CHECK_INT(window_take(&r.device, &access), 1);
	CHECK(!access.write);
	window_answer(&r.device, EPERM, 0x1234567890abcdefull);
	CHECK_INT(window_replies(&r.guest), 2);
	CHECK(!window_publish(&r.device));
	CHECK_INT(window_replies(&r.guest), 2);
	CHECK_INT(window_reply(&r.guest, &value), 0);
	CHECK_INT(window_reply(&r.guest, &value), EPERM);
	CHECK_INT(value, 0x1234567890abcdefull);
	CHECK_INT(window_replies(&r.guest), 0);
	CHECK_INT(window_outstanding(&r.guest), 0);
	rig_close(&r);
}

static void test_around_the_end(void)
{
	struct rig r;
	uint64_t i, done = 0, value;

	rig_open(&r);
	for (i = 0; i < 3 * WINDOW_SLOTS; i++) {
		push(&r, false, i);
		if (window_has_room(&r.guest))
			continue;
		while (serve(&r) == 1)
			;
		(void)window_publish(&r.device);
		CHECK_INT(window_replies(&r.guest), WINDOW_SLOTS);
		while (window_replies(&r.guest) > 0) {
			CHECK_INT(window_reply(&r.guest, &value), 0);
			CHECK_INT(value, 2 * ++done);
		}
	}
	CHECK_INT(done, 3 * WINDOW_SLOTS);
	rig_close(&r);
}

static void test_check(void)
{
	struct window_access a = { .offset = 4088, .size = 8 };

	CHECK_INT(window_check(&a, RW), 0);
	CHECK_INT(window_check(&a, WINDOW_WRITE), -EPERM);
	a.write = true;
	CHECK_INT(window_check(&a, WINDOW_READ), -EPERM);
	a.offset = 4089;
	CHECK_INT(window_check(&a, RW), -EINVAL);
	a = (struct window_access){ .offset = UINT32_MAX, .size = 8 };
	CHECK_INT(window_check(&a, RW), -EINVAL);
	a = (struct window_access){ .size = 0 };
	CHECK_INT(window_check(&a, RW), -EINVAL);
	a.size = 9;
	CHECK_INT(window_check(&a, RW), -EINVAL);
}

static void test_sleep(void)
{
	const struct window_access access = { .size = 1 };
	struct rig r;
	uint64_t value;

	rig_open(&r);
	CHECK(window_device_sleep(&r.device));
	CHECK(window_push(&r.guest, &access)); /* ring */
	window_device_awake(&r.device);
	CHECK(!window_push(&r.guest, &access));
	CHECK(!window_device_sleep(&r.device));
	CHECK_INT(window_guest_sleep(&r.guest), 1);
	CHECK_INT(serve(&r), 1);
	CHECK(window_publish(&r.device));
	window_guest_awake(&r.guest);
	CHECK_INT(window_guest_sleep(&r.guest), 0);
	/* The index may be behind what was taken, by a batch. */
	CHECK_INT(serve(&r), 1);
	CHECK_INT(window_replies(&r.guest), 2);
	(void)window_reply(&r.guest, &value);
	(void)window_reply(&r.guest, &value);
	(void)window_push(&r.guest, &access);
	CHECK_INT(window_guest_sleep(&r.guest), 1);
	CHECK(window_publish(&r.device));
	rig_close(&r);
}

static void test_end(void)
{
	struct rig r;
	uint32_t final = 0;
	uint64_t value;

	rig_open(&r);
	push(&r, false, 1);
	push(&r, false, 2);
	CHECK_INT(serve(&r), 1);
	CHECK_INT(window_ended(&r.guest, &final), 0);
	window_end(&r.device);
	push(&r, true, 3); /* too late */
	CHECK_INT(ftruncate(r.fd, WINDOW_KEEP), 0);
	CHECK_INT(window_ended(&r.guest, &final), 1);
	CHECK_INT(final, 1);
	/* The reply stays when the ring is gone. */
	CHECK_INT(window_replies(&r.guest), 1);
	CHECK_INT(window_reply(&r.guest, &value), 0);
	CHECK_INT(value, 2);
	CHECK(!window_is_lost(&r.guest));
	window_touch(&r.guest);
	CHECK(window_is_lost(&r.guest));
	push(&r, true, 4); /* to nobody, and nothing breaks */
	rig_close(&r);
}

static void test_truncated_device(void)
{
	struct window_access access;
	struct rig r;

	rig_open(&r);
	push(&r, true, 1);
	CHECK_INT(ftruncate(r.fd, 0), 0);
	CHECK(window_take(&r.device, &access) <= 0);
	CHECK(window_is_lost(&r.device));
	window_end(&r.device);
	CHECK(ftruncate(r.fd, WINDOW_SIZE) < 0); /* it cannot grow again */
	rig_close(&r);
}

static void test_wild(void)
{
	uint32_t final, rights;
	struct rig r;

	rig_open(&r);
	push(&r, true, 1);
	CHECK_INT(window_attach(&r.guest, GPA, &rights), -EBADMSG); /* in use */
	rig_close(&r);

	rig_open(&r);
	push(&r, true, 1);
	atomic_store(&r.device.map->index, 2);
	CHECK_INT(window_guest_sleep(&r.guest), -EBADMSG);
	atomic_store(&r.device.map->final, 2);
	atomic_store(&r.device.map->state, WINDOW_ENDED);
	CHECK_INT(window_ended(&r.guest, &final), -EBADMSG);
	rig_close(&r);
}

/* What lies in a slot may be anything. */
static void test_rubbish(void)
{
	static const struct window_access none[] = {
		{ .size = 0 },
		{ .size = 9 },
		{ .offset = 4089, .size = 8 },
		{ .offset = UINT32_MAX, .size = 1 },
	};
	struct window_access access;
	struct rig r;
	unsigned i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		rig_open(&r);
		(void)window_push(&r.guest, &none[i]);
		CHECK_INT(window_take(&r.device, &access), -EBADMSG);
		CHECK_INT(window_take(&r.device, &access), -EBADMSG);
		rig_close(&r);
	}
	/* No mark, or that of another turn. */
	rig_open(&r);
	for (i = 0; i < 64; i++) {
		atomic_store(&r.guest.map->ring[0].what,
			     (i == 63 ? 0 : 1ull << i) - 1);
		CHECK_INT(window_take(&r.device, &access), 0);
	}
	rig_close(&r);
}

static const struct unit_case cases[] = {
	{ "accesses", test_accesses },
	{ "around_the_end", test_around_the_end },
	{ "check", test_check },
	{ "sleep", test_sleep },
	{ "end", test_end },
	{ "truncated_device", test_truncated_device },
	{ "wild", test_wild },
	{ "rubbish", test_rubbish },
	{ NULL, NULL },
};

const struct unit_suite window_suite = { "window", cases };
