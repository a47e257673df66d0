/* guest_memory.h - a VM's main memory, and the maps through which a device
 * reaches it.
 *
 * Memory that a peer may truncate raises SIGBUS when touched: the handler
 * puts an anonymous page there, marks the map lost, and the program goes on.
 */
#ifndef IOVKIT_GUEST_MEMORY_H
#define IOVKIT_GUEST_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"

/* Of a program in all, other ranges that it guards included. */
#define GUEST_MEMORY_MAPS 8192u

enum {
	GUEST_READ = 1,
	GUEST_WRITE = 2,
};

struct guest_map {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	unsigned prot; /* GUEST_READ | GUEST_WRITE */
	_Atomic bool lost;
};

/* Where a map ends; a look-up reads nothing of the maps that it passes. */
struct guest_place {
	uint64_t last;
	struct guest_map *map;
};

/* What one function (or VM) may reach.  Maps do not overlap. */
struct guest_memory {
	struct guest_place *place; /* [n], sorted */
	unsigned n, room;
};

/* A new memfd of `size` bytes sealed against shrinking, growing and further
 * seals; the fd or -errno. */
int guest_memory_create(const char *name, uint64_t size)
	__attribute__((warn_unused_result));
/* Map fd (stays the caller's) at gpa.  -EEXIST: overlaps a map; -EINVAL: not
 * page aligned or empty; -EFBIG: the file is shorter; -ENOSPC: too many;
 * -ENOMEM. */
int guest_memory_map(struct guest_memory *mem, uint64_t gpa, uint64_t size,
		     unsigned prot, int fd, uint64_t offset)
	__attribute__((warn_unused_result));
/* -ENOENT: no map with exactly this place and size. */
int guest_memory_unmap(struct guest_memory *mem, uint64_t gpa, uint64_t size)
	__attribute__((warn_unused_result));
void guest_memory_clear(struct guest_memory *mem);
/* Address here of [gpa, gpa + size), which must lie in one map that has all
 * of prot and is not lost; NULL otherwise. size 0 is refused. */
void *guest_memory_at(const struct guest_memory *mem, uint64_t gpa,
		      uint64_t size, unsigned prot);
/* A look at a VM's memory for a burst of accesses: the map at the lowest
 * address, which mostly is the whole memory; empty when it has not all of
 * prot or is lost.  Good until the maps change. */
struct guest_window {
	uint64_t gpa, size;
	uint8_t *hva;
};
struct guest_window guest_memory_window(const struct guest_memory *mem,
					unsigned prot);
/* As guest_memory_at(), in the window only; size is not 0. */
static inline void *guest_window_at(const struct guest_window *w, uint64_t gpa,
				    uint64_t size)
{
	uint64_t into = gpa - w->gpa;

	if (into >= w->size || size > w->size - into)
		return NULL;
	return w->hva + into;
}
/* Whether any map was lost to truncation. */
bool guest_memory_lost(const struct guest_memory *mem);

/* Install the SIGBUS handler (once a program, before the first map). */
int guest_memory_guard(void) __attribute__((warn_unused_result));
/* Watch another mapping (a ring that a peer may truncate) as well; *lost is
 * set when it happened. */
int guest_memory_guard_add(void *hva, size_t size, _Atomic bool *lost)
	__attribute__((warn_unused_result));
void guest_memory_guard_del(void *hva);

#endif
