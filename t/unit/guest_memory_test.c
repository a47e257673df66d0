/* guest_memory_test.c - maps, their limits, and truncation under our feet. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "t/unit/unit.h"

#define PAGE 4096u
#define RW   (GUEST_READ | GUEST_WRITE)

static int plain_memfd(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (ftruncate(fd, (off_t)size) < 0)
		abort();
	return fd;
}

static void test_create(void)
{
	int fd = guest_memory_create("vm1", 16 * PAGE);

	CHECK(fd >= 0);
	CHECK_INT(lseek(fd, 0, SEEK_END), 16 * PAGE);
	CHECK(ftruncate(fd, 0) < 0 && errno == EPERM);
	CHECK(ftruncate(fd, 32 * PAGE) < 0 && errno == EPERM);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	close(fd);
}

static void test_overlap(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(16 * PAGE);

	CHECK_INT(guest_memory_map(&mem, 8 * PAGE, 4 * PAGE, RW, fd, 0), 0);
	CHECK_INT(guest_memory_map(&mem, 8 * PAGE, 4 * PAGE, RW, fd, 0),
		  -EEXIST);
	CHECK_INT(guest_memory_map(&mem, 11 * PAGE, 4 * PAGE, RW, fd, 0),
		  -EEXIST);
	CHECK_INT(guest_memory_map(&mem, 0, 9 * PAGE, RW, fd, 0), -EEXIST);
	CHECK_INT(guest_memory_map(&mem, 0, 16 * PAGE, RW, fd, 0), -EEXIST);
	CHECK_INT(guest_memory_map(&mem, 12 * PAGE, PAGE, RW, fd, 0), 0);
	CHECK_INT(guest_memory_map(&mem, 7 * PAGE, PAGE, GUEST_READ, fd, 0), 0);
	CHECK_INT(mem.n, 3);
	CHECK_INT(mem.place[0].map->gpa, 7 * PAGE);
	CHECK_INT(guest_memory_unmap(&mem, 8 * PAGE, PAGE), -ENOENT);
	CHECK_INT(guest_memory_unmap(&mem, 8 * PAGE, 4 * PAGE), 0);
	CHECK_INT(guest_memory_unmap(&mem, 8 * PAGE, 4 * PAGE), -ENOENT);
	CHECK_INT(mem.n, 2);
	guest_memory_clear(&mem);
	CHECK_INT(mem.n, 0);
	close(fd);
}

static void test_bad_maps(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(4 * PAGE);

	CHECK_INT(guest_memory_map(&mem, 0, 0, RW, fd, 0), -EINVAL);
	CHECK_INT(guest_memory_map(&mem, 1, PAGE, RW, fd, 0), -EINVAL);
	CHECK_INT(guest_memory_map(&mem, 0, 100, RW, fd, 0), -EINVAL);
	CHECK_INT(guest_memory_map(&mem, 0, PAGE, RW, fd, 7), -EINVAL);
	CHECK_INT(guest_memory_map(&mem, -(uint64_t)PAGE, 2 * PAGE, RW, fd, 0),
		  -EINVAL);
	CHECK_INT(guest_memory_map(&mem, 0, 2 * PAGE, RW, fd, -(uint64_t)PAGE),
		  -EINVAL);
	CHECK_INT(guest_memory_map(&mem, 0, 5 * PAGE, RW, fd, 0), -EFBIG);
	CHECK_INT(guest_memory_map(&mem, 0, 2 * PAGE, RW, fd, 3 * PAGE),
		  -EFBIG);
	CHECK_INT(mem.n, 0);
	guest_memory_clear(&mem);
	close(fd);
}

#define MANY 4096u

/* Map k of them, in no order: k * 1001 % MANY runs through all. */
static uint64_t place_of(unsigned k)
{
	return 2ull * (k * 1001u % MANY) * PAGE;
}

static void test_many(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(4 * PAGE);
	unsigned k;

	for (k = 0; k < MANY; k++)
		CHECK_INT(guest_memory_map(&mem, place_of(k), PAGE, RW, fd,
					   k % 4 * PAGE),
			  0);
	CHECK_INT(guest_memory_map(&mem, place_of(77), PAGE, RW, fd, 0),
		  -EEXIST);
	for (k = 0; k < 4; k++)
		*(unsigned *)guest_memory_at(&mem, place_of(k), 4, RW) = k;
	for (k = 0; k < MANY; k++) {
		CHECK_INT(
			*(unsigned *)guest_memory_at(&mem, place_of(k), 4, RW),
			k % 4);
		CHECK(!guest_memory_at(&mem, place_of(k) + PAGE, 1, RW));
		CHECK(!guest_memory_at(&mem, place_of(k), PAGE + 1, RW));
	}
	for (k = 0; k < MANY; k += 2)
		CHECK_INT(guest_memory_unmap(&mem, place_of(k), PAGE), 0);
	for (k = 0; k < MANY; k++)
		CHECK(!guest_memory_at(&mem, place_of(k), 1, RW) == !(k % 2));
	for (k = 1; k < MANY; k += 2)
		CHECK_INT(guest_memory_unmap(&mem, place_of(k), PAGE), 0);
	CHECK(!mem.place);
	close(fd);
}

/* As many as the program guards, and no more. */
static void test_too_many(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(PAGE), err = 0;
	uint64_t gpa;

	for (gpa = 0; !err && gpa < 2ull * GUEST_MEMORY_MAPS * PAGE;
	     gpa += PAGE)
		err = guest_memory_map(&mem, gpa, PAGE, RW, fd, 0);
	CHECK_INT(err, -ENOSPC);
	CHECK(mem.n > GUEST_MEMORY_MAPS / 2);
	guest_memory_clear(&mem);
	close(fd);
}

