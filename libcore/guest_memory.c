/* guest_memory.c - a VM's main memory, and the maps through which a device
 * reaches it.
 *
 * Theory of operation.  A page behind the end of a truncated file raises
 * SIGBUS when touched.  The handler finds the guarded range of the address,
 * puts an anonymous page there, marks the range lost and returns, so the
 * access is done again and the program goes on.  The handler can be given no
 * argument, hence the one table of ranges below; it is filled by the loop's
 * thread only and read by the handler without locks.
 */
#include <config.h>

#include "libcore/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define ROOM_FIRST 4u /* maps; most have one */

/* end is written last and cleared first: 0 is a free place. */
struct guard {
	uintptr_t start;
	_Atomic uintptr_t end;
	_Atomic bool *lost;
};

static struct guard guards[GUEST_MEMORY_MAPS];
static _Atomic unsigned guards_used; /* high water mark */

static struct guard *guard_find(uintptr_t at)
{
	unsigned i, n;

	n = atomic_load_explicit(&guards_used, memory_order_acquire);
	for (i = 0; i < n; i++)
		if (at < atomic_load_explicit(&guards[i].end,
					      memory_order_acquire) &&
		    at >= guards[i].start)
			return &guards[i];
	return NULL;
}

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	uintptr_t page = at & ~(uintptr_t)(PAGE_BYTES - 1);
	struct guard *guard = guard_find(at);
	int saved = errno;
	void *p = MAP_FAILED;

	(void)context;
	if (guard)
		p = mmap((void *)page, PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED)
		signal(signo, SIG_DFL); /* a bug of ours: the retry kills */
	else
		atomic_store_explicit(guard->lost, true, memory_order_release);
	errno = saved;
}

int guest_memory_guard(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_RESTART };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int guest_memory_guard_add(void *hva, size_t size, _Atomic bool *lost)
{
	unsigned i;

	for (i = 0; i < GUEST_MEMORY_MAPS; i++)
		if (!atomic_load_explicit(&guards[i].end, memory_order_relaxed))
			break;
	if (i == GUEST_MEMORY_MAPS)
		return -ENOSPC;
	guards[i].start = (uintptr_t)hva;
	guards[i].lost = lost;
	atomic_store_explicit(&guards[i].end, (uintptr_t)hva + size,
			      memory_order_release);
	if (i >= atomic_load_explicit(&guards_used, memory_order_relaxed))
		atomic_store_explicit(&guards_used, i + 1,
				      memory_order_release);
	return 0;
}

void guest_memory_guard_del(void *hva)
{
	struct guard *guard = guard_find((uintptr_t)hva);

	if (guard)
		atomic_store_explicit(&guard->end, 0, memory_order_release);
}

int guest_memory_create(const char *name, uint64_t size)
{
	int fd, err;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) <
		    0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Index in mem->place of the first map that ends at gpa or after it. */
static unsigned place_of(const struct guest_memory *mem, uint64_t gpa)
{
	unsigned low = 0, high = mem->n, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (mem->place[middle].last < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int check_place(const struct guest_memory *mem, uint64_t gpa,
		       uint64_t size, uint64_t offset)
{
	unsigned i;

	if (!size || (gpa | size | offset) % PAGE_BYTES ||
	    gpa + (size - 1) < gpa || offset + size < offset ||
	    offset + size > INT64_MAX)
		return -EINVAL;
	i = place_of(mem, gpa);
	if (i < mem->n && mem->place[i].map->gpa <= gpa + (size - 1))
		return -EEXIST;
	return 0;
}

static int check_file(int fd, uint64_t end)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size < end ? -EFBIG : 0;
}

static void map_free(struct guest_map *map)
{
	guest_memory_guard_del(map->hva);
	munmap(map->hva, map->size);
	free(map);
}

static int make_room(struct guest_memory *mem)
{
	unsigned room = mem->room ? 2 * mem->room : ROOM_FIRST;
	struct guest_place *place;

	if (mem->n < mem->room)
		return 0;
	place = reallocarray(mem->place, room, sizeof(*place));
	if (!place)
		return -ENOMEM;
	mem->place = place;
	mem->room = room;
	return 0;
}

int guest_memory_map(struct guest_memory *mem, uint64_t gpa, uint64_t size,
		     unsigned prot, int fd, uint64_t offset)
{
	struct guest_map *map;
	unsigned i;
	void *hva;
	int err;

	err = check_place(mem, gpa, size, offset);
	if (!err)
		err = check_file(fd, offset + size);
	if (!err)
		err = make_room(mem);
	if (err)
		return err;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	hva = mmap(NULL, size,
		   (prot & GUEST_READ ? PROT_READ : 0) |
			   (prot & GUEST_WRITE ? PROT_WRITE : 0),
		   MAP_SHARED, fd, (off_t)offset);
	if (hva == MAP_FAILED) {
		err = -errno;
		goto out_map;
	}
	map->gpa = gpa;
	map->size = size;
	map->hva = hva;
	map->prot = prot;
	err = guest_memory_guard_add(hva, size, &map->lost);
	if (err)
		goto out_hva;
	i = place_of(mem, gpa);
	memmove(&mem->place[i + 1], &mem->place[i],
		(mem->n - i) * sizeof(mem->place[0]));
	mem->place[i] = (struct guest_place){ gpa + (size - 1), map };
	mem->n++;
	return 0;
out_hva:
	munmap(hva, size);
out_map:
	free(map);
	return err;
}

int guest_memory_unmap(struct guest_memory *mem, uint64_t gpa, uint64_t size)
{
	unsigned i = place_of(mem, gpa);

	if (i == mem->n || mem->place[i].map->gpa != gpa ||
	    mem->place[i].map->size != size)
		return -ENOENT;
	map_free(mem->place[i].map);
	mem->n--;
	memmove(&mem->place[i], &mem->place[i + 1],
		(mem->n - i) * sizeof(mem->place[0]));
	if (!mem->n)
		guest_memory_clear(mem);
	return 0;
}

void guest_memory_clear(struct guest_memory *mem)
{
	while (mem->n)
		map_free(mem->place[--mem->n].map);
	free(mem->place);
	mem->place = NULL;
	mem->room = 0;
}

void *guest_memory_at(const struct guest_memory *mem, uint64_t gpa,
		      uint64_t size, unsigned prot)
{
	const struct guest_map *map;
	uint64_t into;
	unsigned i = place_of(mem, gpa);

	if (i == mem->n || !size)
		return NULL;
	map = mem->place[i].map;
	into = gpa - map->gpa;
	if (gpa < map->gpa || size > map->size || into > map->size - size)
		return NULL;
	if ((map->prot & prot) != prot ||
	    atomic_load_explicit(&map->lost, memory_order_acquire))
		return NULL;
	return map->hva + into;
}

struct guest_window guest_memory_window(const struct guest_memory *mem,
					unsigned prot)
{
	const struct guest_map *map;

	if (!mem->n)
		return (struct guest_window){ 0 };
	map = mem->place[0].map;
	if ((map->prot & prot) != prot ||
	    atomic_load_explicit(&map->lost, memory_order_acquire))
		return (struct guest_window){ 0 };
	return (struct guest_window){ map->gpa, map->size, map->hva };
}

bool guest_memory_lost(const struct guest_memory *mem)
{
	unsigned i;

	for (i = 0; i < mem->n; i++)
		if (atomic_load_explicit(&mem->place[i].map->lost,
					 memory_order_acquire))
			return true;
	return false;
}