static void test_limits(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(4 * PAGE);
	uint8_t *base;

	CHECK(!guest_memory_at(&mem, 0, 1, 0));
	CHECK_INT(guest_memory_map(&mem, 0x100000, 4 * PAGE, RW, fd, 0), 0);
	base = guest_memory_at(&mem, 0x100000, 4 * PAGE, RW);
	CHECK(base != NULL);
	CHECK(guest_memory_at(&mem, 0x100000 + 4 * PAGE - 1, 1, RW) ==
	      base + 4 * PAGE - 1);
	CHECK(!guest_memory_at(&mem, 0x100000, 4 * PAGE + 1, RW));
	CHECK(!guest_memory_at(&mem, 0x100000 + 4 * PAGE, 1, RW));
	CHECK(!guest_memory_at(&mem, 0xfffff, 2, RW));
	CHECK(!guest_memory_at(&mem, 0x100000, 0, RW));
	CHECK(!guest_memory_at(&mem, 0x100001, UINT64_MAX, RW));
	CHECK(!guest_memory_at(&mem, UINT64_MAX, 1, RW));
	guest_memory_clear(&mem);
	CHECK_INT(guest_memory_map(&mem, 0, PAGE, GUEST_READ, fd, 0), 0);
	CHECK(guest_memory_at(&mem, 0, 8, GUEST_READ));
	CHECK(!guest_memory_at(&mem, 0, 8, GUEST_WRITE));
	CHECK(!guest_memory_at(&mem, 0, 8, RW));
	guest_memory_clear(&mem);
	close(fd);
}

/* As guest_memory_at(), for the lowest map alone. */
static void test_window(void)
{
	const uint64_t base = 0x100000, size = 4 * PAGE;
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(size);
	struct guest_window w;
	uint8_t *hva;

	w = guest_memory_window(&mem, RW);
	CHECK(!guest_window_at(&w, 0, 1));
	CHECK_INT(guest_memory_map(&mem, base, size, RW, fd, 0), 0);
	CHECK_INT(guest_memory_map(&mem, 2 * base, PAGE, GUEST_READ, fd, 0), 0);
	hva = guest_memory_at(&mem, base, size, RW);
	w = guest_memory_window(&mem, RW);
	CHECK(guest_window_at(&w, base, size) == hva);
	CHECK(guest_window_at(&w, base + size - 1, 1) == hva + size - 1);
	CHECK(!guest_window_at(&w, base, size + 1));
	CHECK(!guest_window_at(&w, base + size, 1));
	CHECK(!guest_window_at(&w, base - 1, 2));
	CHECK(!guest_window_at(&w, base + 1, UINT64_MAX));
	CHECK(!guest_window_at(&w, UINT64_MAX, 1));
	CHECK(!guest_window_at(&w, 2 * base, 1));
	CHECK_INT(guest_memory_unmap(&mem, base, size), 0);
	w = guest_memory_window(&mem, RW);
	CHECK(!guest_window_at(&w, 2 * base, 1));
	w = guest_memory_window(&mem, GUEST_READ);
	CHECK(guest_window_at(&w, 2 * base, PAGE) != NULL);
	guest_memory_clear(&mem);
	close(fd);
}

static void test_truncated(void)
{
	struct guest_memory mem = { .n = 0 };
	int fd = plain_memfd(4 * PAGE), other = plain_memfd(PAGE);
	volatile uint8_t *hva;

	CHECK_INT(guest_memory_guard(), 0);
	CHECK_INT(guest_memory_map(&mem, 0, 4 * PAGE, RW, fd, 0), 0);
	CHECK_INT(guest_memory_map(&mem, 0x10000, PAGE, RW, other, 0), 0);
	hva = guest_memory_at(&mem, 0, 4 * PAGE, RW);
	hva[0] = 1;
	hva[3 * PAGE] = 1;
	CHECK_INT(ftruncate(fd, PAGE), 0);
	CHECK_INT(hva[0], 1);
	CHECK(!guest_memory_lost(&mem));
	CHECK_INT(hva[3 * PAGE], 0);
	hva[2 * PAGE + 5] = 7;
	CHECK_INT(hva[2 * PAGE + 5], 7);
	CHECK(guest_memory_lost(&mem));
	CHECK(!guest_memory_at(&mem, 0, 1, RW));
	CHECK_INT(guest_memory_window(&mem, RW).size, 0);
	CHECK(guest_memory_at(&mem, 0x10000, 1, RW));
	CHECK_INT(guest_memory_unmap(&mem, 0, 4 * PAGE), 0);
	CHECK(!guest_memory_lost(&mem));
	guest_memory_clear(&mem);
	close(fd);
	close(other);
}

static void test_other_guard(void)
{
	_Atomic bool lost = false;
	int fd = plain_memfd(2 * PAGE);
	volatile uint8_t *hva =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK_INT(guest_memory_guard_add((void *)hva, 2 * PAGE, &lost), 0);
	CHECK_INT(ftruncate(fd, 0), 0);
	hva[PAGE] = 3;
	CHECK(lost);
	guest_memory_guard_del((void *)hva);
	munmap((void *)hva, 2 * PAGE);
	close(fd);
}

static const struct unit_case cases[] = {
	{ "create", test_create },           { "overlap", test_overlap },
	{ "bad_maps", test_bad_maps },       { "many", test_many },
	{ "too_many", test_too_many },       { "limits", test_limits },
	{ "window", test_window },           { "truncated", test_truncated },
	{ "other_guard", test_other_guard }, { NULL, NULL },
};

const struct unit_suite guest_memory_suite = { "guest_memory", cases };
